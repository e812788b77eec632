"""Group commit: what shares a transaction, what it isolates, and when callers are answered."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from thingjobs.domain.effects import Effect, WorkDue
from thingjobs.domain.errors import InvalidRequest, ServiceUnavailable
from thingjobs.store.sqlite import DataDirectoryInUse
from thingjobs.store.store import Store
from thingjobs.store.tx import Tx

NOW = 1_700_000_000_000


def remember(name: str, value: str) -> Callable[[Tx, int], None]:
    return lambda tx, now: tx.scopes.remember(name, value)


def recall(name: str) -> Callable[[Tx, int], str | None]:
    return lambda tx, now: tx.scopes.recall(name)


class NoFollower:
    """Looks at nothing."""

    def follow(self, tx: Tx, effects: Sequence[Effect], now: int) -> Sequence[Effect]:
        return ()

    def settled(self, committed: bool) -> None:
        pass

    def has_more(self) -> bool:
        return False


def a_store(directory: Path) -> Store:
    return Store(directory, now=lambda: NOW, readers=1, publish=lambda effects: None, follower=NoFollower())


@asynccontextmanager
async def opened(directory: Path, published: list[Effect] | None = None) -> AsyncIterator[Store]:
    def publish(effects: Sequence[Effect]) -> None:
        if published is not None:
            published.extend(effects)

    store = Store(directory, now=lambda: NOW, readers=2, publish=publish, follower=NoFollower())
    try:
        yield store
    finally:
        store.close()


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


class Gate:
    """Holds the writer inside a transaction until it is opened, so that more work gathers behind it."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self.entered = threading.Event()

    def __call__(self, tx: Tx, now: int) -> None:
        self.entered.set()
        assert self._open.wait(30)

    @contextmanager
    def closed(self, store: Store) -> Iterator[None]:
        held = store.write(self)
        assert self.entered.wait(30)
        yield
        self._open.set()
        assert not held.cancelled()


def test_what_waits_together_is_committed_together(tmp_path: Path) -> None:
    """spec: D1: one transaction for all that gathered while the last one was under way."""

    async def work() -> None:
        async with opened(tmp_path) as store:
            gate = Gate()
            with gate.closed(store):
                waiting = [store.write(remember(f"n{i}", "x")) for i in range(100)]
            await asyncio.gather(*waiting)
            assert store.statistics[0].operations == 101
            assert store.statistics[0].batches == 2

    run(work())


def test_one_that_fails_does_not_harm_its_batch(tmp_path: Path) -> None:
    async def work() -> None:
        async with opened(tmp_path) as store:

            def spoils(tx: Tx, now: int) -> None:
                tx.scopes.remember("spoiled", "x")
                raise InvalidRequest("no")

            def breaks(tx: Tx, now: int) -> None:
                tx.scopes.remember("broken", "x")
                raise ZeroDivisionError

            gate = Gate()
            with gate.closed(store):
                waiting = [
                    store.write(remember("a", "1")),
                    store.write(spoils),
                    store.write(breaks),
                    store.write(remember("b", "2")),
                ]
            answers = await asyncio.gather(*waiting, return_exceptions=True)
            assert [type(answer) for answer in answers] == [
                type(None),
                InvalidRequest,
                ZeroDivisionError,
                type(None),
            ]
            kept = [await store.read(recall(name)) for name in ("a", "spoiled", "broken", "b")]
            assert kept == ["1", None, None, "2"]

    run(work())


def test_items_of_a_set_operation_are_decided_in_one_call(tmp_path: Path) -> None:
    async def work() -> None:
        calls: list[list[int]] = []

        def double(tx: Tx, items: Sequence[int], now: int) -> Sequence[int | InvalidRequest]:
            calls.append(list(items))
            return [InvalidRequest("odd") if item % 2 else item * 2 for item in items]

        async with opened(tmp_path) as store:
            gate = Gate()
            with gate.closed(store):
                waiting = [store.write_item(double, i) for i in range(4)]
            answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert calls == [[0, 1, 2, 3]]
        assert answers[0] == 0
        assert answers[2] == 4
        assert [isinstance(answers[i], InvalidRequest) for i in (1, 3)] == [True, True]

    run(work())


def test_an_item_that_breaks_a_set_operation_fails_alone(tmp_path: Path) -> None:
    async def work() -> None:
        def note(tx: Tx, items: Sequence[str], now: int) -> Sequence[str]:
            for item in items:
                tx.scopes.remember(item, "noted")
            if "bad" in items:
                raise ZeroDivisionError
            return items

        async with opened(tmp_path) as store:
            gate = Gate()
            with gate.closed(store):
                waiting = [store.write_item(note, item) for item in ("x", "bad", "y")]
            answers = await asyncio.gather(*waiting, return_exceptions=True)
            assert answers[0] == "x"
            assert isinstance(answers[1], ZeroDivisionError)
            assert answers[2] == "y"
            assert [await store.read(recall(name)) for name in ("x", "bad", "y")] == ["noted", None, "noted"]

    run(work())


def test_an_answer_means_that_readers_see_it(tmp_path: Path) -> None:
    async def work() -> None:
        async with opened(tmp_path) as store:
            for i in range(50):
                await store.write(remember("n", str(i)))
                assert await store.read(recall("n")) == str(i)

    run(work())


def test_effects_are_published_after_the_commit_and_only_of_what_succeeded(tmp_path: Path) -> None:
    async def work() -> None:
        published: list[Effect] = []

        def fails(tx: Tx, now: int) -> None:
            tx.record(WorkDue())
            raise InvalidRequest("no")

        async with opened(tmp_path, published) as store:
            await asyncio.gather(store.write(fails), return_exceptions=True)
            await store.write(remember("a", "b"))
            assert published == []
            await store.write(lambda tx, now: tx.record(WorkDue()))
            await store.write(remember("a", "b"))  # its answer comes after the effects of the one before
            assert published == [WorkDue()]

    run(work())


class FailingFollower(NoFollower):
    """Always has more, and always fails."""

    def __init__(self) -> None:
        self.follows = 0

    def follow(self, tx: Tx, effects: Sequence[Effect], now: int) -> Sequence[Effect]:
        self.follows += 1
        raise ZeroDivisionError

    def has_more(self) -> bool:
        return True


def test_a_follower_that_fails_waits_for_the_next_work(tmp_path: Path) -> None:
    """Or a full disk with notifications left would keep the writer spinning."""

    async def work() -> None:
        follower = FailingFollower()
        store = Store(tmp_path, now=lambda: NOW, readers=1, publish=lambda effects: None, follower=follower)
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await store.write(remember("a", "b"))
        store.close()
        assert follower.follows <= 5  # one before any work came, one for each piece, one while stopping

    run(work())


def test_readers_cannot_write(tmp_path: Path) -> None:
    async def work() -> None:
        async with opened(tmp_path) as store:
            with pytest.raises((sqlite3.OperationalError, ServiceUnavailable)):
                await store.read(remember("a", "b"))
            assert await store.read(recall("a")) is None

    run(work())


def test_stopping_finishes_what_was_accepted_and_refuses_the_rest(tmp_path: Path) -> None:
    async def work() -> None:
        store = Store(
            tmp_path, now=lambda: NOW, readers=1, publish=lambda effects: None, follower=NoFollower()
        )
        accepted = [store.write(remember(f"n{i}", "x")) for i in range(300)]
        store.close()
        await asyncio.gather(*accepted)
        with pytest.raises(ServiceUnavailable, match="stopping"):
            store.write(remember("late", "x"))
        async with opened(tmp_path) as again:
            assert await again.read(recall("n299")) == "x"

    run(work())


def test_a_data_directory_has_one_server(tmp_path: Path) -> None:
    async def work() -> None:
        async with opened(tmp_path):
            with pytest.raises(DataDirectoryInUse, match="in use by another thingjobs server"):
                Store(
                    tmp_path, now=lambda: NOW, readers=1, publish=lambda effects: None, follower=NoFollower()
                )
        async with opened(tmp_path) as again:
            assert await again.read(recall("n")) is None

    run(work())


def test_the_database_is_for_its_owner_only(tmp_path: Path) -> None:
    async def work() -> None:
        async with opened(tmp_path / "data"):
            assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
            assert (tmp_path / "data" / "thingjobs.db").stat().st_mode & 0o777 == 0o600

    run(work())
