"""Work that failed: it is not looked for any more, but tried again by itself after ever longer pauses."""

from __future__ import annotations

import time
from collections.abc import Callable, Set
from typing import NamedTuple

from thingjobs.operations.background import Piece

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0


class _Failure(NamedTuple):
    pause_s: float
    again_at: float


class Failures:
    """``seconds`` is a clock that never goes back: what makes work fail is of the real world."""

    def __init__(self, seconds: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._failures: dict[Piece, _Failure] = {}

    @property
    def pieces(self) -> Set[Piece]:
        """What failed when it was last tried."""
        return frozenset(self._failures)

    def failed(self, piece: Piece) -> None:
        """Have it wait, twice as long as the last time."""
        before = self._failures.pop(piece, None)
        pause = FIRST_PAUSE_S if before is None else min(2 * before.pause_s, LONGEST_PAUSE_S)
        self._failures[piece] = _Failure(pause, self._seconds() + pause)

    def succeeded(self, piece: Piece) -> None:
        self._failures.pop(piece, None)

    def forget(self) -> None:
        """Have all of it looked for again."""
        self._failures.clear()

    def to_try(self) -> Piece | None:
        """What has waited long enough. One at a time, so that other work goes in between."""
        now = self._seconds()
        return next((piece for piece, failure in self._failures.items() if failure.again_at <= now), None)

    def pause(self) -> float | None:
        """Seconds until there is something to try; None if nothing failed."""
        if not self._failures:
            return None
        return max(0.0, min(failure.again_at for failure in self._failures.values()) - self._seconds())
