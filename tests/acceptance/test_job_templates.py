"""Job templates and managed templates through boto3 (spec: control-plane 3.14, 3.15)."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from fleet import DOCUMENT, REGION, Fleet, Refusal, abort, arn, invalid, not_found, refusal
from mqtt_client import Devices
from servers import Server
from thingjobs.mqtt.packets import Version

REBOOT = f"arn:aws:iot:{REGION}::jobtemplate/AWS-Reboot:1.0"
DOWNLOAD = f"arn:aws:iot:{REGION}::jobtemplate/AWS-Download-File:1.0"


@pytest.fixture
def template(fleet: Fleet, unique: Callable[[str], str]) -> Callable[..., str]:
    """Makes a template and gives its id."""

    def create(**members: Any) -> str:
        members = {"jobTemplateId": unique("tpl"), "description": "A template", **members}
        if not {"jobArn", "documentSource"} & members.keys():
            members.setdefault("document", DOCUMENT)
        answer = fleet.iot.create_job_template(**members)
        assert answer["jobTemplateArn"] == arn("jobtemplate", members["jobTemplateId"])
        return str(answer["jobTemplateId"])

    return create


def job_from(fleet: Fleet, template_arn: str, *, thing: str | None = None, **members: Any) -> str:
    job_id = fleet.unique("j")
    target = arn("thing", thing or fleet.thing())
    fleet.iot.create_job(jobId=job_id, targets=[target], jobTemplateArn=template_arn, **members)
    return job_id


# --- templates --------------------------------------------------------------------------------------


def test_a_template_needs_a_description(server: Server) -> None:
    """case 62, as raw HTTP: botocore would not send it"""
    status, headers, body = server.http(
        "PUT", "/job-templates/no-description", b'{"document":"{}"}', {"Content-Type": "application/json"}
    )
    assert (status, headers["x-amzn-errortype"]) == (400, "InvalidRequestException")
    assert json.loads(body)["message"] == (
        "1 validation error detected: Value null at 'description' failed to satisfy constraint:"
        " Member must not be null"
    )


def test_an_id_is_taken_once(fleet: Fleet, template: Callable[..., str]) -> None:
    """case 63"""
    taken = template()
    told = refusal(fleet.iot.create_job_template, jobTemplateId=taken, description="again", document=DOCUMENT)
    assert told == Refusal(409, "ConflictException", f"Job Template {taken} already exists.")


def test_a_conflict_names_no_resource(server: Server, template: Callable[..., str]) -> None:
    """spec: control-plane 1.2"""
    body = b'{"document":"{}","description":"d"}'
    _, _, answer = server.http("PUT", f"/job-templates/{template()}", body)
    assert json.loads(answer)["resourceId"] is None


@pytest.mark.parametrize("operation", ["describe_job_template", "delete_job_template"])
def test_bad_and_unknown_ids_are_refused(fleet: Fleet, operation: str) -> None:
    """spec: control-plane 3.14"""
    call = getattr(fleet.iot, operation)
    assert refusal(call, jobTemplateId="none") == not_found("Job Template none cannot be found.")
    told = refusal(call, jobTemplateId="a b")
    assert (told.status, told.code) == (400, "InvalidRequestException")
    assert "'jobTemplateId' failed to satisfy constraint" in told.message


def test_a_deleted_template_leaves_its_jobs_as_they_are(fleet: Fleet, template: Callable[..., str]) -> None:
    """case 64"""
    made = template()
    job = job_from(fleet, arn("jobtemplate", made))
    assert fleet.iot.delete_job_template(jobTemplateId=made)["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert fleet.iot.describe_job(jobId=job)["job"]["jobTemplateArn"] == arn("jobtemplate", made)
    told = refusal(fleet.iot.describe_job_template, jobTemplateId=made)
    assert told == not_found(f"Job Template {made} cannot be found.")


def test_templates_are_listed_through_a_paginator(fleet: Fleet, template: Callable[..., str]) -> None:
    made = {template() for _ in range(5)}
    pages = fleet.iot.get_paginator("list_job_templates").paginate(PaginationConfig={"PageSize": 2})
    rows = [row for page in pages for row in page["jobTemplates"]]
    assert made <= {row["jobTemplateId"] for row in rows}
    assert [row["createdAt"] for row in rows] == sorted((row["createdAt"] for row in rows), reverse=True)
    assert rows[0].keys() == {"jobTemplateArn", "jobTemplateId", "description", "createdAt"}


def test_templates_have_tags(fleet: Fleet, template: Callable[..., str]) -> None:
    """case 66, case 207 for templates"""
    resource = arn("jobtemplate", template(tags=[{"Key": "team", "Value": "a"}]))
    fleet.iot.tag_resource(resourceArn=resource, tags=[{"Key": "stage", "Value": ""}])
    assert fleet.iot.list_tags_for_resource(resourceArn=resource)["tags"] == [
        {"Key": "team", "Value": "a"},
        {"Key": "stage", "Value": ""},
    ]
    fleet.iot.untag_resource(resourceArn=resource, tagKeys=["team"])
    assert [t["Key"] for t in fleet.iot.list_tags_for_resource(resourceArn=resource)["tags"]] == ["stage"]
    many = [{"Key": f"k{n}", "Value": "v"} for n in range(50)]
    assert refusal(fleet.iot.tag_resource, resourceArn=resource, tags=many) == invalid(
        "Too many tags provided in the request. Please check the input."
    )
    assert refusal(
        fleet.iot.tag_resource, resourceArn=resource, tags=[{"Key": "aws:x", "Value": "v"}]
    ) == invalid('Tags cannot begin with "aws:", offending tag: aws:x')
    gone = arn("jobtemplate", "none")
    assert refusal(fleet.iot.tag_resource, resourceArn=gone, tags=many) == not_found(
        "Job Template none cannot be found."
    )


@pytest.mark.parametrize(
    ("criteria", "said"),
    [
        (
            abort({"thresholdPercentage": 50.0}, {"thresholdPercentage": 20.0}),
            "Multiple AbortCriteria cannot have the same failure type",
        ),
        (
            abort({"thresholdPercentage": 10.999}),
            "Abort thresholdPercentage must have two or less decimal digits",
        ),
        (
            abort({"thresholdPercentage": -0.001}),
            "ThresholdPercentage value -0.001 for AbortCriteria must have value greater than 0",
        ),
    ],
)
def test_a_template_refuses_the_abort_criteria_a_job_refuses(
    fleet: Fleet, template: Callable[..., str], criteria: dict[str, Any], said: str
) -> None:
    """case 183"""
    assert refusal(template, abortConfig=criteria) == invalid(said)


# --- jobs from templates ----------------------------------------------------------------------------


def test_a_job_replaces_members_of_its_template_whole(fleet: Fleet, template: Callable[..., str]) -> None:
    """case 36"""
    made = template(
        jobExecutionsRolloutConfig={"maximumPerMinute": 5}, timeoutConfig={"inProgressTimeoutInMinutes": 10}
    )
    job_id = job_from(fleet, arn("jobtemplate", made), jobExecutionsRolloutConfig={"maximumPerMinute": 7})
    job = fleet.iot.describe_job(jobId=job_id)["job"]
    assert job["jobExecutionsRolloutConfig"] == {"maximumPerMinute": 7}
    assert job["timeoutConfig"] == {"inProgressTimeoutInMinutes": 10}
    assert "description" not in job


def test_a_job_is_no_template(fleet: Fleet) -> None:
    """case 37"""
    told = refusal(
        fleet.iot.create_job,
        jobId=fleet.unique("j"),
        targets=[arn("thing", fleet.thing())],
        jobTemplateArn=arn("job", "j"),
    )
    assert told == invalid("Resource type should be jobtemplate but found invalid resource type job")


def test_windows_of_a_template_need_a_start(fleet: Fleet, template: Callable[..., str]) -> None:
    """case 182"""
    window = {"startTime": "cron(0 2 ? * SUN *)", "durationInMinutes": 60}
    made = template(maintenanceWindows=[window])
    told = refusal(
        fleet.iot.create_job,
        jobId=fleet.unique("j"),
        targets=[arn("thinggroup", fleet.group())],
        targetSelection="CONTINUOUS",
        jobTemplateArn=arn("jobtemplate", made),
    )
    assert told == invalid("MaintenanceWindow cannot be used without StartTime of SchedulingConfig.")


def test_parameters_are_for_managed_templates_only(fleet: Fleet, template: Callable[..., str]) -> None:
    """case 33"""
    made = template()
    told = refusal(
        fleet.iot.create_job,
        jobId=fleet.unique("j"),
        targets=[arn("thing", fleet.thing())],
        jobTemplateArn=arn("jobtemplate", made),
        documentParameters={"a": "b"},
    )
    assert told == invalid("documentParameters can be used only with an AWS managed template.")


# --- managed templates ------------------------------------------------------------------------------


def test_managed_templates_are_those_of_aws(fleet: Fleet) -> None:
    """case 65"""
    pages = fleet.iot.get_paginator("list_managed_job_templates").paginate(PaginationConfig={"PageSize": 3})
    rows = [row for page in pages for row in page["managedJobTemplates"]]
    assert len(rows) == 7
    for row in rows:
        assert row["templateArn"] == f"arn:aws:iot:{REGION}::jobtemplate/{row['templateName']}:1.0"
        described = fleet.iot.describe_managed_job_template(templateName=row["templateName"])
        assert described["templateVersion"] == row["templateVersion"] == "1.0"
        assert described["environments"] == row["environments"] == ["LINUX"]
        json.loads(described["document"])
    told = refusal(fleet.iot.describe_managed_job_template, templateName="AWS-Reboot", templateVersion="2.0")
    assert told == not_found("Job Template AWS-Reboot:2.0 cannot be found.")


def test_a_reboot_needs_no_parameters(fleet: Fleet) -> None:
    """case 34"""
    job = job_from(fleet, REBOOT)
    assert "${aws:iot:parameter" not in fleet.iot.get_job_document(jobId=job)["document"]
    assert fleet.iot.describe_job(jobId=job)["job"]["jobTemplateArn"] == REBOOT


def test_a_download_needs_its_path(fleet: Fleet) -> None:
    """case 35"""
    told = refusal(
        fleet.iot.create_job,
        jobId=fleet.unique("j"),
        targets=[arn("thing", fleet.thing())],
        jobTemplateArn=DOWNLOAD,
        documentParameters={"downloadUrl": "https://example.com/x"},
    )
    assert told == invalid("Managed template AWS-Download-File needs the parameter filePath.")


def test_a_device_is_told_of_a_job_with_its_parameters_filled_in(fleet: Fleet, server: Server) -> None:
    given = {"downloadUrl": 'https://example.com/"x"', "filePath": "/tmp/é"}
    with Devices(server.mqtt_port, Version.V5) as devices:
        device = devices.listening(fleet.thing())
        job = job_from(fleet, DOWNLOAD, thing=device.thing, documentParameters=given)
        assert device.expect_notify() == {"QUEUED": [job]}
        execution = device.expect(device.topic("notify-next"))["execution"]
    (step,) = execution["jobDocument"]["steps"]
    assert step["action"]["input"]["args"] == list(given.values())
    shown = fleet.iot.get_job_document(jobId=job, beforeSubstitution=True)["document"]
    assert "${aws:iot:parameter:downloadUrl}" in shown
    assert fleet.iot.describe_job(jobId=job)["job"]["documentParameters"] == given
