"""Job executions as operators see them: describe, list, cancel, delete."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fleet import Fleet, Refusal, arn, invalid, not_found, refusal, wrong_state


def seen(execution: dict[str, Any]) -> tuple[str, int, bool]:
    return execution["status"], execution["versionNumber"], execution["forceCanceled"]


# --- describe -------------------------------------------------------------------------------------


def test_queued_execution_has_no_details_and_did_not_start(fleet: Fleet) -> None:
    """case 69"""
    thing = fleet.thing()
    job = fleet.job(thing)
    execution = fleet.execution(thing, job)
    assert execution["statusDetails"] == {}
    assert "startedAt" not in execution
    assert "approximateSecondsBeforeTimedOut" not in execution
    assert (execution["thingArn"], execution["executionNumber"]) == (arn("thing", thing), 1)
    body = fleet.server.http("GET", f"/things/{thing}/jobs/{job}")[2]
    raw = json.loads(body)["execution"]
    assert isinstance(raw["queuedAt"], float)
    assert "retryAttempt" not in raw


def test_details_are_shown_as_they_were_reported(fleet: Fleet) -> None:
    """spec: control-plane 1.3, 1.5"""
    thing = fleet.thing()
    job = fleet.job(thing)
    for details in ({"a": "1"}, {}):
        fleet.report(thing, job, "IN_PROGRESS", statusDetails=details)
        assert fleet.execution(thing, job)["statusDetails"] == {"detailsMap": details}


def test_running_execution_shows_how_long_it_still_may(fleet: Fleet) -> None:
    """spec: control-plane 3.11"""
    thing = fleet.thing()
    job = fleet.job(thing, timeoutConfig={"inProgressTimeoutInMinutes": 5})
    fleet.start_next(thing)
    fleet.server.advance(60.5)
    assert fleet.execution(thing, job)["approximateSecondsBeforeTimedOut"] == 240


def test_next_is_no_job_id_for_operators(fleet: Fleet) -> None:
    """case 70"""
    told = refusal(fleet.iot.describe_job_execution, thingName=fleet.thing(), jobId="$next")
    assert (told.status, told.code) == (400, "InvalidRequestException")


def test_both_sentences_of_an_unknown_execution(fleet: Fleet) -> None:
    """case 186, case 187"""
    thing = fleet.thing()
    job = fleet.job(thing)
    no_job = not_found("Job execution cannot be found as the Job nojob does not exist.")

    def none_of(name: str) -> Refusal:
        return not_found(f"Job execution for thing {name} cannot be found within job {job}.")

    describe, cancel = fleet.iot.describe_job_execution, fleet.iot.cancel_job_execution
    delete = fleet.iot.delete_job_execution
    assert refusal(describe, thingName=thing, jobId="nojob") == no_job
    assert refusal(cancel, thingName=thing, jobId="nojob") == no_job
    assert refusal(delete, thingName=thing, jobId="nojob", executionNumber=1) == no_job
    for name in ("x", fleet.thing()):
        assert refusal(describe, thingName=name, jobId=job) == none_of(name)
        assert refusal(cancel, thingName=name, jobId=job) == none_of(name)
    assert refusal(describe, thingName=thing, jobId=job, executionNumber=9) == none_of(thing)
    assert refusal(delete, thingName=thing, jobId=job, executionNumber=2) == none_of(thing)


# --- cancel ---------------------------------------------------------------------------------------


def test_expected_version_is_checked_before_the_state(fleet: Fleet) -> None:
    """case 71"""
    thing = fleet.thing()
    job = fleet.job(thing)
    told = refusal(fleet.iot.cancel_job_execution, thingName=thing, jobId=job, expectedVersion=99)
    assert told == Refusal(409, "VersionConflictException", "Expected version 99 but found version 1")
    assert seen(fleet.execution(thing, job)) == ("QUEUED", 1, False)


def test_execution_in_progress_is_canceled_only_by_force(fleet: Fleet) -> None:
    """case 72"""
    thing = fleet.thing()
    job = fleet.job(thing)
    fleet.start_next(thing)
    cannot = wrong_state(f"Job execution for thing {thing} within job {job} cannot be canceled.")
    assert refusal(fleet.iot.cancel_job_execution, thingName=thing, jobId=job) == cannot
    fleet.iot.cancel_job_execution(thingName=thing, jobId=job, force=True)
    assert seen(fleet.execution(thing, job)) == ("CANCELED", 3, True)


def test_queued_execution_is_canceled(fleet: Fleet) -> None:
    """case 73"""
    thing = fleet.thing()
    job = fleet.job(thing)
    answer = fleet.iot.cancel_job_execution(
        thingName=thing, jobId=job, expectedVersion=1, statusDetails={"why": "because"}
    )
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 200
    execution = fleet.execution(thing, job)
    assert seen(execution) == ("CANCELED", 2, False)
    assert execution["statusDetails"] == {"detailsMap": {"why": "because"}}
    assert fleet.pending(thing) == ([], [])


def test_finished_execution_is_not_canceled_even_by_force(fleet: Fleet) -> None:
    """case 74"""
    thing = fleet.thing()
    job = fleet.job(thing)
    fleet.report(thing, job, "SUCCEEDED")
    cannot = wrong_state(f"Job execution for thing {thing} within job {job} cannot be canceled.")
    for force in (False, True):
        assert refusal(fleet.iot.cancel_job_execution, thingName=thing, jobId=job, force=force) == cannot


def test_expected_version_may_be_a_string(fleet: Fleet) -> None:
    """case 75"""
    thing = fleet.thing()
    job = fleet.job(thing)
    path = f"/things/{thing}/jobs/{job}/cancel"
    assert fleet.server.http("PUT", path, b'{"expectedVersion":"2"}')[0] == 409
    assert fleet.server.http("PUT", path, b'{"expectedVersion":"1"}')[0] == 200
    assert fleet.execution(thing, job)["status"] == "CANCELED"


def test_canceling_the_last_open_execution_completes_the_job(fleet: Fleet) -> None:
    """case 78, case 165"""
    done, waiting = fleet.things(2)
    job = fleet.job(done, waiting)
    fleet.report(done, job, "SUCCEEDED")
    fleet.server.advance(1)
    fleet.iot.cancel_job_execution(thingName=waiting, jobId=job)
    shown = fleet.describe(job)
    assert shown["status"] == "COMPLETED"
    assert shown["completedAt"] == shown["lastUpdatedAt"] > shown["createdAt"]
    assert fleet.counted(job) == {"Succeeded": 1, "Canceled": 1}


# --- delete ---------------------------------------------------------------------------------------


def test_execution_in_progress_is_deleted_only_by_force(fleet: Fleet) -> None:
    """case 76"""
    thing = fleet.thing()
    job = fleet.job(thing)
    fleet.start_next(thing)
    params = {"thingName": thing, "jobId": job, "executionNumber": 1}
    assert refusal(fleet.iot.delete_job_execution, **params) == wrong_state(
        f"Job execution for thing {thing} within job {job} in status IN_PROGRESS"
        " cannot be deleted without force flag."
    )
    fleet.iot.delete_job_execution(**params, force=True)
    assert refusal(fleet.iot.describe_job_execution, thingName=thing, jobId=job).status == 404
    assert (fleet.counted(job), fleet.describe(job)["status"]) == ({}, "COMPLETED")


def test_queued_execution_is_deleted_without_force(fleet: Fleet) -> None:
    """case 77 (without notifications)"""
    thing = fleet.thing()
    job = fleet.job(thing)
    status, headers, body = fleet.server.http("DELETE", f"/things/{thing}/jobs/{job}/executionNumber/1")
    assert (status, headers["content-type"], body) == (200, "application/json", b"")
    assert fleet.pending(thing) == ([], [])
    assert (fleet.counted(job), fleet.describe(job)["status"]) == ({}, "COMPLETED")


def test_finished_execution_is_deleted_and_counted_no_more(fleet: Fleet) -> None:
    """case 212 (without events)"""
    done, waiting = fleet.things(2)
    job = fleet.job(done, waiting)
    fleet.report(done, job, "FAILED")
    fleet.iot.delete_job_execution(thingName=done, jobId=job, executionNumber=1)
    assert fleet.counted(job) == {"Queued": 1}
    assert fleet.describe(job)["status"] == "IN_PROGRESS"
    assert fleet.iot.list_job_executions_for_thing(thingName=done)["executionSummaries"] == []


@pytest.mark.parametrize(
    ("number", "code", "message"),
    [
        ("0", "InvalidRequestException", "Execution number is invalid."),
        ("-1", "InvalidRequestException", "Execution number is invalid."),
        ("x", "SerializationException", "'x' can not be converted to Long"),
        ("99999999999999999999", "SerializationException", None),
    ],
)
def test_execution_number_is_read_before_anything_else(
    fleet: Fleet, number: str, code: str, message: str | None
) -> None:
    """case 187"""
    path = f"/things/nothing/jobs/nojob/executionNumber/{number}"
    status, headers, body = fleet.server.http("DELETE", path)
    assert (status, headers["x-amzn-errortype"]) == (400, code)
    assert message in (None, json.loads(body)["message"])


# --- lists ----------------------------------------------------------------------------------------


def test_executions_of_a_job_come_last_changed_first(fleet: Fleet) -> None:
    """case 188"""
    failed, succeeded, working, waiting = things = fleet.things(4)
    job = fleet.job(*things)
    for thing, status in ((failed, "FAILED"), (succeeded, "SUCCEEDED"), (working, "IN_PROGRESS")):
        fleet.server.advance(1)
        fleet.report(thing, job, status)
    rows = fleet.iot.list_job_executions_for_job(jobId=job)["executionSummaries"]
    assert [row["thingArn"] for row in rows] == [
        arn("thing", thing) for thing in (working, succeeded, failed, waiting)
    ]
    summaries = [row["jobExecutionSummary"] for row in rows]
    assert [s["status"] for s in summaries] == ["IN_PROGRESS", "SUCCEEDED", "FAILED", "QUEUED"]
    assert [s["retryAttempt"] for s in summaries] == [0, 0, 0, 0]
    assert ["startedAt" in s for s in summaries] == [True, True, True, False]


def test_pages_of_a_jobs_executions_hold_each_once(fleet: Fleet) -> None:
    """spec: control-plane 1.1, 3.9"""
    things = fleet.things(7)
    job = fleet.job(*things)
    fleet.report(things[3], job, "FAILED")
    pages = list(
        fleet.iot.get_paginator("list_job_executions_for_job").paginate(
            jobId=job, PaginationConfig={"PageSize": 2}
        )
    )
    rows = [row for page in pages for row in page["executionSummaries"]]
    assert [len(page["executionSummaries"]) for page in pages] == [2, 2, 2, 1]
    assert [row["thingArn"] for row in rows] == [arn("thing", name) for name in sorted(things)]
    queued = fleet.iot.list_job_executions_for_job(jobId=job, status="QUEUED")["executionSummaries"]
    assert len(queued) == 6


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"maxResults": 0},
            "1 validation error detected: Value '0' at 'maxResults' failed to satisfy constraint: "
            "Member must have value greater than or equal to 1",
        ),
        (
            {"status": "queued"},
            "1 validation error detected: Value 'queued' at 'status' failed to satisfy constraint: Member "
            "must satisfy enum value set: [REMOVED, SUCCEEDED, TIMED_OUT, IN_PROGRESS, QUEUED, CANCELED, "
            "FAILED, REJECTED]",
        ),
    ],
)
def test_shape_is_checked_before_the_job_is_looked_up(
    fleet: Fleet, params: dict[str, Any], message: str
) -> None:
    """case 189"""
    assert refusal(fleet.iot.list_job_executions_for_job, jobId="missing", **params) == invalid(message)


def test_bad_token_is_told_after_the_missing_job(fleet: Fleet) -> None:
    """spec: control-plane 3.9"""
    call = fleet.iot.list_job_executions_for_job
    assert refusal(call, jobId="missing", nextToken="x") == not_found("Job missing cannot be found.")
    job = fleet.job(fleet.thing())
    assert refusal(call, jobId=job, nextToken="x") == invalid("Next token is invalid.")


def test_executions_of_a_thing_are_those_of_all_jobs_newest_first(fleet: Fleet) -> None:
    """spec: control-plane 3.10"""
    thing = fleet.thing()
    jobs = []
    for _ in range(3):
        jobs.append(fleet.job(thing))
        fleet.server.advance(1)
    fleet.report(thing, jobs[0], "SUCCEEDED")

    def listed(**params: Any) -> list[str]:
        answer = fleet.iot.list_job_executions_for_thing(thingName=thing, **params)
        return [row["jobId"] for row in answer["executionSummaries"]]

    assert listed() == jobs[::-1]
    assert listed(status="SUCCEEDED") == listed(jobId=jobs[0]) == [jobs[0]]
    paginator = fleet.iot.get_paginator("list_job_executions_for_thing")
    pages = paginator.paginate(thingName=thing, PaginationConfig={"PageSize": 2})
    assert [row["jobId"] for page in pages for row in page["executionSummaries"]] == jobs[::-1]
    assert refusal(fleet.iot.list_job_executions_for_thing, thingName="missing").status == 404


def test_one_path_means_two_things_to_the_two_planes(fleet: Fleet) -> None:
    """case 81"""
    thing = fleet.thing()
    job = fleet.job(thing)
    assert fleet.iot.list_job_executions_for_thing(thingName=thing)["executionSummaries"][0]["jobId"] == job
    answer = fleet.data.get_pending_job_executions(thingName=thing)
    assert [e["jobId"] for e in answer["queuedJobs"]] == [job]
