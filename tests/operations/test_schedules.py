"""Jobs that start, end, open and close by the clock."""

from __future__ import annotations

from typing import Any

import pytest

from thingjobs.domain.errors import InvalidRequest
from thingjobs.operations import jobs, schedules, things
from thingjobs.wire.shapes import iot
from world import World, abort, retry

HOUR = 60
DAY = 24 * HOUR


@pytest.fixture
def world() -> World:
    world = World()
    world.things("t1", "t2", group="g1")
    return world


def windowed(world: World, *, start: int = 40, minutes: int = 30, **members: Any) -> dict[str, Any]:
    """A window at 14:00 each day, the first one two hours from noon, after the start."""
    window = {"startTime": "cron(0 14 * * ? *)", "durationInMinutes": minutes}
    return {"startTime": world.at(start), "maintenanceWindows": [window], **members}


def test_job_waits_for_its_start(world: World) -> None:
    """case 158"""
    world.job("j1", "g1", schedulingConfig={"startTime": world.at(40)})
    world.listen("t1")
    assert world.status("j1") == "SCHEDULED"
    assert world.counted("j1") == {}
    assert world.shown("j1").is_concurrent is False
    world.wind(40 - 1 / 60)
    assert world.told("t1") == []
    assert world.status("j1") == "SCHEDULED"
    world.wind(1 / 60)
    assert world.status("j1") == "IN_PROGRESS"
    assert world.counted("j1") == {"queued": 2}
    assert world.told("t1") == [(["j1"], "j1")]
    assert world.shown("j1").last_updated_at == world.now / 1000


def test_members_count_as_they_are_at_the_start(world: World) -> None:
    """spec: lifecycle 14, 8"""
    world.job("j1", "g1", schedulingConfig={"startTime": world.at(40)})
    world.leave("t1", "g1")
    world.things("t3", group="g1")
    world.wind(40)
    assert world.executions("j1", "t1") == []
    assert world.executions("j1", "t3") == ["QUEUED"]


def test_scheduled_job_can_be_canceled(world: World) -> None:
    world.job("j1", "g1", schedulingConfig={"startTime": world.at(40)})
    world.cancel("j1")
    world.wind(DAY)
    assert world.status("j1") == "CANCELED"
    assert world.counted("j1") == {}


def test_start_that_nobody_saw_is_caught_up_with(world: World) -> None:
    world.job("j1", "g1", schedulingConfig={"startTime": world.at(40)})
    world.skip(5 * HOUR)
    world.work_off()
    assert world.counted("j1") == {"queued": 2}


def test_looking_twice_changes_nothing(world: World) -> None:
    world.job("j1", "g1", schedulingConfig={"startTime": world.at(40)})
    world.wind(40)
    key = world.tx.jobs.key(world.call.scope.id, "j1")
    assert key is not None
    before = world.tx.jobs.get(key)
    schedules.step(world.tx, key, spread=False, now=world.now)
    schedules.step(world.tx, 12345, spread=False, now=world.now)  # type: ignore[arg-type]  # no such job
    assert world.tx.jobs.get(key) == before
    assert world.counted("j1") == {"queued": 2}


# --- the end ------------------------------------------------------------------------------------------


def test_continuous_job_is_complete_after_its_end(world: World) -> None:
    """case 156, case 157"""
    world.continuous("j1", "g1", schedulingConfig={"endTime": world.at(60)})
    world.report("j1", "SUCCEEDED", "t1", "t2")
    world.wind(60 - 1 / 60)
    assert world.status("j1") == "IN_PROGRESS"
    world.wind(1 / 60)
    job = world.shown("j1")
    assert (job.status, job.completed_at) == ("COMPLETED", world.now / 1000)


def test_job_that_is_already_complete_does_not_end_again(world: World) -> None:
    world.job("j1", "g1", schedulingConfig={"endTime": world.at(60)})
    world.report("j1", "SUCCEEDED", "t1", "t2")
    completed_at = world.shown("j1").completed_at
    world.wind(61)
    assert world.shown("j1").completed_at == completed_at


def test_end_cancels_what_is_queued(world: World) -> None:
    """case 159"""
    config = {"endTime": world.at(60), "endBehavior": "CANCEL"}
    world.job("j1", "g1", schedulingConfig=config)
    world.device("t1").start_next()
    world.listen("t2")
    world.wind(60)
    assert (world.executions("j1", "t1"), world.executions("j1", "t2")) == (["IN_PROGRESS"], ["CANCELED"])
    assert world.told("t2") == [([], "")]
    assert world.status("j1") == "IN_PROGRESS"
    assert world.shown("j1").is_concurrent is False
    world.report("j1", "SUCCEEDED", "t1")
    job = world.shown("j1")
    assert (job.status, job.force_canceled) == ("COMPLETED", False)


def test_forced_end_cancels_everything(world: World) -> None:
    """case 160; spec: ruling 5"""
    config = {"endTime": world.at(60), "endBehavior": "FORCE_CANCEL"}
    world.job("j1", "g1", schedulingConfig=config)
    world.device("t1").start_next()
    world.wind(60)
    for thing, version in (("t1", 3), ("t2", 2)):
        execution = world.execution("j1", thing)
        assert (execution.status, execution.version_number) == ("CANCELED", version)
        assert execution.force_canceled is True
    job = world.shown("j1")
    assert (job.status, job.completed_at) == ("COMPLETED", world.now / 1000)


@pytest.mark.parametrize("behavior", [None, "STOP_ROLLOUT"])
def test_end_stops_the_rollout_and_leaves_what_is_pending(world: World, behavior: str | None) -> None:
    """case 161"""
    world.things(*(f"m{n}" for n in range(100)), group="g2")
    config: dict[str, Any] = {"endTime": world.at(31)}
    if behavior is not None:
        config["endBehavior"] = behavior
    world.job("j1", "g2", schedulingConfig=config, jobExecutionsRolloutConfig={"maximumPerMinute": 1})
    world.wind(60)
    assert world.counted("j1") == {"queued": 31}
    assert world.shown("j1").is_concurrent is False
    assert world.pending("m0") == ["j1"]
    world.report("j1", "SUCCEEDED", *sorted(f"m{n}" for n in range(100))[:30])
    assert world.status("j1") == "IN_PROGRESS"
    world.report("j1", "SUCCEEDED", sorted(f"m{n}" for n in range(100))[30])
    assert world.status("j1") == "COMPLETED"


@pytest.mark.parametrize("behavior", ["STOP_ROLLOUT", "CANCEL", "FORCE_CANCEL"])
def test_time_out_at_the_end_comes_first_and_is_not_tried_again(world: World, behavior: str) -> None:
    """spec: ruling 7"""
    world.job(
        "j1",
        "t1",
        schedulingConfig={"endTime": world.at(60), "endBehavior": behavior},
        timeoutConfig={"inProgressTimeoutInMinutes": 60},
        jobExecutionsRetryConfig=retry(ALL=5),
    )
    world.device("t1").start_next()
    world.wind(60)
    assert world.executions("j1", "t1") == ["TIMED_OUT"]
    assert world.status("j1") == "COMPLETED"


def test_nothing_is_tried_again_after_the_end(world: World) -> None:
    """spec: lifecycle 8"""
    config = {"endTime": world.at(60)}
    world.job("j1", "t1", schedulingConfig=config, jobExecutionsRetryConfig=retry(FAILED=5))
    world.wind(60)
    world.report("j1", "FAILED", "t1")
    assert world.executions("j1", "t1") == ["FAILED"]
    assert world.status("j1") == "COMPLETED"


def test_join_and_leave_mean_nothing_after_the_end(world: World) -> None:
    """spec: ruling 11"""
    world.continuous("j1", "g1", schedulingConfig={"endTime": world.at(60)})
    world.wind(60)
    world.things("t3", group="g1")
    world.leave("t1", "g1")
    assert world.executions("j1", "t3") == []
    assert world.executions("j1", "t1") == ["QUEUED"]


def test_cancel_after_a_forced_end_that_is_not_through_stays_forced(world: World) -> None:
    """White-box: the sweep of a large job is held back."""
    things = [f"m{n:05}" for n in range(5_001)]
    world.things(*things, group="g2")
    config = {"endTime": world.at(60), "endBehavior": "FORCE_CANCEL"}
    world.job("j1", "g2", schedulingConfig=config)
    world.wind(10)
    world.device(things[0]).start_next()
    world.skip(50)
    key = world.tx.jobs.key(world.call.scope.id, "j1")
    assert key is not None
    schedules.step(world.tx, key, spread=False, now=world.now)
    assert world.counted("j1") == {"queued": 5_000, "in_progress": 1}
    assert (world.status("j1"), world.pending(things[0]), world.pending(things[9])) == ("IN_PROGRESS", [], [])
    world.cancel("j1")
    world.work_off()
    assert world.counted("j1") == {"canceled": 5_001}
    assert world.status("j1") == "CANCELED"


def test_forced_end_of_a_large_job_completes_it_when_it_is_through(world: World) -> None:
    """spec: ruling 2"""
    things = [f"m{n:05}" for n in range(5_001)]
    world.things(*things, group="g2")
    config = {"endTime": world.at(60), "endBehavior": "FORCE_CANCEL"}
    world.job("j1", "g2", schedulingConfig=config)
    world.wind(60)
    assert world.counted("j1") == {"canceled": 5_001}
    assert world.status("j1") == "COMPLETED"


# --- windows ------------------------------------------------------------------------------------------


def test_job_is_open_in_its_windows_only(world: World) -> None:
    """case 162; spec: lifecycle 8"""
    world.continuous("j1", "g1", schedulingConfig=windowed(world))
    world.listen("t1")
    world.wind(HOUR)
    assert (world.status("j1"), world.counted("j1")) == ("SCHEDULED", {})
    world.wind(HOUR)
    assert (world.status("j1"), world.counted("j1")) == ("IN_PROGRESS", {"queued": 2})
    assert world.told("t1") == [(["j1"], "j1")]
    assert world.pending("t1") == ["j1"]
    world.wind(30)
    assert world.status("j1") == "SCHEDULED"
    assert world.told("t1") == [([], "")]
    device = world.device("t1")
    assert (world.pending("t1"), device.start_next(), device.describe("$next")) == ([], None, None)
    described = device.describe("j1")
    assert described is not None
    assert described.status == "QUEUED"
    assert world.shown("j1").is_concurrent is False
    world.wind(DAY - 30)
    assert world.status("j1") == "IN_PROGRESS"
    assert world.told("t1") == [(["j1"], "j1")]
    assert world.counted("j1") == {"queued": 2}


def test_running_executions_go_on_and_their_timers_too(world: World) -> None:
    """spec: lifecycle 14, 7"""
    world.continuous(
        "j1", "g1", schedulingConfig=windowed(world), timeoutConfig={"inProgressTimeoutInMinutes": 45}
    )
    world.wind(2 * HOUR)
    world.device("t1").start_next()
    world.device("t2").start_next()
    world.wind(40)
    assert world.pending("t1") == []
    world.report("j1", "SUCCEEDED", "t1")
    world.wind(5)
    assert world.executions("j1", "t2") == ["TIMED_OUT"]
    assert world.status("j1") == "SCHEDULED"


def test_rollout_pauses_between_windows_and_begins_a_new_series(world: World) -> None:
    """spec: lifecycle 6.4"""
    world.things(*(f"m{n:02}" for n in range(70)), group="g2")
    world.continuous(
        "j1", "g2", schedulingConfig=windowed(world), jobExecutionsRolloutConfig={"maximumPerMinute": 1}
    )
    world.wind(2 * HOUR + 31)
    assert world.counted("j1") == {"queued": 30}
    world.wind(DAY - 31)
    assert world.counted("j1") == {"queued": 31}
    world.wind(HOUR)
    assert world.counted("j1") == {"queued": 60}
    world.wind(DAY)
    assert world.counted("j1") == {"queued": 70}


def test_list_has_five_of_windows_beside_ten_others(world: World) -> None:
    """case 163"""
    for number in range(6):
        world.continuous(f"w{number}", "g1", schedulingConfig=windowed(world))
    for number in range(12):
        world.job(f"j{number:02}", "t1")
    world.wind(2 * HOUR)
    assert world.pending("t1") == [f"j{n:02}" for n in range(10)] + [f"w{n}" for n in range(5)]


def test_seven_openings_to_come_are_shown(world: World) -> None:
    """case 164"""
    world.continuous("j1", "g1", schedulingConfig=windowed(world))
    coming = world.shown("j1").scheduled_job_rollouts
    assert coming is not None
    assert [each.start_time for each in coming] == [f"2023-11-{day}T14:00" for day in range(15, 22)]


def test_who_joins_between_windows_gets_it_at_the_next_opening(world: World) -> None:
    """spec: ruling 9"""
    world.continuous("j1", "g1", schedulingConfig=windowed(world))
    world.wind(3 * HOUR)
    world.things("t3", "t4", "t5", group="g1")
    world.leave("t4", "g1")
    world.report("j1", "SUCCEEDED", "t1")
    world.leave("t1", "g1")
    world.join("t1", "g1")
    assert world.counted("j1") == {"succeeded": 1, "queued": 1}
    jobs_before = world.executions("j1", "t3")
    world.wind(DAY)
    assert jobs_before == []
    assert world.executions("j1", "t3") == ["QUEUED"]
    assert world.executions("j1", "t4") == []
    assert world.executions("j1", "t1") == ["SUCCEEDED", "QUEUED"]
    assert world.counted("j1") == {"succeeded": 1, "queued": 4}


def test_who_joined_between_windows_and_is_deleted_gets_nothing(world: World) -> None:
    world.continuous("j1", "g1", schedulingConfig=windowed(world))
    world.wind(3 * HOUR)
    world.things("t3", "t4", group="g1")
    things.delete_thing(world.call, world.tx, iot.DeleteThingRequest(thing_name="t3"))
    world.wind(DAY)
    assert world.executions("j1", "t3") == []
    assert world.executions("j1", "t4") == ["QUEUED"]


def test_very_many_who_joined_between_windows_are_worked_off_in_pieces(world: World) -> None:
    world.continuous("j1", "g1", schedulingConfig=windowed(world))
    world.wind(3 * HOUR)
    world.things(*(f"m{n:05}" for n in range(schedules.JOINS_AT_ONCE + 5)), group="g1")
    world.wind(DAY)
    assert world.counted("j1") == {"queued": schedules.JOINS_AT_ONCE + 7}


def test_who_joins_before_the_first_opening_waits_for_the_rollout(world: World) -> None:
    world.continuous("j1", "g1", schedulingConfig=windowed(world))
    world.wind(HOUR)
    world.things("t3", group="g1")
    world.wind(HOUR)
    assert world.executions("j1", "t3") == ["QUEUED"]


def test_window_that_came_and_went_while_nobody_looked_was_none(world: World) -> None:
    world.continuous("j1", "g1", schedulingConfig=windowed(world))
    world.skip(3 * HOUR)
    world.work_off()
    assert (world.status("j1"), world.counted("j1")) == ("SCHEDULED", {})
    world.wind(DAY)
    assert world.counted("j1") == {"queued": 2}


def test_end_between_windows_is_at_its_time(world: World) -> None:
    """spec: rulings 12, 29"""
    world.continuous("j1", "g1", schedulingConfig=windowed(world, endTime=world.at(20 * HOUR)))
    world.continuous(
        "j2", "g1", schedulingConfig=windowed(world, endTime=world.at(20 * HOUR), endBehavior="CANCEL")
    )
    world.wind(2 * HOUR)
    assert world.pending("t1") == ["j1", "j2"]
    world.wind(2 * HOUR)
    assert world.pending("t1") == []
    world.wind(16 * HOUR)
    assert (world.status("j1"), world.status("j2")) == ("IN_PROGRESS", "COMPLETED")
    assert world.pending("t1") == ["j1"]


def test_behind_the_last_window_the_job_is_hidden_and_in_progress(world: World) -> None:
    world.continuous("j1", "g1", schedulingConfig=windowed(world, endTime=world.at(20 * HOUR)))
    world.wind(3 * HOUR)
    assert (world.status("j1"), world.pending("t1")) == ("IN_PROGRESS", [])
    world.things("t3", group="g2")
    jobs.associate_targets_with_job(
        world.call,
        world.tx,
        iot.AssociateTargetsWithJobRequest(
            job_id="j1", targets=["arn:aws:iot:us-east-1:123456789012:thinggroup/g2"]
        ),
    )
    world.wind(HOUR)
    assert world.executions("j1", "t3") == []


def test_targets_are_not_associated_between_windows(world: World) -> None:
    """spec: lifecycle 1"""
    world.continuous("j1", "g1", schedulingConfig=windowed(world))
    world.wind(3 * HOUR)
    world.things("t3", group="g2")
    request = iot.AssociateTargetsWithJobRequest(
        job_id="j1", targets=["arn:aws:iot:us-east-1:123456789012:thinggroup/g2"]
    )
    with pytest.raises(InvalidRequest):
        jobs.associate_targets_with_job(world.call, world.tx, request)


def test_what_runs_of_a_canceled_job_is_seen_between_windows(world: World) -> None:
    """spec: ruling 13"""
    world.continuous("j1", "g1", schedulingConfig=windowed(world))
    world.wind(2 * HOUR)
    world.device("t1").start_next()
    world.wind(HOUR)
    assert world.pending("t1") == []
    world.cancel("j1")
    assert world.pending("t1") == ["j1"]
    world.report("j1", "SUCCEEDED", "t1")


def test_job_is_aborted_between_windows(world: World) -> None:
    """spec: lifecycle 7"""
    world.continuous("j1", "g1", schedulingConfig=windowed(world), abortConfig=abort(("FAILED", 50, 1)))
    world.wind(2 * HOUR)
    world.device("t1").start_next()
    world.wind(HOUR)
    world.report("j1", "FAILED", "t1")
    assert world.status("j1") == "CANCELED"
    world.wind(3 * DAY)
    assert world.counted("j1") == {"failed": 1, "canceled": 1}


# --- complete at the end, with things to go -----------------------------------------------------------


def slow_crowd(**scheduling: str) -> World:
    """Forty things that get a job one a minute, until its end in 31 minutes."""
    world = World()
    world.things(*(f"t{n:02}" for n in range(40)), group="g")
    schedule = {"endTime": world.at(31), **scheduling}
    world.job("j", "g", jobExecutionsRolloutConfig={"maximumPerMinute": 1}, schedulingConfig=schedule)
    return world


@pytest.mark.parametrize("behavior", ["STOP_ROLLOUT", "CANCEL", "FORCE_CANCEL"])
def test_a_job_whose_last_execution_times_out_at_its_end_hands_out_nothing_more(behavior: str) -> None:
    """spec: lifecycle 8; ruling 7: time-outs come before job ends, and those before ticks"""
    world = slow_crowd(endBehavior=behavior)
    world.wind(30)
    for n in range(30):
        world.report("j", "SUCCEEDED", f"t{n:02}")
    world.report("j", "IN_PROGRESS", "t30", step_timeout_in_minutes=1)
    world.wind(1)
    assert world.status("j") == "COMPLETED"
    assert world.shown("j").is_concurrent is False
    world.wind(30)
    assert world.counted("j") == {"succeeded": 30, "timed_out": 1}


def test_a_report_after_an_end_that_nobody_saw_completes_the_job_for_good() -> None:
    """The server was down when the end came."""
    world = slow_crowd()
    world.wind(30)
    for n in range(30):
        world.report("j", "SUCCEEDED", f"t{n:02}")
    world.skip(2)
    world.report("j", "SUCCEEDED", "t30")
    assert world.status("j") == "COMPLETED"
    world.wind(30)
    assert world.counted("j") == {"succeeded": 31}
