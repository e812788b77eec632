"""Whether the server is ready, found out at most once a second however often it is asked."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from typing import Any

from thingjobs.domain.errors import ServiceUnavailable

SHARED_SECONDS = 1.0
"""Of real time, for which one result is everybody's: the probe writes and syncs, and anybody may ask."""

Probe = Callable[[], Coroutine[Any, Any, None]]


class Readiness:
    """``probe`` raises ServiceUnavailable while the store does not take writes."""

    def __init__(self, probe: Probe, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._probe = probe
        self._monotonic = monotonic
        self._probing: asyncio.Task[str | None] | None = None
        self._fresh_until: float | None = None
        """None while the probe is under way."""

    async def trouble(self) -> str | None:
        """Why the store does not take writes; None if it does."""
        if self._probing is None or (
            self._fresh_until is not None and self._monotonic() >= self._fresh_until
        ):
            self._fresh_until = None
            self._probing = asyncio.create_task(self._ask())
        return await asyncio.shield(self._probing)  # one caller that goes away leaves it to the others

    async def _ask(self) -> str | None:
        try:
            await self._probe()
        except ServiceUnavailable as error:
            return error.message
        finally:
            self._fresh_until = self._monotonic() + SHARED_SECONDS
        return None
