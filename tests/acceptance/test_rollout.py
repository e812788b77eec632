"""Handing jobs out to things and groups while the clock is wound."""

from __future__ import annotations

import pytest

from fleet import Fleet, arn, refusal

MINUTE = 60


def group_arn(name: str) -> str:
    return arn("thinggroup", name)


def progress(fleet: Fleet, job: str) -> tuple[int, bool, list[str]]:
    """Executions queued, whether the rollout goes on, and to which targets."""
    shown = fleet.describe(job)
    details = shown["jobProcessDetails"]
    return details["numberOfQueuedThings"], shown["isConcurrent"], details.get("processingTargets", [])


# --- rates ----------------------------------------------------------------------------------------


def test_job_without_a_rate_goes_to_a_thousand_things_a_minute(fleet: Fleet) -> None:
    """case 136"""
    group = fleet.crowd(2500)
    job = fleet.job(group_arn(group))
    queued = [fleet.counted(job)["Queued"]]
    for _ in range(2):
        fleet.server.advance(MINUTE)
        queued.append(fleet.counted(job)["Queued"])
    assert queued == [1000, 2000, 2500]
    assert fleet.describe(job)["isConcurrent"] is False


def test_rate_is_kept_and_the_rollout_ends(fleet: Fleet) -> None:
    """case 137"""
    group = fleet.crowd(250)
    job = fleet.job(group_arn(group), jobExecutionsRolloutConfig={"maximumPerMinute": 100})
    assert progress(fleet, job) == (100, True, [group_arn(group)])
    fleet.server.advance(MINUTE - 0.001)
    assert progress(fleet, job) == (100, True, [group_arn(group)])
    fleet.server.advance(0.001)
    assert progress(fleet, job) == (200, True, [group_arn(group)])
    fleet.server.advance(MINUTE)
    assert progress(fleet, job) == (250, False, [])
    # The rows are there too, not only the counters.
    pages = fleet.iot.get_paginator("list_job_executions_for_job").paginate(jobId=job)
    assert sum(len(page["executionSummaries"]) for page in pages) == 250


def test_several_ticks_are_done_in_one_winding(fleet: Fleet) -> None:
    """spec: lifecycle 6.1"""
    things = fleet.things(5)
    job = fleet.job(*things, jobExecutionsRolloutConfig={"maximumPerMinute": 1})
    began = fleet.server.now()
    fleet.server.advance(10 * MINUTE)
    rows = [
        fleet.iot.describe_job_execution(thingName=thing, jobId=job)["execution"]["queuedAt"].timestamp()
        for thing in things
    ]
    assert [round(at * 1000) for at in rows] == [began + n * MINUTE * 1000 for n in range(5)]


def test_faster_rate_counts_from_the_next_tick(fleet: Fleet) -> None:
    """spec: control-plane 3.3, lifecycle 6.4"""
    job = fleet.job(*fleet.things(6), jobExecutionsRolloutConfig={"maximumPerMinute": 1})
    fleet.iot.update_job(jobId=job, jobExecutionsRolloutConfig={"maximumPerMinute": 3})
    assert fleet.counted(job) == {"Queued": 1}
    fleet.server.advance(MINUTE)
    assert fleet.counted(job) == {"Queued": 4}


def test_canceled_job_is_handed_out_no_further(fleet: Fleet) -> None:
    """spec: control-plane 3.5"""
    job = fleet.job(*fleet.things(3), jobExecutionsRolloutConfig={"maximumPerMinute": 1})
    fleet.iot.cancel_job(jobId=job)
    fleet.server.advance(5 * MINUTE)
    assert fleet.counted(job) == {"Canceled": 1}
    assert progress(fleet, job) == (0, False, [])


def test_job_is_not_complete_while_it_is_handed_out(fleet: Fleet) -> None:
    """spec: lifecycle 12"""
    first, second = fleet.things(2)
    job = fleet.job(first, second, jobExecutionsRolloutConfig={"maximumPerMinute": 1})
    fleet.report(first, job, "SUCCEEDED")
    assert fleet.describe(job)["status"] == "IN_PROGRESS"
    fleet.server.advance(MINUTE)
    fleet.report(second, job, "SUCCEEDED")
    assert fleet.describe(job)["status"] == "COMPLETED"


# --- targets --------------------------------------------------------------------------------------


def test_members_of_child_groups_are_targets_too(fleet: Fleet) -> None:
    """case 152"""
    parent = fleet.group()
    thing = fleet.thing()
    fleet.group(thing, parent=parent)
    job = fleet.job(group_arn(parent))
    assert fleet.execution(thing, job)["status"] == "QUEUED"


def test_snapshot_does_not_follow_its_group(fleet: Fleet) -> None:
    """case 153"""
    stays, joins = fleet.things(2)
    group = fleet.group(stays)
    job = fleet.job(group_arn(group))
    fleet.iot.add_thing_to_thing_group(thingGroupName=group, thingName=joins)
    fleet.iot.remove_thing_from_thing_group(thingGroupName=group, thingName=stays)
    fleet.server.advance(2 * MINUTE)
    assert fleet.execution(stays, job)["status"] == "QUEUED"
    assert refusal(fleet.iot.describe_job_execution, thingName=joins, jobId=job).status == 404


def test_thing_that_leaves_before_its_turn_keeps_it(fleet: Fleet) -> None:
    """spec: ruling 1"""
    things = sorted(fleet.things(3))
    group = fleet.group(*things)
    job = fleet.job(group_arn(group), jobExecutionsRolloutConfig={"maximumPerMinute": 1})
    fleet.iot.remove_thing_from_thing_group(thingGroupName=group, thingName=things[1])
    fleet.iot.delete_thing(thingName=things[2])
    fleet.server.advance(3 * MINUTE)
    assert fleet.execution(things[1], job)["status"] == "QUEUED"
    assert progress(fleet, job) == (2, False, [])


def test_deleted_thing_leaves_a_removed_execution_behind(fleet: Fleet) -> None:
    """case 154; spec: ruling 10, ruling 28"""
    thing = fleet.thing()
    job = fleet.job(thing)
    fleet.iot.delete_thing(thingName=thing)
    (row,) = fleet.iot.list_job_executions_for_job(jobId=job)["executionSummaries"]
    assert row["thingArn"] == arn("thing", thing)
    assert row["jobExecutionSummary"]["status"] == "REMOVED"
    assert (fleet.describe(job)["status"], fleet.counted(job)) == ("COMPLETED", {"Removed": 1})
    assert refusal(fleet.iot.describe_job_execution, thingName=thing, jobId=job).status == 404
    fleet.iot.create_thing(thingName=thing)
    assert fleet.pending(thing) == ([], [])
    assert fleet.iot.list_job_executions_for_thing(thingName=thing)["executionSummaries"] == []
    for plane in (fleet.iot, fleet.data):
        assert refusal(plane.describe_job_execution, thingName=thing, jobId=job).status == 404


@pytest.mark.parametrize("started", [False, True])
def test_deleting_one_thing_leaves_the_job_to_the_others(fleet: Fleet, started: bool) -> None:
    """spec: lifecycle 2 E11, E12"""
    deleted, other = fleet.things(2)
    job = fleet.job(deleted, other)
    if started:
        fleet.start_next(deleted)
    fleet.iot.delete_thing(thingName=deleted)
    assert fleet.counted(job) == {"Queued": 1, "Removed": 1}
    assert fleet.describe(job)["status"] == "IN_PROGRESS"


# --- ends -----------------------------------------------------------------------------------------


def test_snapshot_of_an_empty_group_is_complete_at_once(fleet: Fleet) -> None:
    """case 155"""
    job = fleet.job(group_arn(fleet.group()))
    shown = fleet.describe(job)
    assert (shown["status"], fleet.counted(job)) == ("COMPLETED", {})
    assert shown["completedAt"] == shown["createdAt"]


def test_continuous_job_stays_in_progress(fleet: Fleet) -> None:
    """case 156"""
    thing = fleet.thing()
    for target in (thing, group_arn(fleet.group())):
        job = fleet.job(target, targetSelection="CONTINUOUS")
        if target == thing:
            fleet.report(thing, job, "SUCCEEDED")
        assert fleet.describe(job)["status"] == "IN_PROGRESS"
        assert "completedAt" not in fleet.describe(job)
