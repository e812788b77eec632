"""Cancels and deletes too large for one transaction: devices see them done at once, rows follow in pieces."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from factories import NOW, Device, a_job, add_things, arn, counted, describe, group_arn, rows
from thingjobs.domain.errors import (
    InvalidRequest,
    InvalidStateTransition,
    JobNotFound,
    ResourceAlreadyExists,
    ResourceNotFound,
    TerminalStateReached,
)
from thingjobs.domain.job import SWEPT_AT_ONCE
from thingjobs.domain.model import ExecutionStatus, JobKey, ThingKey
from thingjobs.operations import background, job_executions, jobs
from thingjobs.operations.call import Call
from thingjobs.store.tx import Tx
from thingjobs.wire.shapes import iot

MakeDevice = Callable[[str], Device]
MANY = SWEPT_AT_ONCE + 1


def a_large_job(call: Call, tx: Tx, open_executions: int) -> JobKey:
    """Job ``j1`` on the things t1 and t2, and on a crowd of others that have no device here."""
    add_things(call, tx, "t1", "t2", group="g")
    a_job(call, tx, "j1", [group_arn(call, "g")])
    job_key = tx.jobs.key(call.scope.id, "j1")
    assert job_key is not None
    crowd = [(ThingKey(1000 + n), f"crowd-{n:05}") for n in range(open_executions - 2)]
    tx.executions.queue(job_key, crowd, NOW)
    tx.jobs.add_to_counters({job_key: {ExecutionStatus.QUEUED: len(crowd)}})
    return job_key


def cancel(call: Call, tx: Tx, *, force: bool = False) -> None:
    jobs.cancel_job(call, tx, iot.CancelJobRequest(job_id="j1", force=force))


def delete(call: Call, tx: Tx) -> None:
    jobs.delete_job(call, tx, iot.DeleteJobRequest(job_id="j1", force=True))


def pieces_until_done(tx: Tx) -> list[int]:
    """Sweep as the engine does; how many rows of the job changed with each piece."""
    changed = []
    while pieces := background.due(tx, NOW):
        for piece in pieces:
            before = tx._connection.total_changes
            piece(tx, NOW)
            changed.append(tx._connection.total_changes - before)
    return changed


def by_status(tx: Tx) -> dict[str, int]:
    return dict(rows(tx, "SELECT lower(status), count(*) FROM job_execution GROUP BY status"))


def execution(call: Call, tx: Tx, thing: str) -> tuple[Any, ...]:
    request = iot.DescribeJobExecutionRequest(job_id="j1", thing_name=thing)
    shown = job_executions.describe_job_execution(call, tx, request).execution
    assert shown is not None
    return shown.status, shown.version_number, shown.force_canceled


# --- small enough -----------------------------------------------------------------------------------


@pytest.mark.parametrize("force", [False, True])
def test_cancel_of_five_thousand_is_done_before_the_answer(call: Call, tx: Tx, force: bool) -> None:
    """spec: ruling 2"""
    a_large_job(call, tx, SWEPT_AT_ONCE)
    cancel(call, tx, force=force)
    assert by_status(tx) == counted(call, tx, "j1") == {"canceled": SWEPT_AT_ONCE}
    assert describe(call, tx, "j1").is_concurrent is False
    assert background.due(tx, NOW) == []


def test_delete_of_five_thousand_is_done_before_the_answer(call: Call, tx: Tx) -> None:
    """spec: ruling 20"""
    a_large_job(call, tx, SWEPT_AT_ONCE)
    delete(call, tx)
    assert by_status(tx) == {}
    with pytest.raises(JobNotFound):
        describe(call, tx, "j1")


# --- cancel in pieces ---------------------------------------------------------------------------------


def test_large_cancel_counts_at_once_for_devices(call: Call, tx: Tx, device: MakeDevice) -> None:
    """spec: ruling 2"""
    a_large_job(call, tx, MANY + 1)
    device("t2").start_next()
    cancel(call, tx)
    shown = describe(call, tx, "j1")
    assert (shown.status, shown.is_concurrent) == ("CANCELED", True)
    assert (device("t1").pending(), device("t1").start_next()) == (([], []), None)
    with pytest.raises(TerminalStateReached):
        device("t1").describe("j1")
    with pytest.raises(InvalidStateTransition, match="has already finished with status CANCELED") as refused:
        device("t1").update("j1", "SUCCEEDED", expected_version=2)
    assert refused.value.state is not None
    assert (refused.value.state.status, refused.value.state.version_number) == ("CANCELED", 2)
    # What is IN_PROGRESS goes on.
    assert device("t2").pending() == (["j1"], [])
    device("t2").update("j1", "SUCCEEDED")
    with pytest.raises(InvalidRequest):
        cancel(call, tx)


def test_large_cancel_ends_in_pieces_with_exact_counters(call: Call, tx: Tx, device: MakeDevice) -> None:
    """spec: ruling 2"""
    a_large_job(call, tx, MANY + 1)
    device("t2").start_next()
    cancel(call, tx)
    assert counted(call, tx, "j1") == {"queued": MANY, "in_progress": 1}
    changed = pieces_until_done(tx)
    assert len(changed) >= MANY // background.SWEEP_SIZE
    assert max(changed) <= background.SWEEP_SIZE + 10
    assert by_status(tx) == counted(call, tx, "j1") == {"canceled": MANY, "in_progress": 1}
    shown = describe(call, tx, "j1")
    assert (shown.status, shown.is_concurrent) == ("CANCELED", False)
    assert execution(call, tx, "t1") == ("CANCELED", 2, False)
    assert execution(call, tx, "t2") == ("IN_PROGRESS", 2, False)
    device("t2").update("j1", "FAILED")
    assert describe(call, tx, "j1").status == "CANCELED"


def test_large_forced_cancel_takes_what_runs_from_its_device_at_once(
    call: Call, tx: Tx, device: MakeDevice
) -> None:
    """spec: ruling 2; case 53"""
    a_large_job(call, tx, MANY)
    one = device("t2")
    one.start_next()
    cancel(call, tx, force=True)
    assert (one.pending(), one.start_next(), one.describe("$next")) == (([], []), None, None)
    with pytest.raises(TerminalStateReached):
        one.describe("j1")
    with pytest.raises(InvalidStateTransition, match="status CANCELED") as refused:
        one.update("j1", "SUCCEEDED")
    assert refused.value.state is not None
    assert refused.value.state.version_number == 3
    pieces_until_done(tx)
    assert by_status(tx) == counted(call, tx, "j1") == {"canceled": MANY}
    assert execution(call, tx, "t1") == ("CANCELED", 2, True)
    assert execution(call, tx, "t2") == ("CANCELED", 3, True)


def test_operators_may_act_on_executions_that_the_sweep_has_not_reached(
    call: Call, tx: Tx, device: MakeDevice
) -> None:
    a_large_job(call, tx, MANY + 1)
    device("t2").start_next()
    cancel(call, tx)
    request = iot.CancelJobExecutionRequest(job_id="j1", thing_name="t1")
    job_executions.cancel_job_execution(call, tx, request)
    job_executions.delete_job_execution(
        call, tx, iot.DeleteJobExecutionRequest(job_id="j1", thing_name="t2", execution_number=1, force=True)
    )
    pieces_until_done(tx)
    assert by_status(tx) == counted(call, tx, "j1") == {"canceled": MANY}
    assert execution(call, tx, "t1") == ("CANCELED", 2, False)


def test_large_cancel_stops_the_rollout(call: Call, tx: Tx) -> None:
    """spec: lifecycle 6.4"""
    a_large_job(call, tx, MANY)
    assert rows(tx, "SELECT count(*) FROM rollout") == [(0,)]
    add_things(call, tx, "a1", "a2", group="h")
    a_job(
        call,
        tx,
        "j2",
        [arn(call, "t1"), group_arn(call, "h")],
        jobExecutionsRolloutConfig={"maximumPerMinute": 1},
    )
    jobs.cancel_job(call, tx, iot.CancelJobRequest(job_id="j2"))
    assert tx.rollouts.next_tick_at(NOW) is None


# --- delete in pieces -----------------------------------------------------------------------------------


def test_large_delete_is_seen_by_operators_and_over_for_devices(
    call: Call, tx: Tx, device: MakeDevice
) -> None:
    """case 5; spec: lifecycle 13"""
    a_large_job(call, tx, MANY)
    device("t2").start_next()
    delete(call, tx)
    shown = describe(call, tx, "j1")
    assert (shown.status, shown.is_concurrent) == ("DELETION_IN_PROGRESS", False)
    for thing in ("t1", "t2"):
        assert (device(thing).pending(), device(thing).start_next()) == (([], []), None)
        with pytest.raises(ResourceNotFound):
            device(thing).describe("j1")
        with pytest.raises(ResourceNotFound):
            device(thing).update("j1", "SUCCEEDED")
    with pytest.raises(ResourceAlreadyExists):
        a_job(call, tx, "j1", [arn(call, "t1")])
    with pytest.raises(InvalidStateTransition):
        delete(call, tx)
    with pytest.raises(InvalidRequest):
        cancel(call, tx)
    with pytest.raises(InvalidRequest):
        jobs.update_job(call, tx, iot.UpdateJobRequest(job_id="j1", description="d"))
    changed = pieces_until_done(tx)
    assert max(changed) <= background.SWEEP_SIZE + 10
    assert by_status(tx) == {}
    a_job(call, tx, "j1", [arn(call, "t1")])
    assert counted(call, tx, "j1") == {"queued": 1}


def test_delete_overtakes_a_cancel_that_is_under_way(call: Call, tx: Tx) -> None:
    a_large_job(call, tx, MANY)
    cancel(call, tx)
    for piece in background.due(tx, NOW):
        piece(tx, NOW)
    assert 0 < by_status(tx)["canceled"] < MANY
    delete(call, tx)
    pieces_until_done(tx)
    assert by_status(tx) == {}
    with pytest.raises(JobNotFound):
        describe(call, tx, "j1")


def test_piece_of_a_sweep_that_is_over_does_nothing(call: Call, tx: Tx) -> None:
    key = a_large_job(call, tx, 10)
    cancel(call, tx)
    piece = background.SweepSome(key)
    piece(tx, NOW)
    assert by_status(tx) == counted(call, tx, "j1") == {"canceled": 10}
