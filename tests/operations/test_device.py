"""Devices' requests decided in sets: each as if it came alone, in order, whatever else is in its batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factories import NOW, Device, a_call, a_job, add_things, arn, counted, describe, memory_database, rows
from thingjobs.domain.errors import (
    InvalidRequest,
    InvalidStateTransition,
    ResourceNotFound,
    ServiceError,
    TerminalStateReached,
    VersionMismatch,
)
from thingjobs.domain.model import ExecutionStatus
from thingjobs.operations import job_executions, jobs, things
from thingjobs.operations.call import Call
from thingjobs.operations.device import Command, DeviceOperations, Request, Response
from thingjobs.operations.device_documents import DeviceDocuments
from thingjobs.operations.notifications import Notifier
from thingjobs.store.tx import Tx
from thingjobs.wire.shapes import iot, iot_jobs_data

MakeDevice = Callable[[str], Device]


def start_next(thing: str, **members: Any) -> Request:
    return iot_jobs_data.StartNextPendingJobExecutionRequest(thing_name=thing, **members)


def update(thing: str, job: str, status: Any, **members: Any) -> Request:
    return iot_jobs_data.UpdateJobExecutionRequest(
        thing_name=thing, job_id=job, status=status, include_job_execution_state=True, **members
    )


def get_pending(thing: str) -> Request:
    return iot_jobs_data.GetPendingJobExecutionsRequest(thing_name=thing)


def describe_execution(thing: str, job: str, **members: Any) -> Request:
    return iot_jobs_data.DescribeJobExecutionRequest(thing_name=thing, job_id=job, **members)


def asked(call: Call, tx: Tx, *requests: Request, now: int = NOW) -> Sequence[Response | ServiceError]:
    """The answers to requests of one batch."""
    operations = DeviceOperations(DeviceDocuments())
    return operations.apply(tx, [Command(call.scope.id, request) for request in requests], now)


def summary(answer: Response | ServiceError) -> object:
    """What tells an answer from another."""
    match answer:
        case iot_jobs_data.UpdateJobExecutionResponse(execution_state=state) if state is not None:
            return state.status, state.version_number
        case iot_jobs_data.StartNextPendingJobExecutionResponse(execution=execution) if execution is not None:
            return execution.job_id, execution.status, execution.version_number
        case ServiceError():
            return type(answer)
    return answer


# --- several requests of one batch --------------------------------------------------------------------


def test_requests_for_one_execution_see_each_other_in_order(call: Call, tx: Tx) -> None:
    add_things(call, tx, "t1")
    a_job(call, tx, "j1", [arn(call, "t1")])
    answers = asked(
        call,
        tx,
        start_next("t1", status_details={"a": "1"}),
        start_next("t1"),
        update("t1", "j1", "IN_PROGRESS", expected_version=2),
        update("t1", "j1", "IN_PROGRESS", expected_version=2),
        update("t1", "j1", "SUCCEEDED", expected_version=3),
        update("t1", "j1", "FAILED"),
        start_next("t1"),
        describe_execution("t1", "j1"),
    )
    assert [summary(answer) for answer in answers] == [
        ("j1", "IN_PROGRESS", 2),
        ("j1", "IN_PROGRESS", 2),
        ("IN_PROGRESS", 3),
        VersionMismatch,
        ("SUCCEEDED", 4),
        InvalidStateTransition,
        iot_jobs_data.StartNextPendingJobExecutionResponse(),
        TerminalStateReached,
    ]
    refused = answers[5]
    assert isinstance(refused, InvalidStateTransition)
    assert refused.state is not None
    assert (refused.state.status, refused.state.version_number) == ("SUCCEEDED", 4)
    assert (counted(call, tx, "j1"), describe(call, tx, "j1").status) == ({"succeeded": 1}, "COMPLETED")


def test_refusals_harm_nobody_else_of_the_batch(call: Call, tx: Tx) -> None:
    add_things(call, tx, "t1", "t2")
    a_job(call, tx, "j1", [arn(call, "t1"), arn(call, "t2")])
    answers = asked(
        call,
        tx,
        update("t1", "nope", "SUCCEEDED"),
        update("t1", "j1", "CANCELED"),
        update("nothing", "j1", "SUCCEEDED"),
        start_next("nothing"),
        start_next("t1", step_timeout_in_minutes=0),
        update("t2", "j1", "SUCCEEDED", execution_number=2),
        update("t1", "j1", "IN_PROGRESS"),
        get_pending("nothing"),
        update("t2", "j1", "FAILED", execution_number=1),
    )
    assert [summary(answer) for answer in answers] == [
        ResourceNotFound,
        InvalidStateTransition,
        ResourceNotFound,
        ResourceNotFound,
        InvalidRequest,
        ResourceNotFound,
        ("IN_PROGRESS", 2),
        ResourceNotFound,
        ("FAILED", 2),
    ]
    assert counted(call, tx, "j1") == {"in_progress": 1, "failed": 1}


def test_next_job_follows_in_the_same_batch(call: Call, tx: Tx) -> None:
    add_things(call, tx, "t1")
    for job in ("j1", "j2"):
        a_job(call, tx, job, [arn(call, "t1")])
    answers = asked(
        call, tx, start_next("t1"), update("t1", "j1", "SUCCEEDED"), start_next("t1"), get_pending("t1")
    )
    assert [summary(answer) for answer in answers[:3]] == [
        ("j1", "IN_PROGRESS", 2),
        ("SUCCEEDED", 3),
        ("j2", "IN_PROGRESS", 2),
    ]
    listed = answers[3]
    assert isinstance(listed, iot_jobs_data.GetPendingJobExecutionsResponse)
    assert [e.job_id for e in listed.in_progress_jobs or ()] == ["j2"]
    assert listed.queued_jobs == []


def test_batch_may_finish_several_jobs(call: Call, tx: Tx) -> None:
    names = [f"t{n}" for n in range(5)]
    add_things(call, tx, *names)
    for job in ("j1", "j2"):
        a_job(call, tx, job, [arn(call, name) for name in names])
    asked(call, tx, *(update(name, job, "SUCCEEDED") for job in ("j1", "j2") for name in names), now=NOW + 7)
    for job in ("j1", "j2"):
        shown = describe(call, tx, job)
        assert (shown.status, shown.completed_at) == ("COMPLETED", (NOW + 7) / 1000)
        assert counted(call, tx, job) == {"succeeded": 5}


def test_namesakes_of_two_scopes_do_not_meet(call: Call, tx: Tx) -> None:
    elsewhere = a_call(tx, region="eu-west-1")
    for each in (call, elsewhere):
        add_things(each, tx, "t1")
        a_job(each, tx, "j1", [arn(each, "t1")])
    operations = DeviceOperations(DeviceDocuments())
    commands = [
        Command(call.scope.id, update("t1", "j1", "SUCCEEDED")),
        Command(elsewhere.scope.id, start_next("t1")),
    ]
    assert [summary(answer) for answer in operations.apply(tx, commands, NOW)] == [
        ("SUCCEEDED", 2),
        ("j1", "IN_PROGRESS", 2),
    ]
    assert (counted(call, tx, "j1"), counted(elsewhere, tx, "j1")) == ({"succeeded": 1}, {"in_progress": 1})


THINGS, JOBS = ("t1", "t2", "t3"), ("j1", "j2", "j3")
_details = st.none() | st.dictionaries(st.sampled_from("ab"), st.sampled_from("12"), max_size=2)
_requests = st.one_of(
    st.builds(
        start_next,
        st.sampled_from(THINGS),
        status_details=_details,
        step_timeout_in_minutes=st.sampled_from([None, None, 5, 0]),
    ),
    st.builds(
        update,
        st.sampled_from(THINGS),
        st.sampled_from(JOBS),
        st.sampled_from(["IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED", "QUEUED"]),
        status_details=_details,
        expected_version=st.sampled_from([None, None, 1, 2, 3]),
        execution_number=st.sampled_from([None, None, 1, 2]),
        step_timeout_in_minutes=st.sampled_from([None, None, 5, -1]),
    ),
    st.builds(describe_execution, st.sampled_from(THINGS), st.sampled_from([*JOBS, "$next"])),
    st.builds(get_pending, st.sampled_from(THINGS)),
)


@settings(max_examples=60)
@given(st.lists(_requests, max_size=12))
def test_batch_equals_the_same_requests_one_by_one(requests: list[Request]) -> None:
    def run(batches: Sequence[Sequence[Request]]) -> tuple[list[object], list[tuple[Any, ...]]]:
        database = memory_database()
        tx = Tx(database)
        tx.begin()
        call = a_call(tx)
        add_things(call, tx, *THINGS)
        for job in JOBS:
            a_job(call, tx, job, [arn(call, name) for name in THINGS[: int(job[1])]])
        answers = [answer for batch in batches for answer in asked(call, tx, *batch)]
        stored = rows(tx, "SELECT * FROM job_execution ORDER BY id")
        stored += rows(tx, "SELECT * FROM job_counters ORDER BY job_key")
        stored += rows(tx, "SELECT key, status, completed_at FROM job ORDER BY key")
        database.connection.close()
        told: list[object] = [(type(a), a.message) if isinstance(a, ServiceError) else a for a in answers]
        return told, stored

    assert run([requests]) == run([[request] for request in requests])


# --- what is awkward to bring about over the wire -------------------------------------------------------


@pytest.mark.parametrize("status", sorted(set(ExecutionStatus) - {"QUEUED", "IN_PROGRESS"}))
def test_no_finished_execution_is_described(
    call: Call, tx: Tx, device: MakeDevice, status: ExecutionStatus
) -> None:
    """case 98: TIMED_OUT and REMOVED too"""
    add_things(call, tx, "t1")
    a_job(call, tx, "j1", [arn(call, "t1")])
    job_key, thing = tx.jobs.key(call.scope.id, "j1"), tx.things.find(call.scope.id, "t1")
    assert job_key is not None
    assert thing is not None
    before = tx.executions.find(job_key, thing.key, "t1", None)
    assert before is not None
    tx.executions.save([(before, before._replace(status=status))])
    for members in ({}, {"execution_number": 1}, {"include_job_document": False}):
        with pytest.raises(TerminalStateReached):
            device("t1").describe("j1", **members)
    assert device("t1").pending() == ([], [])


def queued_again(call: Call, tx: Tx, job: str, thing: str) -> None:
    """The next execution of a job on a thing, as a retry or a return to its group makes it."""
    job_key, found = tx.jobs.key(call.scope.id, job), tx.things.find(call.scope.id, thing)
    assert job_key is not None
    assert found is not None
    tx.executions.queue(job_key, [(found.key, thing)], call.now)
    tx.jobs.add_to_counters({job_key: {ExecutionStatus.QUEUED: 1}})


def test_newest_execution_is_meant_unless_a_number_is_given(call: Call, tx: Tx, device: MakeDevice) -> None:
    """case 68, case 80, case 104"""
    add_things(call, tx, "t1")
    a_job(call, tx, "j1", [arn(call, "t1")], targetSelection="CONTINUOUS")
    for _ in range(2):
        device("t1").update("j1", "SUCCEEDED")
        queued_again(call, tx, "j1", "t1")

    def shown(number: int | None = None) -> tuple[int | None, str | None]:
        request = iot.DescribeJobExecutionRequest(job_id="j1", thing_name="t1", execution_number=number)
        execution = job_executions.describe_job_execution(call, tx, request).execution
        assert execution is not None
        return execution.execution_number, execution.status

    assert (shown(), shown(1)) == ((3, "QUEUED"), (1, "SUCCEEDED"))
    listed = job_executions.list_job_executions_for_thing(
        call, tx, iot.ListJobExecutionsForThingRequest(thing_name="t1", job_id="j1")
    )
    numbers = [row.job_execution_summary.execution_number for row in listed.execution_summaries or ()]  # type: ignore[union-attr]
    assert numbers == [3, 2, 1]
    with pytest.raises(InvalidStateTransition):
        device("t1").update("j1", "FAILED", execution_number=2)
    device("t1").update("j1", "FAILED", execution_number=3)
    with pytest.raises(ResourceNotFound):
        device("t1").update("j1", "FAILED", execution_number=4)


def test_deleted_top_number_is_used_again(call: Call, tx: Tx, device: MakeDevice) -> None:
    """spec: control-plane 3.13, lifecycle 3"""
    add_things(call, tx, "t1")
    a_job(call, tx, "j1", [arn(call, "t1")], targetSelection="CONTINUOUS")
    device("t1").update("j1", "SUCCEEDED")
    queued_again(call, tx, "j1", "t1")

    def delete(number: int) -> None:
        request = iot.DeleteJobExecutionRequest(job_id="j1", thing_name="t1", execution_number=number)
        job_executions.delete_job_execution(call, tx, request)

    delete(2)
    queued_again(call, tx, "j1", "t1")
    assert device("t1").describe("j1", execution_number=2) is not None
    delete(1)  # an older, finished one beside a pending one
    assert device("t1").pending() == ([], ["j1"])
    assert counted(call, tx, "j1") == {"queued": 1}


def test_namesake_of_a_deleted_thing_starts_anew(call: Call, tx: Tx, device: MakeDevice) -> None:
    """case 154; spec: ruling 10"""
    add_things(call, tx, "t1")
    a_job(call, tx, "j1", [arn(call, "t1")], targetSelection="CONTINUOUS")
    things.delete_thing(call, tx, iot.DeleteThingRequest(thing_name="t1"))
    add_things(call, tx, "t1")
    with pytest.raises(ResourceNotFound):
        device("t1").update("j1", "SUCCEEDED")
    queued_again(call, tx, "j1", "t1")
    execution = device("t1").describe("j1")
    assert execution is not None
    assert (execution.execution_number, execution.version_number) == (2, 1)
    assert counted(call, tx, "j1") == {"queued": 1, "removed": 1}


def test_namesake_of_a_deleted_job_has_its_own_document(call: Call, tx: Tx, device: MakeDevice) -> None:
    add_things(call, tx, "t1")
    one = device("t1")
    for document in ('{"n":1}', '{"n":2}'):
        a_job(call, tx, "j1", [arn(call, "t1")], document=document)
        execution = one.start_next()
        assert execution is not None
        assert execution.job_document == document
        jobs.delete_job(call, tx, iot.DeleteJobRequest(job_id="j1", force=True))


def test_document_of_a_job_that_was_never_stored_is_not_given_out() -> None:
    """A commit that fails takes the job with it, and its key goes to the next one."""
    database = memory_database()
    tx = Tx(database)
    tx.begin()
    call = a_call(tx)
    add_things(call, tx, "t1")
    tx.commit()
    remembered = DeviceDocuments()
    notifier = Notifier(remembered)
    one = Device(tx, call, "t1", DeviceOperations(remembered))
    documents = []
    for document in ('{"n":1}', '{"n":2}'):
        tx.begin()
        a_job(call, tx, "j1", [arn(call, "t1")], document=document)
        execution = one.start_next()
        assert execution is not None
        documents.append(execution.job_document)
        notifier.follow(tx, tx.take_effects(), call.now)
        tx.rollback()  # the disk is full
        notifier.settled(committed=False)
    database.connection.close()
    assert documents == ['{"n":1}', '{"n":2}']
