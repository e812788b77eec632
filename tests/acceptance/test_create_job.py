"""CreateJob: what it makes, and which targets it takes."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest

from fleet import ROLE, Fleet, arn, not_found, refusal

# --- accepted -------------------------------------------------------------------------------------


def test_new_job_is_in_progress_and_its_thing_is_told(fleet: Fleet) -> None:
    """case 1"""
    thing, job = fleet.thing(), fleet.unique("j")
    created = fleet.iot.create_job(**fleet.order(thing, jobId=job))
    assert (created["jobArn"], created["jobId"]) == (arn("job", job), job)
    shown = fleet.describe(job)
    assert (shown["status"], shown["targetSelection"]) == ("IN_PROGRESS", "SNAPSHOT")
    assert shown["jobProcessDetails"]["numberOfQueuedThings"] == 1
    assert shown["createdAt"] == shown["lastUpdatedAt"]
    assert "completedAt" not in shown


def test_unset_description_is_null_on_the_wire_and_absent_in_boto3(fleet: Fleet) -> None:
    """case 2"""
    order = fleet.order(fleet.thing())
    status, _, body = fleet.server.http("PUT", f"/jobs/{order.pop('jobId')}", json.dumps(order).encode())
    assert status == 200
    assert b'"description":null' in body
    assert "description" not in fleet.iot.create_job(**fleet.order(fleet.thing()))


def test_repeated_create_is_a_conflict_even_if_identical(fleet: Fleet) -> None:
    """case 3"""
    order = fleet.order(fleet.thing(), description="first")
    fleet.iot.create_job(**order)
    before = fleet.describe(order["jobId"])
    body = json.dumps(order).encode()
    status, headers, answer = fleet.server.http("PUT", f"/jobs/{order['jobId']}", body)
    assert (status, headers["x-amzn-errortype"]) == (409, "ResourceAlreadyExistsException")
    told = json.loads(answer)
    assert (told["resourceId"], told["resourceArn"]) == (order["jobId"], arn("job", order["jobId"]))
    assert fleet.describe(order["jobId"]) == before


def test_one_of_several_creates_at_once_wins(fleet: Fleet) -> None:
    """case 3"""
    orders = [fleet.order(thing, jobId="contended") for thing in fleet.things(8)]

    def asked(order: dict[str, object]) -> int:
        return fleet.server.http("PUT", "/jobs/contended", json.dumps(order).encode())[0]

    with ThreadPoolExecutor(8) as pool:
        assert sorted(pool.map(asked, orders)) == [200] + [409] * 7
    assert fleet.counted("contended") == {"Queued": 1}


def test_job_id_is_free_again_once_the_job_is_gone(fleet: Fleet) -> None:
    """case 4"""
    thing = fleet.thing()
    job = fleet.job(thing)
    fleet.report(thing, job, "SUCCEEDED")
    assert fleet.describe(job)["status"] == "COMPLETED"
    fleet.iot.delete_job(jobId=job)
    assert refusal(fleet.iot.describe_job, jobId=job).status == 404
    fleet.job(thing, jobId=job)
    execution = fleet.execution(thing, job)
    assert (execution["executionNumber"], execution["versionNumber"]) == (1, 1)


@pytest.mark.parametrize("document", ["[1]", "null", '"text"', "7", "true", " { } "])
def test_document_may_be_any_json_value(fleet: Fleet, document: str) -> None:
    """case 12"""
    job = fleet.job(fleet.thing(), document=document)
    assert fleet.iot.get_job_document(jobId=job)["document"] == document


def test_repeated_target_counts_once(fleet: Fleet) -> None:
    """case 16"""
    thing = fleet.thing()
    job = fleet.job(thing, thing)
    assert fleet.describe(job)["targets"] == [arn("thing", thing)]
    assert fleet.counted(job) == {"Queued": 1}


def test_older_spellings_of_the_documentation_are_taken(fleet: Fleet) -> None:
    """case 32"""
    rate = {
        "baseRatePerMinute": 10,
        "incrementFactor": 2,
        "rateIncreaseCriteria": {"numberOfNotifiedThings": 10},
        "maximumPerMinute": 50,
    }
    order = fleet.order(
        fleet.thing(),
        presignedUrlConfigData={"roleArn": ROLE, "expiresInSec": 60},
        jobExecutionsRolloutConfig={"exponentialRate": rate},
    )
    job = order.pop("jobId")
    status, _, body = fleet.server.http("PUT", f"/jobs/{job}", json.dumps(order).encode())
    assert status == 200, body
    shown = fleet.describe(job)
    assert shown["presignedUrlConfig"] == {"roleArn": ROLE, "expiresInSec": 60}
    assert shown["jobExecutionsRolloutConfig"]["maximumPerMinute"] == 50
    assert "maximumPerMinute" not in shown["jobExecutionsRolloutConfig"]["exponentialRate"]


def test_unknown_members_are_ignored(fleet: Fleet) -> None:
    """case 179"""
    order = fleet.order(fleet.thing(), color="red", nested={"a": [1]})
    status, _, _ = fleet.server.http("PUT", f"/jobs/{order.pop('jobId')}", json.dumps(order).encode())
    assert status == 200


def test_job_with_a_start_time_is_scheduled_without_executions(fleet: Fleet) -> None:
    """case 158 (first half)"""
    start = fleet.minutes_ahead(40)
    job = fleet.job(fleet.thing(), schedulingConfig={"startTime": start})
    shown = fleet.describe(job)
    assert (shown["status"], shown["schedulingConfig"]) == ("SCHEDULED", {"startTime": start})
    assert fleet.counted(job) == {}


def test_window_job_shows_its_next_seven_openings(fleet: Fleet) -> None:
    """case 164"""
    job = fleet.job(
        fleet.thing(),
        targetSelection="CONTINUOUS",
        schedulingConfig={
            "startTime": fleet.minutes_ahead(60),
            "maintenanceWindows": [{"startTime": "cron(0 2 ? * SUN *)", "durationInMinutes": 120}],
        },
    )
    openings = [datetime.fromisoformat(each["startTime"]) for each in _rollouts(fleet, job)]
    assert len(openings) == 7
    assert all(at.isoweekday() == 7 and (at.hour, at.minute) == (2, 0) for at in openings)
    assert openings == sorted(set(openings))


def _rollouts(fleet: Fleet, job: str) -> list[dict[str, str]]:
    rollouts: list[dict[str, str]] = fleet.describe(job)["scheduledJobRollouts"]
    return rollouts


# --- targets --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (arn("thing", "nope"), "Thing nope cannot be found."),
        (arn("thinggroup", "nog"), "Thing Group nog cannot be found."),
    ],
)
def test_one_missing_target_refuses_the_whole_job(fleet: Fleet, target: str, message: str) -> None:
    """case 6, case 185"""
    assert fleet.refused_job(fleet.thing(), target) == not_found(message)


@pytest.mark.parametrize("place", [{"region": "eu-west-1"}, {"account": "999999999999"}])
def test_target_in_another_region_or_account_is_not_found(fleet: Fleet, place: dict[str, str]) -> None:
    """case 7"""
    thing = fleet.thing()
    assert fleet.refused_job(arn("thing", thing, **place)) == not_found(f"Thing {thing} cannot be found.")


@pytest.mark.parametrize("target", ["not-an-arn", "arn:", "arn:aws:iot:us-east-1:123456789012:cert/c"])
def test_target_that_is_no_arn_of_a_thing_or_group_is_invalid(fleet: Fleet, target: str) -> None:
    """case 8"""
    told = fleet.refused_job(targets=[target])
    assert (told.status, told.code) == (400, "InvalidRequestException")


def test_more_than_a_hundred_targets_exceed_a_limit(fleet: Fleet) -> None:
    """case 15"""
    things = fleet.things(101)
    told = fleet.refused_job(*things)
    assert (told.status, told.code) == (410, "LimitExceededException")
    assert fleet.counted(fleet.job(*things[:100])) == {"Queued": 100}
