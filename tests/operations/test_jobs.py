"""Jobs: lists in pages when much happened at one instant, ids while a job is being deleted, limits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factories import (
    MINUTE,
    NOW,
    Device,
    a_call,
    a_job,
    add_things,
    arn,
    counted,
    describe,
    group_arn,
    later,
    memory_database,
    rows,
)
from thingjobs.domain.errors import JobNotFound, LimitExceeded, ResourceAlreadyExists, ResourceNotFound
from thingjobs.domain.model import ExecutionStatus, JobStatus, Sweep
from thingjobs.operations import job_executions, jobs, sweep, thing_groups
from thingjobs.operations.call import Call
from thingjobs.store.tx import Tx
from thingjobs.wire.shapes import iot

MakeDevice = Callable[[str], Device]


def delete(call: Call, tx: Tx, job: str, *, force: bool = True) -> None:
    jobs.delete_job(call, tx, iot.DeleteJobRequest(job_id=job, force=force))


def being_deleted(call: Call, tx: Tx, job: str) -> None:
    """A job accepted for deletion whose sweep has not begun."""
    found = tx.jobs.find(call.scope.id, job)
    assert found is not None
    tx.jobs.save(replace(found, status=JobStatus.DELETION_IN_PROGRESS, sweep=Sweep.DELETE))


# --- deletion held back -----------------------------------------------------------------------------


def test_id_is_taken_until_the_deletion_is_done(call: Call, tx: Tx, device: MakeDevice) -> None:
    """case 5; spec: lifecycle 13"""
    add_things(call, tx, "t1")
    a_job(call, tx, "j1", [arn(call, "t1")])
    being_deleted(call, tx, "j1")
    assert describe(call, tx, "j1").status == "DELETION_IN_PROGRESS"
    listed = jobs.list_jobs(call, tx, iot.ListJobsRequest(status="DELETION_IN_PROGRESS")).jobs
    assert [row.job_id for row in listed or ()] == ["j1"]
    with pytest.raises(ResourceAlreadyExists):
        a_job(call, tx, "j1", [arn(call, "t1")])
    with pytest.raises(ResourceNotFound):
        device("t1").update("j1", "SUCCEEDED")
    (key,) = tx.jobs.to_sweep(10, [])
    sweep.some(tx, key, limit=10, now=NOW)
    with pytest.raises(JobNotFound):
        describe(call, tx, "j1")
    a_job(call, tx, "j1", [arn(call, "t1")])
    execution = device("t1").describe("j1")
    assert execution is not None
    assert execution.execution_number == 1


def test_ten_jobs_may_be_in_deletion(call: Call, tx: Tx) -> None:
    """case 57"""
    add_things(call, tx, "t1")
    for n in range(11):
        a_job(call, tx, f"j{n}", [arn(call, "t1")])
        if n < 10:
            being_deleted(call, tx, f"j{n}")
    with pytest.raises(LimitExceeded):
        delete(call, tx, "j10")
    assert describe(call, tx, "j10").status == "IN_PROGRESS"
    elsewhere = a_call(tx, region="eu-west-1")
    add_things(elsewhere, tx, "t1")
    a_job(elsewhere, tx, "j10", [arn(elsewhere, "t1")])
    delete(elsewhere, tx, "j10")
    sweep.some(tx, tx.jobs.to_sweep(1, [])[0], limit=10, now=NOW)
    delete(call, tx, "j10")


def test_deleted_job_leaves_no_row_behind(call: Call, tx: Tx) -> None:
    """spec: lifecycle 13"""
    add_things(call, tx, "t1", "t2", group="g")
    a_job(
        call,
        tx,
        "j1",
        [group_arn(call, "g")],
        tags=[{"Key": "k", "Value": "v"}],
        jobExecutionsRolloutConfig={"maximumPerMinute": 1},
    )
    delete(call, tx, "j1")
    for table in ("job", "job_document", "job_target", "job_counters", "job_execution", "rollout", "tag"):
        assert rows(tx, f"SELECT count(*) FROM {table}") == [(0,)], table


# --- pages ------------------------------------------------------------------------------------------


def pages_of(ask: Callable[[str | None], tuple[Sequence[Any], str | None]]) -> list[Sequence[Any]]:
    """All pages of a list, following its tokens."""
    pages = []
    token = None
    while True:
        rows, token = ask(token)
        pages.append(rows)
        if token is None:
            return pages


def test_jobs_of_one_instant_are_paged_by_id(call: Call, tx: Tx) -> None:
    """case 49"""
    add_things(call, tx, "t1")
    for name in ("b", "d", "a", "c"):
        a_job(call, tx, name, [arn(call, "t1")])
    a_job(later(call, 1), tx, "z", [arn(call, "t1")])

    def ask(token: str | None) -> tuple[Sequence[Any], str | None]:
        answer = jobs.list_jobs(call, tx, iot.ListJobsRequest(max_results=2, next_token=token))
        return [row.job_id for row in answer.jobs or ()], answer.next_token

    assert pages_of(ask) == [["z", "a"], ["b", "c"], ["d"]]


def test_group_filter_is_paged_too(call: Call, tx: Tx) -> None:
    """case 51"""
    add_things(call, tx, "t1", group="g")
    for name in ("b", "a", "c"):
        a_job(call, tx, name, [arn(call, "t1"), group_arn(call, "g")])
    a_job(call, tx, "other", [arn(call, "t1")])

    def ask(token: str | None) -> tuple[Sequence[Any], str | None]:
        request = iot.ListJobsRequest(max_results=2, next_token=token, thing_group_name="g")
        answer = jobs.list_jobs(call, tx, request)
        return [row.job_id for row in answer.jobs or ()], answer.next_token

    assert pages_of(ask) == [["a", "b"], ["c"]]


Row = tuple[str, int, str]
_changes = st.lists(
    st.tuples(
        st.integers(0, 8),
        st.sampled_from(["IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED"]),
        st.integers(0, 2),
    ),
    max_size=12,
)


@settings(max_examples=40)
@given(_changes, st.integers(1, 10), st.sampled_from([None, "QUEUED", "SUCCEEDED"]))
def test_pages_of_executions_are_the_whole_list_in_its_order(
    changes: list[tuple[int, Any, int]], size: int, status: Any
) -> None:
    """spec: control-plane 3.9: last changed first, then by thing name; many changed at one instant"""
    database = memory_database()
    tx = Tx(database)
    tx.begin()
    call = a_call(tx)
    names = [f"t{n}" for n in range(9)]
    add_things(call, tx, *names)
    a_job(call, tx, "j1", [arn(call, name) for name in names], targetSelection="CONTINUOUS")
    job_key = tx.jobs.key(call.scope.id, "j1")
    assert job_key is not None
    for n, to, at in changes:
        thing = tx.things.find(call.scope.id, names[n])
        assert thing is not None
        execution = tx.executions.find(job_key, thing.key, thing.name, None)
        assert execution is not None
        changed = execution._replace(status=ExecutionStatus(to), last_updated_at=NOW + at)
        tx.executions.save([(execution, changed)])
        if to != "IN_PROGRESS":  # a later execution of the thing, so that a name is listed more than once
            tx.executions.queue(job_key, [(thing.key, thing.name)], NOW + at)

    def ask(token: str | None, limit: int = size) -> tuple[list[Row], str | None]:
        request = iot.ListJobExecutionsForJobRequest(
            job_id="j1", max_results=limit, next_token=token, status=status
        )
        answer = job_executions.list_job_executions_for_job(call, tx, request)
        return [_row(each) for each in answer.execution_summaries or ()], answer.next_token

    whole, none = ask(None, 250)
    pages = pages_of(ask)
    database.connection.close()
    assert none is None
    assert [row for page in pages for row in page] == whole
    assert all(len(page) == size for page in pages[:-1])
    assert whole == sorted(whole, key=lambda row: (-float(row[2]), row[0], -row[1]))
    assert len(set(whole)) == len(whole)


def _row(summary: iot.JobExecutionSummaryForJob) -> Row:
    execution = summary.job_execution_summary
    assert summary.thing_arn is not None
    assert execution is not None
    assert execution.execution_number is not None
    return summary.thing_arn, execution.execution_number, str(execution.last_updated_at)


# --- the rest -----------------------------------------------------------------------------------------


def test_update_touches_no_execution(call: Call, tx: Tx, device: MakeDevice) -> None:
    """spec: control-plane 3.3"""
    add_things(call, tx, "t1", "t2")
    a_job(
        call, tx, "j1", [arn(call, "t1"), arn(call, "t2")], timeoutConfig={"inProgressTimeoutInMinutes": 10}
    )
    device("t1").start_next()
    executions = "SELECT * FROM job_execution ORDER BY id"
    before = rows(tx, executions)
    request = iot.UpdateJobRequest(
        job_id="j1", timeout_config=iot.TimeoutConfig(in_progress_timeout_in_minutes=5), description="d"
    )
    jobs.update_job(later(call, 1), tx, request)
    assert rows(tx, executions) == before
    other = device("t2")
    other.now += 2 * MINUTE
    other.start_next()
    ends = "SELECT thing_name, in_progress_deadline_at FROM job_execution ORDER BY thing_name"
    assert rows(tx, ends) == [("t1", NOW + 10 * MINUTE), ("t2", NOW + 7 * MINUTE)]


def test_namesake_of_a_deleted_group_is_another_target(call: Call, tx: Tx) -> None:
    """spec: lifecycle 9: the job follows the group it was given"""
    for job in ("j1", "j2"):
        add_things(call, tx, "t1", group="g")
        a_job(call, tx, job, [group_arn(call, "g")], targetSelection="CONTINUOUS")
        thing_groups.delete_thing_group(call, tx, iot.DeleteThingGroupRequest(thing_group_name="g"))
    (first, second) = rows(tx, "SELECT arn, group_key FROM job_target ORDER BY job_key")
    assert first[0] == second[0]
    assert first[1] != second[1]


def test_jobs_of_two_scopes_are_two_jobs(call: Call, tx: Tx) -> None:
    """spec: wire 7"""
    elsewhere = a_call(tx, region="eu-west-1")
    for each in (call, elsewhere):
        add_things(each, tx, "t1")
        a_job(each, tx, "j1", [arn(each, "t1")])
    jobs.cancel_job(call, tx, iot.CancelJobRequest(job_id="j1"))
    assert (describe(call, tx, "j1").status, counted(call, tx, "j1")) == ("CANCELED", {"canceled": 1})
    assert describe(elsewhere, tx, "j1").status == "IN_PROGRESS"
    assert counted(elsewhere, tx, "j1") == {"queued": 1}
