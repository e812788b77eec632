"""What devices ask for over MQTT, and what exactly they are answered."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from fleet import Fleet, arn
from mqtt_client import Device, Devices
from servers import Server
from thingjobs.mqtt.packets import Publish, Version

TERMINAL_STATE = "Job Execution has reached terminal state. It is neither IN_PROGRESS nor QUEUED"
NOT_JSON = "The contents of the request could not be interpreted as valid UTF-8-encoded JSON"


@pytest.fixture(params=Version, ids=lambda version: version.name)
def devices(server: Server, request: pytest.FixtureRequest) -> Iterator[Devices]:
    with Devices(server.mqtt_port, request.param) as made:
        yield made


@pytest.fixture
def device(fleet: Fleet, devices: Devices) -> Device:
    """The device of a thing without jobs. It has subscribed to nothing, and is answered all the same."""
    return devices.connect(fleet.thing())


def seconds(fleet: Fleet) -> int:
    return fleet.server.now() // 1000


def state(fleet: Fleet, device: Device, job: str) -> tuple[str, int]:
    execution = fleet.execution(device.thing, job)
    return execution["status"], execution["versionNumber"]


# --- the queue ------------------------------------------------------------------------------------


def test_idle_device_gets_two_empty_lists(fleet: Fleet, device: Device) -> None:
    """case 82"""
    assert device.accepted("get", {"clientToken": "a"}) == {
        "clientToken": "a",
        "timestamp": seconds(fleet),
        "inProgressJobs": [],
        "queuedJobs": [],
    }


@pytest.mark.parametrize("request_name", ["start-next", "$next/get"])
def test_idle_device_gets_no_execution(fleet: Fleet, device: Device, request_name: str) -> None:
    """case 83"""
    assert device.accepted(request_name, {"clientToken": "a"}) == {
        "clientToken": "a",
        "timestamp": seconds(fleet),
    }
    assert device.accepted(request_name, b"") == {"timestamp": seconds(fleet)}  # empty is {}
    assert device.accepted("$next/get", {"executionNumber": 5}) == {"timestamp": seconds(fleet)}


def test_start_next_hands_out_the_head(fleet: Fleet, device: Device) -> None:
    """case 84, case 215"""
    queued_at = seconds(fleet)
    job = fleet.job(device.thing, document='{ "op": "x", "n": null }')
    fleet.server.advance(2)
    now = seconds(fleet)
    answer = device.accepted("start-next", {"clientToken": "a"})
    assert answer == {
        "clientToken": "a",
        "timestamp": now,
        "execution": {
            "jobId": job,
            "status": "IN_PROGRESS",
            "queuedAt": queued_at,
            "startedAt": now,
            "lastUpdatedAt": now,
            "versionNumber": 2,
            "executionNumber": 1,
            "jobDocument": {"op": "x"},
        },
    }
    assert list(answer) == ["clientToken", "timestamp", "execution"]
    for name in (f"{job}/get", "$next/get"):
        assert device.accepted(name)["execution"] == answer["execution"]
    assert fleet.data.describe_job_execution(thingName=device.thing, jobId=job)["execution"]["thingName"]


def test_start_next_gives_a_running_head_again_unchanged(fleet: Fleet, device: Device) -> None:
    """case 85"""
    fleet.job(device.thing)
    first = device.accepted("start-next", {"statusDetails": {"p": "1"}})["execution"]
    assert (first["versionNumber"], first["statusDetails"]) == (2, {"p": "1"})
    fleet.server.advance(5)
    assert device.accepted("start-next", {"statusDetails": {"p": "2"}})["execution"] == first


def test_get_lists_executions_with_exactly_these_members(fleet: Fleet, device: Device) -> None:
    """spec: device-plane 4.1"""
    running = fleet.job(device.thing)
    now = seconds(fleet)
    device.started()
    fleet.server.advance(1)
    queued = fleet.job(device.thing)
    listed = device.accepted("get")
    usual = {"executionNumber": 1}
    assert listed == {
        "timestamp": now + 1,
        "inProgressJobs": [
            {
                "jobId": running,
                "queuedAt": now,
                "lastUpdatedAt": now,
                "startedAt": now,
                "versionNumber": 2,
                **usual,
            }
        ],
        "queuedJobs": [
            {"jobId": queued, "queuedAt": now + 1, "lastUpdatedAt": now + 1, "versionNumber": 1, **usual}
        ],
    }


def test_get_lists_the_running_first_and_ten_in_all(fleet: Fleet, device: Device) -> None:
    """case 112 (the list)"""
    jobs = []
    for _ in range(12):
        jobs.append(fleet.job(device.thing))
        fleet.server.advance(0.001)
    running = [jobs[n] for n in (1, 5, 9, 11)]
    for job in running:
        device.report(job, "IN_PROGRESS")
    listed = device.accepted("get")
    assert [each["jobId"] for each in listed["inProgressJobs"]] == running
    assert [each["jobId"] for each in listed["queuedJobs"]] == [jobs[n] for n in (0, 2, 3, 4, 6, 7)]


# --- describe --------------------------------------------------------------------------------------


def test_document_is_described_unless_it_is_not_wanted(fleet: Fleet, device: Device) -> None:
    """case 106"""
    name = f"{fleet.job(device.thing)}/get"
    assert device.accepted(name)["execution"]["jobDocument"] == {"op": "x"}
    assert "jobDocument" not in device.accepted(name, {"includeJobDocument": False})["execution"]


def test_document_is_a_json_value_written_anew(fleet: Fleet, devices: Devices, device: Device) -> None:
    """case 202, in the way of MQTT; spec: device-plane 2"""
    listener = devices.connect(fleet.unique("listener"))
    listener.thing = device.thing
    listener.subscribe(listener.topic("notify-next"))
    fleet.job(device.thing, document='{ "z": 1, "n": null, "f": [1E2, 1e21, 1E400], "k": [null] }')
    expected = {"z": 1, "f": [100.0, 1e21, "Infinity"], "k": [None]}
    assert listener.expect(listener.topic("notify-next"))["execution"]["jobDocument"] == expected
    assert device.accepted("$next/get")["execution"]["jobDocument"] == expected
    assert device.started()["jobDocument"] == expected


def test_time_left_is_described_while_a_timer_runs(fleet: Fleet, device: Device) -> None:
    """spec: device-plane 4.3"""
    job = fleet.job(device.thing, timeoutConfig={"inProgressTimeoutInMinutes": 2})
    name = f"{job}/get"
    left = "approximateSecondsBeforeTimedOut"
    assert left not in device.accepted(name)["execution"]
    assert device.started()[left] == 120
    fleet.server.advance(30.5)
    assert device.accepted(name)["execution"][left] == 90


@pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED", "REJECTED", "CANCELED", "TIMED_OUT", "REMOVED"])
def test_finished_execution_is_described_no_more(fleet: Fleet, device: Device, status: str) -> None:
    """case 98"""
    job = job_that_ended(fleet, device, status)
    for members in ({}, {"executionNumber": 1, "includeJobDocument": False}):
        assert device.rejected(f"{job}/get", {"clientToken": "a", **members}) == {
            "clientToken": "a",
            "timestamp": seconds(fleet),
            "code": "TerminalStateReached",
            "message": TERMINAL_STATE,
        }


def job_that_ended(fleet: Fleet, device: Device, status: str) -> str:
    """A job whose execution on the device's thing ended so."""
    thing = device.thing
    if status == "REMOVED":
        group = fleet.group(thing)
        job = fleet.job(arn("thinggroup", group), targetSelection="CONTINUOUS")
        fleet.iot.remove_thing_from_thing_group(thingGroupName=group, thingName=thing)
    elif status == "TIMED_OUT":
        job = fleet.job(thing, timeoutConfig={"inProgressTimeoutInMinutes": 1})
        device.started()
        fleet.server.advance(60)
    elif status == "CANCELED":
        job = fleet.job(thing)
        fleet.iot.cancel_job_execution(thingName=thing, jobId=job)
    else:
        job = fleet.job(thing)
        device.report(job, status)
    assert fleet.execution(thing, job)["status"] == status
    return job


@pytest.mark.parametrize("name", ["get", "start-next", "notify", "notify-next", "accepted", "jobs", "update"])
def test_job_named_like_a_topic_is_served(fleet: Fleet, device: Device, name: str) -> None:
    """case 107; spec: ruling 23. The number of levels tells a job from a verb."""
    fleet.job(device.thing, jobId=name)
    assert device.accepted(f"{name}/get")["execution"]["jobId"] == name
    assert [each["jobId"] for each in device.accepted("get")["queuedJobs"]] == [name]
    assert device.report(name, "IN_PROGRESS").keys() == {"timestamp"}
    assert device.started()["jobId"] == name
    device.report(name, "SUCCEEDED")
    fleet.iot.delete_job(jobId=name)


# --- update: what is answered ------------------------------------------------------------------------


def test_update_answers_nothing_that_was_not_asked_for(fleet: Fleet, device: Device) -> None:
    """case 93"""
    job = fleet.job(device.thing)
    answer = device.report(job, "IN_PROGRESS", clientToken="a")
    assert answer == {"clientToken": "a", "timestamp": seconds(fleet)}


def test_update_answers_state_and_document_when_asked(fleet: Fleet, device: Device) -> None:
    """case 94"""
    job = fleet.job(device.thing)
    answer = device.report(
        job,
        "IN_PROGRESS",
        statusDetails={"a": "1"},
        includeJobExecutionState=True,
        includeJobDocument=True,
    )
    assert answer == {
        "timestamp": seconds(fleet),
        "executionState": {"status": "IN_PROGRESS", "statusDetails": {"a": "1"}, "versionNumber": 2},
        "jobDocument": {"op": "x"},
    }


def test_longs_may_be_written_as_strings(fleet: Fleet, device: Device) -> None:
    """case 96"""
    job = fleet.job(device.thing)
    device.started()
    device.report(job, "IN_PROGRESS", expectedVersion="2", executionNumber="1")
    device.report(job, "IN_PROGRESS", expectedVersion=3, executionNumber=1)
    for expected in ("two", 1.5, True):
        told = device.rejected(f"{job}/update", {"status": "IN_PROGRESS", "expectedVersion": expected})
        assert told["code"] == "InvalidRequest"
    assert state(fleet, device, job) == ("IN_PROGRESS", 4)


def test_details_are_replaced_whole_or_left_alone(fleet: Fleet, device: Device) -> None:
    """case 110, case 200"""
    job = fleet.job(device.thing)
    reports: list[dict[str, Any]] = [
        {},
        {"statusDetails": {"a": "1"}},
        {},
        {"statusDetails": {"b": "2"}},
        {"statusDetails": {}},
    ]
    states = [
        device.report(job, "IN_PROGRESS", includeJobExecutionState=True, **each)["executionState"]
        for each in reports
    ]
    assert "statusDetails" not in states[0]
    assert [each["statusDetails"] for each in states[1:]] == [{"a": "1"}, {"a": "1"}, {"b": "2"}, {}]
    assert device.accepted(f"{job}/get")["execution"]["statusDetails"] == {}


@pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED", "REJECTED"])
def test_execution_may_finish_without_having_been_started(fleet: Fleet, device: Device, status: str) -> None:
    """case 111"""
    job = fleet.job(device.thing)
    fleet.server.advance(3)
    device.report(job, status)
    execution = fleet.execution(device.thing, job)
    assert (execution["status"], execution["versionNumber"]) == (status, 2)
    assert execution.get("startedAt") == (None if status == "REJECTED" else execution["lastUpdatedAt"])


# --- update: what is refused --------------------------------------------------------------------------


def test_stale_version_is_rejected_with_the_current_state(fleet: Fleet, device: Device) -> None:
    """case 95, case 113"""
    job = fleet.job(device.thing)
    device.started()
    told = device.rejected(f"{job}/update", {"status": "SUCCEEDED", "expectedVersion": 1, "clientToken": "a"})
    assert told == {
        "clientToken": "a",
        "timestamp": seconds(fleet),
        "executionState": {"status": "IN_PROGRESS", "versionNumber": 2},
        "code": "VersionMismatch",
        "message": "Expected version 1 but found version 2",
    }
    assert list(told) == ["clientToken", "timestamp", "executionState", "code", "message"]
    assert state(fleet, device, job) == ("IN_PROGRESS", 2)


def test_finished_execution_takes_no_more_reports(fleet: Fleet, device: Device) -> None:
    """case 97"""
    job = fleet.job(device.thing)
    device.report(job, "SUCCEEDED", statusDetails={"a": "1"})
    assert device.rejected(f"{job}/update", {"status": "FAILED"}) == {
        "timestamp": seconds(fleet),
        "executionState": {"status": "SUCCEEDED", "statusDetails": {"a": "1"}, "versionNumber": 2},
        "code": "InvalidStateTransition",
        "message": f"Job {job} for {device.thing} has already finished with status SUCCEEDED",
    }


@pytest.mark.parametrize("status", ["QUEUED", "CANCELED", "TIMED_OUT", "REMOVED"])
def test_some_statuses_are_never_a_devices_to_set(fleet: Fleet, device: Device, status: str) -> None:
    """case 102, case 198: decided before the execution and its version are looked up"""
    job = fleet.job(device.thing)
    device.started()
    for name, members in ((job, {}), (job, {"expectedVersion": 99}), ("nope", {"expectedVersion": 99})):
        assert device.rejected(f"{name}/update", {"status": status, **members}) == {
            "timestamp": seconds(fleet),
            "code": "InvalidStateTransition",
            "message": f"The status of job execution cannot be changed to be {status}",
        }
    assert state(fleet, device, job) == ("IN_PROGRESS", 2)


def test_status_is_required_and_one_of_the_models(fleet: Fleet, device: Device) -> None:
    """case 103"""
    job = fleet.job(device.thing)
    told = device.rejected(f"{job}/update", {"clientToken": "a"})
    assert (told["code"], told["clientToken"]) == ("InvalidRequest", "a")
    assert "Value null at 'status' failed to satisfy constraint: Member must not be null" in told["message"]
    for status in ("DONE", 1, None):
        assert device.rejected(f"{job}/update", {"status": status})["code"] == "InvalidRequest"
    assert state(fleet, device, job) == ("QUEUED", 1)


def test_unknown_execution_is_not_found(fleet: Fleet, device: Device) -> None:
    """case 104, case 105, case 113, case 199"""
    job = fleet.job(device.thing)
    update = {"status": "SUCCEEDED", "clientToken": "a"}
    asked: list[tuple[str, dict[str, Any]]] = [
        (f"{job}/update", {**update, "executionNumber": 7}),
        (f"{job}/get", {"executionNumber": 7, "clientToken": "a"}),
        ("nope/update", update),
        ("nope/update", {**update, "expectedVersion": 99}),
        ("nope/get", {"clientToken": "a"}),
    ]
    for name, members in asked:
        assert device.rejected(name, members) == {
            "clientToken": "a",
            "timestamp": seconds(fleet),
            "code": "ResourceNotFound",
            "message": f"Job {name.partition('/')[0]} not found for {device.thing}",
        }
    assert state(fleet, device, job) == ("QUEUED", 1)


def test_unknown_thing_is_not_found(fleet: Fleet, device: Device) -> None:
    """spec: device-plane 11 (5)"""
    device.thing = "nothing"
    for name in ("get", "start-next", "$next/get", "j/get"):
        assert device.rejected(name)["code"] == "ResourceNotFound"
    assert device.rejected("j/update", {"status": "FAILED"})["code"] == "ResourceNotFound"


@pytest.mark.parametrize(
    "details",
    [
        {f"k{n}": "v" for n in range(11)},
        {"k": "x" * 1025},
        {"a key": "v"},
        {"k" * 129: "v"},
        {"": "v"},
        {"k": ""},
        {"k": "a\nb"},
        {"k": 1},
        {"k": {}},
        {"k": None},
        False,
        [],
        "text",
    ],
    ids=lambda value: str(value)[:30],
)
def test_details_out_of_bounds_change_nothing(fleet: Fleet, device: Device, details: object) -> None:
    """case 100, case 101, case 201"""
    job = fleet.job(device.thing)
    members = {"status": "IN_PROGRESS", "statusDetails": details}
    assert device.rejected(f"{job}/update", members)["code"] == "InvalidRequest"
    assert device.rejected("start-next", {"statusDetails": details})["code"] == "InvalidRequest"
    assert state(fleet, device, job) == ("QUEUED", 1)


@pytest.mark.parametrize(
    "payload", [b"{", b"[]", b"7", b"null", b"\xff{}", b'{"clientToken":"a"}x', b'{"a":}']
)
def test_payload_that_is_no_json_object_is_rejected(fleet: Fleet, device: Device, payload: bytes) -> None:
    """case 99"""
    for name in ("get", "start-next", "$next/get", "j/get", "j/update"):
        assert device.rejected(name, payload) == {
            "timestamp": seconds(fleet),
            "code": "InvalidJson",
            "message": NOT_JSON,
        }


def test_client_token_has_a_type_and_a_size(fleet: Fleet, device: Device) -> None:
    """case 113; spec: device-plane 2"""
    token = "ä" * 128
    assert device.accepted("get", {"clientToken": token})["clientToken"] == token
    wrong: list[Any] = [1, {}, "x" * 129]
    for bad in wrong:
        told = device.rejected("get", {"clientToken": bad})
        assert told.keys() == {"timestamp", "code", "message"}
        assert told["code"] == "InvalidRequest"
    assert device.accepted("get", {"unknown": 1, "another": {}}).keys() == {
        "timestamp",
        "inProgressJobs",
        "queuedJobs",
    }


@pytest.mark.parametrize("minutes", [0, 10_081, -1])
def test_step_time_out_has_bounds(fleet: Fleet, device: Device, minutes: int) -> None:
    """spec: device-plane 4.4, ruling 14. An update may take the timer back with -1, start-next cannot."""
    job = fleet.job(device.thing)
    told = device.rejected("start-next", {"stepTimeoutInMinutes": minutes})
    assert told["code"] == "InvalidRequest"
    members = {"status": "IN_PROGRESS", "stepTimeoutInMinutes": minutes}
    assert device.ask(f"{job}/update", members).verdict == ("accepted" if minutes == -1 else "rejected")


# --- who is answered ----------------------------------------------------------------------------------


def test_reply_reaches_the_asking_connection_alone(fleet: Fleet, devices: Devices, device: Device) -> None:
    """case 108"""
    thing = device.thing
    others = [
        devices.connect(fleet.unique("other"), f"$aws/things/{thing}/jobs/#"),
        devices.connect(fleet.unique("other"), f"$aws/things/{thing}/jobs/+/accepted"),
    ]
    job = fleet.job(thing)
    assert others[0].expect(f"$aws/things/{thing}/jobs/notify")
    assert others[0].expect(f"$aws/things/{thing}/jobs/notify-next")
    for name in ("get", "start-next", f"{job}/get"):
        device.accepted(name)
    device.rejected("nope/get")
    for other in others:
        other.expect_nothing()


@pytest.mark.parametrize("qos", [0, 1])
def test_reply_comes_once_to_one_who_subscribed_to_it(
    fleet: Fleet, devices: Devices, device: Device, qos: int
) -> None:
    """case 109"""
    job = fleet.job(device.thing)
    filters = [device.topic(name) for name in ("get/+", "start-next/+", f"{job}/get/+", f"{job}/update/+")]
    assert device.subscribe(*filters, device.topic("get/accepted"), qos=qos) == (qos,) * 5
    for name in ("get", "start-next", f"{job}/get", "$next/get"):
        device.accepted(name, {"clientToken": name})
        device.expect_nothing()
    device.report(job, "SUCCEEDED")
    device.expect_nothing()
    device.rejected(f"{job}/get")
    device.expect_nothing()


@pytest.mark.parametrize("subscribed", [None, 0, 1])
def test_reply_comes_at_the_qos_subscribed_to(fleet: Fleet, device: Device, subscribed: int | None) -> None:
    """spec: device-plane 1"""
    if subscribed is not None:
        device.subscribe(device.topic("get/accepted"), qos=subscribed)
    for qos in (0, 1):
        device.publish(device.topic("get"), b"{}", qos)
        message = device.next_message()
        assert (message.topic, message.qos) == (device.topic("get/accepted"), subscribed or 0)


def test_requests_are_answered_in_their_order(fleet: Fleet, device: Device) -> None:
    """Pipelined: none waits for the answer before it."""
    jobs = [fleet.job(device.thing) for _ in range(3)]
    names = [f"{job}/{verb}" for job in jobs for verb in ("get", "update", "get", "update")]
    device.send(
        *(
            Publish(
                device.topic(name),
                b'{"status":"IN_PROGRESS"}' if name.endswith("update") else b"{}",
                1,
                packet_id=n,
            )
            for n, name in enumerate(names, start=1)
        )
    )
    answered: list[str] = []
    while len(answered) < len(names):
        packet = device.next_packet()
        if isinstance(packet, Publish):
            answered.append(packet.topic)
    assert answered == [device.topic(name) + "/accepted" for name in names]
    for job in jobs:
        assert state(fleet, device, job) == ("IN_PROGRESS", 3)


# --- what is no request -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "",
        "nothing",
        "notify",
        "notify-next",
        "get/accepted",
        "start-next/rejected",
        "j/update/accepted",
        "j/get/rejected",
        "j/put",
        "/get",
        "$next/update",
        "get/",
        "a/b/c/d",
    ],
)
def test_publish_on_another_jobs_topic_is_dropped(
    fleet: Fleet, devices: Devices, device: Device, name: str
) -> None:
    """spec: ruling 17, device-plane 1"""
    other = devices.connect(fleet.unique("other"), f"$aws/things/{device.thing}/jobs/#")
    device.subscribe(device.topic("#"))
    for qos in (0, 1):
        assert device.publish(device.topic(name), b'{"clientToken":"a"}', qos, retain=True) == 0
    device.expect_nothing()
    other.expect_nothing()
    late = devices.connect(fleet.unique("other"), f"$aws/things/{device.thing}/jobs/#")
    late.expect_nothing()  # it was not retained either


def test_retained_request_is_a_request_and_nothing_is_retained(
    fleet: Fleet, devices: Devices, device: Device
) -> None:
    """spec: device-plane 1"""
    assert device.publish(device.topic("get"), b"{}", retain=True) == 0
    answer = device.next_message()
    assert (answer.topic, answer.retain) == (device.topic("get/accepted"), False)
    devices.connect(fleet.unique("other"), f"$aws/things/{device.thing}/jobs/#").expect_nothing()
