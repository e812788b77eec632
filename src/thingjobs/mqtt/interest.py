"""What of the service's messages a subscription listens for: which things' notifications, and events."""

from __future__ import annotations

from enum import Enum


class Every(Enum):
    """A wildcard stands where the thing's name would."""

    THING = "every thing"


def things_listened_for(topic_filter: str) -> str | Every | None:
    """The thing whose ``notify`` or ``notify-next`` the filter matches, every thing, or none at all.

    ``$aws/things/T/jobs/notify`` listens for T, and so does every filter that a wildcard makes match it.
    """
    levels = topic_filter.split("/")
    if levels[0] != "$aws":  # a wildcard does not match the first level of a reserved topic
        return None
    thing: str | Every | None = None
    for position, expected in enumerate((("things",), None, ("jobs",), ("notify", "notify-next")), start=1):
        if position == len(levels):
            return None
        level = levels[position]
        if level == "#":
            return Every.THING if thing is None else thing
        if expected is None:
            thing = Every.THING if level == "+" else level
        elif level != "+" and level not in expected:
            return None
    return thing if len(levels) == 5 else None


def listens_for_events(topic_filter: str) -> bool:
    """Whether it may match ``$aws/events/job/JOB/WHAT`` or ``$aws/events/jobExecution/JOB/WHAT``."""
    first, *levels = topic_filter.split("/")
    if first != "$aws":
        return False
    for level, expected in zip(levels, (("events",), ("job", "jobExecution")), strict=False):
        if level == "#":
            return True
        if level != "+" and level not in expected:
            return False
    return len(levels) == 4 or (len(levels) == 3 and levels[-1] == "#")
