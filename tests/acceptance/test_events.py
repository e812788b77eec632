"""Events of jobs and executions, as a back end hears them over MQTT (spec: device-plane 10)."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from fleet import Fleet, arn
from mqtt_client import Device, Devices
from servers import Server

ON = {"JOB": {"Enabled": True}, "JOB_EXECUTION": {"Enabled": True}}
OFF = {"JOB": {"Enabled": False}, "JOB_EXECUTION": {"Enabled": False}}


@pytest.fixture
def listener(server: Server) -> Iterator[Device]:
    with Devices(server.mqtt_port) as devices:
        yield devices.connect("back-end", "$aws/events/#")


def heard(listener: Device, count: int) -> list[tuple[str, dict[str, Any]]]:
    """Topics behind ``$aws/events/`` and payloads of the next messages."""
    messages = []
    for _ in range(count):
        message = listener.next_message()
        messages.append((message.topic.removeprefix("$aws/events/"), json.loads(message.payload)))
    return messages


def test_nothing_is_told_until_events_are_enabled(fleet: Fleet, listener: Device) -> None:
    """case 176"""
    fleet.iot.update_event_configurations(eventConfigurations=OFF)
    thing = fleet.thing()
    fleet.report(thing, fleet.job(arn("thing", thing)), "SUCCEEDED")
    listener.expect_nothing()

    fleet.iot.update_event_configurations(eventConfigurations=ON)
    job = fleet.job(arn("thing", thing))
    fleet.report(thing, job, "SUCCEEDED")
    (first, execution), (second, completed) = heard(listener, 2)
    assert (first, second) == (f"jobExecution/{job}/succeeded", f"job/{job}/completed")
    assert execution["eventType"] == "JOB_EXECUTION"
    assert (execution["status"], execution["executionNumber"]) == ("SUCCEEDED", 1)
    assert execution["thingArn"] == arn("thing", thing)
    assert (completed["eventType"], completed["operation"]) == ("JOB", "completed")
    assert completed["jobProcessDetails"]["numberOfSucceededThings"] == 1
    assert len(completed["jobProcessDetails"]) == 6


def test_a_canceled_job_is_told_of_in_order(fleet: Fleet, listener: Device) -> None:
    """case 177"""
    fleet.iot.update_event_configurations(eventConfigurations=ON)
    thing = fleet.thing()
    job = fleet.job(arn("thing", thing))
    fleet.iot.cancel_job(jobId=job, comment="enough", reasonCode="ENOUGH")
    told = heard(listener, 3)
    assert [topic for topic, _ in told] == [
        f"job/{job}/cancellation_in_progress",
        f"jobExecution/{job}/canceled",
        f"job/{job}/canceled",
    ]
    for _, event in (told[0], told[2]):
        assert (event["comment"], event["reasonCode"], event["forceCanceled"]) == ("enough", "ENOUGH", False)
    assert told[1][1]["forceCanceled"] is False
    assert "jobProcessDetails" in told[2][1]


def test_configurations_merge_and_name_all_types(fleet: Fleet) -> None:
    """spec: control-plane 6.4"""
    fleet.iot.update_event_configurations(eventConfigurations={"JOB": {"Enabled": True}})
    fleet.iot.update_event_configurations(eventConfigurations={"JOB_EXECUTION": {"Enabled": False}})
    shown = fleet.iot.describe_event_configurations()["eventConfigurations"]
    assert len(shown) == 11
    assert shown["JOB"] == {"Enabled": True}
    assert shown["JOB_EXECUTION"] == {"Enabled": False}
    assert shown["CERTIFICATE"] == {"Enabled": False}


def test_subscriber_hears_of_each_of_more_executions_than_may_wait_for_it(
    tmp_path: Path, unique: Callable[[str], str]
) -> None:
    """spec: device-plane 10: at least once; it reads only after all has happened"""
    limits = ("--mqtt-limit.receive_maximum=4", "--mqtt-limit.max_queued=20")
    with (
        Server(tmp_path / "data", "--clock", "manual", *limits) as server,
        Devices(server.mqtt_port) as devices,
    ):
        fleet = Fleet(server, unique)
        fleet.iot.update_event_configurations(eventConfigurations=ON)
        job = fleet.job(arn("thinggroup", fleet.crowd(100)))
        listener = devices.connect("back-end", "$aws/events/#")
        fleet.iot.cancel_job(jobId=job)
        server.advance(1)
        topics = [topic for topic, _ in heard(listener, 102)]
        assert topics[0] == f"job/{job}/cancellation_in_progress"
        assert topics[1:-1] == [f"jobExecution/{job}/canceled"] * 100
        assert topics[-1] == f"job/{job}/canceled"


def test_event_that_a_crash_left_reaches_who_subscribes_after_the_start(
    tmp_path: Path, unique: Callable[[str], str]
) -> None:
    """spec: device-plane 10: at least once, and before what happened later, which waits too"""
    with Server(tmp_path / "data", "--clock", "manual") as server:
        fleet = Fleet(server, unique)
        fleet.iot.update_event_configurations(eventConfigurations=ON)
        thing = fleet.thing()
        job = fleet.job(arn("thing", thing))
        server.kill()
        left = ("$aws/events/job/left/completed", '{"eventType":"JOB"}')
        with closing(sqlite3.connect(server.data / "thingjobs.db")) as database:
            database.execute("INSERT INTO outbox (scope, topic, payload) SELECT id, ?, ? FROM scope", left)
            database.commit()
        server.restart()
        fleet = Fleet(server, unique)
        fleet.report(thing, job, "SUCCEEDED")
        server.advance(1)
        with Devices(server.mqtt_port) as devices:
            listener = devices.connect("back-end", "$aws/events/job/#")
            listener.subscribe("$aws/events/jobExecution/#")
            assert [topic for topic, _ in heard(listener, 3)] == [
                "job/left/completed",
                f"jobExecution/{job}/succeeded",
                f"job/{job}/completed",
            ]
