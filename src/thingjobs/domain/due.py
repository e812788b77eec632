"""In which order things are done that the clock makes due.

What is due earlier comes first. At one instant a time-out comes before the end of its job, which therefore
does not cancel what has timed out; the end before windows and ticks, so that nothing is handed out at the
end; and a window that closes before a tick, so that no tick falls outside.

Source: ours; nobody can observe the order inside one instant of the service.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple


class Kind(IntEnum):
    """What can be due, in the order it is done at one instant."""

    TIME_OUT = 1
    JOB_END = 2
    JOB_START = 3
    WINDOW = 4
    TICK = 5


class Due(NamedTuple):
    """Something due. Sorts in the order it is to be done: ``key`` ascends with creation."""

    at: int
    kind: Kind
    key: int
