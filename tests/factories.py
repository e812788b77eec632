"""Things, groups and jobs for tests, made through the operations themselves."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import msgspec

from thingjobs.domain.arn import thing_arn, thing_group_arn
from thingjobs.domain.errors import ServiceError
from thingjobs.domain.model import ScopeId
from thingjobs.operations import jobs, thing_groups, things
from thingjobs.operations.call import Call, Endpoints
from thingjobs.operations.device import Command, DeviceOperations, Request, Response
from thingjobs.store.blocks import read_blocks
from thingjobs.store.migrate import migrate
from thingjobs.store.sqlite import DIALECT, Database
from thingjobs.store.tx import Tx
from thingjobs.wire.shapes import iot, iot_jobs_data

NOW = 1_700_000_000_000
MINUTE = 60_000
DOCUMENT = '{"op":"x"}'


def memory_database(path: str = ":memory:") -> Database:
    """Or a file, which can be opened again; it is not synced."""
    connection = sqlite3.connect(path, isolation_level=None, cached_statements=256)
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = OFF")
    database = Database(connection, read_blocks(DIALECT))
    migrate(database)
    return database


def a_call(tx: Tx, now: int = NOW, region: str = "us-east-1") -> Call:
    scope = tx.scopes.get_or_create("123456789012", region)
    return Call(scope, now, lambda: str(uuid.uuid4()), Endpoints("host", "host", "host"))


def rows(tx: Tx, query: str) -> list[tuple[Any, ...]]:
    """The tables themselves, where no operation shows them."""
    return tx._connection.execute(query).fetchall()


def later(call: Call, milliseconds: int) -> Call:
    return replace(call, now=call.now + milliseconds)


def arn(call: Call, name: str) -> str:
    return thing_arn(call.scope, name)


def group_arn(call: Call, name: str) -> str:
    return thing_group_arn(call.scope, name)


def add_things(call: Call, tx: Tx, *names: str, group: str | None = None) -> None:
    """Things, and their membership in a group that is made if it does not exist."""
    if group is not None and tx.groups.find(call.scope.id, group) is None:
        thing_groups.create_thing_group(call, tx, iot.CreateThingGroupRequest(thing_group_name=group))
    for name in names:
        things.create_thing(call, tx, iot.CreateThingRequest(thing_name=name))
        if group is not None:
            join(call, tx, name, group)


def join(call: Call, tx: Tx, thing: str, group: str) -> None:
    request = iot.AddThingToThingGroupRequest(thing_name=thing, thing_group_name=group)
    thing_groups.add_thing_to_thing_group(call, tx, request)


def leave(call: Call, tx: Tx, thing: str, group: str) -> None:
    request = iot.RemoveThingFromThingGroupRequest(thing_name=thing, thing_group_name=group)
    thing_groups.remove_thing_from_thing_group(call, tx, request)


def a_job(call: Call, tx: Tx, job_id: str, targets: Sequence[str], **members: Any) -> None:
    """A job whose configuration is written as on the wire (``{"maximumPerMinute": 5}``)."""
    request = msgspec.convert(
        {"jobId": job_id, "targets": list(targets), "document": DOCUMENT, **members}, iot.CreateJobRequest
    )
    jobs.create_job(call, tx, request)


def describe(call: Call, tx: Tx, job_id: str) -> iot.Job:
    answer = jobs.describe_job(call, tx, iot.DescribeJobRequest(job_id=job_id))
    assert answer.job is not None
    return answer.job


def counted(call: Call, tx: Tx, job_id: str) -> dict[str, int]:
    """The counters of a job that are not zero, by their short names (``queued``)."""
    details = describe(call, tx, job_id).job_process_details
    assert details is not None
    counts = msgspec.structs.asdict(details)
    return {
        name.removeprefix("number_of_").removesuffix("_things"): n
        for name, n in counts.items()
        if name != "processing_targets" and n
    }


class Device:
    """A thing's device, asking through the same set operation as HTTP and MQTT."""

    def __init__(self, tx: Tx, call: Call, thing_name: str, operations: DeviceOperations) -> None:
        self._tx = tx
        self._scope: ScopeId = call.scope.id
        self._operations = operations
        self.thing_name = thing_name
        self.now = call.now

    def ask(self, request: Request) -> Response:
        (answer,) = self._operations.apply(self._tx, [Command(self._scope, request)], self.now)
        if isinstance(answer, ServiceError):
            raise answer
        return answer

    def pending(self) -> tuple[list[str | None], list[str | None]]:
        """Job ids in progress, job ids queued."""
        answer = self.ask(iot_jobs_data.GetPendingJobExecutionsRequest(thing_name=self.thing_name))
        assert isinstance(answer, iot_jobs_data.GetPendingJobExecutionsResponse)
        assert answer.in_progress_jobs is not None
        assert answer.queued_jobs is not None
        return [j.job_id for j in answer.in_progress_jobs], [j.job_id for j in answer.queued_jobs]

    def start_next(self, **members: Any) -> iot_jobs_data.JobExecution | None:
        request = iot_jobs_data.StartNextPendingJobExecutionRequest(thing_name=self.thing_name, **members)
        answer = self.ask(request)
        assert isinstance(answer, iot_jobs_data.StartNextPendingJobExecutionResponse)
        return answer.execution

    def describe(self, job_id: str, **members: Any) -> iot_jobs_data.JobExecution | None:
        request = iot_jobs_data.DescribeJobExecutionRequest(
            thing_name=self.thing_name, job_id=job_id, **members
        )
        answer = self.ask(request)
        assert isinstance(answer, iot_jobs_data.DescribeJobExecutionResponse)
        return answer.execution

    def update(self, job_id: str, status: Any, **members: Any) -> iot_jobs_data.UpdateJobExecutionResponse:
        request = iot_jobs_data.UpdateJobExecutionRequest(
            thing_name=self.thing_name, job_id=job_id, status=status, **members
        )
        answer = self.ask(request)
        assert isinstance(answer, iot_jobs_data.UpdateJobExecutionResponse)
        return answer
