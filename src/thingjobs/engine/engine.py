"""The loop that does what is due: rollout ticks, sweeps, garbage.

It sleeps until the next due instant or a hint. Hints only make it look sooner: what there is to do is in
the database, and is found again after a crash. Each piece is a transaction of its own, so a job that
fails does not stop the others, and devices' reports go in between.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog

from thingjobs.clock import Clock, ManualClock
from thingjobs.domain.effects import Effect, WorkDue
from thingjobs.domain.errors import ServiceUnavailable
from thingjobs.operations import background
from thingjobs.store.store import Store

LOOK_AT_LEAST_EVERY_S = 30.0
PAUSE_AFTER_FAILURE_S = 1.0

log = structlog.get_logger()


class Engine:
    """Made before the store, which gives it the effects of each commit."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._hint = asyncio.Event()
        self._working = asyncio.Lock()
        self._store: Store | None = None
        self._task: asyncio.Task[None] | None = None

    def publish(self, effects: Sequence[Effect]) -> None:
        """Take the effects of a commit."""
        if any(isinstance(effect, WorkDue) for effect in effects):
            self._hint.set()

    def start(self, store: Store) -> None:
        self._store = store
        self._task = asyncio.create_task(self._run(store), name="engine")

    async def stop(self) -> None:
        """Stop after the piece in hand."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def advance(self, clock: ManualClock, milliseconds: int) -> int:
        """Wind ``clock`` on, doing all that comes due on the way at its own instant; the new time.

        Errors: ServiceUnavailable; the clock then stands at the last instant that was done.
        """
        assert self._store is not None
        async with self._working:
            until = clock.now() + milliseconds
            await self._work_off(self._store)
            while True:
                due_at = await self._store.read(background.next_due_at)
                if due_at is None or due_at > until:
                    break
                await self._set(clock, due_at)
                await self._work_off(self._store)
            await self._set(clock, until)
            return clock.now()

    async def _set(self, clock: ManualClock, now: int) -> None:
        assert self._store is not None
        await self._store.write(lambda tx, _: tx.scopes.remember(background.MANUAL_CLOCK, str(now)))
        clock.set(now)

    async def _run(self, store: Store) -> None:
        while True:
            self._hint.clear()
            pause = LOOK_AT_LEAST_EVERY_S
            try:
                async with self._working:
                    all_done = await self._work_off(store)
                    due_at = await store.read(background.next_due_at)
                if due_at is not None and not isinstance(self._clock, ManualClock):
                    pause = min(pause, max(0, due_at - self._clock.now()) / 1000)
                if not all_done:
                    pause = min(pause, PAUSE_AFTER_FAILURE_S)
            except ServiceUnavailable as error:
                log.warning("engine_waits_for_store", error=error.message)
                pause = PAUSE_AFTER_FAILURE_S
            except Exception:
                log.exception("engine_failed")
                pause = PAUSE_AFTER_FAILURE_S
            try:
                await asyncio.wait_for(self._hint.wait(), pause)
            except TimeoutError:
                continue

    async def _work_off(self, store: Store) -> bool:
        """Do all that is due now, in order of its due instant; whether none of it failed."""
        failed: set[background.Piece] = set()
        while True:
            pieces = [p for p in await store.read(background.due) if p not in failed]
            if not pieces:
                return not failed
            for piece in pieces:
                try:
                    await store.write(piece)
                except ServiceUnavailable:
                    raise
                except Exception:
                    # One job's failure is logged and left; the others go on. The next look tries it again.
                    log.exception("background_work_failed", work=repr(piece))
                    failed.add(piece)
