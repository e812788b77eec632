"""Group commit: everything that waits is done in one transaction, and answered when it is durable.

One thread owns the writing connection. It takes what has gathered while the last transaction was being
synced, runs each piece in a savepoint of its own (one that fails does not harm its batch), commits
once, and then answers all. An idle batcher commits at once: there is no delay to gather more.

Work comes in two forms: a plain function of the transaction, and an item of a *set operation*, which is
called once with all its items of the batch. Reading works the same way on threads of its own, each batch
seeing one snapshot.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from thingjobs.domain.effects import Effect
from thingjobs.domain.errors import ServiceError, ServiceUnavailable
from thingjobs.store.sqlite import environment_failure
from thingjobs.store.tx import Tx

T = TypeVar("T")
Item = TypeVar("Item", contravariant=True)

MAX_BATCH = 512
MAX_WAITING = 20_000
HOLD_SECONDS = 0.025
"""How long a batch may run before it stops taking more and commits."""


class SetOperation(Protocol[Item]):
    """Decides all its items of a batch at once; an answer may be a refusal."""

    def __call__(self, tx: Tx, items: Sequence[Item], now: int, /) -> Sequence[Any]: ...


class Follower(Protocol):
    """Looks at what each batch changed, inside its transaction, and may add effects of its own."""

    def follow(self, tx: Tx, effects: Sequence[Effect], now: int) -> Sequence[Effect]:
        """Called before each commit; ``effects`` are those that the batch recorded."""
        ...

    def settled(self, committed: bool) -> None:
        """Called after each ``follow`` with how its transaction ended."""
        ...

    def has_more(self) -> bool:
        """Whether it has work left that should not wait for the next batch."""
        ...


@dataclass(slots=True)
class _Work:
    run: Callable[[Tx, int], Any] | None
    operation: SetOperation[Any] | None
    item: Any
    future: asyncio.Future[Any]
    outcome: Any = None
    error: BaseException | None = None


@dataclass(slots=True)
class Statistics:
    """Totals since the start, read by the metrics endpoint."""

    batches: int = 0
    operations: int = 0
    failed_batches: int = 0
    seconds_busy: float = 0.0


class _Worker(Generic[T]):
    """A queue and the threads that serve it in batches."""

    def __init__(self, name: str, loop: asyncio.AbstractEventLoop) -> None:
        self.statistics = Statistics()
        self._name = name
        self._loop = loop
        self._queue: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._stopping = False

    def _start(self, tx: Tx) -> None:
        thread = threading.Thread(target=self._serve, args=(tx,), name=self._name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def stop(self) -> None:
        """Finish what was accepted, then end the threads; blocks until they have."""
        self._stopping = True
        for _ in self._threads:
            self._queue.put(None)
        for thread in self._threads:
            thread.join()

    def _accept(self, work: _Work) -> asyncio.Future[Any]:
        if self._stopping:
            raise ServiceUnavailable("The server is stopping; try again later.")
        if self._queue.qsize() >= MAX_WAITING:
            raise ServiceUnavailable("Too many requests are waiting; try again later.")
        self._queue.put(work)
        return work.future

    def _serve(self, tx: Tx) -> None:
        stopping = False
        while not stopping:
            batch, stopping = self._gather()
            started = time.perf_counter()
            while True:
                done, batch, effects = self._run_batch(tx, batch)
                self.statistics.batches += 1
                self.statistics.operations += len(done)
                self._loop.call_soon_threadsafe(self._answer, done, effects)
                if not batch:
                    break
            self.statistics.seconds_busy += time.perf_counter() - started

    def _gather(self) -> tuple[list[_Work], bool]:
        """Wait for work, take what there is of it, and say whether it is the last."""
        batch: list[_Work] = []
        while len(batch) < MAX_BATCH:
            try:
                work = self._queue.get(block=not batch and not self._has_more())
            except queue.Empty:
                break
            if work is None:
                return batch, True
            batch.append(work)
        return batch, False

    def _has_more(self) -> bool:
        """Whether an empty batch would find something to do."""
        return False

    def _run_batch(self, tx: Tx, batch: list[_Work]) -> tuple[list[_Work], list[_Work], list[Effect]]:
        """Do some of ``batch``: what is done, what is left for the next round, what to publish."""
        raise NotImplementedError

    def _answer(self, done: list[_Work], effects: list[Effect]) -> None:
        for work in done:
            if work.future.done():  # the caller went away
                continue
            if work.error is not None:
                work.future.set_exception(work.error)
            else:
                work.future.set_result(work.outcome)


class Batcher(_Worker[Any]):
    """The one writer. ``publish`` gets the effects of each batch after its callers were answered."""

    def __init__(
        self,
        tx: Tx,
        now: Callable[[], int],
        loop: asyncio.AbstractEventLoop,
        publish: Callable[[Sequence[Effect]], None],
        follower: Follower,
    ) -> None:
        super().__init__("writer", loop)
        self._now = now
        self._publish = publish
        self._follower = follower
        self._failed = False  # the last transaction; what is left then waits for the next work to come
        self._start(tx)

    def submit(self, run: Callable[[Tx, int], T]) -> asyncio.Future[T]:
        """Run ``run(tx, now)`` in a batch; the future is answered once its changes are durable."""
        return self._accept(_Work(run, None, None, self._loop.create_future()))

    def submit_item(self, operation: SetOperation[Item], item: Item) -> asyncio.Future[Any]:
        """Have ``operation`` decide ``item`` together with its other items of the batch."""
        return self._accept(_Work(None, operation, item, self._loop.create_future()))

    def _answer(self, done: list[_Work], effects: list[Effect]) -> None:
        super()._answer(done, effects)
        if effects:
            # Behind the callbacks of the answers: who asked hears of the answer first.
            self._loop.call_soon(self._publish, effects)

    def _has_more(self) -> bool:
        return not self._failed and self._follower.has_more()

    def _run_batch(self, tx: Tx, batch: list[_Work]) -> tuple[list[_Work], list[_Work], list[Effect]]:
        until = time.perf_counter() + HOLD_SECONDS
        done: list[_Work] = []
        left: list[_Work] = []
        units = _units(batch)
        try:
            tx.begin()
            now = self._now()
            for i, unit in enumerate(units):
                _run_unit(tx, unit, now)
                done += unit
                if time.perf_counter() > until:
                    left = [work for later in units[i + 1 :] for work in later]
                    break
            effects = tx.take_effects()
            effects += self._follower.follow(tx, effects, now)
            tx.commit()
        except Exception as error:
            # Nothing of the batch is in the database now, whatever each piece thought of itself.
            tx.rollback()
            self._follower.settled(committed=False)
            self.statistics.failed_batches += 1
            self._failed = True
            for work in batch:
                work.error = _failure(error)
            return batch, [], []
        self._failed = False
        self._follower.settled(committed=True)
        return done, left, effects


def _failure(error: Exception) -> Exception:
    """What callers are told of a transaction that did not come to its end."""
    return (environment_failure(error) or error) if isinstance(error, sqlite3.Error) else error


def _units(batch: list[_Work]) -> list[list[_Work]]:
    """The pieces of a batch: each plain function alone, the items of a set operation together.

    Work of one batch was all accepted before any of it was answered, so no caller can tell the order.
    """
    units: list[list[_Work]] = []
    sets: dict[SetOperation[Any], list[_Work]] = {}
    for work in batch:
        if work.operation is None:
            units.append([work])
        elif (gathered := sets.get(work.operation)) is not None:
            gathered.append(work)
        else:
            sets[work.operation] = unit = [work]
            units.append(unit)
    return units


def _run_unit(tx: Tx, unit: list[_Work], now: int) -> None:
    mark = tx.savepoint()
    try:
        operation = unit[0].operation
        if operation is None:
            work = unit[0]
            assert work.run is not None
            work.outcome = work.run(tx, now)
        else:
            answers = operation(tx, [work.item for work in unit], now)
            for work, answer in zip(unit, answers, strict=True):
                if isinstance(answer, ServiceError):
                    work.error = answer
                else:
                    work.outcome = answer
    except Exception as error:
        if isinstance(error, sqlite3.Error) and (environment_failure(error) or not tx.is_open):
            raise
        tx.rollback_to(mark)
        if len(unit) > 1:
            for work in unit:
                _run_unit(tx, [work], now)
        else:
            unit[0].error = error
    tx.release(mark)


class Readers(_Worker[Any]):
    """Threads that read, each on its own connection."""

    def __init__(self, txs: Sequence[Tx], now: Callable[[], int], loop: asyncio.AbstractEventLoop) -> None:
        super().__init__("reader", loop)
        self._now = now
        for tx in txs:
            self._start(tx)

    def submit(self, run: Callable[[Tx, int], T]) -> asyncio.Future[T]:
        """Run ``run(tx, now)`` on a snapshot that holds all that was answered before this call."""
        return self._accept(_Work(run, None, None, self._loop.create_future()))

    def _run_batch(self, tx: Tx, batch: list[_Work]) -> tuple[list[_Work], list[_Work], list[Effect]]:
        try:
            tx.begin_read()
            now = self._now()
            for work in batch:
                _run_reading(tx, work, now)
            tx.commit()
        except Exception as error:
            tx.rollback()
            self.statistics.failed_batches += 1
            for work in batch:
                work.error = _failure(error)
        return batch, [], []


def _run_reading(tx: Tx, work: _Work, now: int) -> None:
    assert work.run is not None
    try:
        work.outcome = work.run(tx, now)
    except sqlite3.Error:
        raise
    except Exception as error:
        work.error = error
