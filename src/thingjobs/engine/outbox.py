"""The loop that publishes events, in the order in which they happened.

An event is forgotten after it was handed over, so a server that dies in between hands it over again. Whoever
is not subscribed at that moment misses it, as with any message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

import structlog

from thingjobs.domain.errors import ServiceUnavailable
from thingjobs.domain.model import ScopeId
from thingjobs.operations import events
from thingjobs.store.events import WaitingEvent
from thingjobs.store.store import Store
from thingjobs.store.tx import Tx

Announce = Callable[[ScopeId, str, bytes], None]
"""Publishes a payload on a topic of a scope."""

PAUSE_AFTER_FAILURE_S = 1.0

log = structlog.get_logger()


def nobody(scope: ScopeId, topic: str, payload: bytes) -> None:
    """Publishes to nobody: without a broker there are no subscribers."""


def _forget(handed_over: Sequence[WaitingEvent], tx: Tx, now: int) -> None:
    events.published(tx, handed_over)


class Outbox:
    """Hands over what waits in the outbox of the store."""

    def __init__(self) -> None:
        self.hint = asyncio.Event()
        """Set when something may wait."""
        self._handing_over = asyncio.Lock()

    async def run(self, store: Store, announce: Announce) -> None:
        self.hint.set()  # what the last run left
        while True:
            await self.hint.wait()
            self.hint.clear()
            try:
                await self.empty(store, announce)
            except ServiceUnavailable as error:
                log.warning("events_wait_for_store", error=error.message)
                await self._later()
            except Exception:
                log.exception("events_not_published")
                await self._later()

    async def empty(self, store: Store, announce: Announce) -> None:
        """Hand over all that waits."""
        async with self._handing_over:
            while waiting := await store.read(events.waiting):
                for event in waiting:
                    announce(event.scope, event.topic, event.payload)
                await store.write(partial(_forget, waiting))

    async def _later(self) -> None:
        await asyncio.sleep(PAUSE_AFTER_FAILURE_S)
        self.hint.set()
