"""What is counted and timed while virtual devices work."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random

from thingjobs.simulate.control_plane import Notice

MOST_KEPT = 100_000
"""Times that are kept for the percentiles; the oldest leave."""

MOST_NOTICES = 500
"""News of jobs that are looked into at the end: a sample of all."""

Latencies = deque[float]


def _latencies() -> Latencies:
    return deque(maxlen=MOST_KEPT)


@dataclass
class Tally:
    """Of all devices together. Times in seconds."""

    started: int = 0
    resumed: int = 0
    outcomes: Counter[str] = field(default_factory=Counter)
    """What the server confirmed; CANCELED, TIMED_OUT and so on where it had decided otherwise before."""
    requests: int = 0
    throttled: int = 0
    """Requests that were refused because there were too many, and made again."""
    connects: int = 0
    drops: int = 0
    """Connections that devices dropped, as ``--disconnect-rate`` asks."""
    reboots: int = 0
    """As ``--reboot-rate`` asks."""
    losses: int = 0
    """Connections that ended or could not be made, without being asked for."""
    errors: Counter[str] = field(default_factory=Counter)
    """Requests that were refused or not answered, by the code of the refusal."""
    answer_seconds: Latencies = field(default_factory=_latencies)
    notices: list[Notice] = field(default_factory=list)
    _noticed: int = 0
    _random: Random = field(default_factory=Random)

    @property
    def finished(self) -> int:
        return self.outcomes.total()

    def note(self, notice: Notice) -> None:
        """Keep a notice, or not: each has the same chance to be in the sample."""
        self._noticed += 1
        if len(self.notices) < MOST_NOTICES:
            self.notices.append(notice)
        elif (place := self._random.randrange(self._noticed)) < MOST_NOTICES:
            self.notices[place] = notice


def milliseconds(latencies: Sequence[float]) -> dict[str, float] | None:
    """The median and the 99th percentile; None if nothing was timed."""
    if not latencies:
        return None
    ordered = sorted(latencies)
    return {
        name: round(ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] * 1000, 2)
        for name, percent in (("p50", 50), ("p99", 99))
    }
