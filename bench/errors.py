"""What stops a measurement."""


class BenchError(Exception):
    """A measurement that cannot be trusted or made: its work is reported as not measured."""


class WrongAnswer(BenchError):
    """A server answered something else than the work needs; no such answer is ever counted."""
