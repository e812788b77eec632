"""The loop on a real store: what is due is done at its instant, and events are published when durable."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from factories import MINUTE, NOW, a_job, add_things, arn, describe, rows
from thingjobs.clock import ManualClock
from thingjobs.domain.model import ScopeId
from thingjobs.engine.engine import Engine
from thingjobs.operations import event_configurations
from thingjobs.operations.call import Call, Endpoints
from thingjobs.operations.device import Command, DeviceOperations
from thingjobs.operations.device_documents import DeviceDocuments
from thingjobs.operations.notifications import Notifier
from thingjobs.store.store import Store
from thingjobs.store.tx import Tx
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
            return work(Call(scope, now, lambda: "id", endpoints), tx)

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


def test_without_a_broker_events_go_nowhere(tmp_path: Path) -> None:
    async def work() -> None:
        async with a_server(tmp_path) as server:
            server.engine.start(server.store)
            await server.do(prepare)
            await server.ask(succeed("t1"))
            await server.engine.advance(server.clock, 1)
            assert await server.do(lambda _, tx: rows(tx, "SELECT * FROM outbox")) == []

    run(work())
