"""Job templates, and jobs that are made from them (spec: control-plane 3.1 rule 4, 3.14, 3.15)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from factories import (
    DOCUMENT,
    MINUTE,
    Device,
    a_job,
    add_things,
    arn,
    describe,
    group_arn,
    later,
)
from thingjobs.domain.arn import job_arn, job_template_arn
from thingjobs.domain.errors import (
    Conflict,
    InvalidRequest,
    JobNotFound,
    LimitExceeded,
    ResourceNotFound,
    ServiceError,
)
from thingjobs.operations import job_templates, jobs, managed_job_templates, tags
from thingjobs.operations.call import Call
from thingjobs.store.tx import Tx
from thingjobs.wire.shapes import iot

REBOOT = "arn:aws:iot:us-east-1::jobtemplate/AWS-Reboot:1.0"
DOWNLOAD = "arn:aws:iot:us-east-1::jobtemplate/AWS-Download-File:1.0"
WINDOWS = [{"startTime": "cron(0 2 ? * SUN *)", "durationInMinutes": 60}]
CONFIG: dict[str, Any] = {
    "jobExecutionsRolloutConfig": {"maximumPerMinute": 5},
    "timeoutConfig": {"inProgressTimeoutInMinutes": 10},
    "abortConfig": {
        "criteriaList": [
            {
                "failureType": "ALL",
                "action": "CANCEL",
                "thresholdPercentage": 20,
                "minNumberOfExecutedThings": 10,
            }
        ]
    },
    "jobExecutionsRetryConfig": {"criteriaList": [{"failureType": "FAILED", "numberOfRetries": 2}]},
    "presignedUrlConfig": {"expiresInSec": 300},
    "destinationPackageVersions": ["arn:aws:iot:us-east-1:123456789012:package/fw/version/1"],
}


class Templates:
    """The operations, with members written as on the wire."""

    def __init__(self, call: Call, tx: Tx) -> None:
        self.call = call
        self.tx = tx
        add_things(call, tx, "t1", group="g")

    def create(self, template_id: str = "tpl", **members: Any) -> str:
        usual = {} if {"document", "jobArn", "documentSource"} & members.keys() else {"document": DOCUMENT}
        request = msgspec.convert(
            {"jobTemplateId": template_id, "description": "A template", **usual, **members},
            iot.CreateJobTemplateRequest,
        )
        answer = job_templates.create_job_template(self.call, self.tx, request)
        assert answer.job_template_arn is not None
        return answer.job_template_arn

    def describe(self, template_id: str = "tpl") -> iot.DescribeJobTemplateResponse:
        request = iot.DescribeJobTemplateRequest(job_template_id=template_id)
        return job_templates.describe_job_template(self.call, self.tx, request)

    def delete(self, template_id: str = "tpl") -> None:
        request = iot.DeleteJobTemplateRequest(job_template_id=template_id)
        job_templates.delete_job_template(self.call, self.tx, request)

    def page(
        self, max_results: int | None = None, token: str | None = None
    ) -> tuple[list[str | None], str | None]:
        request = iot.ListJobTemplatesRequest(max_results=max_results, next_token=token)
        answer = job_templates.list_job_templates(self.call, self.tx, request)
        return [row.job_template_id for row in answer.job_templates or ()], answer.next_token

    def job(self, template_arn: str, job_id: str = "j1", **members: Any) -> iot.Job:
        """A job without a document of its own."""
        target = (group_arn if "targetSelection" in members else arn)(
            self.call, "g" if "targetSelection" in members else "t1"
        )
        members = {"jobId": job_id, "targets": [target], "jobTemplateArn": template_arn, **members}
        jobs.create_job(self.call, self.tx, msgspec.convert(members, iot.CreateJobRequest))
        return describe(self.call, self.tx, job_id)

    def document(self, job_id: str = "j1", *, before_substitution: bool | None = None) -> str | None:
        request = iot.GetJobDocumentRequest(job_id=job_id, before_substitution=before_substitution)
        return jobs.get_job_document(self.call, self.tx, request).document

    def tags_of(self, resource: str) -> list[tuple[str, str | None]]:
        request = iot.ListTagsForResourceRequest(resource_arn=resource)
        found = tags.list_tags_for_resource(self.call, self.tx, request).tags or []
        return [(tag.key, tag.value) for tag in found]


@pytest.fixture
def templates(call: Call, tx: Tx) -> Templates:
    return Templates(call, tx)


def shown(value: object) -> Any:
    """A shape as on the wire, without what is null."""
    return _without_null(msgspec.json.decode(msgspec.json.encode(value)))


def _without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_null(each) for key, each in value.items() if each is not None}
    return [_without_null(each) for each in value] if isinstance(value, list) else value


def refusal(kind: type[ServiceError], run: Callable[[], object]) -> str:
    with pytest.raises(kind) as refused:
        run()
    assert type(refused.value) is kind
    return refused.value.message


# --- create, describe, list, delete -----------------------------------------------------------------


def test_a_template_shows_what_it_was_made_of(templates: Templates, call: Call) -> None:
    """spec: control-plane 3.14"""
    created = templates.create(**CONFIG, maintenanceWindows=WINDOWS)
    assert created == job_template_arn(call.scope, "tpl")
    assert shown(templates.describe()) == {
        **CONFIG,
        "jobTemplateArn": created,
        "jobTemplateId": "tpl",
        "description": "A template",
        "document": DOCUMENT,
        "createdAt": call.now / 1000,
        "maintenanceWindows": WINDOWS,
    }


def test_what_a_template_does_not_say_is_null_and_configurations_are_objects_of_nulls(
    templates: Templates,
) -> None:
    """spec: control-plane 1.5"""
    templates.create()
    raw = msgspec.json.decode(msgspec.json.encode(templates.describe()))
    assert raw["timeoutConfig"] == {"inProgressTimeoutInMinutes": None}
    assert raw["presignedUrlConfig"] == {"roleArn": None, "expiresInSec": None}
    assert raw["jobExecutionsRolloutConfig"] == {"maximumPerMinute": None, "exponentialRate": None}
    for name in ("abortConfig", "jobExecutionsRetryConfig", "documentSource", "maintenanceWindows"):
        assert raw[name] is None


def test_an_id_is_taken_once(templates: Templates) -> None:
    """case 63"""
    templates.create()
    assert refusal(Conflict, templates.create) == "Job Template tpl already exists."


def test_a_deleted_template_is_gone_with_its_tags_and_its_id_is_free(templates: Templates) -> None:
    """case 64"""
    created = templates.create(tags=[{"Key": "a", "Value": "1"}])
    assert templates.tags_of(created) == [("a", "1")]
    made = templates.job(created)
    templates.delete()
    gone = "Job Template tpl cannot be found."
    assert refusal(ResourceNotFound, templates.describe) == gone
    assert refusal(ResourceNotFound, templates.delete) == gone
    assert describe(templates.call, templates.tx, "j1") == made
    assert made.job_template_arn == created
    assert refusal(ResourceNotFound, lambda: templates.job(created, "j2")) == gone
    assert templates.tags_of(templates.create()) == []


def test_templates_are_listed_newest_first_page_by_page(templates: Templates) -> None:
    """spec: control-plane 3.14"""
    for name in ("b", "a"):
        templates.create(name)
    templates.call = later(templates.call, MINUTE)
    templates.create("c")
    first, token = templates.page(max_results=2)
    assert first == ["c", "a"]
    assert templates.page(max_results=2, token=token) == (["b"], None)
    assert templates.page() == (["c", "a", "b"], None)


def test_a_token_of_another_list_is_refused(templates: Templates) -> None:
    assert refusal(InvalidRequest, lambda: templates.page(token="x")) == "Next token is invalid."


def test_another_region_has_templates_of_its_own(templates: Templates, tx: Tx) -> None:
    created = templates.create()
    elsewhere = Templates(
        replace(templates.call, scope=tx.scopes.get_or_create("123456789012", "eu-west-1")), tx
    )
    assert elsewhere.page() == ([], None)
    assert refusal(ResourceNotFound, elsewhere.describe) == "Job Template tpl cannot be found."
    assert refusal(ResourceNotFound, lambda: elsewhere.job(created)) == "Job Template tpl cannot be found."


def test_an_account_has_at_most_so_many_templates(templates: Templates) -> None:
    """spec: quotas 2"""
    templates.call = replace(templates.call, quotas=replace(templates.call.quotas, job_templates=2))
    templates.create("a")
    templates.create("b")
    assert "no more than 2" in refusal(LimitExceeded, lambda: templates.create("c"))
    templates.delete("a")
    templates.create("c")


@pytest.mark.parametrize(
    ("members", "said"),
    [
        (
            {"document": DOCUMENT, "documentSource": "s3://b/k"},
            "Job document and job document source cannot be specified at the same time.",
        ),
        ({"document": "{"}, "Job document located at request input is an invalid JSON document."),
        (
            {"timeoutConfig": {}},
            "Provide valid timeout value, inProgressTimeoutInMinutes cannot be null.",
        ),
        (
            {"tags": [{"Key": "aws:x", "Value": "1"}]},
            'Tags cannot begin with "aws:", offending tag: aws:x',
        ),
        ({"tags": [{"Key": "x"}]}, "Invalid tag parameter exception. Please check the input."),
        (
            {"abortConfig": {"criteriaList": CONFIG["abortConfig"]["criteriaList"] * 2}},
            "Multiple AbortCriteria cannot have the same failure type",
        ),
    ],
)
def test_what_is_wrong_with_the_request_comes_before_the_id(
    templates: Templates, members: dict[str, Any], said: str
) -> None:
    """spec: control-plane 3.14, checks before the duplicate check; cases 183, 207"""
    for _ in range(2):
        assert refusal(InvalidRequest, lambda: templates.create(**members)) == said
        if not templates.page()[0]:
            templates.create()


def test_a_template_needs_a_document_from_somewhere(templates: Templates) -> None:
    """spec: control-plane 3.14"""
    request = iot.CreateJobTemplateRequest(job_template_id="tpl", description="x")
    said = refusal(
        InvalidRequest,
        lambda: job_templates.create_job_template(templates.call, templates.tx, request),
    )
    assert said == "Neither job document nor job document source is specified."


def test_a_template_with_a_window_that_is_no_cron_is_refused(templates: Templates) -> None:
    refusal(
        InvalidRequest,
        lambda: templates.create(maintenanceWindows=[{"startTime": "daily", "durationInMinutes": 5}]),
    )


# --- from a job -------------------------------------------------------------------------------------


def test_a_template_copies_a_job(templates: Templates, call: Call, tx: Tx) -> None:
    """spec: control-plane 3.14, jobArn"""
    schedule = {"startTime": "2023-11-15T10:00", "endTime": "2023-12-15T10:00", "maintenanceWindows": WINDOWS}
    a_job(
        call,
        tx,
        "j1",
        [group_arn(call, "g")],
        targetSelection="CONTINUOUS",
        schedulingConfig=schedule,
        document='{"z":1, "a":2}',
        description="not copied",
        **CONFIG,
    )
    templates.create(jobArn=job_arn(call.scope, "j1"))
    jobs.update_job(
        call,
        tx,
        msgspec.convert(
            {"jobId": "j1", "timeoutConfig": {"inProgressTimeoutInMinutes": 11}}, iot.UpdateJobRequest
        ),
    )
    copied = shown(templates.describe())
    assert {name: copied[name] for name in CONFIG} == CONFIG
    assert copied["document"] == '{"z":1, "a":2}'
    assert copied["maintenanceWindows"] == WINDOWS
    assert copied["description"] == "A template"


def test_what_the_request_says_replaces_the_jobs_member_whole(
    templates: Templates, call: Call, tx: Tx
) -> None:
    """spec: control-plane 3.14, jobArn"""
    rate = {
        "maximumPerMinute": 50,
        "exponentialRate": {
            "baseRatePerMinute": 5,
            "incrementFactor": 2,
            "rateIncreaseCriteria": {"numberOfNotifiedThings": 5},
        },
    }
    a_job(call, tx, "j1", [arn(call, "t1")], **{**CONFIG, "jobExecutionsRolloutConfig": rate})
    templates.create(
        jobArn=job_arn(call.scope, "j1"),
        document="[]",
        jobExecutionsRolloutConfig={"maximumPerMinute": 7},
    )
    copied = shown(templates.describe())
    assert copied["document"] == "[]"
    assert copied["jobExecutionsRolloutConfig"] == {"maximumPerMinute": 7}
    assert copied["timeoutConfig"] == CONFIG["timeoutConfig"]


def test_an_unknown_job_is_found_missing_after_the_id_was_found_free(
    templates: Templates, call: Call
) -> None:
    """spec: control-plane 3.14: the duplicate check comes before the look-up of the job"""
    of_none = job_arn(call.scope, "none")
    assert refusal(JobNotFound, lambda: templates.create(jobArn=of_none)) == "Job none cannot be found."
    assert "is invalid" in refusal(InvalidRequest, lambda: templates.create(jobArn="job/none"))
    templates.create()
    refusal(Conflict, lambda: templates.create(jobArn=of_none))


# --- jobs from templates ----------------------------------------------------------------------------


def test_a_job_takes_from_the_template_what_its_request_does_not_say(templates: Templates) -> None:
    """case 36"""
    created = templates.create(**CONFIG)
    job = templates.job(created, jobExecutionsRolloutConfig={"maximumPerMinute": 7})
    assert shown(job.job_executions_rollout_config) == {"maximumPerMinute": 7}
    for name in CONFIG.keys() - {"jobExecutionsRolloutConfig"}:
        assert shown(job)[name] == CONFIG[name]
    assert job.description is None
    assert job.job_template_arn == created
    assert templates.document() == DOCUMENT


def test_a_request_may_replace_the_templates_document(templates: Templates) -> None:
    """spec: control-plane 3.1 rule 4"""
    templates.job(templates.create(), document="[1]")
    assert templates.document() == "[1]"


def test_devices_get_the_templates_document(templates: Templates, device: Callable[[str], Device]) -> None:
    templates.job(templates.create(document='{ "op": "x", "n": null }'))
    execution = device("t1").start_next()
    assert execution is not None
    assert execution.job_document == '{"op":"x"}'


@pytest.mark.parametrize(
    ("template_arn", "kind", "said"),
    [
        (
            "arn:aws:iot:us-east-1:123456789012:job/j0",
            InvalidRequest,
            "Resource type should be jobtemplate but found invalid resource type job",
        ),
        (
            "arn:aws:iot:us-east-1:123456789012:jobtemplate/none",
            ResourceNotFound,
            "Job Template none cannot be found.",
        ),
        (
            "arn:aws:iot:us-east-1:999999999999:jobtemplate/tpl",
            ResourceNotFound,
            "Job Template tpl cannot be found.",
        ),
        (
            "arn:aws:iot:us-east-1::jobtemplate/AWS-Fly:1.0",
            ResourceNotFound,
            "Job Template AWS-Fly:1.0 cannot be found.",
        ),
        (
            "arn:aws:iot:us-east-1::jobtemplate/AWS-Reboot:2.0",
            ResourceNotFound,
            "Job Template AWS-Reboot:2.0 cannot be found.",
        ),
        (
            "arn:aws:iot:eu-west-1::jobtemplate/AWS-Reboot:1.0",
            ResourceNotFound,
            "Job Template AWS-Reboot:1.0 cannot be found.",
        ),
        ("arn:aws:s3:::b", InvalidRequest, "Job template ARN arn:aws:s3:::b is invalid."),
    ],
)
def test_what_is_no_template_is_refused(
    templates: Templates, template_arn: str, kind: type[ServiceError], said: str
) -> None:
    """case 37"""
    templates.create()
    assert refusal(kind, lambda: templates.job(template_arn)) == said


def test_windows_of_a_template_need_a_continuous_job_with_a_start(templates: Templates) -> None:
    """case 182"""
    created = templates.create(maintenanceWindows=WINDOWS)
    start = {"startTime": "2023-11-15T10:00"}
    assert "cannot be used with SNAPSHOT job" in refusal(InvalidRequest, lambda: templates.job(created))
    assert (
        refusal(InvalidRequest, lambda: templates.job(created, targetSelection="CONTINUOUS"))
        == "MaintenanceWindow cannot be used without StartTime of SchedulingConfig."
    )
    job = templates.job(created, targetSelection="CONTINUOUS", schedulingConfig=start)
    assert shown(job.scheduling_config) == {**start, "maintenanceWindows": WINDOWS}
    assert job.status == "SCHEDULED"
    assert len(job.scheduled_job_rollouts or ()) == 7


def test_windows_of_a_request_replace_those_of_the_template(templates: Templates) -> None:
    created = templates.create(maintenanceWindows=WINDOWS)
    others = [{"startTime": "cron(30 4 * * ? *)", "durationInMinutes": 5}]
    schedule = {"startTime": "2023-11-15T10:00", "maintenanceWindows": others}
    job = templates.job(created, targetSelection="CONTINUOUS", schedulingConfig=schedule)
    assert shown(job.scheduling_config) == schedule


# --- managed templates ------------------------------------------------------------------------------


def test_a_job_from_a_managed_template_has_its_parameters_filled_in(templates: Templates) -> None:
    """case 34; its description comes from the template, unlike that of a template of one's own"""
    job = templates.job(REBOOT)
    document = templates.document()
    assert document is not None
    assert "${aws:iot:parameter" not in document
    assert '"path":"","' not in document
    assert job.job_template_arn == REBOOT
    assert job.description == "Restarts the device."
    assert job.document_parameters is None


def test_a_jobs_parameters_are_kept_and_shown_with_its_document_before_substitution(
    templates: Templates, device: Callable[[str], Device]
) -> None:
    """spec: control-plane 3.1 rule 5, 3.8; case 35"""
    given = {"downloadUrl": 'https://example.com/"x"', "filePath": "/tmp/x", "runAsUser": "root"}
    job = templates.job(DOWNLOAD, documentParameters=given, description="mine")
    assert job.document_parameters == given
    assert job.description == "mine"
    document = templates.document()
    assert document is not None
    step = msgspec.json.decode(document)["steps"][0]["action"]
    assert step["input"] == {
        "handler": "download-file.sh",
        "args": [given["downloadUrl"], "/tmp/x"],
        "path": "",
    }
    assert step["runAsUser"] == "root"
    before = templates.document(before_substitution=True)
    assert before is not None
    assert "${aws:iot:parameter:downloadUrl}" in before
    execution = device("t1").start_next()
    assert execution is not None
    assert execution.job_document == document


@pytest.mark.parametrize(
    "given", [None, {}, {"downloadUrl": "x"}, {"downloadUrl": "x", "filePath": "y", "z": "1"}]
)
def test_parameters_of_a_managed_template_are_checked(
    templates: Templates, given: dict[str, str] | None
) -> None:
    """case 35; spec: control-plane 3.1 rule 5"""
    members: dict[str, Any] = {} if given is None else {"documentParameters": given}
    refusal(InvalidRequest, lambda: templates.job(DOWNLOAD, **members))
    with pytest.raises(JobNotFound):
        templates.document()


def test_a_package_does_not_come_in_with_a_parameter(templates: Templates) -> None:
    """spec: wire 8"""
    given = {"downloadUrl": "${aws:iot:package:p:version:1:attributes}", "filePath": "x"}
    said = refusal(InvalidRequest, lambda: templates.job(DOWNLOAD, documentParameters=given))
    assert said == "Package p version 1 in the job document cannot be found."


def test_parameters_are_for_managed_templates_only(templates: Templates) -> None:
    """case 33"""
    created = templates.create()
    assert (
        refusal(InvalidRequest, lambda: templates.job(created, documentParameters={"a": "b"}))
        == "documentParameters can be used only with an AWS managed template."
    )


def test_a_template_made_of_a_job_with_parameters_has_them_filled_in(
    templates: Templates, call: Call
) -> None:
    templates.job(REBOOT)
    templates.create(jobArn=job_arn(call.scope, "j1"))
    assert templates.describe().document == templates.document()


def test_managed_templates_are_listed_page_by_page(call: Call, tx: Tx) -> None:
    """case 65"""

    def page(**members: Any) -> iot.ListManagedJobTemplatesResponse:
        request = iot.ListManagedJobTemplatesRequest(**members)
        return managed_job_templates.list_managed_job_templates(call, tx, request)

    rows = page().managed_job_templates or []
    assert len(rows) == 7
    assert {row.template_version for row in rows} == {"1.0"}
    assert all("::jobtemplate/" in (row.template_arn or "") for row in rows)
    first = page(max_results=4)
    rest = page(max_results=4, next_token=first.next_token)
    assert [*(first.managed_job_templates or ()), *(rest.managed_job_templates or ())] == rows
    assert rest.next_token is None
    named = page(template_name="AWS-Reboot").managed_job_templates or []
    assert [row.template_arn for row in named] == [REBOOT]
    assert (
        refusal(ResourceNotFound, lambda: page(template_name="AWS-Fly"))
        == "Job Template AWS-Fly cannot be found."
    )


def test_a_managed_template_describes_its_parameters(call: Call, tx: Tx) -> None:
    """spec: control-plane 3.15"""

    def described(name: str, version: str | None = None) -> iot.DescribeManagedJobTemplateResponse:
        request = iot.DescribeManagedJobTemplateRequest(template_name=name, template_version=version)
        return managed_job_templates.describe_managed_job_template(call, tx, request)

    answer = described("AWS-Download-File", "1.0")
    assert answer.template_arn == DOWNLOAD
    assert answer.environments == ["LINUX"]
    assert [(p.key, p.optional) for p in answer.document_parameters or ()] == [
        ("downloadUrl", False),
        ("filePath", False),
        ("runAsUser", True),
        ("pathToHandler", True),
    ]
    assert described("AWS-Download-File") == answer
    for name, version in (("AWS-Fly", None), ("AWS-Reboot", "1.1")):
        refusal(ResourceNotFound, lambda name=name, version=version: described(name, version))  # type: ignore[misc]  # bound now
