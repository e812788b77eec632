"""Jobs once they exist: describe, list, cancel, delete, associate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fleet import ROLE, Fleet, abort, arn, invalid, not_found, refusal, retry

# --- describe -------------------------------------------------------------------------------------


def test_unset_configurations_are_empty_objects_or_absent(fleet: Fleet) -> None:
    """case 38"""
    shown = fleet.describe(fleet.job(fleet.thing()))
    empty = ("timeoutConfig", "schedulingConfig", "presignedUrlConfig", "jobExecutionsRolloutConfig")
    assert {name: shown[name] for name in empty} == {name: {} for name in empty}
    absent = ("abortConfig", "jobExecutionsRetryConfig", "comment", "reasonCode", "description")
    assert not {*absent, "completedAt", "jobTemplateArn", "scheduledJobRollouts"} & shown.keys()
    assert (shown["forceCanceled"], shown["isConcurrent"]) == (False, False)


def test_configurations_are_shown_as_given(fleet: Fleet) -> None:
    """spec: control-plane 1.3, 3.2"""
    members = {
        "description": "d",
        "timeoutConfig": {"inProgressTimeoutInMinutes": 10_080},
        "presignedUrlConfig": {"roleArn": ROLE, "expiresInSec": 3600},
        "abortConfig": abort({"failureType": "ALL", "thresholdPercentage": 33.34}),
        "jobExecutionsRetryConfig": retry(ALL=10),
        "jobExecutionsRolloutConfig": {
            "maximumPerMinute": 1000,
            "exponentialRate": {
                "baseRatePerMinute": 1,
                "incrementFactor": 2,
                "rateIncreaseCriteria": {"numberOfSucceededThings": 5},
            },
        },
        "namespaceId": "ns",
    }
    job = fleet.job(fleet.thing(), **members)
    shown = fleet.describe(job)
    assert {name: shown[name] for name in members} == members
    body = fleet.server.http("GET", f"/jobs/{job}")[2]
    assert b'"incrementFactor":2.0' in body
    assert b'"thresholdPercentage":33.34' in body


@pytest.mark.parametrize(
    "call",
    [
        lambda iot: (iot.describe_job, {}),
        lambda iot: (iot.get_job_document, {}),
        lambda iot: (iot.cancel_job, {}),
        lambda iot: (iot.delete_job, {}),
        lambda iot: (iot.update_job, {"description": "d"}),
        lambda iot: (iot.list_job_executions_for_job, {}),
    ],
)
def test_unknown_job_is_not_found(
    fleet: Fleet, call: Callable[[Any], tuple[Callable[..., Any], dict[str, str]]]
) -> None:
    """case 39"""
    operation, members = call(fleet.iot)
    assert refusal(operation, jobId="nope", **members) == not_found("Job nope cannot be found.")


def test_job_document_is_the_stored_text_with_its_placeholders(fleet: Fleet) -> None:
    """case 61, case 202"""
    document = '{ "u": "${aws:iot:s3-presigned-url:https://s3.amazonaws.com/b/k}", "f": [1E2] }'
    job = fleet.job(fleet.thing(), document=document, presignedUrlConfig={"roleArn": ROLE})
    assert fleet.iot.get_job_document(jobId=job)["document"] == document


# --- list -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "params", [{"status": "SUCCEEDED"}, {"maxResults": 0}, {"maxResults": 251}, {"targetSelection": "ALL"}]
)
def test_list_refuses_what_the_model_does_not_allow(fleet: Fleet, params: dict[str, Any]) -> None:
    """case 47, case 50"""
    told = refusal(fleet.iot.list_jobs, **params)
    assert (told.status, told.code) == (400, "InvalidRequestException")


def test_token_that_is_not_ours_is_refused(fleet: Fleet) -> None:
    """case 48"""
    told = invalid("Next token is invalid.")
    assert refusal(fleet.iot.list_jobs, nextToken="garbage") == told
    job = fleet.job(*fleet.things(2))
    page = fleet.iot.list_job_executions_for_job(jobId=job, maxResults=1)
    token = page["nextToken"]
    assert refusal(fleet.iot.list_jobs, nextToken=token) == told
    again = {"jobId": job, "nextToken": token}
    assert len(fleet.iot.list_job_executions_for_job(**again)["executionSummaries"]) == 1
    assert refusal(fleet.iot.list_job_executions_for_job, **again, status="QUEUED") == told


def test_pages_hold_every_job_once(fleet: Fleet) -> None:
    """case 49"""
    thing, namespace = fleet.thing(), fleet.unique("ns")
    jobs = {fleet.job(thing, namespaceId=namespace) for _ in range(3)}
    first = fleet.iot.list_jobs(namespaceId=namespace, maxResults=2)
    second = fleet.iot.list_jobs(namespaceId=namespace, maxResults=2, nextToken=first["nextToken"])
    assert [len(first["jobs"]), len(second["jobs"])] == [2, 1]
    assert {row["jobId"] for page in (first, second) for row in page["jobs"]} == jobs
    assert "nextToken" not in second


def test_group_filter_shows_jobs_that_target_the_group(fleet: Fleet) -> None:
    """case 51"""
    group, other = fleet.group(), fleet.group()
    job = fleet.job(arn("thinggroup", group), targetSelection="CONTINUOUS")
    group_id = fleet.iot.describe_thing_group(thingGroupName=group)["thingGroupId"]
    for params in ({"thingGroupName": group}, {"thingGroupId": group_id}):
        (row,) = fleet.iot.list_jobs(**params)["jobs"]
        assert (row["jobId"], row["thingGroupId"]) == (job, group_id)
    assert fleet.iot.list_jobs(thingGroupName=other)["jobs"] == []
    assert fleet.iot.list_jobs(thingGroupId="unknown")["jobs"] == []
    assert refusal(fleet.iot.list_jobs, thingGroupName="missing").status == 404
    told = refusal(fleet.iot.list_jobs, thingGroupName=other, thingGroupId=group_id)
    assert told.status == 400


def test_filters_of_the_job_list_add_up(fleet: Fleet) -> None:
    """spec: control-plane 3.4"""
    namespace, group = fleet.unique("ns"), fleet.group(fleet.thing())
    snapshot = fleet.job(fleet.thing(), namespaceId=namespace)
    continuous = fleet.job(arn("thinggroup", group), namespaceId=namespace, targetSelection="CONTINUOUS")
    fleet.iot.cancel_job(jobId=snapshot)

    def listed(**params: str) -> list[str]:
        return [row["jobId"] for row in fleet.iot.list_jobs(namespaceId=namespace, **params)["jobs"]]

    assert set(listed()) == {snapshot, continuous}
    assert listed(status="CANCELED") == listed(targetSelection="SNAPSHOT") == [snapshot]
    assert listed(status="CANCELED", targetSelection="CONTINUOUS") == []
    assert listed(status="IN_PROGRESS", thingGroupName=group) == [continuous]


# --- cancel ---------------------------------------------------------------------------------------


def test_cancel_leaves_what_is_in_progress(fleet: Fleet) -> None:
    """case 52"""
    waiting, working = fleet.things(2)
    job = fleet.job(waiting, working, description="d")
    fleet.start_next(working)
    answer = fleet.iot.cancel_job(jobId=job, reasonCode="NOT_NOW", comment="later")
    assert (answer["jobId"], answer["jobArn"], answer["description"]) == (job, arn("job", job), "d")
    canceled = fleet.execution(waiting, job)
    assert (canceled["status"], canceled["versionNumber"], canceled["forceCanceled"]) == (
        "CANCELED",
        2,
        False,
    )
    assert fleet.execution(working, job)["status"] == "IN_PROGRESS"
    assert (fleet.pending(waiting), fleet.pending(working)) == (([], []), ([job], []))
    fleet.report(working, job, "SUCCEEDED")
    shown = fleet.describe(job)
    assert (shown["status"], shown["reasonCode"], shown["comment"]) == ("CANCELED", "NOT_NOW", "later")
    assert (shown["forceCanceled"], "completedAt" in shown) == (False, False)
    assert fleet.counted(job) == {"Canceled": 1, "Succeeded": 1}


@pytest.mark.parametrize("in_body", [False, True], ids=["query", "body"])
def test_forced_cancel_takes_what_is_in_progress_too(fleet: Fleet, in_body: bool) -> None:
    """case 53, case 54"""
    waiting, working = fleet.things(2)
    job = fleet.job(waiting, working)
    fleet.start_next(working)
    if in_body:
        assert fleet.server.http("PUT", f"/jobs/{job}/cancel", b'{"force":true}')[0] == 200
    else:
        fleet.iot.cancel_job(jobId=job, force=True)
    executions = [fleet.execution(thing, job) for thing in (waiting, working)]
    assert [e["versionNumber"] for e in executions] == [2, 3]
    assert all((e["status"], e["forceCanceled"]) == ("CANCELED", True) for e in executions)
    assert (fleet.describe(job)["status"], fleet.describe(job)["forceCanceled"]) == ("CANCELED", True)
    told = refusal(fleet.data.update_job_execution, thingName=working, jobId=job, status="SUCCEEDED")
    assert told.status == 409


def test_force_in_the_query_wins_over_the_body(fleet: Fleet) -> None:
    """spec: control-plane 1.3"""
    job = fleet.job(fleet.thing())
    assert fleet.server.http("PUT", f"/jobs/{job}/cancel?force=false", b'{"force":true}')[0] == 200
    assert fleet.describe(job)["forceCanceled"] is False


def test_finished_job_cannot_be_canceled(fleet: Fleet) -> None:
    """case 55"""
    done, canceled = fleet.completed_job(), fleet.job(fleet.thing())
    fleet.iot.cancel_job(jobId=canceled)
    for job in (done, canceled):
        told = refusal(fleet.iot.cancel_job, jobId=job, force=True)
        assert (told.status, told.code) == (400, "InvalidRequestException")


def test_scheduled_job_can_be_updated_and_canceled(fleet: Fleet) -> None:
    """spec: control-plane 3.3, 3.5"""
    job = fleet.job(fleet.thing(), schedulingConfig={"startTime": fleet.minutes_ahead(60)})
    assert fleet.describe(job)["status"] == "SCHEDULED"
    fleet.iot.update_job(jobId=job, description="d")
    fleet.iot.cancel_job(jobId=job)
    assert fleet.describe(job)["status"] == "CANCELED"


# --- delete ---------------------------------------------------------------------------------------


def test_delete_of_an_open_job_needs_force(fleet: Fleet) -> None:
    """case 56"""
    thing = fleet.thing()
    job = fleet.job(thing)
    told = refusal(fleet.iot.delete_job, jobId=job)
    assert (told.status, told.code) == (409, "InvalidStateTransitionException")
    fleet.iot.delete_job(jobId=job, force=True)
    gone = not_found(f"Job {job} cannot be found.")
    assert refusal(fleet.iot.describe_job, jobId=job) == gone
    assert fleet.pending(thing) == ([], [])
    assert refusal(fleet.data.update_job_execution, thingName=thing, jobId=job, status="FAILED") == not_found(
        f"Job {job} not found for {thing}"
    )


def test_canceled_job_is_deleted_with_what_still_runs(fleet: Fleet) -> None:
    """spec: control-plane 3.6"""
    thing = fleet.thing()
    job = fleet.job(thing)
    fleet.start_next(thing)
    fleet.iot.cancel_job(jobId=job)
    fleet.iot.delete_job(jobId=job)
    assert refusal(fleet.data.describe_job_execution, thingName=thing, jobId=job).status == 404
    assert fleet.pending(thing) == ([], [])


# --- associate ------------------------------------------------------------------------------------


def test_associated_group_gets_the_job_once(fleet: Fleet) -> None:
    """case 58"""
    first, both, second = fleet.things(3)
    groups = [arn("thinggroup", fleet.group(*members)) for members in ((first, both), (both, second))]
    job = fleet.job(groups[0], targetSelection="CONTINUOUS")
    fleet.server.advance(1)
    answer = fleet.iot.associate_targets_with_job(jobId=job, targets=[groups[1]], comment="more")
    assert (answer["jobId"], answer["jobArn"]) == (job, arn("job", job))
    shown = fleet.describe(job)
    assert (shown["targets"], shown["comment"]) == (groups, "more")
    assert shown["lastUpdatedAt"] > shown["createdAt"]
    assert fleet.counted(job) == {"Queued": 3}
    fleet.iot.associate_targets_with_job(jobId=job, targets=[groups[1]])
    assert (fleet.describe(job)["targets"], fleet.counted(job)) == (groups, {"Queued": 3})


def test_only_groups_are_associated_and_only_with_continuous_jobs_in_progress(fleet: Fleet) -> None:
    """case 59; spec: control-plane 3.7"""
    thing, group = fleet.thing(), arn("thinggroup", fleet.group())
    snapshot = fleet.job(thing)
    continuous = fleet.job(group, targetSelection="CONTINUOUS")
    scheduled = fleet.job(
        group, targetSelection="CONTINUOUS", schedulingConfig={"startTime": fleet.minutes_ahead(60)}
    )
    for job, target in ((snapshot, group), (continuous, arn("thing", thing)), (scheduled, group)):
        told = refusal(fleet.iot.associate_targets_with_job, jobId=job, targets=[target])
        assert (told.status, told.code) == (400, "InvalidRequestException")
    missing = arn("thinggroup", "missing")
    assert refusal(fleet.iot.associate_targets_with_job, jobId=continuous, targets=[missing]).status == 404


def test_job_cannot_have_more_than_a_hundred_targets(fleet: Fleet) -> None:
    """case 60"""
    groups = [arn("thinggroup", fleet.group()) for _ in range(101)]
    job = fleet.job(*groups[:99], targetSelection="CONTINUOUS")
    told = refusal(fleet.iot.associate_targets_with_job, jobId=job, targets=groups[99:])
    assert (told.status, told.code) == (410, "LimitExceededException")
    assert fleet.describe(job)["targets"] == groups[:99]
    fleet.iot.associate_targets_with_job(jobId=job, targets=groups[99:100])
    assert len(fleet.describe(job)["targets"]) == 100
