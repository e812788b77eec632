"""Which things' notifications a subscription listens for."""

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
