"""What is told of jobs and executions to those who asked for it, and in which order."""

from __future__ import annotations

from typing import Any

import pytest

from thingjobs.domain.effects import EventsWaiting
from thingjobs.domain.errors import InvalidRequest
from thingjobs.domain.events import TYPES
from thingjobs.operations import event_configurations, events
from thingjobs.wire.shapes import iot
from world import NOON, World, abort

SECONDS = NOON // 1000


@pytest.fixture
def world() -> World:
    world = World()
    world.things("t1", "t2", "t3", group="g1")
    world.enable_events("JOB", "JOB_EXECUTION")
    return world


def without_id(payload: dict[str, Any]) -> dict[str, Any]:
    assert len(payload["eventId"]) == 36
    return {name: value for name, value in payload.items() if name != "eventId"}


def test_nothing_is_told_to_who_did_not_ask() -> None:
    """case 176"""
    world = World()
    world.things("t1")
    world.job("j1", "t1")
    world.report("j1", "SUCCEEDED", "t1")
    assert world.events() == []


def test_each_type_is_asked_for_by_itself() -> None:
    for event_type, told in (("JOB", ["job/j1/completed"]), ("JOB_EXECUTION", ["jobExecution/j1/failed"])):
        world = World()
        world.things("t1")
        world.enable_events(event_type)
        world.job("j1", "t1")
        world.report("j1", "FAILED", "t1")
        assert world.topics() == told


def test_end_of_an_execution_is_told_before_that_of_its_job(world: World) -> None:
    """case 176"""
    world.job("j1", "t1", description="all of them")
    world.wind(1)
    world.report("j1", "SUCCEEDED", "t1", status_details={"a": "b"})
    (first, execution), (second, job) = world.events()
    assert (first, second) == ("jobExecution/j1/succeeded", "job/j1/completed")
    assert execution["eventId"] != job["eventId"]
    assert list(execution) == [
        "eventType", "eventId", "timestamp", "operation", "jobId", "thingArn", "executionNumber", "status",
        "statusDetails",
    ]  # fmt: skip
    assert without_id(execution) == {
        "eventType": "JOB_EXECUTION",
        "timestamp": SECONDS + 60,
        "operation": "succeeded",
        "jobId": "j1",
        "thingArn": "arn:aws:iot:us-east-1:123456789012:thing/t1",
        "executionNumber": 1,
        "status": "SUCCEEDED",
        "statusDetails": {"a": "b"},
    }
    assert list(job) == [
        "eventType", "eventId", "timestamp", "operation", "jobId", "status", "targetSelection", "targets",
        "description", "completedAt", "createdAt", "lastUpdatedAt", "jobProcessDetails",
    ]  # fmt: skip
    assert without_id(job) == {
        "eventType": "JOB",
        "timestamp": SECONDS + 60,
        "operation": "completed",
        "jobId": "j1",
        "status": "COMPLETED",
        "targetSelection": "SNAPSHOT",
        "targets": ["arn:aws:iot:us-east-1:123456789012:thing/t1"],
        "description": "all of them",
        "completedAt": NOON + 60_000,
        "createdAt": NOON,
        "lastUpdatedAt": NOON + 60_000,
        "jobProcessDetails": {
            "numberOfCanceledThings": 0,
            "numberOfRejectedThings": 0,
            "numberOfFailedThings": 0,
            "numberOfRemovedThings": 0,
            "numberOfSucceededThings": 1,
            "numberOfTimedOutThings": 0,
        },
    }


@pytest.mark.parametrize("force", [False, True])
def test_cancel_is_told_before_and_after_that_of_its_executions(world: World, force: bool) -> None:
    """case 177"""
    world.job("j1", "t1", "t2")
    world.device("t1").start_next()
    world.cancel("j1", comment="why", reason_code="R1", force=force)
    told = world.events()
    canceled = ["jobExecution/j1/canceled"] * (2 if force else 1)
    assert [topic for topic, _ in told] == [
        "job/j1/cancellation_in_progress",
        *canceled,
        "job/j1/canceled",
    ]
    begun, last = told[0][1], told[-1][1]
    for payload, status in ((begun, "CANCELLATION_IN_PROGRESS"), (last, "CANCELED")):
        assert payload["status"] == status
        assert (payload["comment"], payload["reasonCode"], payload["forceCanceled"]) == ("why", "R1", force)
        assert "completedAt" not in payload
    assert "jobProcessDetails" not in begun
    assert last["jobProcessDetails"]["numberOfCanceledThings"] == len(canceled)
    assert {payload["forceCanceled"] for _, payload in told[1:-1]} == {force}
    if not force:
        world.report("j1", "SUCCEEDED", "t1")
        assert world.topics() == ["jobExecution/j1/succeeded"]


def test_abort_is_told_in_order(world: World) -> None:
    """case 211"""
    world.job("j1", "t1", "t2", abortConfig=abort(("FAILED", 50, 1)))
    world.report("j1", "FAILED", "t1")
    told = world.events()
    assert [topic for topic, _ in told] == [
        "jobExecution/j1/failed",
        "job/j1/cancellation_in_progress",
        "jobExecution/j1/canceled",
        "job/j1/canceled",
    ]
    for _, payload in (told[1], told[3]):
        assert payload["reasonCode"] == "ABORT_CANCEL"
        assert payload["comment"].startswith("Abort criteria for failure type FAILED")
        assert payload["forceCanceled"] is False


def test_deletion_is_told_before_and_after_that_of_its_executions(world: World) -> None:
    """spec: device-plane 10"""
    world.job("j1", "t1", "t2")
    world.report("j1", "REJECTED", "t1", status_details={"a": "b"})
    assert world.topics() == ["jobExecution/j1/rejected"]
    world.delete("j1", force=True)
    told = world.events()
    assert [topic for topic, _ in told] == [
        "job/j1/deletion_in_progress",
        "jobExecution/j1/deleted",
        "jobExecution/j1/deleted",
        "job/j1/deleted",
    ]
    details = {payload["thingArn"][-2:]: payload.get("statusDetails") for _, payload in told[1:3]}
    assert details == {"t1": {"a": "b"}, "t2": None}
    assert [payload["status"] for _, payload in told] == [
        "DELETION_IN_PROGRESS",
        "DELETED",
        "DELETED",
        "DELETED",
    ]
    assert not {"forceCanceled", "reasonCode", "jobProcessDetails"} & set(told[-1][1])


def test_deleted_execution_is_told(world: World) -> None:
    """case 212"""
    world.job("j1", "t1", "t2")
    world.report("j1", "SUCCEEDED", "t1", status_details={"a": "b"})
    world.events()
    world.listen("t1")
    world.delete_execution("t1", "j1")
    ((topic, payload),) = world.events()
    assert topic == "jobExecution/j1/deleted"
    assert (payload["status"], payload["executionNumber"]) == ("DELETED", 1)
    assert payload["statusDetails"] == {"a": "b"}
    assert world.told("t1") == []


def test_leaving_and_timing_out_are_told(world: World) -> None:
    """case 126, case 147"""
    world.continuous("j1", "g1", timeoutConfig={"inProgressTimeoutInMinutes": 1})
    world.leave("t1", "g1")
    ((topic, payload),) = world.events()
    assert (topic, payload["status"]) == ("jobExecution/j1/removed", "REMOVED")
    world.device("t2").start_next()
    world.wind(1)
    assert world.topics() == ["jobExecution/j1/timed_out"]
    world.cancel_execution("t3", "j1", force=True)
    ((topic, payload),) = world.events()
    assert (topic, payload["forceCanceled"]) == ("jobExecution/j1/canceled", True)


def test_forced_end_is_told_of_executions_and_completion_only(world: World) -> None:
    """spec: lifecycle 8"""
    config = {"endTime": world.at(60), "endBehavior": "FORCE_CANCEL"}
    world.job("j1", "t1", schedulingConfig=config)
    world.wind(60)
    told = world.events()
    assert [topic for topic, _ in told] == ["jobExecution/j1/canceled", "job/j1/completed"]
    assert told[0][1]["forceCanceled"] is True


def test_job_on_an_empty_group_is_told_to_be_complete(world: World) -> None:
    """case 155"""
    world.things(group="g9")
    world.job("j1", "g9")
    assert world.topics() == ["job/j1/completed"]


def test_events_wait_in_their_order_until_they_were_published(world: World) -> None:
    world.job("j1", "t1", "t2", "t3")
    world.tx.take_effects()
    world.report("j1", "FAILED", "t2", "t1")
    assert EventsWaiting() in world.tx.take_effects()
    waiting = events.waiting(world.tx, world.now)
    assert [event.topic for event in waiting] == ["$aws/events/jobExecution/j1/failed"] * 2
    world.report("j1", "SUCCEEDED", "t3")
    events.published(world.tx, waiting)
    assert world.topics() == ["jobExecution/j1/succeeded", "job/j1/completed"]


# --- what is asked for --------------------------------------------------------------------------------


def described(world: World) -> iot.DescribeEventConfigurationsResponse:
    request = iot.DescribeEventConfigurationsRequest()
    return event_configurations.describe_event_configurations(world.call, world.tx, request)


def test_every_type_is_shown_and_off_at_first() -> None:
    """spec: control-plane 6.4"""
    shown = described(World())
    assert shown.event_configurations is not None
    assert {name: each.enabled for name, each in shown.event_configurations.items()} == dict.fromkeys(
        TYPES, False
    )
    assert (shown.creation_date, shown.last_modified_date) == (None, None)


def test_types_that_are_not_named_stay_as_they_are() -> None:
    """spec: control-plane 6.4"""
    world = World()
    world.enable_events("JOB", "THING")
    world.wind(1)
    off = iot.UpdateEventConfigurationsRequest(event_configurations={"JOB": iot.Configuration(enabled=False)})
    event_configurations.update_event_configurations(world.call, world.tx, off)
    shown = described(world)
    assert shown.event_configurations is not None
    assert [name for name, each in shown.event_configurations.items() if each.enabled] == ["THING"]
    assert (shown.creation_date, shown.last_modified_date) == (SECONDS, SECONDS + 60)


def test_update_without_types_is_refused() -> None:
    """spec: control-plane 6.4"""
    world = World()
    with pytest.raises(InvalidRequest, match="Configuration cannot be null"):
        event_configurations.update_event_configurations(
            world.call, world.tx, iot.UpdateEventConfigurationsRequest()
        )


def test_another_region_is_not_asked_for(world: World) -> None:
    scope = world.tx.scopes.get_or_create("123456789012", "eu-west-1")
    assert world.tx.events.configurations(scope.id).enabled == {}
