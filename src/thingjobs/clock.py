"""The one clock that everything that waits reads: the system's, or one wound by hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import structlog

STEP_MS = 5_000
"""Going back by less is how a clock is kept right; by more, somebody has set it."""

log = structlog.get_logger()


class Clock(Protocol):
    """``now`` is milliseconds since the epoch, UTC."""

    mode: str

    def now(self) -> int: ...


class SystemClock:
    """It stands still while the system's clock goes back a little, and follows when that was set back.

    It would stand still for a day otherwise, when the system was a day ahead for a moment. ``system_now``:
    nanoseconds since the epoch.
    """

    mode = "system"

    def __init__(self, system_now: Callable[[], int] = time.time_ns) -> None:
        self._system_now = system_now
        self._last = 0

    def now(self) -> int:
        now = self._system_now() // 1_000_000
        if now < self._last:
            if self._last - now < STEP_MS:
                return self._last
            log.warning("clock_set_back", milliseconds=self._last - now)
        self._last = now
        return now


class ManualClock:
    """Stands still until it is set; it never goes back."""

    mode = "manual"

    def __init__(self, now: int) -> None:
        self._now = now

    def now(self) -> int:
        return self._now

    def set(self, now: int) -> None:
        if now < self._now:
            raise ValueError("a clock does not go back")
        self._now = now
