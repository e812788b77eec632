"""The loop that publishes events, in the order in which they happened.

An event is forgotten after it was handed over, so a server that dies in between hands it over again. Whoever
is not subscribed at that moment misses it, as with any message. But right after a start nobody is subscribed,
for sessions end with the server: what the last run left is held until somebody listens, and what comes behind
it too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
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
GRACE_S = 60.0
"""For subscribers to return after a start, before what the last run left is published to whoever is there."""

log = structlog.get_logger()


def nobody(scope: ScopeId, topic: str, payload: bytes) -> None:
    """Publishes to nobody: without a broker there are no subscribers."""


async def at_once() -> None:
    """Waits for nothing."""


def _forget(handed_over: Sequence[WaitingEvent], tx: Tx, now: int) -> None:
    events.published(tx, handed_over)


class Outbox:
    """Hands over what waits in the outbox of the store."""

    def __init__(self) -> None:
        self.hint = asyncio.Event()
        """Set when something may wait."""
        self._handing_over = asyncio.Lock()
        self._is_held: bool | None = None  # None: not known before the first look
        self._wanted: Wait = at_once

    async def run(self, store: Store, announce: Announce, wanted: Wait = at_once) -> None:
        """``wanted`` returns when somebody listens for events."""
        self._wanted = wanted
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
            if self._is_held is None:
                self._is_held = bool(await store.read(events.waiting))
            if self._is_held:
                return self._until_wanted
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

    async def _until_wanted(self) -> None:
        log.info("events_held", seconds=GRACE_S)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wanted(), GRACE_S)
        self._is_held = False

    async def _later(self) -> None:
        await asyncio.sleep(PAUSE_AFTER_FAILURE_S)
        self.hint.set()
