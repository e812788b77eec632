"""The loop that publishes events, in the order in which they happened.

An event is forgotten after it was handed over, so a server that dies in between hands it over again. Whoever
is not subscribed at that moment misses it, as with any message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

import structlog

from thingjobs.domain.errors import ServiceUnavailable
from thingjobs.domain.model import ScopeId
from thingjobs.operations import events
from thingjobs.store.events import WaitingEvent
from thingjobs.store.store import Store
from thingjobs.store.tx import Tx

Wait = Callable[[], Coroutine[Any, Any, None]]
"""Returns when it is worth trying again."""

Announce = Callable[[ScopeId, str, bytes], Wait | None]
"""Publishes a payload on a topic of a scope. Or does not, because a subscriber has no room: then a Wait."""

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
                held_up = await self.empty(store, announce)
                if held_up is not None:
                    await held_up()
                    self.hint.set()
            except ServiceUnavailable as error:
                log.warning("events_wait_for_store", error=error.message)
                await self._later()
            except Exception:
                log.exception("events_not_published")
                await self._later()

    async def empty(self, store: Store, announce: Announce) -> Wait | None:
        """Hand over all that waits, up to an event that cannot be: then what that one waits for."""
        async with self._handing_over:
            held_up = None
            while held_up is None and (waiting := await store.read(events.waiting)):
                handed_over = 0
                for event in waiting:
                    held_up = announce(event.scope, event.topic, event.payload)
                    if held_up is not None:
                        break
                    handed_over += 1
                if handed_over:
                    await store.write(partial(_forget, waiting[:handed_over]))
            return held_up

    async def _later(self) -> None:
        await asyncio.sleep(PAUSE_AFTER_FAILURE_S)
        self.hint.set()
