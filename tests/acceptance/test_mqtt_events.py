"""Events of jobs and executions, as those hear them who subscribe to ``$aws/events``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from fleet import Fleet, abort
from mqtt_client import Device, Devices, unexpected
from servers import Server
from thingjobs.mqtt.packets import Version


@pytest.fixture(params=Version, ids=lambda version: version.name)
def devices(server: Server, request: pytest.FixtureRequest) -> Iterator[Devices]:
    with Devices(server.mqtt_port, request.param) as made:
        yield made


@pytest.fixture
def listener(fleet: Fleet, devices: Devices) -> Device:
    """Hears of everything, for it is switched on."""
    switch(fleet, True)
    listener = devices.connect(fleet.unique("listener"))
    listener.subscribe("$aws/events/#")
    return listener


@pytest.fixture(scope="module", autouse=True)
def nothing_unexpected_is_logged(server: Server) -> Iterator[None]:
    yield
    assert unexpected(server.log_file.read_text()) == []


def switch(fleet: Fleet, on: bool) -> None:
    kinds = ("JOB", "JOB_EXECUTION")
    fleet.iot.update_event_configurations(eventConfigurations={kind: {"Enabled": on} for kind in kinds})


def next_event(listener: Device) -> tuple[str, dict[str, Any]]:
    """What follows ``$aws/events/`` in the topic of the next message, and its payload."""
    message = listener.next_message()
    assert message.topic.startswith("$aws/events/")
    assert (message.qos, message.retain) == (1, False)
    return message.topic.removeprefix("$aws/events/"), json.loads(message.payload)


def test_end_of_an_execution_comes_before_that_of_its_job(fleet: Fleet, listener: Device) -> None:
    """case 176"""
    thing = fleet.thing()
    job = fleet.job(thing)
    fleet.report(thing, job, "SUCCEEDED", statusDetails={"a": "b"})
    topic, execution = next_event(listener)
    assert topic == f"jobExecution/{job}/succeeded"
    assert (execution["eventType"], execution["status"]) == ("JOB_EXECUTION", "SUCCEEDED")
    assert (execution["executionNumber"], execution["statusDetails"]) == (1, {"a": "b"})
    topic, told = next_event(listener)
    assert topic == f"job/{job}/completed"
    assert (told["eventType"], told["operation"]) == ("JOB", "completed")
    counters = told["jobProcessDetails"]
    assert len(counters) == 6
    assert (counters["numberOfSucceededThings"], counters["numberOfTimedOutThings"]) == (1, 0)
    listener.expect_nothing()


def test_nothing_is_told_while_it_is_switched_off(fleet: Fleet, listener: Device) -> None:
    """case 176"""
    switch(fleet, False)
    fleet.completed_job()
    switch(fleet, True)
    job = fleet.completed_job()
    assert next_event(listener)[0] == f"jobExecution/{job}/succeeded"


def test_cancelation_is_told_in_three_steps(fleet: Fleet, listener: Device) -> None:
    """case 177"""
    job = fleet.job(fleet.thing())
    fleet.iot.cancel_job(jobId=job, comment="enough", reasonCode="ENOUGH")
    told = [next_event(listener) for _ in range(3)]
    assert [topic for topic, _ in told] == [
        f"job/{job}/cancellation_in_progress",
        f"jobExecution/{job}/canceled",
        f"job/{job}/canceled",
    ]
    for _, payload in (told[0], told[2]):
        assert (payload["comment"], payload["reasonCode"], payload["forceCanceled"]) == (
            "enough",
            "ENOUGH",
            False,
        )
    assert told[1][1]["forceCanceled"] is False
    assert "jobProcessDetails" in told[2][1]


def test_abort_is_told_after_the_failure_that_met_it(fleet: Fleet, listener: Device) -> None:
    """case 211"""
    things = fleet.things(2)
    job = fleet.job(*things, abortConfig=abort({}))
    fleet.report(things[0], job, "FAILED")
    told = [next_event(listener) for _ in range(4)]
    assert [topic for topic, _ in told] == [
        f"jobExecution/{job}/failed",
        f"job/{job}/cancellation_in_progress",
        f"jobExecution/{job}/canceled",
        f"job/{job}/canceled",
    ]
    assert {payload["reasonCode"] for _, payload in (told[1], told[3])} == {"ABORT_CANCEL"}


def test_deletion_of_a_finished_execution_is_told(fleet: Fleet, devices: Devices, listener: Device) -> None:
    """case 212"""
    device = devices.listening(fleet.thing())
    job = fleet.job(device.thing)
    fleet.report(device.thing, job, "FAILED")
    assert [next_event(listener)[0] for _ in range(2)] == [
        f"jobExecution/{job}/failed",
        f"job/{job}/completed",
    ]
    device.ping()
    device.messages.clear()
    fleet.iot.delete_job_execution(thingName=device.thing, jobId=job, executionNumber=1)
    topic, payload = next_event(listener)
    assert topic == f"jobExecution/{job}/deleted"
    assert (payload["status"], payload["executionNumber"]) == ("DELETED", 1)
    device.expect_nothing()


def test_events_wait_for_a_listener_that_sleeps(fleet: Fleet, devices: Devices, listener: Device) -> None:
    """spec: device-plane 8.1"""
    client_id = fleet.unique("sleeper")
    devices.connect(client_id, "$aws/events/job/+/completed", persistent=True).leave()
    job = fleet.completed_job()
    assert [next_event(listener)[0] for _ in range(2)][1] == f"job/{job}/completed"  # so it has been told
    sleeper = devices.connect(client_id, persistent=True)
    assert next_event(sleeper)[0] == f"job/{job}/completed"
    sleeper.expect_nothing()
