"""Jobs that the service cancels because too much failed."""

from __future__ import annotations

import pytest

from thingjobs.operations.device import Command, DeviceOperations
from thingjobs.operations.device_documents import DeviceDocuments
from thingjobs.wire.shapes import iot_jobs_data
from world import World, abort, retry


def a_world(things: int) -> World:
    world = World()
    world.things(*(f"t{n}" for n in range(1, things + 1)), group="g1")
    return world


def comment(percentage: str, kind: str, executed: int, failed: int) -> str:
    return (
        f"Abort criteria for failure type {kind} with threshold {percentage}% met. "
        f"Total completed executions: {executed}, total {kind} executions: {failed}"
    )


def test_job_is_canceled_when_exactly_the_share_has_failed() -> None:
    """case 139"""
    world = a_world(8)
    world.job("j1", "g1", abortConfig=abort(("FAILED", 20, 5)))
    world.device("t6").start_next()
    world.report("j1", "SUCCEEDED", "t1", "t2", "t3", "t4")
    assert world.status("j1") == "IN_PROGRESS"
    world.report("j1", "FAILED", "t5")
    job = world.shown("j1")
    assert (job.status, job.force_canceled, job.reason_code) == ("CANCELED", False, "ABORT_CANCEL")
    assert job.comment == comment("20.00", "FAILED", 5, 1)
    assert job.completed_at is None
    assert world.counted("j1") == {"succeeded": 4, "failed": 1, "canceled": 2, "in_progress": 1}
    canceled = world.execution("j1", "t7")
    assert (canceled.status, canceled.version_number, canceled.force_canceled) == ("CANCELED", 2, False)
    world.report("j1", "FAILED", "t6")
    after = world.shown("j1")
    assert (after.status, after.comment) == ("CANCELED", job.comment)


@pytest.mark.parametrize(
    ("things", "criterion", "succeed", "shown"),
    [
        pytest.param(8, ("FAILED", 20.01, 5), 4, None, id="case 140"),
        pytest.param(4, ("FAILED", 33.33, 3), 2, "33.33", id="case 141"),
        pytest.param(4, ("FAILED", 33.34, 3), 2, None, id="case 142"),
    ],
)
def test_share_is_compared_exactly(
    things: int, criterion: tuple[str, float, int], succeed: int, shown: str | None
) -> None:
    world = a_world(things)
    world.job("j1", "g1", abortConfig=abort(criterion))
    world.report("j1", "SUCCEEDED", *(f"t{n}" for n in range(1, succeed + 1)))
    world.report("j1", "FAILED", f"t{succeed + 1}")
    if shown is None:
        assert world.status("j1") == "IN_PROGRESS"
    else:
        assert world.shown("j1").comment == comment(shown, "FAILED", succeed + 1, 1)


def test_all_failures_together() -> None:
    """case 143"""
    world = a_world(6)
    world.job("j1", "g1", abortConfig=abort(("ALL", 40, 5)), timeoutConfig={"inProgressTimeoutInMinutes": 1})
    world.report("j1", "SUCCEEDED", "t1", "t2", "t3")
    world.device("t4").start_next()
    world.wind(1)
    assert world.status("j1") == "IN_PROGRESS"
    world.report("j1", "REJECTED", "t5")
    assert world.shown("j1").comment == comment("40.00", "ALL", 5, 2)


def test_canceled_execution_counts_as_finished() -> None:
    """case 144"""
    world = a_world(4)
    world.job("j1", "g1", abortConfig=abort(("FAILED", 40, 2)))
    world.report("j1", "FAILED", "t1")
    world.cancel_execution("t2", "j1")
    assert world.status("j1") == "CANCELED"
    assert world.counted("j1") == {"failed": 1, "canceled": 3}
    assert world.shown("j1").comment == comment("40.00", "FAILED", 2, 1)


def test_abort_comes_before_the_retry() -> None:
    """case 145"""
    world = a_world(2)
    world.job("j1", "g1", abortConfig=abort(("FAILED", 50, 1)), jobExecutionsRetryConfig=retry(FAILED=5))
    world.report("j1", "FAILED", "t1")
    assert world.status("j1") == "CANCELED"
    assert world.executions("j1", "t1") == ["FAILED"]


def test_first_criterion_that_is_met_counts() -> None:
    """case 146"""
    world = a_world(4)
    world.job("j1", "g1", abortConfig=abort(("REJECTED", 50, 1), ("FAILED", 50, 1)))
    world.report("j1", "FAILED", "t1")
    assert world.shown("j1").comment == comment("50.00", "FAILED", 1, 1)
    world.job("j2", "g1", abortConfig=abort(("ALL", 50, 1), ("FAILED", 50, 1)))
    world.report("j2", "FAILED", "t1")
    assert world.shown("j2").comment == comment("50.00", "ALL", 1, 1)
    assert world.shown("j2").reason_code == "ABORT_CANCEL"


def test_report_that_finishes_the_job_completes_it() -> None:
    """case 190"""
    world = a_world(2)
    world.job("j1", "g1", abortConfig=abort(("FAILED", 50, 2)))
    world.report("j1", "FAILED", "t1", "t2")
    job = world.shown("j1")
    assert (job.status, job.reason_code) == ("COMPLETED", None)


def test_continuous_job_does_not_complete_and_is_aborted() -> None:
    """spec: ruling 25"""
    world = a_world(2)
    world.continuous("j1", "g1", abortConfig=abort(("FAILED", 50, 2)))
    world.report("j1", "FAILED", "t1", "t2")
    assert world.status("j1") == "CANCELED"


def test_removed_counts_as_finished_but_is_no_occasion() -> None:
    """case 191"""
    world = a_world(3)
    world.continuous("j1", "g1", abortConfig=abort(("FAILED", 40, 2)))
    world.leave("t1", "g1")
    assert world.status("j1") == "IN_PROGRESS"
    world.report("j1", "FAILED", "t2")
    assert world.status("j1") == "CANCELED"
    assert world.counted("j1") == {"removed": 1, "failed": 1, "canceled": 1}


def test_deletion_is_an_occasion_and_what_is_deleted_does_not_count() -> None:
    """case 192"""
    world = a_world(4)
    world.job("j1", "g1", abortConfig=abort(("FAILED", 40, 2)))
    world.report("j1", "SUCCEEDED", "t1", "t2")
    world.report("j1", "FAILED", "t3")
    assert world.status("j1") == "IN_PROGRESS"
    world.delete_execution("t1", "j1")
    assert world.status("j1") == "CANCELED"
    assert world.shown("j1").comment == comment("40.00", "FAILED", 2, 1)


def test_rest_of_a_batch_finds_the_job_canceled() -> None:
    """spec: ruling 2"""
    world = a_world(4)
    world.job("j1", "g1", abortConfig=abort(("FAILED", 1, 1)))
    world.device("t2").start_next()
    update = iot_jobs_data.UpdateJobExecutionRequest
    commands = [
        Command(world.call.scope.id, request)
        for request in (
            update(thing_name="t1", job_id="j1", status="FAILED"),
            update(thing_name="t2", job_id="j1", status="SUCCEEDED"),
            update(thing_name="t3", job_id="j1", status="SUCCEEDED"),
            iot_jobs_data.StartNextPendingJobExecutionRequest(thing_name="t4"),
        )
    ]
    answers = DeviceOperations(DeviceDocuments()).apply(world.tx, commands, world.now)
    assert [isinstance(answer, Exception) for answer in answers] == [False, False, True, False]
    assert answers[3] == iot_jobs_data.StartNextPendingJobExecutionResponse()
    assert world.counted("j1") == {"failed": 1, "succeeded": 1, "canceled": 2}


def test_abort_stops_the_rollout_and_is_told() -> None:
    """case 139; spec: lifecycle 6.4"""
    world = a_world(5)
    world.job(
        "j1", "g1", abortConfig=abort(("FAILED", 1, 1)), jobExecutionsRolloutConfig={"maximumPerMinute": 2}
    )
    world.listen("t2")
    world.report("j1", "FAILED", "t1")
    assert world.told("t2") == [([], "")]
    world.wind(10)
    assert world.counted("j1") == {"failed": 1, "canceled": 1}
    assert world.shown("j1").is_concurrent is False
