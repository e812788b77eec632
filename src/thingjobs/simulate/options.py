"""What can be asked of a simulation: one table, as ``thingjobs simulate --help`` shows it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, NamedTuple

from cyclopts import Parameter, validators

_AT_LEAST_ONE = validators.Number(gte=1, lte=100_000)
_NOT_NEGATIVE = validators.Number(gte=0)
_IS_RATE = validators.Number(gte=0, lte=1)
_NAME = re.compile(r"[a-zA-Z0-9:_-]+")
_LONGEST_PREFIX = 120

Rate = Annotated[float, Parameter(validator=_IS_RATE)]
Range = tuple[float, float]


class Until(NamedTuple):
    """When a simulation ends. Units: seconds for ``duration``, job executions for ``jobs``."""

    what: str = "interrupted"
    amount: float = 0


@dataclass(frozen=True, kw_only=True)
class Options:
    """Errors: ValueError from ``check`` for values that do not go together."""

    devices: Annotated[int, Parameter(validator=_AT_LEAST_ONE, help="How many devices.")] = 10
    prefix: Annotated[str, Parameter(help="Things are called PREFIX1, PREFIX2, …")] = "device-"
    mqtt_host: Annotated[str, Parameter(help="Host of the server's MQTT.")] = "127.0.0.1"
    mqtt_port: Annotated[
        int, Parameter(validator=validators.Number(gte=1, lte=65_535), help="Its port, without TLS.")
    ] = 1883
    create: Annotated[
        bool,
        Parameter(negative="", help="First make the things (those that are missing); else they must exist."),
    ] = False
    group: Annotated[
        str | None, Parameter(help="With --create: a thing group to put them in, made if it is missing.")
    ] = None
    endpoint_url: Annotated[
        str,
        Parameter(
            help="HTTP API of `thingjobs dev`: makes things for --create, and tells when jobs were queued."
        ),
    ] = "http://127.0.0.1:8080"
    work_seconds: Annotated[
        Range, Parameter(help="MIN MAX: a job takes this long, evenly distributed.", negative="")
    ] = (1.0, 5.0)
    work_mean: Annotated[
        float | None,
        Parameter(validator=_NOT_NEGATIVE, help="Instead: exponentially distributed around this mean."),
    ] = None
    progress: Annotated[
        int,
        Parameter(validator=validators.Number(gte=0, lte=1000), help="Reports of progress during a job."),
    ] = 2
    failure_rate: Annotated[Rate, Parameter(help="Share of jobs that end FAILED, 0 to 1.")] = 0.0
    rejection_rate: Annotated[Rate, Parameter(help="Share of jobs that are REJECTED at once.")] = 0.0
    disconnect_rate: Annotated[
        Rate,
        Parameter(
            help="Share of jobs during which the device drops its connection, some of them just after the "
            "final report; it comes back and resumes."
        ),
    ] = 0.0
    offline_seconds: Annotated[Range, Parameter(help="MIN MAX: it is away for this long.", negative="")] = (
        0.5,
        2.0,
    )
    reboot_rate: Annotated[
        Rate,
        Parameter(
            help="Share of jobs during which the device reboots: it forgets what it was doing, comes back "
            "with a clean session, is given the job again and starts over."
        ),
    ] = 0.0
    reboot_seconds: Annotated[Range, Parameter(help="MIN MAX: a reboot takes this long.", negative="")] = (
        2.0,
        10.0,
    )
    seed: Annotated[
        int,
        Parameter(help="Another seed, another fate: what happens to each job on each thing depends on it."),
    ] = 0
    keep_alive: Annotated[
        int,
        Parameter(validator=validators.Number(gte=30, lte=1200), help="MQTT keep-alive in seconds."),
    ] = 60
    until: Annotated[
        tuple[str, ...],
        Parameter(
            help="When to end: `idle` (nobody had work for --quiet-seconds), `duration SECONDS`, or `jobs N` "
            "(job executions finished). Without it, Ctrl-C ends it.",
            negative="",
            consume_multiple=True,
            show_default=False,
        ),
    ] = ()
    quiet_seconds: Annotated[
        float,
        Parameter(
            validator=_NOT_NEGATIVE,
            help="How long `--until idle` waits for more; longer than a staged rollout pauses.",
        ),
    ] = 5.0
    json: Annotated[bool, Parameter(negative="", help="Print nothing but one JSON summary at the end.")] = (
        False
    )

    def check(self) -> Until:
        """When to end. Errors: ValueError."""
        if not _NAME.fullmatch(self.prefix) or len(self.prefix) > _LONGEST_PREFIX:
            raise ValueError(
                f"--prefix {self.prefix}: names of things have letters, digits and : _ - only, "
                f"and a prefix at most {_LONGEST_PREFIX} of them."
            )
        if self.group is not None and not self.create:
            raise ValueError("--group only goes with --create.")
        if self.failure_rate + self.rejection_rate > 1:
            raise ValueError("--failure-rate and --rejection-rate are more than 1 together.")
        for flag, (low, high) in (
            ("--work-seconds", self.work_seconds),
            ("--offline-seconds", self.offline_seconds),
            ("--reboot-seconds", self.reboot_seconds),
        ):
            if not 0 <= low <= high:
                raise ValueError(f"{flag} {low:g} {high:g}: give the smaller number first, none below 0.")
        return self._until()

    def thing_names(self) -> list[str]:
        return [f"{self.prefix}{number}" for number in range(1, self.devices + 1)]

    def _until(self) -> Until:
        match self.until:
            case ():
                return Until()
            case ("idle",):
                return Until("idle")
            case ("duration" | "jobs" as what, amount) if amount.replace(".", "", 1).isdecimal():
                return Until(what, float(amount))
        raise ValueError(f"--until {' '.join(self.until)}: say `idle`, `duration SECONDS` or `jobs N`.")
