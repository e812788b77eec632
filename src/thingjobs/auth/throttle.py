"""Request rates: a bucket of tokens for each account and operation, filled at the rate of its quota.

A bucket holds one second's worth, so that a burst of that size passes. Time is real time, also under a
manual clock: rates protect the server.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from thingjobs.domain.errors import Throttled
from thingjobs.domain.quotas import OTHER_OPERATIONS, rate_name

MAX_BUCKETS = 10_000


class Throttle:
    """``rates`` by name as in ``REQUEST_RATES``, None to let everything pass; ``monotonic`` in seconds."""

    def __init__(self, rates: Mapping[str, int] | None, monotonic: Callable[[], float]) -> None:
        self._rates = rates
        self._monotonic = monotonic
        self._buckets: dict[tuple[str, str], tuple[float, float]] = {}

    def take(self, account: str, operation_name: str, *, device_plane: bool) -> None:
        """Count one request. Errors: Throttled."""
        if self._rates is None:
            return
        name = rate_name(operation_name, device_plane=device_plane)
        rate = self._rates.get(name, self._rates[OTHER_OPERATIONS])
        now = self._monotonic()
        tokens, filled_at = self._buckets.get((account, name), (float(rate), now))
        tokens = min(float(rate), tokens + (now - filled_at) * rate)
        if tokens < 1:
            raise Throttled(
                operation_name, limit=rate, used=rate, retry_after_seconds=math.ceil((1 - tokens) / rate)
            )
        if len(self._buckets) >= MAX_BUCKETS:
            self._buckets.pop(next(iter(self._buckets)))
        self._buckets[account, name] = (tokens - 1, now)
