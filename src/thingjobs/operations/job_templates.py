"""The operations on job templates, and what a template gives the jobs that are made from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from thingjobs.domain import job_config
from thingjobs.domain.arn import Arn, job_template_arn, parse_arn
from thingjobs.domain.cron import parse_cron
from thingjobs.domain.errors import (
    Conflict,
    InvalidRequest,
    JobNotFound,
    LimitExceeded,
    ResourceNotFound,
)
from thingjobs.domain.managed_templates import MANAGED_TEMPLATES, VERSION
from thingjobs.domain.model import Document, JobConfig, JobTemplate
from thingjobs.domain.paging import decode_token, encode_token
from thingjobs.domain.parameters import DocumentParameter
from thingjobs.domain.schedule import SchedulingConfig
from thingjobs.domain.timestamps import epoch_seconds
from thingjobs.operations import job_config_shapes as shapes
from thingjobs.operations import job_contents as contents
from thingjobs.operations.call import Call
from thingjobs.operations.tags import check_tags
from thingjobs.store.tx import Tx
from thingjobs.wire.shapes import iot

PAGE = 250


# --- the four operations --------------------------------------------------------------------------


def create_job_template(
    call: Call, tx: Tx, request: iot.CreateJobTemplateRequest
) -> iot.CreateJobTemplateResponse:
    """Store a template; what it takes from a job is a copy.

    Source: what is checked before the id is looked up, and what after, was observed by others.
    """
    contents.check_one_document(request, request.job_arn)
    given = contents.read_config(request, call.quotas)
    scheduling = shapes.read_windows(request.maintenance_windows)
    for window in scheduling.maintenance_windows if scheduling else ():
        parse_cron(window.start_time)
    tags = check_tags(call, request.tags, missing_value_message=contents.INVALID_TAG)
    if request.document is not None:
        contents.document_of(call, request, None)
    template_id = request.job_template_id
    if tx.job_templates.exists(call.scope.id, template_id):
        raise Conflict(f"Job Template {template_id} already exists.")
    base = NOTHING if request.job_arn is None else _of_job(call, tx, request.job_arn)
    config = replace(
        job_config.completed(given, base.config), scheduling=scheduling or base.config.scheduling
    )
    document = contents.document_of(call, request, base.document)
    contents.check_deliverable(call, document.text, config.presigned_url, f"job {template_id}")
    if tx.job_templates.count(call.scope.id) >= call.quotas.job_templates:
        raise LimitExceeded(f"An account can have no more than {call.quotas.job_templates} job templates.")
    template = JobTemplate(
        template_id=template_id,
        description=request.description,
        document=document,
        config=config,
        destination_package_versions=contents.package_versions_of(request, base.package_versions),
        created_at=call.now,
    )
    arn = job_template_arn(call.scope, template_id)
    tx.job_templates.insert(call.scope.id, template)
    tx.tags.put(call.scope.id, arn, tags)
    return iot.CreateJobTemplateResponse(job_template_arn=arn, job_template_id=template_id)


def describe_job_template(
    call: Call, tx: Tx, request: iot.DescribeJobTemplateRequest
) -> iot.DescribeJobTemplateResponse:
    template = _found(call, tx, request.job_template_id)
    config = template.config
    return iot.DescribeJobTemplateResponse(
        job_template_arn=job_template_arn(call.scope, template.template_id),
        job_template_id=template.template_id,
        description=template.description,
        document_source=template.document.source,
        document=template.document.text,
        created_at=epoch_seconds(template.created_at),
        presigned_url_config=shapes.show_presigned_url(config.presigned_url),
        job_executions_rollout_config=shapes.show_rollout(config.rollout),
        abort_config=shapes.show_abort(config.abort),
        timeout_config=shapes.show_timeout(config.in_progress_timeout_minutes),
        job_executions_retry_config=shapes.show_retry(config.retry),
        maintenance_windows=shapes.show_scheduling(config.scheduling).maintenance_windows,
        destination_package_versions=None
        if template.destination_package_versions is None
        else list(template.destination_package_versions),
    )


def list_job_templates(
    call: Call, tx: Tx, request: iot.ListJobTemplatesRequest
) -> iot.ListJobTemplatesResponse:
    """Templates, newest first."""
    after = None
    if request.next_token is not None:
        after = decode_token("ListJobTemplates", {}, request.next_token, (int, str))
    limit = request.max_results or PAGE
    found = tx.job_templates.page(call.scope.id, after=after, limit=limit + 1)
    page = found[:limit]
    return iot.ListJobTemplatesResponse(
        job_templates=[
            iot.JobTemplateSummary(
                job_template_arn=job_template_arn(call.scope, row.template_id),
                job_template_id=row.template_id,
                description=row.description,
                created_at=epoch_seconds(row.created_at),
            )
            for row in page
        ],
        next_token=encode_token("ListJobTemplates", {}, (page[-1].created_at, page[-1].template_id))
        if len(found) > limit
        else None,
    )


def delete_job_template(call: Call, tx: Tx, request: iot.DeleteJobTemplateRequest) -> None:
    """Remove a template with its tags; jobs made from it keep what they have."""
    template = _found(call, tx, request.job_template_id)
    tx.job_templates.delete(call.scope.id, template.template_id)
    tx.tags.delete_all(call.scope.id, job_template_arn(call.scope, template.template_id))


def _found(call: Call, tx: Tx, template_id: str) -> JobTemplate:
    template = tx.job_templates.find(call.scope.id, template_id)
    if template is None:
        raise ResourceNotFound(f"Job Template {template_id} cannot be found.")
    return template


# --- what others are made from --------------------------------------------------------------------


class Base(NamedTuple):
    """What a job or template takes from another where its request does not say otherwise.

    ``name`` and ``parameters`` are a managed template's.
    """

    document: Document | None
    config: JobConfig
    package_versions: tuple[str, ...] | None
    description: str | None = None
    name: str | None = None
    parameters: Sequence[DocumentParameter] = ()


NOTHING = Base(None, JobConfig(), None)


def is_managed(template_arn: str | None) -> bool:
    """Whether an ARN is that of a managed template: those belong to no account."""
    arn = parse_arn(template_arn) if template_arn is not None else None
    return arn is not None and arn.kind == "jobtemplate" and not arn.account


def base_of(call: Call, tx: Tx, template_arn: str | None) -> Base:
    """What the template gives a new job: its own description only if it is a managed one (observed).

    Errors: InvalidRequest for what is no template's ARN, ResourceNotFound.
    """
    if template_arn is None:
        return NOTHING
    arn = parse_arn(template_arn)
    if arn is None:
        raise InvalidRequest(f"Job template ARN {template_arn} is invalid.")
    if arn.kind != "jobtemplate":
        raise InvalidRequest(
            f"Resource type should be jobtemplate but found invalid resource type {arn.kind}"
        )
    if not arn.account:
        return _of_managed_template(call, arn)
    template = tx.job_templates.find(call.scope.id, arn.name) if arn.is_in(call.scope) else None
    if template is None:
        raise ResourceNotFound(f"Job Template {arn.name} cannot be found.")
    return Base(template.document, template.config, template.destination_package_versions)


def _of_managed_template(call: Call, arn: Arn) -> Base:
    name, _, version = arn.name.rpartition(":")
    template = MANAGED_TEMPLATES.get(name)
    if template is None or version != VERSION or arn.region != call.scope.region:
        raise ResourceNotFound(f"Job Template {arn.name} cannot be found.")
    return Base(
        Document(template.document),
        JobConfig(),
        None,
        description=template.description,
        name=template.name,
        parameters=template.parameters,
    )


def _of_job(call: Call, tx: Tx, arn_text: str) -> Base:
    """What a template takes from a job: of its schedule only the windows. Errors: as ``base_of``."""
    arn = parse_arn(arn_text)
    if arn is None or arn.kind != "job":
        raise InvalidRequest(f"Job ARN {arn_text} is invalid.")
    job = tx.jobs.find(call.scope.id, arn.name) if arn.is_in(call.scope) else None
    if job is None:
        raise JobNotFound(arn.name)
    windows = job.config.scheduling.maintenance_windows if job.config.scheduling else ()
    scheduling = SchedulingConfig(None, None, None, windows) if windows else None
    document = replace(tx.jobs.document_with_origin(job.key), before_substitution=None)
    return Base(document, replace(job.config, scheduling=scheduling), job.destination_package_versions)
