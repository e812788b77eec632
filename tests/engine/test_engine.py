"""The loop on a real store: what is due is done at its instant, and events are published when durable."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from factories import MINUTE, NOW, a_job, add_things, arn, describe, group_arn, rows
from thingjobs.auth.sigv4 import Request
from thingjobs.clock import ManualClock
from thingjobs.domain.model import JobKey, ScopeId
from thingjobs.domain.quotas import DEFAULT_QUOTAS
from thingjobs.engine import engine as engine_module
from thingjobs.engine import supervision
from thingjobs.engine.engine import Engine
from thingjobs.engine.outbox import Wait
from thingjobs.http.admin import Admin
from thingjobs.http.identity import AnyoneIdentity
from thingjobs.metrics import Metrics
from thingjobs.operations import background, event_configurations, events, sweep, timeouts
from thingjobs.operations.call import Call, Endpoints
from thingjobs.operations.device import Command, DeviceOperations
from thingjobs.operations.device_documents import DeviceDocuments
from thingjobs.operations.notifications import Notifier
from thingjobs.store.store import Store
from thingjobs.store.tx import Tx
from thingjobs.wire.shape_limits import ShapeLimits
from thingjobs.wire.shapes import iot, iot_jobs_data

Message = tuple[str, dict[str, Any]]


class Server:
    """A store and its engine under a manual clock; ``heard`` is what was announced."""

    def __init__(self, store: Store, engine: Engine, clock: ManualClock) -> None:
        self.store = store
        self.engine = engine
        self.clock = clock
        self.heard: asyncio.Queue[str] = asyncio.Queue()

    def announce(self, scope: ScopeId, topic: str, payload: bytes) -> None:
        assert json.loads(payload)["eventType"] in ("JOB", "JOB_EXECUTION")
        self.heard.put_nowait(topic.removeprefix("$aws/events/"))

    async def do(self, work: Callable[[Call, Tx], Any]) -> Any:
        scope = await self.store.scope("123456789012", "us-east-1")
        endpoints = Endpoints("host", "host", "host")

        def run(tx: Tx, now: int) -> Any:
            return work(Call(scope, now, lambda: str(uuid.uuid4()), endpoints), tx)

        return await self.store.write(run)

    async def ask(self, request: Any) -> Any:
        scope = await self.store.scope("123456789012", "us-east-1")
        operations = DeviceOperations(DeviceDocuments())
        return await self.store.write_item(operations.apply, Command(scope.id, request))


@asynccontextmanager
async def a_server(directory: Path, now: int = NOW) -> AsyncIterator[Server]:
    clock = ManualClock(now)
    engine = Engine(clock)
    store = Store(
        directory, now=clock.now, readers=1, publish=engine.publish, follower=Notifier(DeviceDocuments())
    )
    try:
        yield Server(store, engine, clock)
    finally:
        await engine.stop()
        store.close()


def prepare(call: Call, tx: Tx) -> None:
    add_things(call, tx, "t1", "t2")
    request = iot.UpdateEventConfigurationsRequest(
        event_configurations={
            "JOB": iot.Configuration(enabled=True),
            "JOB_EXECUTION": iot.Configuration(enabled=True),
        }
    )
    event_configurations.update_event_configurations(call, tx, request)
    targets = [arn(call, "t1"), arn(call, "t2")]
    a_job(call, tx, "j1", targets, timeoutConfig={"inProgressTimeoutInMinutes": 1})


def start(thing: str) -> iot_jobs_data.StartNextPendingJobExecutionRequest:
    return iot_jobs_data.StartNextPendingJobExecutionRequest(thing_name=thing)


def succeed(thing: str) -> iot_jobs_data.UpdateJobExecutionRequest:
    return iot_jobs_data.UpdateJobExecutionRequest(thing_name=thing, job_id="j1", status="SUCCEEDED")


async def never() -> None:
    """Nobody listens."""
    await asyncio.Event().wait()


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 30))


def test_wound_clock_dates_time_outs_at_their_deadlines(tmp_path: Path) -> None:
    """spec: ruling 6"""

    async def work() -> None:
        async with a_server(tmp_path) as server:
            server.engine.start(server.store, server.announce)
            await server.do(prepare)
            await server.ask(start("t1"))
            await server.engine.advance(server.clock, 500)
            await server.ask(start("t2"))
            assert await server.engine.advance(server.clock, 10 * MINUTE) == NOW + 500 + 10 * MINUTE
            dates = await server.do(
                lambda _, tx: rows(tx, "SELECT last_updated_at FROM job_execution ORDER BY 1")
            )
            assert dates == [(NOW + MINUTE,), (NOW + MINUTE + 500,)]
            job = await server.do(lambda call, tx: describe(call, tx, "j1"))
            assert (job.status, job.completed_at) == ("COMPLETED", (NOW + MINUTE + 500) / 1000)
            told = [server.heard.get_nowait() for _ in range(3)]
            assert told == ["jobExecution/j1/timed_out", "jobExecution/j1/timed_out", "job/j1/completed"]

    run(work())


def test_events_are_announced_in_their_order_and_forgotten(tmp_path: Path) -> None:
    async def work() -> None:
        async with a_server(tmp_path) as server:
            server.engine.start(server.store, server.announce)
            await server.do(prepare)
            for thing in ("t1", "t2"):
                await server.ask(succeed(thing))
            told = [await server.heard.get() for _ in range(3)]
            assert told == ["jobExecution/j1/succeeded", "jobExecution/j1/succeeded", "job/j1/completed"]
            await server.engine.advance(server.clock, 1)
            assert server.heard.empty()
            assert await server.do(lambda _, tx: rows(tx, "SELECT * FROM outbox")) == []

    run(work())


def test_events_that_were_not_announced_are_after_a_restart(tmp_path: Path) -> None:
    async def work() -> None:
        async with a_server(tmp_path) as server:
            await server.do(prepare)
            await server.ask(succeed("t1"))
        async with a_server(tmp_path) as server:
            server.engine.start(server.store, server.announce)
            assert await server.heard.get() == "jobExecution/j1/succeeded"

    run(work())


def test_events_that_were_left_wait_until_somebody_listens(tmp_path: Path) -> None:
    """And new ones behind them. Winding the clock does not wait for that."""

    async def work() -> None:
        async with a_server(tmp_path) as server:
            await server.do(prepare)
            await server.ask(succeed("t1"))
        async with a_server(tmp_path) as server:
            wanted = asyncio.Event()

            async def until_wanted() -> None:
                await wanted.wait()

            server.engine.start(server.store, server.announce, until_wanted)
            await server.ask(start("t2"))
            await server.engine.advance(server.clock, 2 * MINUTE)
            assert server.heard.empty()
            wanted.set()
            told = [await server.heard.get() for _ in range(3)]
            assert told == ["jobExecution/j1/succeeded", "jobExecution/j1/timed_out", "job/j1/completed"]

    run(work())


def test_events_that_were_left_wait_for_a_listener_no_longer_than_their_grace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("thingjobs.engine.outbox.GRACE_S", 0.01)

    async def work() -> None:
        async with a_server(tmp_path) as server:
            await server.do(prepare)
            await server.ask(succeed("t1"))
        async with a_server(tmp_path) as server:
            server.engine.start(server.store, server.announce, never)
            assert await server.heard.get() == "jobExecution/j1/succeeded"

    run(work())


def test_new_events_wait_for_no_listener(tmp_path: Path) -> None:
    """If nothing was left: whoever comes later has missed them."""

    async def work() -> None:
        async with a_server(tmp_path) as server:
            server.engine.start(server.store, server.announce, never)
            await server.engine.advance(server.clock, 0)
            await server.do(prepare)
            await server.ask(succeed("t1"))
            assert await server.heard.get() == "jobExecution/j1/succeeded"

    run(work())


def test_announcing_that_fails_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thingjobs.engine.outbox.PAUSE_AFTER_FAILURE_S", 0.0)

    async def work() -> None:
        async with a_server(tmp_path) as server:
            failures = iter([True])

            def announce(scope: ScopeId, topic: str, payload: bytes) -> None:
                if next(failures, False):
                    raise OSError("nobody there")
                server.announce(scope, topic, payload)

            server.engine.start(server.store, announce)
            await server.do(prepare)
            await server.ask(succeed("t1"))
            assert await server.heard.get() == "jobExecution/j1/succeeded"

    run(work())


def test_event_that_cannot_be_handed_over_waits_with_all_behind_it(tmp_path: Path) -> None:
    """Winding the clock does not wait for it."""

    async def work() -> None:
        async with a_server(tmp_path) as server:
            has_room, asked = asyncio.Event(), asyncio.Event()

            async def room() -> None:
                asked.set()
                await has_room.wait()

            def announce(scope: ScopeId, topic: str, payload: bytes) -> Wait | None:
                if topic.startswith("$aws/events/job/") and not has_room.is_set():
                    return room
                server.announce(scope, topic, payload)
                return None

            server.engine.start(server.store, announce)
            await server.do(prepare)
            for thing in ("t1", "t2"):
                await server.ask(succeed(thing))
            await asked.wait()
            await server.engine.advance(server.clock, 1)
            told = [server.heard.get_nowait() for _ in range(2)]
            assert told == ["jobExecution/j1/succeeded", "jobExecution/j1/succeeded"]
            assert server.heard.empty()
            topics = await server.do(lambda _, tx: rows(tx, "SELECT topic FROM outbox"))
            assert topics == [("$aws/events/job/j1/completed",)]
            has_room.set()
            assert await server.heard.get() == "job/j1/completed"

    run(work())


def test_without_a_broker_events_go_nowhere(tmp_path: Path) -> None:
    async def work() -> None:
        async with a_server(tmp_path) as server:
            server.engine.start(server.store)
            await server.do(prepare)
            await server.ask(succeed("t1"))
            await server.engine.advance(server.clock, 1)
            assert await server.do(lambda _, tx: rows(tx, "SELECT * FROM outbox")) == []

    run(work())


def three_canceled(call: Call, tx: Tx) -> None:
    for job_id in ("s1", "s2", "s3"):
        a_job(call, tx, job_id, [arn(call, "t2")])
    rows(tx, "UPDATE job SET status = 'CANCELED', sweep = 'CANCEL' WHERE job_id LIKE 's%'")


def test_what_comes_due_does_not_wait_for_other_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """spec: ruling 6: time passes while jobs are swept, and an execution is to time out"""
    monkeypatch.setattr(engine_module, "LOOK_AT_CLOCK_EVERY_S", 0.0)
    done: list[str] = []
    sweep_some, time_out_some = sweep.some, timeouts.time_out_some

    async def work() -> None:
        async with a_server(tmp_path) as server:

            def swept(tx: Tx, job_key: JobKey, *, limit: int, now: int) -> int:
                done.append("sweep")
                server.clock.set(NOW + MINUTE)
                return sweep_some(tx, job_key, limit=limit, now=now)

            def timed_out(tx: Tx, job_key: JobKey, now: int) -> bool:
                done.append("time-out")
                return time_out_some(tx, job_key, now)

            monkeypatch.setattr(sweep, "some", swept)
            monkeypatch.setattr(timeouts, "time_out_some", timed_out)
            await server.do(prepare)
            await server.ask(start("t1"))
            await server.do(three_canceled)
            server.engine.start(server.store)
            await server.engine.advance(server.clock, MINUTE)
            assert done == ["sweep", "time-out", "sweep", "sweep"]

    run(work())


# --- work that fails ------------------------------------------------------------------------------

CORRUPTED = "UPDATE job SET abort_config = '?' WHERE job_id LIKE 'bad%'"


def bad_jobs_and_a_good_one(call: Call, tx: Tx, count: int, **members: Any) -> None:
    """Jobs on the group g of three things; the good one is made last, so it comes after all others."""
    add_things(call, tx, "t1", "t2", "t3", group="g")
    for job_id in (*(f"bad{n:03}" for n in range(count)), "good"):
        a_job(call, tx, job_id, [group_arn(call, "g")], **members)


def overdue(call: Call, tx: Tx) -> None:
    bad_jobs_and_a_good_one(call, tx, 1)
    rows(
        tx,
        "INSERT INTO job_execution (job_key, thing_key, thing_name, execution_number, status, version,"
        " retry_attempt, force_canceled, queued_at, last_updated_at)"
        " WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)"
        " SELECT key, 1000 + i, 'x' || i, 1, 'QUEUED', 1, 0, 0, 0, 0 FROM n, job WHERE job_id = 'bad000'",
    )
    rows(tx, f"UPDATE job_execution SET status = 'IN_PROGRESS', deadline_at = {call.now} + job_key")
    count = "SELECT count(*) FROM job_execution e WHERE e.job_key = c.job_key"
    rows(tx, f"UPDATE job_counters AS c SET in_progress = ({count}), queued = 0")
    rows(tx, CORRUPTED)


def ticking(call: Call, tx: Tx) -> None:
    bad_jobs_and_a_good_one(call, tx, 5, jobExecutionsRolloutConfig={"maximumPerMinute": 2})
    rows(tx, CORRUPTED)


def starting(call: Call, tx: Tx) -> None:
    bad_jobs_and_a_good_one(call, tx, 5, schedulingConfig={"startTime": "2023-11-14T23:00"})
    rows(tx, CORRUPTED)


def canceled(call: Call, tx: Tx) -> None:
    bad_jobs_and_a_good_one(call, tx, 5)
    rows(tx, "UPDATE job SET status = 'CANCELED', sweep = 'FORCE_CANCEL'")
    rows(tx, CORRUPTED)


def two_years_old(call: Call, tx: Tx) -> None:
    bad_jobs_and_a_good_one(call, tx, 5)
    rows(tx, f"UPDATE job SET status = 'COMPLETED', completed_at = {NOW}, last_updated_at = 0")
    rows(tx, CORRUPTED)


def leaving(call: Call, tx: Tx) -> None:
    """Each job follows a group of its own, which is deleted."""
    for job_id in (*(f"bad{n:03}" for n in range(5)), "good"):
        add_things(call, tx, f"of-{job_id}", group=f"g-{job_id}")
        target = [group_arn(call, f"g-{job_id}")]
        a_job(call, tx, job_id, target, targetSelection="CONTINUOUS")
    rows(tx, "UPDATE thing_group SET deleted_seq = 1, leaving_after = ''")
    rows(tx, CORRUPTED)


@pytest.mark.parametrize(
    ("arrange", "outcome"),
    [
        (overdue, {"TIMED_OUT": 3}),
        (ticking, {"QUEUED": 3}),
        (starting, {"QUEUED": 3}),
        (canceled, {"CANCELED": 3}),
        (two_years_old, {}),
        (leaving, {"REMOVED": 1}),
    ],
)
def test_jobs_whose_work_fails_never_hide_another(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arrange: Callable[[Call, Tx], None],
    outcome: dict[str, int],
) -> None:
    """spec: lifecycle R, ruling 6: however many fail, and however much they have to do"""
    monkeypatch.setattr(background, "MOST_AT_ONCE", 2)

    async def work() -> None:
        async with a_server(tmp_path) as server:
            await server.do(arrange)
            server.engine.start(server.store)
            await server.engine.advance(server.clock, 60 * MINUTE)
            of_good = "SELECT e.status, count(*) FROM job_execution e JOIN job j ON j.key = e.job_key"
            found = await server.do(lambda _, tx: rows(tx, f"{of_good} WHERE job_id = 'good' GROUP BY 1"))
            assert dict(found) == outcome

    run(work())


def test_work_that_failed_is_done_once_its_cause_is_gone(tmp_path: Path) -> None:
    async def work() -> None:
        async with a_server(tmp_path) as server:
            await server.do(overdue)
            server.engine.start(server.store)
            await server.engine.advance(server.clock, MINUTE)
            await server.do(lambda _, tx: rows(tx, "UPDATE job SET abort_config = NULL"))
            await server.engine.advance(server.clock, 0)
            left = "SELECT count(*) FROM job_execution WHERE status = 'IN_PROGRESS'"
            assert await server.do(lambda _, tx: rows(tx, left)) == [(0,)]

    run(work())


class HastyClock:
    """A clock for which a millisecond goes by with every look at it."""

    mode = "system"

    def __init__(self, now: int) -> None:
        self._now = now

    def now(self) -> int:
        self._now += 1
        return self._now


@pytest.mark.parametrize("early", range(4))
def test_what_comes_due_between_two_looks_is_not_forgotten(tmp_path: Path, early: int) -> None:
    """spec: ruling 6, at most 5 s late: it would wait until something else woke the loop."""

    async def work() -> None:
        clock = HastyClock(NOW)
        engine = Engine(clock)
        store = Store(
            tmp_path, now=clock.now, readers=1, publish=engine.publish, follower=Notifier(DeviceDocuments())
        )
        server = Server(store, engine, ManualClock(0))
        try:
            await server.do(prepare)
            await server.ask(start("t1"))
            due_at = NOW + 60_000
            await server.do(
                lambda _, tx: rows(
                    tx,
                    f"UPDATE job_execution SET deadline_at = {due_at},"
                    f" in_progress_deadline_at = {due_at} WHERE status = 'IN_PROGRESS'",
                )
            )
            clock._now = due_at - 6 - early
            engine.start(store, server.announce)
            while await server.heard.get() != "jobExecution/j1/timed_out":
                pass
        finally:
            await engine.stop()
            store.close()

    run(work())


class Unwritable:
    """A log that nothing can be written to."""

    def __getattr__(self, name: str) -> Any:
        raise OSError("no space left")


async def readiness(server: Server) -> tuple[int, Any]:
    admin = Admin(
        identity=AnyoneIdentity(account="123456789012", region="us-east-1"),
        store=server.store,
        clock=server.clock,
        engine=server.engine,
        metrics=cast(Metrics, None),
        quotas=DEFAULT_QUOTAS,
        shapes=ShapeLimits(),
    )
    answer = await admin.answer(Request("GET", b"/-/ready", b"", [], b""), None)
    return answer.status, json.loads(answer.body)


@pytest.mark.parametrize("loop", ["engine", "outbox"])
def test_loop_that_ends_shows_in_readiness_and_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loop: str
) -> None:
    """Here because the log raised while a failure was to be logged."""
    failures = [RuntimeError("the first one")]
    asleep, awake = asyncio.Event(), asyncio.Event()

    async def sleep(seconds: float) -> None:
        assert seconds == supervision.PAUSE_S
        asleep.set()
        await awake.wait()

    async def work() -> None:
        async with a_server(tmp_path) as server:
            for module in ("supervision", loop):
                monkeypatch.setattr(f"thingjobs.engine.{module}.log", Unwritable())
            monkeypatch.setattr("thingjobs.engine.supervision.sleep", sleep)
            read = server.store.read

            def read_once_failing(work: Callable[[Tx, int], Any]) -> asyncio.Future[Any]:
                if failures and (work is events.waiting) is (loop == "outbox"):
                    raise failures.pop()
                return read(work)

            monkeypatch.setattr(server.store, "read", read_once_failing)
            server.engine.start(server.store, server.announce)
            await asleep.wait()
            status, told = await readiness(server)
            assert (status, told["store"]) == (503, "ok")
            assert told["background"] == f"{loop} ended by a fault and will be started again"
            awake.set()
            await server.do(prepare)
            await server.ask(succeed("t1"))
            assert await server.heard.get() == "jobExecution/j1/succeeded"
            assert await readiness(server) == (200, {"status": "ready", "store": "ok"})

    run(work())
