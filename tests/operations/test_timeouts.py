"""Executions that take too long, and devices that report too late."""

from __future__ import annotations

from typing import Any

import pytest

from thingjobs.domain.errors import InvalidRequest, InvalidStateTransition, TerminalStateReached
from thingjobs.operations import background
from thingjobs.operations.device import Command, DeviceOperations, Request
from thingjobs.operations.device_documents import DeviceDocuments
from thingjobs.operations.timeouts import TIMED_OUT_AT_ONCE
from thingjobs.wire.shapes import iot, iot_jobs_data
from world import NOON, World, abort, names, retry


@pytest.fixture
def world() -> World:
    world = World()
    world.things("t1", "t2")
    return world


def timeout(minutes: int) -> dict[str, Any]:
    return {"inProgressTimeoutInMinutes": minutes}


def seconds_left(world: World) -> int | None:
    return world.execution("j1", "t1").approximate_seconds_before_timed_out


def test_step_timers_come_and_go_within_the_timer_of_the_job(world: World) -> None:
    """case 121"""
    world.job("j1", "t1", timeoutConfig=timeout(20))
    world.device("t1").start_next()
    shown = []
    for minutes, step in ((5, 7), (5, 5), (3, 9)):
        world.wind(minutes)
        world.report("j1", "IN_PROGRESS", "t1", step_timeout_in_minutes=step)
        shown.append(seconds_left(world))
    assert shown == [420, 300, 420]
    world.wind(7 - 1 / 60_000)
    assert world.executions("j1", "t1") == ["IN_PROGRESS"]
    world.wind(1 / 60_000)
    assert world.executions("j1", "t1") == ["TIMED_OUT"]
    execution = world.execution("j1", "t1")
    assert execution.last_updated_at == (NOON + 20 * 60_000) / 1000
    assert execution.version_number == 6
    assert world.status("j1") == "COMPLETED"
    assert world.counted("j1") == {"timed_out": 1}


def test_step_timer_that_is_discarded_never_fires(world: World) -> None:
    """case 122"""
    world.job("j1", "t1")
    world.device("t1").start_next(step_timeout_in_minutes=5)
    world.wind(2)
    world.report("j1", "IN_PROGRESS", "t1", step_timeout_in_minutes=-1)
    assert seconds_left(world) is None
    world.wind(20_000)
    assert world.executions("j1", "t1") == ["IN_PROGRESS"]


@pytest.mark.parametrize("minutes", [0, 10_081, -1])
def test_step_time_outs_out_of_range_are_refused(world: World, minutes: int) -> None:
    """case 123"""
    world.job("j1", "t1")
    with pytest.raises(InvalidRequest):
        world.device("t1").start_next(step_timeout_in_minutes=minutes)


def test_what_nobody_starts_waits_for_ever(world: World) -> None:
    """case 124"""
    world.job("j1", "t1", timeoutConfig=timeout(1))
    world.wind(365 * 24 * 60)
    assert world.executions("j1", "t1") == ["QUEUED"]


def test_report_that_comes_too_late_is_refused_before_the_sweep(world: World) -> None:
    """case 125"""
    world.job("j1", "t1", timeoutConfig=timeout(1))
    world.device("t1").start_next()
    world.skip(1)
    device = world.device("t1")
    with pytest.raises(InvalidStateTransition, match="already finished with status TIMED_OUT") as refused:
        device.update("j1", "SUCCEEDED")
    assert refused.value.state is not None
    assert (refused.value.state.status, refused.value.state.version_number) == ("TIMED_OUT", 3)
    assert world.executions("j1", "t1") == ["TIMED_OUT"]
    assert world.status("j1") == "COMPLETED"


def test_start_next_passes_over_what_is_overdue(world: World) -> None:
    """spec: lifecycle 4"""
    world.job("j1", "t1", timeoutConfig=timeout(1))
    world.skip(1 / 60)
    world.job("j2", "t1")
    world.device("t1").start_next()
    world.skip(1)
    started = world.device("t1").start_next()
    assert started is not None
    assert started.job_id == "j2"
    assert world.executions("j1", "t1") == ["TIMED_OUT"]


def test_start_next_gives_the_retry_of_what_is_overdue(world: World) -> None:
    """spec: lifecycle 4, 5"""
    world.job("j1", "t1", timeoutConfig=timeout(1), jobExecutionsRetryConfig=retry(TIMED_OUT=1))
    world.device("t1").start_next()
    world.skip(1)
    started = world.device("t1").start_next()
    assert started is not None
    assert (started.execution_number, started.version_number) == (2, 2)
    assert world.executions("j1", "t1") == ["TIMED_OUT", "IN_PROGRESS"]
    assert world.execution("j1", "t1").approximate_seconds_before_timed_out == 60


def test_readers_see_what_is_overdue_as_timed_out(world: World) -> None:
    """spec: lifecycle 4"""
    world.job("j1", "t1", timeoutConfig=timeout(1))
    world.device("t1").start_next()
    world.skip(1)
    operations = DeviceOperations(DeviceDocuments())
    scope = world.call.scope.id

    def look_up(request: Request) -> object:
        return operations.look_up(world.tx, Command(scope, request), world.now)

    pending = look_up(iot_jobs_data.GetPendingJobExecutionsRequest(thing_name="t1"))
    assert pending == iot_jobs_data.GetPendingJobExecutionsResponse(in_progress_jobs=[], queued_jobs=[])
    with pytest.raises(TerminalStateReached):
        look_up(iot_jobs_data.DescribeJobExecutionRequest(thing_name="t1", job_id="j1"))
    assert world.executions("j1", "t1") == ["IN_PROGRESS"]


def test_operators_cannot_cancel_what_is_overdue(world: World) -> None:
    world.job("j1", "t1", timeoutConfig=timeout(1))
    world.device("t1").start_next()
    world.skip(1)
    with pytest.raises(InvalidStateTransition):
        world.cancel_execution("t1", "j1", force=True)


def test_time_out_changed_later_is_for_what_starts_later(world: World) -> None:
    """case 43"""
    world.job("j1", "t1", "t2", timeoutConfig=timeout(10))
    world.device("t1").start_next()
    world.wind(2)
    world.update("j1", timeout_config=iot.TimeoutConfig(in_progress_timeout_in_minutes=5))
    world.wind(1)
    world.device("t2").start_next()
    world.wind(5)
    assert (world.executions("j1", "t1"), world.executions("j1", "t2")) == (["IN_PROGRESS"], ["TIMED_OUT"])
    world.wind(2)
    assert world.executions("j1", "t1") == ["TIMED_OUT"]
    dates = [world.execution("j1", thing).last_updated_at for thing in ("t1", "t2")]
    assert dates == [(NOON + minutes * 60_000) / 1000 for minutes in (10, 8)]


def test_time_out_added_later_does_not_reach_what_runs(world: World) -> None:
    """spec: lifecycle 4"""
    world.job("j1", "t1")
    world.device("t1").start_next()
    world.update("j1", timeout_config=iot.TimeoutConfig(in_progress_timeout_in_minutes=5))
    world.wind(100)
    assert world.executions("j1", "t1") == ["IN_PROGRESS"]


def test_device_is_told_once_that_its_time_is_up(world: World) -> None:
    """spec: device-plane 6.2"""
    world.job("j1", "t1", timeoutConfig=timeout(1), jobExecutionsRetryConfig=retry(TIMED_OUT=1))
    world.device("t1").start_next()
    world.listen("t1")
    world.wind(1)
    assert world.told("t1") == [(["j1"], "j1")]
    world.device("t1").start_next()
    world.wind(1)
    assert world.told("t1") == [([], "")]


def test_very_many_are_timed_out_in_pieces(world: World) -> None:
    """Also at the end of their job, which waits for them."""
    count = TIMED_OUT_AT_ONCE + 7
    things = names("m", count)
    world.things(*things, group="g1")
    world.job(
        "j1",
        "g1",
        timeoutConfig=timeout(60),
        schedulingConfig={"endTime": world.at(61), "endBehavior": "FORCE_CANCEL"},
    )
    world.wind(1)
    for thing in things:
        world.device(thing).start_next()
    world.skip(60)
    first = background.due(world.tx, world.now)
    first[0](world.tx, world.now)
    assert world.counted("j1") == {"timed_out": TIMED_OUT_AT_ONCE, "in_progress": 7}
    for piece in first[1:]:
        piece(world.tx, world.now)
    assert world.counted("j1") == {"timed_out": count}
    assert world.status("j1") == "COMPLETED"


def test_time_out_may_abort_its_job(world: World) -> None:
    """case 143"""
    world.job("j1", "t1", "t2", timeoutConfig=timeout(1), abortConfig=abort(("TIMED_OUT", 100, 1)))
    world.device("t1").start_next()
    world.wind(1)
    assert world.status("j1") == "CANCELED"
    assert world.executions("j1", "t2") == ["CANCELED"]
