"""The loop that does what is due: time-outs, schedules, rollout ticks, sweeps, garbage.

It sleeps until the next due instant or a hint. Hints only make it look sooner: what there is to do is in
the database, and is found again after a crash. Each piece is a transaction of its own, so devices' reports
go in between. A piece that fails is not looked for until it succeeds, so a job that fails does not stop the
others, however much it has to do.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from functools import partial

import structlog

from thingjobs.clock import Clock, ManualClock
from thingjobs.domain.effects import Effect, EventsWaiting, WorkDue
from thingjobs.domain.errors import ServiceUnavailable
from thingjobs.domain.quotas import DEFAULT_QUOTAS, Quotas
from thingjobs.engine.failures import Failures
from thingjobs.engine.outbox import Announce, Outbox, Wait, at_once, nobody
from thingjobs.engine.supervision import Supervisor
from thingjobs.operations import background
from thingjobs.store.store import Store

LOOK_AT_LEAST_EVERY_S = 30.0
PAUSE_AFTER_FAILURE_S = 1.0
LEFT_TO_OTHERS = 2.5
"""How long devices and operators have the writer after a piece of work, in multiples of its time."""
LEFT_BY_CLOCK = 1.0
"""The same after a piece that the clock made due: 100,000 time-outs must not be 5 seconds late."""
LOOK_AT_CLOCK_EVERY_S = 0.1
"""How long other work goes on before what the clock made due meanwhile goes first."""

log = structlog.get_logger()


class Engine:
    """Made before the store, which gives it the effects of each commit."""

    def __init__(self, clock: Clock, quotas: Quotas = DEFAULT_QUOTAS) -> None:
        self._clock = clock
        spread = not isinstance(clock, ManualClock)
        self._look = partial(background.look, spread=spread, quotas=quotas)
        self._due_by_clock = partial(background.due_by_clock, spread=spread, quotas=quotas)
        self._hint = asyncio.Event()
        self._working = asyncio.Lock()
        self._failures = Failures()
        self._supervisor = Supervisor()
        self._store: Store | None = None
        self._outbox = Outbox()
        self._announce: Announce = nobody
        self._tasks: Sequence[asyncio.Task[None]] = ()

    def publish(self, effects: Sequence[Effect]) -> None:
        """Take the effects of a commit."""
        for effect in effects:
            if isinstance(effect, WorkDue):
                self._hint.set()
            elif isinstance(effect, EventsWaiting):
                self._outbox.hint.set()

    @property
    def ended(self) -> Sequence[str]:
        """The loops that ended, which must not be, and will be started again."""
        return sorted(self._supervisor.ended)

    def start(self, store: Store, announce: Announce = nobody, wanted: Wait = at_once) -> None:
        """``announce`` publishes events of jobs and executions; ``wanted`` returns when somebody listens."""
        self._store = store
        self._announce = announce
        self._tasks = [
            asyncio.create_task(self._supervisor.run("engine", partial(self._run, store))),
            asyncio.create_task(
                self._supervisor.run("outbox", partial(self._outbox.run, store, announce, wanted))
            ),
        ]

    async def stop(self) -> None:
        """Stop after the piece in hand."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def advance(self, clock: ManualClock, milliseconds: int) -> int:
        """Wind ``clock`` on, doing all that comes due on the way at its own instant; the new time.

        What failed is tried again at each of these instants.
        Errors: ServiceUnavailable; the clock then stands at the last instant that was done.
        """
        assert self._store is not None
        async with self._working:
            until = clock.now() + milliseconds
            self._failures.forget()
            due_at = await self._work_off(self._store)
            while due_at is not None and due_at <= until:
                await self._set(clock, due_at)
                due_at = await self._work_off(self._store)
            await self._set(clock, until)
            await self._outbox.empty(self._store, self._announce)
            return clock.now()

    async def _set(self, clock: ManualClock, now: int) -> None:
        assert self._store is not None
        await self._store.write(lambda tx, _: tx.scopes.remember(background.MANUAL_CLOCK, str(now)))
        clock.set(now)
        self._failures.forget()

    async def _run(self, store: Store) -> None:
        while True:
            self._hint.clear()
            pause = LOOK_AT_LEAST_EVERY_S
            try:
                async with self._working:
                    due_at = await self._work_off(store)
                if due_at is not None and not isinstance(self._clock, ManualClock):
                    # The loop's timer may end a little early, and this clock is cut to milliseconds.
                    pause = min(pause, (max(0, due_at - self._clock.now()) + 1) / 1000)
                if (until_retry := self._failures.pause()) is not None:
                    pause = min(pause, until_retry)
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

    async def _work_off(self, store: Store) -> int | None:
        """Do all that is due now, in order of its due instant, but for what failed just now.

        When something will be due next.
        """
        while True:
            due, next_at = await store.read(partial(self._look, left_out=self._failures.pieces))
            again = self._failures.to_try()
            pieces = due if again is None else [*due, again]
            if not pieces:
                return next_at
            looked_at = time.perf_counter()
            for piece in pieces:
                waited = time.perf_counter() - looked_at
                if not isinstance(piece, background.ByClock) and waited >= LOOK_AT_CLOCK_EVERY_S:
                    await self._work_off_clock(store)
                    looked_at = time.perf_counter()
                await self._try(store, piece)

    async def _work_off_clock(self, store: Store) -> None:
        """Do what the clock made due by now."""
        while pieces := await store.read(partial(self._due_by_clock, left_out=self._failures.pieces)):
            for piece in pieces:
                await self._try(store, piece)

    async def _try(self, store: Store, piece: background.Piece) -> None:
        try:
            await self._do(store, piece)
        except ServiceUnavailable:
            raise
        except Exception:
            # One job's failure is logged and left; the others go on.
            log.exception("background_work_failed", work=repr(piece))
            self._failures.failed(piece)
        else:
            self._failures.succeeded(piece)

    async def _do(self, store: Store, piece: background.Piece) -> None:
        """Do one piece, and leave the writer to others for a while if there are any.

        Time-outs, sweeps and the like may come by the hundred thousand. Devices keep most of the server
        meanwhile, and a fleet that is quiet does not wait.
        """
        before = store.statistics[0].operations
        started = time.perf_counter()
        await store.write(piece)
        others = store.statistics[0].operations - before - 1
        if others > 0 and not isinstance(self._clock, ManualClock):
            left = LEFT_BY_CLOCK if isinstance(piece, background.ByClock) else LEFT_TO_OTHERS
            await asyncio.sleep(left * (time.perf_counter() - started))
