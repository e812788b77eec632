"""Timers, retries, windows and groups, as the device of a thing lives through them over MQTT."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from fleet import Fleet, arn, retry
from mqtt_client import Device, Devices
from servers import Server
from thingjobs.mqtt.packets import Version

LEFT = "approximateSecondsBeforeTimedOut"
MINUTE = 60


@pytest.fixture(params=Version, ids=lambda version: version.name)
def devices(server: Server, request: pytest.FixtureRequest) -> Iterator[Devices]:
    with Devices(server.mqtt_port, request.param) as made:
        yield made


@pytest.fixture
def device(fleet: Fleet, devices: Devices) -> Device:
    """Listens for a thing without jobs."""
    return devices.listening(fleet.thing())


@pytest.fixture
def listener(fleet: Fleet, devices: Devices) -> Iterator[Device]:
    """Hears of all events of executions."""
    switch(fleet, True)
    yield devices.connect(fleet.unique("listener"), "$aws/events/jobExecution/#")
    switch(fleet, False)


def switch(fleet: Fleet, on: bool) -> None:
    fleet.iot.update_event_configurations(eventConfigurations={"JOB_EXECUTION": {"Enabled": on}})


def next_event(listener: Device) -> tuple[str, dict[str, Any]]:
    """What follows ``$aws/events/`` in the topic of the next message, and its payload."""
    message = listener.next_message()
    return message.topic.removeprefix("$aws/events/"), json.loads(message.payload)


def expect_told_of(device: Device, job: str) -> None:
    """The job is all that is queued."""
    assert device.expect_notify() == {"QUEUED": [job]}
    assert device.expect_notify_next() == (job, "QUEUED")
    device.expect_nothing()


def expect_told_of_nothing_left(device: Device) -> None:
    assert device.expect_notify() == {}
    assert device.expect_notify_next() is None
    device.expect_nothing()


def continuous_job(fleet: Fleet, *groups: str, **members: Any) -> str:
    targets = [arn("thinggroup", group) for group in groups]
    return fleet.job(*targets, targetSelection="CONTINUOUS", **members)


def join(fleet: Fleet, group: str, device: Device) -> None:
    fleet.iot.add_thing_to_thing_group(thingGroupName=group, thingName=device.thing)


def leave(fleet: Fleet, group: str, device: Device) -> None:
    fleet.iot.remove_thing_from_thing_group(thingGroupName=group, thingName=device.thing)


# --- timers and retries -----------------------------------------------------------------------------------


def test_step_timers_come_and_go_within_the_timer_of_the_job(fleet: Fleet, device: Device) -> None:
    """case 121"""
    job = fleet.job(device.thing, timeoutConfig={"inProgressTimeoutInMinutes": 20})
    expect_told_of(device, job)
    device.started()
    for minutes, step, left in ((5, 7, 420), (5, 5, 300), (3, 9, 420)):
        fleet.server.advance(minutes * MINUTE)
        device.report(job, "IN_PROGRESS", stepTimeoutInMinutes=step)
        assert device.accepted(f"{job}/get")["execution"][LEFT] == left
    fleet.server.advance(7 * MINUTE - 1)
    device.expect_nothing()
    fleet.server.advance(1)
    expect_told_of_nothing_left(device)
    assert fleet.execution(device.thing, job)["status"] == "TIMED_OUT"


def test_step_timer_that_is_discarded_never_fires(fleet: Fleet, device: Device) -> None:
    """case 122"""
    job = fleet.job(device.thing)
    expect_told_of(device, job)
    assert device.accepted("start-next", {"stepTimeoutInMinutes": 5})["execution"][LEFT] == 300
    fleet.server.advance(2 * MINUTE)
    device.report(job, "IN_PROGRESS", stepTimeoutInMinutes=-1)
    assert LEFT not in device.accepted(f"{job}/get")["execution"]
    fleet.server.advance(20_000 * MINUTE)
    assert [each["jobId"] for each in device.accepted("get")["inProgressJobs"]] == [job]
    device.expect_nothing()


@pytest.mark.parametrize("minutes", [0, 10_081, -1])
def test_step_time_out_of_start_next_has_bounds(fleet: Fleet, device: Device, minutes: int) -> None:
    """case 123"""
    job = fleet.job(device.thing)
    expect_told_of(device, job)
    assert device.rejected("start-next", {"stepTimeoutInMinutes": minutes})["code"] == "InvalidRequest"
    assert fleet.execution(device.thing, job)["status"] == "QUEUED"
    device.expect_nothing()


def test_report_that_comes_too_late_is_rejected(fleet: Fleet, device: Device) -> None:
    """case 125"""
    job = fleet.job(device.thing, timeoutConfig={"inProgressTimeoutInMinutes": 1})
    expect_told_of(device, job)
    device.started()
    fleet.server.advance(MINUTE)
    expect_told_of_nothing_left(device)
    told = device.rejected(f"{job}/update", {"status": "SUCCEEDED"})
    assert told["code"] == "InvalidStateTransition"
    assert (told["executionState"]["status"], told["executionState"]["versionNumber"]) == ("TIMED_OUT", 3)


def test_failed_attempt_is_followed_by_another(fleet: Fleet, device: Device, listener: Device) -> None:
    """case 126"""
    job = fleet.job(device.thing, jobExecutionsRetryConfig=retry(FAILED=1))
    expect_told_of(device, job)
    device.report(job, "FAILED")
    assert device.expect_notify() == {"QUEUED": [job]}
    again = device.expect(device.topic("notify-next"))["execution"]
    assert (again["jobId"], again["executionNumber"], again["versionNumber"]) == (job, 2, 1)
    device.expect_nothing()
    topic, event = next_event(listener)
    assert (topic, event["executionNumber"]) == (f"jobExecution/{job}/failed", 1)
    summaries = fleet.iot.list_job_executions_for_job(jobId=job)["executionSummaries"]
    attempts = [each["jobExecutionSummary"] for each in summaries]
    assert {(a["executionNumber"], a["status"], a.get("retryAttempt", 0)) for a in attempts} == {
        (1, "FAILED", 0),
        (2, "QUEUED", 1),
    }
    assert fleet.describe(job)["status"] == "IN_PROGRESS"


# --- groups -------------------------------------------------------------------------------------------------


def test_who_leaves_loses_what_is_queued(fleet: Fleet, device: Device, listener: Device) -> None:
    """case 147"""
    group = fleet.group(device.thing)
    job = continuous_job(fleet, group)
    expect_told_of(device, job)
    leave(fleet, group, device)
    expect_told_of_nothing_left(device)
    execution = fleet.execution(device.thing, job)
    assert (execution["status"], execution["versionNumber"]) == ("REMOVED", 1)
    assert next_event(listener)[0] == f"jobExecution/{job}/removed"
    assert fleet.counted(job) == {"Removed": 1}


def test_who_joins_a_further_group_runs_it_again(fleet: Fleet, device: Device) -> None:
    """case 193"""
    first, second = fleet.group(device.thing), fleet.group()
    job = continuous_job(fleet, first, second)
    expect_told_of(device, job)
    device.report(job, "SUCCEEDED")
    expect_told_of_nothing_left(device)
    join(fleet, second, device)
    assert device.expect_notify() == {"QUEUED": [job]}
    again = device.expect(device.topic("notify-next"))["execution"]
    assert (again["executionNumber"], again["versionNumber"]) == (2, 1)
    device.expect_nothing()


def test_member_that_lost_all_executions_gets_none_until_it_joins_again(
    fleet: Fleet, device: Device, listener: Device
) -> None:
    """case 195"""
    group = fleet.group(device.thing)
    job = continuous_job(fleet, group)
    expect_told_of(device, job)
    fleet.iot.delete_job_execution(jobId=job, thingName=device.thing, executionNumber=1, force=True)
    expect_told_of_nothing_left(device)
    listener.ping()
    listener.messages.clear()
    fleet.server.advance(10 * MINUTE)
    assert device.accepted("get")["queuedJobs"] == []
    leave(fleet, group, device)
    execution = fleet.execution(device.thing, job)
    assert (execution["executionNumber"], execution["status"]) == (1, "REMOVED")
    assert execution["versionNumber"] == 1
    device.expect_nothing()
    listener.expect_nothing()
    join(fleet, group, device)
    assert device.expect_notify() == {"QUEUED": [job]}
    assert device.expect(device.topic("notify-next"))["execution"]["executionNumber"] == 2
    device.expect_nothing()


# --- schedules ----------------------------------------------------------------------------------------------


def windowed(fleet: Fleet, minutes_ahead: float = 41) -> dict[str, Any]:
    """Begins with its first window, of half an hour."""
    at = fleet.minutes_ahead(minutes_ahead)
    hour, minute = int(at[-5:-3]), int(at[-2:])
    window = {"startTime": f"cron({minute} {hour} * * ? *)", "durationInMinutes": 30}
    return {"startTime": at, "maintenanceWindows": [window]}


def test_job_waits_for_its_start(fleet: Fleet, device: Device) -> None:
    """case 158"""
    job = fleet.job(device.thing, schedulingConfig={"startTime": fleet.minutes_ahead(41)})
    assert (fleet.describe(job)["status"], fleet.counted(job)) == ("SCHEDULED", {})
    fleet.server.advance(39 * MINUTE)
    device.expect_nothing()
    fleet.server.advance(2 * MINUTE)
    expect_told_of(device, job)
    assert fleet.describe(job)["status"] == "IN_PROGRESS"


def test_job_is_open_in_its_windows_only(fleet: Fleet, device: Device) -> None:
    """case 162"""
    job = continuous_job(fleet, fleet.group(device.thing), schedulingConfig=windowed(fleet))
    device.expect_nothing()
    fleet.server.advance(41 * MINUTE)
    expect_told_of(device, job)
    assert [each["jobId"] for each in device.accepted("get")["queuedJobs"]] == [job]
    fleet.server.advance(30 * MINUTE)
    expect_told_of_nothing_left(device)
    assert fleet.describe(job)["status"] == "SCHEDULED"
    listed = device.accepted("get")
    assert (listed["inProgressJobs"], listed["queuedJobs"]) == ([], [])
    for idle in ("start-next", "$next/get"):
        assert "execution" not in device.accepted(idle)
    assert device.accepted(f"{job}/get")["execution"]["status"] == "QUEUED"


def test_list_has_five_of_windows_beside_ten_others(fleet: Fleet, devices: Devices) -> None:
    """case 163"""
    device = devices.connect(fleet.thing())
    group, scheduling = fleet.group(device.thing), windowed(fleet)
    in_windows = [continuous_job(fleet, group, schedulingConfig=scheduling) for _ in range(6)]
    others = []
    for _ in range(12):
        others.append(fleet.job(device.thing))
        fleet.server.advance(0.001)
    fleet.server.advance(41 * MINUTE)
    listed = [each["jobId"] for each in device.accepted("get")["queuedJobs"]]
    assert [job for job in listed if job in others] == others[:10]
    assert len([job for job in listed if job in in_windows]) == 5
    assert len(listed) == 15
