"""A device's life over HTTPS: the data plane as boto3 and raw requests see it."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from fleet import DEVICE_PLANE, Fleet, Refusal, invalid, not_found, refusal, wrong_state

TERMINAL_STATE = Refusal(
    410,
    "TerminalStateException",
    "Job Execution has reached terminal state. It is neither IN_PROGRESS nor QUEUED",
)


def raw(fleet: Fleet, method: str, path: str, body: object = None) -> tuple[int, str | None, Any]:
    """Status, error name and parsed body of a request to the device plane; ``body`` is sent as JSON."""
    content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    status, headers, answer = fleet.server.http(method, path, content, DEVICE_PLANE)
    return status, headers.get("x-amzn-errortype"), json.loads(answer)


def state(fleet: Fleet, thing: str, job: str) -> tuple[str, int]:
    execution = fleet.execution(thing, job)
    return execution["status"], execution["versionNumber"]


# --- pending executions -----------------------------------------------------------------------------


def test_idle_device_gets_two_empty_lists(fleet: Fleet) -> None:
    """case 82"""
    thing = fleet.thing()
    assert raw(fleet, "GET", f"/things/{thing}/jobs") == (200, None, {"inProgressJobs": [], "queuedJobs": []})


def test_idle_device_gets_no_execution(fleet: Fleet) -> None:
    """case 83, case 118"""
    thing = fleet.thing()
    for spelled in ("$next", "%24next"):
        assert raw(fleet, "PUT", f"/things/{thing}/jobs/{spelled}", {}) == (200, None, {})
        assert raw(fleet, "GET", f"/things/{thing}/jobs/{spelled}") == (200, None, {})


def test_unknown_thing_is_not_found(fleet: Fleet) -> None:
    """spec: device-plane 7"""
    for method, path in (("GET", ""), ("PUT", "/$next"), ("GET", "/$next"), ("GET", "/j")):
        assert raw(fleet, method, f"/things/nothing/jobs{path}")[:2] == (404, "ResourceNotFoundException")


def test_pending_lists_show_the_running_first_and_ten_in_all(fleet: Fleet) -> None:
    """case 112 (the list); spec: device-plane 4.1, 6.1"""
    thing = fleet.thing()
    jobs = []
    for _ in range(12):
        jobs.append(fleet.job(thing))
        fleet.server.advance(0.001)
    for job in (jobs[9], jobs[1], jobs[11], jobs[5]):
        fleet.report(thing, job, "IN_PROGRESS")
    running = [jobs[n] for n in (1, 5, 9, 11)]
    assert fleet.pending(thing) == (running, [jobs[n] for n in (0, 2, 3, 4, 6, 7)])
    (first, *_) = fleet.data.get_pending_job_executions(thingName=thing)["inProgressJobs"]
    assert first.keys() == {
        "jobId", "queuedAt", "startedAt", "lastUpdatedAt", "versionNumber", "executionNumber",
    }  # fmt: skip
    assert fleet.start_next(thing)["jobId"] == jobs[1]  # type: ignore[index]  # there is one


# --- start next and describe ------------------------------------------------------------------------


def test_start_next_starts_the_head_and_hands_out_its_document(fleet: Fleet) -> None:
    """case 84, case 114, case 215 (HTTP)"""
    thing = fleet.thing()
    job = fleet.job(thing, document='{ "op": "x" }')
    _, _, answer = raw(fleet, "PUT", f"/things/{thing}/jobs/$next", {"clientToken": "a"})
    execution = answer["execution"]
    seconds = fleet.server.now() // 1000
    assert execution == {
        "jobId": job,
        "thingName": thing,
        "status": "IN_PROGRESS",
        "queuedAt": seconds,
        "startedAt": seconds,
        "lastUpdatedAt": seconds,
        "versionNumber": 2,
        "executionNumber": 1,
        "jobDocument": '{"op":"x"}',
    }
    assert raw(fleet, "GET", f"/things/{thing}/jobs/{job}")[2]["execution"] == execution
    assert raw(fleet, "GET", f"/things/{thing}/jobs/$next")[2]["execution"] == execution


def test_start_next_gives_a_running_head_again_unchanged(fleet: Fleet) -> None:
    """case 85"""
    thing = fleet.thing()
    fleet.job(thing)
    first = fleet.start_next(thing, statusDetails={"p": "1"})
    fleet.server.advance(5)
    assert fleet.start_next(thing, statusDetails={"p": "2"}) == first
    assert first is not None
    assert (first["versionNumber"], first["statusDetails"]) == (2, {"p": "1"})


def test_only_one_of_several_reports_on_one_version_counts(fleet: Fleet) -> None:
    """case 95: whatever arrives at once"""
    thing = fleet.thing()
    job = fleet.job(thing)
    with ThreadPoolExecutor(8) as pool:
        started = list(pool.map(lambda _: fleet.start_next(thing), range(8)))
        assert all(execution == started[0] for execution in started)
        body = {"status": "IN_PROGRESS", "expectedVersion": 2}
        path = f"/things/{thing}/jobs/{job}"
        answers = sorted(pool.map(lambda _: raw(fleet, "POST", path, body)[0], range(8)))
    assert answers == [200] + [400] * 7
    assert state(fleet, thing, job) == ("IN_PROGRESS", 3)


@pytest.mark.parametrize("minutes", [0, 10_081, -1])
def test_step_time_out_of_start_next_has_bounds(fleet: Fleet, minutes: int) -> None:
    """case 123; spec: device-plane 7"""
    thing = fleet.thing()
    job = fleet.job(thing)
    told = refusal(fleet.data.start_next_pending_job_execution, thingName=thing, stepTimeoutInMinutes=minutes)
    assert (told.status, told.code) == (400, "InvalidRequestException")
    assert state(fleet, thing, job) == ("QUEUED", 1)


def test_document_is_described_unless_it_is_not_wanted(fleet: Fleet) -> None:
    """case 106"""
    thing = fleet.thing()
    path = f"/things/{thing}/jobs/{fleet.job(thing)}"
    assert "jobDocument" in raw(fleet, "GET", path)[2]["execution"]
    assert "jobDocument" not in raw(fleet, "GET", f"{path}?includeJobDocument=false")[2]["execution"]
    assert raw(fleet, "GET", f"{path}?includeJobDocument=no")[:2] == (400, "InvalidRequestException")


@pytest.mark.parametrize(
    ("stored", "parsed"),
    [
        (
            '{ "z": 1, "n": null, "f": [1E2, 1e21, 1E400], "k": [null] }',
            {"z": 1, "f": [100.0, 1e21, "Infinity"], "k": [None]},
        ),
        ('{ "z": 1, "a": 2, "z": 3 }', {"z": 3, "a": 2}),
        ("[1, 2]", [1, 2]),
    ],
)
def test_devices_get_the_document_written_anew(fleet: Fleet, stored: str, parsed: object) -> None:
    """case 202"""
    thing = fleet.thing()
    job = fleet.job(thing, document=stored)
    execution = fleet.data.describe_job_execution(thingName=thing, jobId=job)["execution"]
    assert json.loads(execution["jobDocument"]) == parsed
    assert fleet.iot.get_job_document(jobId=job)["document"] == stored


@pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED", "REJECTED", "CANCELED"])
def test_finished_execution_is_described_no_more(fleet: Fleet, status: str) -> None:
    """case 98, case 116"""
    thing = fleet.thing()
    job = fleet.job(thing)
    if status == "CANCELED":
        fleet.iot.cancel_job_execution(thingName=thing, jobId=job)
    else:
        fleet.report(thing, job, status)
    for params in ({}, {"executionNumber": 1, "includeJobDocument": False}):
        told = refusal(fleet.data.describe_job_execution, thingName=thing, jobId=job, **params)
        assert told == TERMINAL_STATE


def test_job_named_like_a_topic_is_served(fleet: Fleet) -> None:
    """case 107 (HTTP); spec: ruling 23"""
    thing = fleet.thing()
    for name in ("get", "start-next", "notify", "notify-next", "jobs"):
        fleet.job(thing, jobId=name)
        answer = fleet.data.describe_job_execution(thingName=thing, jobId=name)
        assert answer["execution"]["jobId"] == name
        fleet.report(thing, name, "SUCCEEDED")
        fleet.iot.delete_job(jobId=name)


# --- update: what is answered ------------------------------------------------------------------------


def test_update_answers_nothing_that_was_not_asked_for(fleet: Fleet) -> None:
    """case 93"""
    thing = fleet.thing()
    path = f"/things/{thing}/jobs/{fleet.job(thing)}"
    assert raw(fleet, "POST", path, {"status": "IN_PROGRESS"}) == (200, None, {})


def test_update_answers_state_and_document_when_asked(fleet: Fleet) -> None:
    """case 94"""
    thing = fleet.thing()
    job = fleet.job(thing)
    answer = fleet.report(
        thing,
        job,
        "IN_PROGRESS",
        statusDetails={"a": "1"},
        includeJobExecutionState=True,
        includeJobDocument=True,
    )
    assert answer == {
        "executionState": {"status": "IN_PROGRESS", "statusDetails": {"a": "1"}, "versionNumber": 2},
        "jobDocument": '{"op":"x"}',
    }


def test_details_are_replaced_whole_or_left_alone(fleet: Fleet) -> None:
    """case 110, case 200"""
    thing = fleet.thing()
    path = f"/things/{thing}/jobs/{fleet.job(thing)}"
    asked = {"status": "IN_PROGRESS", "includeJobExecutionState": True}
    reports: list[dict[str, Any]] = [
        {},
        {"statusDetails": {"a": "1"}},
        {},
        {"statusDetails": {"b": "2"}},
        {"statusDetails": {}},
    ]
    states = [raw(fleet, "POST", path, {**asked, **r})[2]["executionState"] for r in reports]
    assert "statusDetails" not in states[0]
    assert [s["statusDetails"] for s in states[1:]] == [{"a": "1"}, {"a": "1"}, {"b": "2"}, {}]
    assert [s["versionNumber"] for s in states] == [2, 3, 4, 5, 6]
    assert raw(fleet, "GET", path)[2]["execution"]["statusDetails"] == {}


@pytest.mark.parametrize("status", ["SUCCEEDED", "FAILED", "REJECTED"])
def test_execution_may_finish_without_having_been_started(fleet: Fleet, status: str) -> None:
    """case 111"""
    thing = fleet.thing()
    job = fleet.job(thing)
    fleet.server.advance(3)
    fleet.report(thing, job, status)
    execution = fleet.execution(thing, job)
    assert (execution["status"], execution["versionNumber"]) == (status, 2)
    assert execution.get("startedAt") == (None if status == "REJECTED" else execution["lastUpdatedAt"])
    assert fleet.describe(job)["status"] == "COMPLETED"


def test_start_is_dated_once(fleet: Fleet) -> None:
    """spec: device-plane 4.4"""
    thing = fleet.thing()
    job = fleet.job(thing)
    fleet.start_next(thing)
    started = fleet.execution(thing, job)["startedAt"]
    for status in ("IN_PROGRESS", "FAILED"):
        fleet.server.advance(1)
        fleet.report(thing, job, status)
        execution = fleet.execution(thing, job)
        assert execution["startedAt"] == started < execution["lastUpdatedAt"]


def test_longs_may_be_written_as_strings(fleet: Fleet) -> None:
    """case 96"""
    thing = fleet.thing()
    path = f"/things/{thing}/jobs/{fleet.job(thing)}"
    for members in ({"expectedVersion": "1"}, {"executionNumber": "1", "expectedVersion": 2}):
        assert raw(fleet, "POST", path, {"status": "IN_PROGRESS", **members})[0] == 200
    for members in ({"expectedVersion": "one"}, {"executionNumber": "1.5"}):
        answer = raw(fleet, "POST", path, {"status": "IN_PROGRESS", **members})
        assert answer[:2] == (400, "InvalidRequestException")


# --- update: what is refused --------------------------------------------------------------------------


def test_stale_version_is_a_bad_request(fleet: Fleet) -> None:
    """case 95 (HTTP), case 115"""
    thing = fleet.thing()
    job = fleet.job(thing)
    fleet.start_next(thing)
    for version in (1, 9):
        told = refusal(
            fleet.data.update_job_execution,
            thingName=thing,
            jobId=job,
            status="SUCCEEDED",
            expectedVersion=version,
        )
        assert told == invalid(f"Expected version {version} but found version 2")
    assert state(fleet, thing, job) == ("IN_PROGRESS", 2)


def test_finished_execution_takes_no_more_reports(fleet: Fleet) -> None:
    """case 97"""
    thing = fleet.thing()
    job = fleet.job(thing)
    fleet.report(thing, job, "SUCCEEDED")
    status, code, body = raw(fleet, "POST", f"/things/{thing}/jobs/{job}", {"status": "FAILED"})
    assert (status, code) == (409, "InvalidStateTransitionException")
    assert body["message"] == f"Job {job} for {thing} has already finished with status SUCCEEDED"
    assert body["executionState"] == {"status": "SUCCEEDED", "versionNumber": 2}


@pytest.mark.parametrize("status", ["QUEUED", "CANCELED", "TIMED_OUT", "REMOVED"])
def test_some_statuses_are_never_a_devices_to_set(fleet: Fleet, status: str) -> None:
    """case 102, case 117, case 198: decided before the execution and its version are looked up"""
    thing = fleet.thing()
    job = fleet.job(thing)
    fleet.start_next(thing)
    told = wrong_state(f"The status of job execution cannot be changed to be {status}")
    update = {"thingName": thing, "status": status}
    assert refusal(fleet.data.update_job_execution, **update, jobId=job) == told
    assert refusal(fleet.data.update_job_execution, **update, jobId=job, expectedVersion=99) == told
    assert refusal(fleet.data.update_job_execution, **update, jobId="nope") == told
    assert "executionState" not in raw(fleet, "POST", f"/things/{thing}/jobs/{job}", {"status": status})[2]
    assert state(fleet, thing, job) == ("IN_PROGRESS", 2)


def test_status_is_required_and_one_of_the_models(fleet: Fleet) -> None:
    """case 103"""
    thing = fleet.thing()
    path = f"/things/{thing}/jobs/{fleet.job(thing)}"
    status, code, body = raw(fleet, "POST", path, {})
    assert (status, code) == (400, "InvalidRequestException")
    assert "Value null at 'status' failed to satisfy constraint: Member must not be null" in body["message"]
    assert raw(fleet, "POST", path, {"status": "DONE"})[:2] == (400, "InvalidRequestException")


def test_unknown_execution_is_not_found(fleet: Fleet) -> None:
    """case 104, case 105, case 199"""
    thing = fleet.thing()
    job = fleet.job(thing)
    update, describe = fleet.data.update_job_execution, fleet.data.describe_job_execution
    gone = not_found(f"Job nope not found for {thing}")
    assert refusal(describe, thingName=thing, jobId="nope") == gone
    for expected in ({}, {"expectedVersion": 99}):
        assert refusal(update, thingName=thing, jobId="nope", status="SUCCEEDED", **expected) == gone
    other = not_found(f"Job {job} not found for {thing}")
    assert refusal(update, thingName=thing, jobId=job, status="SUCCEEDED", executionNumber=7) == other
    assert refusal(describe, thingName=thing, jobId=job, executionNumber=7) == other


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
def test_details_out_of_bounds_change_nothing(fleet: Fleet, details: object) -> None:
    """case 100, case 101, case 201"""
    thing = fleet.thing()
    job = fleet.job(thing)
    body = {"status": "IN_PROGRESS", "statusDetails": details}
    assert raw(fleet, "POST", f"/things/{thing}/jobs/{job}", body)[:2] == (400, "InvalidRequestException")
    answer = raw(fleet, "PUT", f"/things/{thing}/jobs/$next", {"statusDetails": details})
    assert answer[:2] == (400, "InvalidRequestException")
    assert state(fleet, thing, job) == ("QUEUED", 1)


def test_details_at_their_bounds_are_taken(fleet: Fleet) -> None:
    """spec: device-plane 3"""
    thing = fleet.thing()
    job = fleet.job(thing)
    details = {f"{n}:_-".ljust(128, "k"): "ä" * 1024 for n in range(10)}
    fleet.report(thing, job, "IN_PROGRESS", statusDetails=details)
    assert fleet.execution(thing, job)["statusDetails"] == {"detailsMap": details}


@pytest.mark.parametrize("body", [b"{", b"[]", b"7", b"\xff{}", b'{"status":"SUCCEEDED"}x'])
def test_body_that_is_no_json_object_is_refused(fleet: Fleet, body: bytes) -> None:
    """case 99 (HTTP)"""
    thing = fleet.thing()
    job = fleet.job(thing)
    for method, path in (("POST", job), ("PUT", "$next")):
        status, code, told = raw(fleet, method, f"/things/{thing}/jobs/{path}", body)
        assert (status, code) == (400, "InvalidRequestException")
        assert re.match("The contents of the request could not be interpreted", told["message"])
    assert state(fleet, thing, job) == ("QUEUED", 1)


def test_operators_cannot_start_executions(fleet: Fleet) -> None:
    """case 120"""
    thing = fleet.thing()
    job = fleet.job(thing)
    status, _, _ = fleet.server.http("PUT", f"/things/{thing}/jobs/$next", b"{}")
    assert status in (403, 404)
    assert state(fleet, thing, job) == ("QUEUED", 1)
