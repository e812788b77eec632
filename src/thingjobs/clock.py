"""The one clock that everything that waits reads: the system's, or one wound by hand."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """``now`` is milliseconds since the epoch, UTC, and never goes back."""

    mode: str

    def now(self) -> int: ...


class SystemClock:
    mode = "system"

    def __init__(self) -> None:
        self._last = 0

    def now(self) -> int:
        self._last = max(self._last, time.time_ns() // 1_000_000)
        return self._last


class ManualClock:
    """Stands still until it is set."""

    mode = "manual"

    def __init__(self, now: int) -> None:
        self._now = now

    def now(self) -> int:
        return self._now

    def set(self, now: int) -> None:
        if now < self._now:
            raise ValueError("a clock does not go back")
        self._now = now
