"""What CreateJob refuses, in the words of the service. What is refused leaves nothing behind."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fleet import ROLE, Fleet, abort, arn, invalid, refusal, retry

BAD_DOCUMENT = invalid("Job document located at request input is an invalid JSON document.")


def exponential(**members: Any) -> dict[str, Any]:
    return {
        "maximumPerMinute": 100,
        "exponentialRate": {
            "baseRatePerMinute": 10,
            "incrementFactor": 2.0,
            "rateIncreaseCriteria": {"numberOfNotifiedThings": 10},
            **members,
        },
    }


# --- limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("members", "accepted"),
    [
        ({"jobId": "j" * 64}, True),
        ({"jobId": "j" * 65}, False),
        ({"jobId": "a b"}, False),
        ({"document": '"' + "x" * 32_766 + '"'}, True),
        ({"document": '"' + "x" * 32_767 + '"'}, False),
        ({"document": '"' + "\N{GRINNING FACE}" * 32_766 + '"'}, True),
        ({"targets": []}, False),
        ({"jobExecutionsRolloutConfig": exponential(incrementFactor=1.0)}, False),
        ({"jobExecutionsRolloutConfig": exponential(incrementFactor=1.1)}, True),
        ({"jobExecutionsRolloutConfig": exponential(incrementFactor=5)}, True),
        ({"jobExecutionsRolloutConfig": exponential(incrementFactor=5.1)}, False),
        ({"jobExecutionsRolloutConfig": exponential(incrementFactor=1.55)}, False),
        ({"jobExecutionsRetryConfig": retry(FAILED=5, TIMED_OUT=5)}, True),
        ({"jobExecutionsRetryConfig": retry(FAILED=6, TIMED_OUT=5)}, False),
        ({"documentParameters": {"a": "b"}, "jobTemplateArn": arn("jobtemplate", "own")}, False),
    ],
    ids=lambda value: str(value)[:60],
)
def test_limits_of_single_members(fleet: Fleet, members: dict[str, Any], accepted: bool) -> None:
    """case 11, case 13, case 14, case 23, case 24, case 29, case 33; spec: ruling 3"""
    if accepted:
        fleet.job(fleet.thing(), **members)
    else:
        told = fleet.refused_job(fleet.thing(), **members)
        assert (told.status, told.code) == (400, "InvalidRequestException")


def test_start_time_needs_a_lead_of_thirty_minutes(fleet: Fleet) -> None:
    """case 31; spec: ruling 21"""
    thing = fleet.thing()
    told = fleet.refused_job(thing, schedulingConfig={"startTime": fleet.minutes_ahead(29)})
    assert (told.status, told.code) == (400, "InvalidRequestException")
    fleet.job(thing, schedulingConfig={"startTime": fleet.minutes_ahead(31)})


def test_document_may_nest_a_thousand_levels(fleet: Fleet) -> None:
    """case 203"""
    thing = fleet.thing()
    fleet.job(thing, document="[" * 1000 + "]" * 1000)
    assert fleet.refused_job(thing, document="[" * 1001 + "]" * 1001) == BAD_DOCUMENT


# --- refused --------------------------------------------------------------------------------------

REFUSED = [
    (9, {"document": None}, "Neither job document nor job document source is specified."),
    (
        10,
        {"documentSource": "https://s3.amazonaws.com/b/k"},
        "Job document and job document source cannot be specified at the same time.",
    ),
    (12, {"document": "hello"}, BAD_DOCUMENT.message),
    (12, {"document": '{"a":NaN}'}, BAD_DOCUMENT.message),
    (
        18,
        {"jobExecutionsRolloutConfig": {}},
        "Provide MaximumPerMinute value or provide ExponentialRate and MaximumPerMinute",
    ),
    (
        19,
        {"jobExecutionsRolloutConfig": {"exponentialRate": exponential()["exponentialRate"]}},
        "Provide MaximumPerMinute value when ExponentialRate is defined",
    ),
    *(
        (
            20,
            {"jobExecutionsRolloutConfig": exponential(baseRatePerMinute=50) | {"maximumPerMinute": most}},
            "Exponential rollout baseRatePerMinute should be less than maximumPerMinute.",
        )
        for most in (20, 50)
    ),
    (
        21,
        {
            "jobExecutionsRolloutConfig": exponential(
                rateIncreaseCriteria={"numberOfNotifiedThings": 1, "numberOfSucceededThings": 1}
            )
        },
        "Provide only one of NumberOfNotifiedThings or NumberOfSucceededThings"
        " when RateIncreaseCriteria is defined",
    ),
    (
        22,
        {"jobExecutionsRolloutConfig": exponential(rateIncreaseCriteria={})},
        "Provide either NumberOfNotifiedThings or NumberOfSucceededThings"
        " when RateIncreaseCriteria is defined",
    ),
    (
        25,
        {"abortConfig": abort({"thresholdPercentage": 0})},
        "ThresholdPercentage value 0.0 for AbortCriteria must have value greater than 0",
    ),
    (
        26,
        {"abortConfig": abort({"thresholdPercentage": 101, "failureType": "X"})},
        "2 validation errors detected: "
        "Value 'X' at 'abortConfig.criteriaList.1.member.failureType' failed to satisfy constraint: "
        "Member must satisfy enum value set: [ALL, TIMED_OUT, FAILED, REJECTED]; "
        "Value '101.0' at 'abortConfig.criteriaList.1.member.thresholdPercentage' failed to satisfy "
        "constraint: Member must have value less than or equal to 100",
    ),
    *(
        (
            27,
            {"timeoutConfig": config},
            f"Provide valid timeout value, inProgressTimeoutInMinutes cannot be {shown}.",
        )
        for config, shown in (
            ({"inProgressTimeoutInMinutes": 0}, "0"),
            ({"inProgressTimeoutInMinutes": 10_081}, "10081"),
            ({}, "null"),
        )
    ),
    (
        28,
        {"jobExecutionsRetryConfig": retry(ALL=1, FAILED=1)},
        "A retryCriteria with failure type ALL must be used by itself.",
    ),
    (
        30,
        {"schedulingConfig": {"maintenanceWindows": [{"startTime": "x", "durationInMinutes": 5}]}},
        "TargetSelection is invalid. MaintenanceWindow cannot be used with SNAPSHOT job.",
    ),
    (
        37,
        {"jobTemplateArn": arn("job", "j1"), "document": None},
        "Resource type should be jobtemplate but found invalid resource type job",
    ),
    (
        181,
        {"schedulingConfig": {"startTime": "2027-01-01T10:00:00Z"}},
        "1 validation error detected: Provided time 2027-01-01T10:00:00Z UTC must follow the format"
        " YYYY-MM-DDThh:mm.",
    ),
    (
        181,
        {"schedulingConfig": {"endTime": "2027-01-01 10:00"}},
        "1 validation error detected: Provided time 2027-01-01 10:00 UTC must follow the format"
        " YYYY-MM-DDThh:mm.",
    ),
    (
        182,
        {
            "targetSelection": "CONTINUOUS",
            "schedulingConfig": {
                "maintenanceWindows": [{"startTime": "cron(0 2 * * ? *)", "durationInMinutes": 5}]
            },
        },
        "MaintenanceWindow cannot be used without StartTime of SchedulingConfig.",
    ),
    (
        183,
        {"abortConfig": abort({}, {"thresholdPercentage": 20})},
        "Multiple AbortCriteria cannot have the same failure type",
    ),
    (
        183,
        {"abortConfig": abort({"thresholdPercentage": 10.999})},
        "Abort thresholdPercentage must have two or less decimal digits",
    ),
    (
        183,
        {"abortConfig": abort({"thresholdPercentage": -0.001})},
        "ThresholdPercentage value -0.001 for AbortCriteria must have value greater than 0",
    ),
    (
        184,
        {
            "timeoutConfig": {"inProgressTimeoutInMinutes": 0},
            "abortConfig": abort({"thresholdPercentage": 0}),
        },
        "Provide valid timeout value, inProgressTimeoutInMinutes cannot be 0.",
    ),
    (
        207,
        {"tags": [{"Key": "k"}]},
        "Invalid tag parameter exception. Please check the input.",
    ),
]


@pytest.mark.parametrize(
    ("members", "message"),
    [pytest.param(members, message, id=f"case-{case}") for case, members, message in REFUSED],
)
def test_refusals_are_in_the_words_of_the_service(
    fleet: Fleet, members: dict[str, Any], message: str
) -> None:
    """case 9, case 10, case 12, case 18–22, case 25–28, case 30, case 37, case 181–184, case 207"""
    assert fleet.refused_job(fleet.thing(), **members) == invalid(message)


RETRY_PRINTED = "RetryCriteria(failureType=FAILED, numberOfRetries=1)"
NO_ROLE = "arn:aws:iam::123456789012:user/u"


def at(path: str, value: str, rule: str) -> str:
    """The one violation of a request."""
    constraint = f"Value '{value}' at '{path}' failed to satisfy constraint: Member must {rule}"
    return f"1 validation error detected: {constraint}"


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"targets": []}, at("targets", "[]", "have length greater than or equal to 1")),
        (
            {"jobExecutionsRetryConfig": {"criteriaList": retry(FAILED=1)["criteriaList"] * 3}},
            at(
                "jobExecutionsRetryConfig.criteriaList",
                f"[{', '.join([RETRY_PRINTED] * 3)}]",
                "have length less than or equal to 2",
            ),
        ),
        (
            {"presignedUrlConfig": {"expiresInSec": 59}},
            at("presignedUrlConfig.expiresInSec", "59", "have value greater than or equal to 60"),
        ),
        ({"description": ""}, at("description", "", r"satisfy regular expression pattern: [^\p{C}]+")),
        ({"presignedUrlConfig": {"roleArn": NO_ROLE}}, f"Given role {NO_ROLE} is invalid."),
        (
            {"tags": [{"Key": f"k{n}", "Value": ""} for n in range(51)]},
            "Too many tags provided in the request. Please check the input.",
        ),
    ],
    ids=["targets", "retries", "expiry", "description", "role", "tags"],
)
def test_constraints_are_told_with_value_and_path(
    fleet: Fleet, members: dict[str, Any], message: str
) -> None:
    """spec: control-plane 1.4, 2, 4"""
    assert fleet.refused_job(fleet.thing(), **members) == invalid(message)


def test_rate_above_a_thousand_names_the_member_and_the_bound(fleet: Fleet) -> None:
    """case 17"""
    told = fleet.refused_job(fleet.thing(), jobExecutionsRolloutConfig={"maximumPerMinute": 1001})
    assert (told.status, told.code) == (400, "InvalidRequestException")
    assert "jobExecutionsRolloutConfig.maximumPerMinute" in told.message
    assert "less than or equal to 1000" in told.message


def test_time_out_is_checked_before_the_job_id_is_looked_up(fleet: Fleet) -> None:
    """case 184"""
    thing = fleet.thing()
    order = fleet.order(thing, jobId=fleet.job(thing), timeoutConfig={"inProgressTimeoutInMinutes": 0})
    assert refusal(fleet.iot.create_job, **order) == invalid(
        "Provide valid timeout value, inProgressTimeoutInMinutes cannot be 0."
    )


PRESIGN = "${aws:iot:s3-presigned-url:https://s3.us-east-1.amazonaws.com/b/k}"
PRESIGN_V2 = "${aws:iot:s3-presigned-url-v2:https://b.s3.us-east-1.amazonaws.com/k}"
FOREIGN = "${aws:iot:s3-presigned-url:https://example.com/b/k}"


@pytest.mark.parametrize(
    ("placeholder", "role", "message"),
    [
        (PRESIGN, None, "Role must be provided for pre-sign S3 urls in job document of job {job}."),
        (
            PRESIGN_V2,
            None,
            "presignedUrlConfig role ARN is required to generate an S3 presigned url in job document.",
        ),
        (FOREIGN, ROLE, "Given S3 url https://example.com/b/k is invalid."),
    ],
)
def test_presign_placeholder_needs_a_role_and_an_s3_url(
    fleet: Fleet, placeholder: str, role: str | None, message: str
) -> None:
    """case 205"""
    job = fleet.unique("j")
    told = fleet.refused_job(
        fleet.thing(),
        jobId=job,
        document=json.dumps({"url": placeholder}),
        presignedUrlConfig=role and {"roleArn": role},
    )
    assert told == invalid(message.format(job=job))
