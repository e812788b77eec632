"""Another attempt after one that failed or timed out."""

from __future__ import annotations

import pytest

from thingjobs.domain.errors import ServiceError
from thingjobs.operations import job_executions
from thingjobs.operations.device import Command, DeviceOperations, Request
from thingjobs.operations.device_documents import DeviceDocuments
from thingjobs.wire.shapes import iot, iot_jobs_data
from world import World, retry


@pytest.fixture
def world() -> World:
    world = World()
    world.things("t1", "t2")
    return world


def fail(world: World, thing: str = "t1", status: str = "FAILED") -> None:
    """End the attempt at hand in one way or the other."""
    if status == "TIMED_OUT":
        world.device(thing).start_next(step_timeout_in_minutes=1)
        world.wind(1)
    else:
        world.report("j1", status, thing)


def test_failed_attempt_is_followed_by_another(world: World) -> None:
    """case 126"""
    world.job("j1", "t1", jobExecutionsRetryConfig=retry(FAILED=1))
    world.listen("t1")
    world.report("j1", "FAILED", "t1", status_details={"why": "disk"})
    assert world.executions("j1", "t1") == ["FAILED", "QUEUED"]
    again = world.execution("j1", "t1")
    assert (again.execution_number, again.version_number, again.started_at) == (2, 1, None)
    assert again.status_details is not None
    assert again.status_details.details_map is None
    assert again.queued_at == world.now / 1000
    assert world.status("j1") == "IN_PROGRESS"
    assert world.told("t1") == [(["j1"], "j1")]


def test_last_attempt_completes_the_job(world: World) -> None:
    """case 127"""
    world.job("j1", "t1", jobExecutionsRetryConfig=retry(FAILED=1))
    fail(world)
    fail(world)
    assert world.status("j1") == "COMPLETED"
    assert world.counted("j1") == {"failed": 2}


def test_rejected_is_not_tried_again(world: World) -> None:
    """case 128"""
    world.job("j1", "t1", jobExecutionsRetryConfig=retry(FAILED=3))
    fail(world, status="REJECTED")
    assert world.executions("j1", "t1") == ["REJECTED"]
    assert world.status("j1") == "COMPLETED"


def test_failed_and_timed_out_have_budgets_of_their_own(world: World) -> None:
    """case 129"""
    world.job("j1", "t1", jobExecutionsRetryConfig=retry(FAILED=2, TIMED_OUT=1))
    for status in ("FAILED", "TIMED_OUT", "FAILED"):
        fail(world, status=status)
        assert world.status("j1") == "IN_PROGRESS"
    fail(world, status="TIMED_OUT")
    assert world.executions("j1", "t1") == ["FAILED", "TIMED_OUT", "FAILED", "TIMED_OUT"]
    assert world.status("j1") == "COMPLETED"


def test_one_budget_for_all(world: World) -> None:
    """spec: lifecycle 5"""
    world.job("j1", "t1", jobExecutionsRetryConfig=retry(ALL=1))
    fail(world)
    fail(world, status="TIMED_OUT")
    assert world.executions("j1", "t1") == ["FAILED", "TIMED_OUT"]
    assert world.status("j1") == "COMPLETED"


def test_canceled_job_is_not_tried_again(world: World) -> None:
    """case 130"""
    world.job("j1", "t1", jobExecutionsRetryConfig=retry(FAILED=5))
    world.device("t1").start_next()
    world.cancel("j1")
    world.report("j1", "FAILED", "t1")
    assert world.executions("j1", "t1") == ["FAILED"]
    assert world.status("j1") == "CANCELED"


def test_counters_count_attempts(world: World) -> None:
    """case 131"""
    world.job("j1", "t1", jobExecutionsRetryConfig=retry(FAILED=5))
    for status in ("FAILED", "FAILED", "SUCCEEDED"):
        fail(world, status=status)
    assert world.counted("j1") == {"failed": 2, "succeeded": 1}
    assert world.status("j1") == "COMPLETED"


def test_who_leaves_and_rejoins_begins_a_new_chain(world: World) -> None:
    """case 132"""
    world.things(group="g1")
    world.join("t1", "g1")
    world.continuous("j1", "g1", jobExecutionsRetryConfig=retry(FAILED=5))
    for _ in range(3):
        fail(world)
    world.leave("t1", "g1")
    assert world.executions("j1", "t1")[-1] == "REMOVED"
    world.join("t1", "g1")
    for _ in range(5):
        fail(world)
    assert world.executions("j1", "t1")[-1] == "QUEUED"
    fail(world)
    assert world.executions("j1", "t1") == ["FAILED"] * 3 + ["REMOVED"] + ["FAILED"] * 6


def test_chain_goes_on_for_who_rejoins_while_it_runs(world: World) -> None:
    """spec: ruling 8"""
    world.things(group="g1")
    world.join("t1", "g1")
    world.continuous("j1", "g1", jobExecutionsRetryConfig=retry(FAILED=1))
    fail(world)
    world.device("t1").start_next()
    world.leave("t1", "g1")
    world.join("t1", "g1")
    fail(world)
    assert world.executions("j1", "t1") == ["FAILED", "FAILED"]


def test_who_left_is_not_tried_again(world: World) -> None:
    """spec: lifecycle 5 R5"""
    world.things(group="g1")
    world.join("t1", "g1")
    world.continuous("j1", "g1", jobExecutionsRetryConfig=retry(FAILED=5))
    world.device("t1").start_next()
    world.leave("t1", "g1")
    fail(world)
    assert world.executions("j1", "t1") == ["FAILED"]


def test_retries_set_to_zero_stop_at_once(world: World) -> None:
    """case 45"""
    world.job("j1", "t1", jobExecutionsRetryConfig=retry(FAILED=3))
    zero = iot.JobExecutionsRetryConfig(
        criteria_list=[iot.RetryCriteria(failure_type="FAILED", number_of_retries=0)]
    )
    world.update("j1", job_executions_retry_config=zero)
    fail(world)
    assert world.executions("j1", "t1") == ["FAILED"]
    assert world.status("j1") == "COMPLETED"


def test_list_shows_which_attempt_it_was(world: World) -> None:
    """case 79"""
    world.job("j1", "t1", jobExecutionsRetryConfig=retry(FAILED=2))
    fail(world)
    answer = job_executions.list_job_executions_for_job(
        world.call, world.tx, iot.ListJobExecutionsForJobRequest(job_id="j1")
    )
    summaries = [each.job_execution_summary for each in answer.execution_summaries or ()]
    attempts = {each.execution_number: each.retry_attempt for each in summaries if each is not None}
    assert attempts == {1: 0, 2: 1}


# --- in one batch -----------------------------------------------------------------------------------


def together(world: World, *requests: Request) -> list[object]:
    operations = DeviceOperations(DeviceDocuments())
    commands = [Command(world.call.scope.id, request) for request in requests]
    return list(operations.apply(world.tx, commands, world.now))


def update(status: str, number: int | None = None) -> iot_jobs_data.UpdateJobExecutionRequest:
    return iot_jobs_data.UpdateJobExecutionRequest(
        thing_name="t1",
        job_id="j1",
        status=status,  # type: ignore[arg-type]  # any of them
        execution_number=number,
        include_job_execution_state=True,
    )


START = iot_jobs_data.StartNextPendingJobExecutionRequest(thing_name="t1")


def test_requests_of_one_batch_meet_the_attempt_that_follows(world: World) -> None:
    """As if each had been a batch of its own."""
    world.job("j1", "t1", jobExecutionsRetryConfig=retry(FAILED=2))
    answers = together(world, update("FAILED"), START, update("FAILED"), update("SUCCEEDED", 1), START)
    started = answers[1]
    assert isinstance(started, iot_jobs_data.StartNextPendingJobExecutionResponse)
    assert started.execution is not None
    assert (started.execution.execution_number, started.execution.version_number) == (2, 2)
    assert isinstance(answers[3], ServiceError)
    assert world.executions("j1", "t1") == ["FAILED", "FAILED", "IN_PROGRESS"]
    assert world.counted("j1") == {"failed": 2, "in_progress": 1}
    assert [world.execution("j1", "t1", n).version_number for n in (1, 2, 3)] == [2, 3, 2]


def test_attempt_can_be_named_by_its_number_in_the_batch_that_made_it(world: World) -> None:
    world.job("j1", "t1", jobExecutionsRetryConfig=retry(FAILED=1))
    together(world, update("FAILED", 1), update("SUCCEEDED", 2))
    assert world.executions("j1", "t1") == ["FAILED", "SUCCEEDED"]
    assert world.status("j1") == "COMPLETED"


def test_attempts_of_one_batch_are_stored_as_those_of_many(world: World) -> None:
    world.job("j1", "t1", jobExecutionsRetryConfig=retry(FAILED=2))
    together(world, update("FAILED"), update("FAILED"), update("FAILED"), update("FAILED"))
    assert world.executions("j1", "t1") == ["FAILED", "FAILED", "FAILED"]
    assert world.status("j1") == "COMPLETED"
    assert world.counted("j1") == {"failed": 3}
