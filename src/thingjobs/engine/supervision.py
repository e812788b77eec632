"""Loops that must not end: one that does is started again after a pause."""

from __future__ import annotations

from asyncio import sleep
from collections.abc import Callable, Coroutine
from contextlib import suppress

import structlog

PAUSE_S = 1.0

log = structlog.get_logger()

Loop = Callable[[], Coroutine[None, None, None]]


class Supervisor:
    """Runs loops by their names; ``ended`` has those that are down just now."""

    def __init__(self) -> None:
        self.ended: set[str] = set()

    async def run(self, name: str, loop: Loop) -> None:
        """Run ``loop`` until it is canceled, however often it ends."""
        while True:
            try:
                await loop()
            except Exception:
                with suppress(Exception):  # what cannot be logged must not end this one too
                    log.exception("background_loop_ended", loop=name)
            self.ended.add(name)
            await sleep(PAUSE_S)
            self.ended.discard(name)
