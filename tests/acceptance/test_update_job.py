"""UpdateJob: what it replaces, and what it refuses."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fleet import Fleet, abort, invalid, refusal, retry


def test_empty_update_is_refused_even_of_an_unknown_job(fleet: Fleet) -> None:
    """case 40; spec: ruling 30"""
    told = invalid("Update Job request for job nope cannot be empty.")
    assert refusal(fleet.iot.update_job, jobId="nope") == told
    status, _, body = fleet.server.http("PATCH", "/jobs/nope", b'{"targetSelection":"CONTINUOUS","tags":[]}')
    assert (status, json.loads(body)["message"]) == (400, told.message)


@pytest.mark.parametrize("status", ["CANCELED", "COMPLETED"])
def test_finished_job_cannot_be_updated(fleet: Fleet, status: str) -> None:
    """case 41"""
    job = fleet.completed_job() if status == "COMPLETED" else fleet.job(fleet.thing())
    if status == "CANCELED":
        fleet.iot.cancel_job(jobId=job)
    assert refusal(fleet.iot.update_job, jobId=job, description="d") == invalid(
        f"Job {job} in status {status} cannot be updated."
    )


def test_update_replaces_given_members_whole_and_keeps_the_others(fleet: Fleet) -> None:
    """case 42"""
    members = {
        "timeoutConfig": {"inProgressTimeoutInMinutes": 10},
        "abortConfig": abort({"thresholdPercentage": 20.0}),
    }
    job = fleet.job(fleet.thing(), description="d", **members)
    before = fleet.describe(job)
    fleet.server.advance(1.5)
    fleet.iot.update_job(jobId=job, abortConfig=abort({"failureType": "ALL", "thresholdPercentage": 10.5}))
    after = fleet.describe(job)
    assert after["abortConfig"] == abort({"failureType": "ALL", "thresholdPercentage": 10.5})
    assert (after["timeoutConfig"], after["description"]) == (members["timeoutConfig"], "d")
    assert (after["lastUpdatedAt"] - before["lastUpdatedAt"]).total_seconds() == 1.5
    assert after["createdAt"] == before["createdAt"]


def test_successful_update_answers_no_bytes_of_json(fleet: Fleet) -> None:
    """case 168"""
    job = fleet.job(fleet.thing())
    status, headers, body = fleet.server.http("PATCH", f"/jobs/{job}", b'{"description":"d"}')
    assert (status, headers["content-type"], headers["content-length"]) == (200, "application/json", "0")
    assert body == b""


@pytest.mark.parametrize(
    ("stored", "sent", "message"),
    [
        (
            retry(FAILED=3),
            retry(FAILED=2),
            "The number of retries cannot be updated to any number other than 0.",
        ),
        (
            None,
            retry(FAILED=0),
            "RetryConfig cannot be updated if the job has no RetryConfig defined during creation.",
        ),
        (
            retry(FAILED=2, TIMED_OUT=3),
            retry(FAILED=0),
            "FailureTypes must match existing FailureTypes defined in RetryConfig.",
        ),
        (
            retry(FAILED=2, TIMED_OUT=3),
            retry(FAILED=0, ALL=0),
            "A retryCriteria with failure type ALL must be used by itself.",
        ),
    ],
    ids=["44", "46", "210", "210"],
)
def test_retries_can_only_be_stopped(
    fleet: Fleet, stored: dict[str, Any] | None, sent: dict[str, Any], message: str
) -> None:
    """case 44, case 46, case 210"""
    job = fleet.job(fleet.thing(), jobExecutionsRetryConfig=stored)
    assert refusal(fleet.iot.update_job, jobId=job, jobExecutionsRetryConfig=sent) == invalid(message)


@pytest.mark.parametrize(
    ("stored", "sent"),
    [(retry(FAILED=3), retry(FAILED=0)), (retry(FAILED=2, TIMED_OUT=3), retry(TIMED_OUT=0, FAILED=0))],
)
def test_retries_of_zero_are_stored_as_sent(
    fleet: Fleet, stored: dict[str, Any], sent: dict[str, Any]
) -> None:
    """case 45 (the answer), case 210"""
    job = fleet.job(fleet.thing(), jobExecutionsRetryConfig=stored)
    fleet.iot.update_job(jobId=job, jobExecutionsRetryConfig=sent)
    assert fleet.describe(job)["jobExecutionsRetryConfig"] == sent


@pytest.mark.parametrize(
    ("members", "message"),
    [
        (
            {"jobExecutionsRolloutConfig": {}},
            "Provide MaximumPerMinute value or provide ExponentialRate and MaximumPerMinute",
        ),
        (
            {"timeoutConfig": {}},
            "Provide valid timeout value, inProgressTimeoutInMinutes cannot be null.",
        ),
        (
            {"abortConfig": abort({}, {})},
            "Multiple AbortCriteria cannot have the same failure type",
        ),
        (
            {"abortConfig": abort({"thresholdPercentage": 10.999})},
            "Abort thresholdPercentage must have two or less decimal digits",
        ),
        (
            {"abortConfig": abort({"thresholdPercentage": -0.001})},
            "ThresholdPercentage value -0.001 for AbortCriteria must have value greater than 0",
        ),
    ],
    ids=["18", "27", "183", "183", "183"],
)
def test_update_is_refused_in_the_words_of_create(
    fleet: Fleet, members: dict[str, Any], message: str
) -> None:
    """case 18, case 27, case 183"""
    job = fleet.job(fleet.thing())
    assert refusal(fleet.iot.update_job, jobId=job, **members) == invalid(message)
    assert refusal(fleet.iot.update_job, jobId="nope", **members) == invalid(message)


def test_violations_come_in_the_order_of_the_service(fleet: Fleet) -> None:
    """case 216"""
    members = {
        "abortConfig": abort({"failureType": "BAD", "thresholdPercentage": 50}),
        "presignedUrlConfig": {"expiresInSec": 59},
        "jobExecutionsRetryConfig": retry(FAILED=11),
        "jobExecutionsRolloutConfig": {"maximumPerMinute": 0},
    }
    told = refusal(fleet.iot.update_job, jobId="nope", **members)
    assert (told.status, told.code) == (400, "InvalidRequestException")
    count, _, clauses = told.message.partition(": ")
    assert count == "4 validation errors detected"
    named = [clause.split(" at '")[1].partition(".")[0] for clause in clauses.split("; ")]
    assert named == [
        "jobExecutionsRolloutConfig",
        "presignedUrlConfig",
        "jobExecutionsRetryConfig",
        "abortConfig",
    ]
