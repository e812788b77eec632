"""The Jobs operations on jobs. Each loads, asks the domain, saves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from thingjobs.domain import job as rules
from thingjobs.domain import job_config, packages, parameters, schedule, windows
from thingjobs.domain.arn import Arn, job_arn, parse_arn, thing_group_arn
from thingjobs.domain.effects import WorkDue
from thingjobs.domain.errors import (
    InvalidRequest,
    JobNotFound,
    LimitExceeded,
    ResourceAlreadyExists,
    ResourceNotFound,
)
from thingjobs.domain.model import Document, Job, JobKey, Target, TargetSelection
from thingjobs.domain.paging import decode_token, encode_token
from thingjobs.domain.schedule import Phase
from thingjobs.operations import job_config_shapes as shapes
from thingjobs.operations import job_contents as contents
from thingjobs.operations import job_views as views
from thingjobs.operations import rollout, sweep
from thingjobs.operations.call import Call
from thingjobs.operations.job_templates import Base, base_of, is_managed
from thingjobs.operations.tags import check_tags
from thingjobs.store.tx import Tx
from thingjobs.wire.shapes import iot

PAGE = 250
_UNSTORED = JobKey(0)


def create_job(call: Call, tx: Tx, request: iot.CreateJobRequest) -> iot.CreateJobResponse:
    """Store the job and hand out its first batch."""
    contents.check_one_document(request, request.job_template_arn)
    given = contents.read_config(request, call.quotas)
    selection = TargetSelection(request.target_selection or TargetSelection.SNAPSHOT)
    scheduling = shapes.read_scheduling(request.scheduling_config)
    if scheduling is not None:
        schedule.check_schedule(scheduling, target_selection=selection, now=call.now, quotas=call.quotas)
    if request.document_parameters is not None and not is_managed(request.job_template_arn):
        raise InvalidRequest("documentParameters can be used only with an AWS managed template.")
    tags = check_tags(call, request.tags, missing_value_message=contents.INVALID_TAG)
    arns = _parsed_targets(request.targets)
    if len(arns) > call.quotas.targets_per_job:
        raise LimitExceeded(f"A job can have no more than {call.quotas.targets_per_job} targets.")
    base = base_of(call, tx, request.job_template_arn)
    scheduling = schedule.completed(scheduling, base.config.scheduling)
    if scheduling is not None:
        schedule.check_schedule(scheduling, target_selection=selection, now=call.now, quotas=call.quotas)
    config = replace(job_config.completed(given, base.config), scheduling=scheduling)
    if tx.jobs.exists(call.scope.id, request.job_id):
        raise ResourceAlreadyExists(
            f"Job {request.job_id} already exists.", request.job_id, job_arn(call.scope, request.job_id)
        )
    targets = [_resolved(call, tx, arn) for arn in arns]
    document = _document_of(call, request, base)
    contents.check_deliverable(call, document.text, config.presigned_url, f"job {request.job_id}")
    rules.check_room(
        call.quotas,
        selection,
        active=tx.jobs.count_active(call.scope.id, selection),
        concurrent=tx.rollouts.count_jobs(call.scope.id),
    )
    phase = windows.phase_at(config.scheduling, call.now)
    job = Job(
        key=_UNSTORED,
        scope=call.scope.id,
        job_id=request.job_id,
        status=windows.STATUS_IN[phase],
        target_selection=selection,
        description=base.description if request.description is None else request.description,
        namespace_id=request.namespace_id,
        config=config,
        destination_package_versions=contents.package_versions_of(request, base.package_versions),
        force_canceled=False,
        reason_code=None,
        comment=None,
        created_at=call.now,
        last_updated_at=call.now,
        completed_at=None,
        sweep=None,
        phase=phase,
        next_schedule_at=windows.next_boundary(config.scheduling, call.now),
        job_template_arn=request.job_template_arn,
        document_parameters=request.document_parameters,
    )
    job = replace(job, key=tx.jobs.insert(job, document, targets))
    tx.tags.put(call.scope.id, job_arn(call.scope, job.job_id), tags)
    if phase is Phase.OPEN:
        rollout.begin(
            tx,
            job,
            position=0,
            end_position=len(targets),
            limited=True,
            spread=call.spread,
            per_minute=call.quotas.rollout_per_minute,
            now=call.now,
        )
    else:
        tx.record(WorkDue())
    return iot.CreateJobResponse(
        job_arn=job_arn(call.scope, job.job_id), job_id=job.job_id, description=job.description
    )


def describe_job(call: Call, tx: Tx, request: iot.DescribeJobRequest) -> iot.DescribeJobResponse:
    job = _found(call, tx, request.job_id)
    return iot.DescribeJobResponse(
        document_source=tx.jobs.document_source(job.key),
        job=views.job(
            call,
            job,
            targets=tx.jobs.targets(job.key),
            counters=tx.jobs.counters(job.key),
            rollouts=tx.rollouts.of_job(job.key),
        ),
    )


def update_job(call: Call, tx: Tx, request: iot.UpdateJobRequest) -> None:
    """Replace each given member whole. What needs no job is checked before the job is looked up."""
    updated = (
        request.description,
        request.presigned_url_config,
        request.job_executions_rollout_config,
        request.abort_config,
        request.timeout_config,
        request.job_executions_retry_config,
    )
    if all(member is None for member in updated):
        raise InvalidRequest(f"Update Job request for job {request.job_id} cannot be empty.")
    timeout = shapes.read_timeout(request.timeout_config, call.quotas)
    abort = shapes.read_abort(request.abort_config)
    rollout_config = shapes.read_rollout(request.job_executions_rollout_config)
    presigned_url = shapes.read_presigned_url(request.presigned_url_config)
    retry = shapes.read_retry(request.job_executions_retry_config)
    if retry is not None:
        job_config.check_retries_to_zero(retry)
    job = _found(call, tx, request.job_id)
    rules.check_updatable(job)
    if presigned_url is not None:
        contents.check_deliverable(call, tx.jobs.document(job.key), presigned_url, f"job {job.job_id}")
    was = job.config
    config = replace(
        was,
        rollout=rollout_config or was.rollout,
        abort=abort or was.abort,
        retry=was.retry if retry is None else job_config.updated_retry_criteria(was.retry, retry),
        in_progress_timeout_minutes=timeout or was.in_progress_timeout_minutes,
        presigned_url=presigned_url or was.presigned_url,
    )
    description = job.description if request.description is None else request.description
    tx.jobs.save(replace(job, config=config, description=description, last_updated_at=call.now))


def list_jobs(call: Call, tx: Tx, request: iot.ListJobsRequest) -> iot.ListJobsResponse:
    """Jobs, newest first; all filters together."""
    filters = {
        "status": request.status,
        "targetSelection": request.target_selection,
        "thingGroupName": request.thing_group_name,
        "thingGroupId": request.thing_group_id,
        "namespaceId": request.namespace_id,
    }
    after = None
    if request.next_token is not None:
        after = decode_token("ListJobs", filters, request.next_token, (int, str))
    group = None
    if request.thing_group_name is not None:
        group = tx.groups.find(call.scope.id, request.thing_group_name)
        if group is None:
            raise ResourceNotFound(f"Thing Group {request.thing_group_name} cannot be found.")
        if request.thing_group_id is not None and request.thing_group_id != group.group_id:
            raise InvalidRequest("thingGroupName and thingGroupId do not name the same thing group.")
    elif request.thing_group_id is not None:
        group = tx.groups.find_by_id(call.scope.id, request.thing_group_id)
        if group is None:
            return iot.ListJobsResponse(jobs=[])
    limit = request.max_results or PAGE
    found = tx.jobs.page(
        call.scope.id,
        status=request.status,
        target_selection=request.target_selection,
        namespace_id=request.namespace_id,
        target_arn=None if group is None else thing_group_arn(call.scope, group.name),
        after=after,
        limit=limit + 1,
    )
    page = found[:limit]
    group_id = None if group is None else group.group_id
    return iot.ListJobsResponse(
        jobs=[views.job_summary(call, row, thing_group_id=group_id) for row in page],
        next_token=encode_token("ListJobs", filters, (page[-1].created_at, page[-1].job_id))
        if len(found) > limit
        else None,
    )


def cancel_job(call: Call, tx: Tx, request: iot.CancelJobRequest) -> iot.CancelJobResponse:
    job = _found(call, tx, request.job_id)
    after = rules.cancel(
        job,
        force=bool(request.force),
        reason_code=request.reason_code,
        comment=request.comment,
        now=call.now,
    )
    sweep.begin(tx, after, call.now)
    return iot.CancelJobResponse(
        job_arn=job_arn(call.scope, job.job_id), job_id=job.job_id, description=job.description
    )


def delete_job(call: Call, tx: Tx, request: iot.DeleteJobRequest) -> None:
    job = _found(call, tx, request.job_id)
    after = rules.delete(
        job,
        force=bool(request.force),
        deletions_in_progress=tx.jobs.count_in_deletion(call.scope.id),
        most=call.quotas.jobs_in_deletion,
        now=call.now,
    )
    sweep.begin(tx, after, call.now)


def associate_targets_with_job(
    call: Call, tx: Tx, request: iot.AssociateTargetsWithJobRequest
) -> iot.AssociateTargetsWithJobResponse:
    """Add thing groups to a continuous job; their members get it at once, whatever the rollout rate."""
    arns = _parsed_targets(request.targets)
    if any(arn.kind != "thinggroup" for arn in arns):
        raise InvalidRequest("Only thing groups can be associated with a job.")
    job = _found(call, tx, request.job_id)
    present = tx.jobs.targets(job.key)
    asked = [_resolved(call, tx, arn) for arn in arns]
    after, new = rules.associate(
        job,
        present,
        asked,
        comment=request.comment,
        most=call.quotas.targets_per_job,
        now=call.now,
    )
    tx.jobs.save(after)
    if new:
        first, end_position = len(present), len(present) + len(new)
        tx.jobs.add_targets(job.key, first, new)
        if job.phase is Phase.OPEN:  # else nothing is handed out any more
            rollout.begin(
                tx,
                after,
                position=first,
                end_position=end_position,
                limited=False,
                spread=call.spread,
                now=call.now,
            )
    return iot.AssociateTargetsWithJobResponse(
        job_arn=job_arn(call.scope, job.job_id), job_id=job.job_id, description=job.description
    )


def get_job_document(call: Call, tx: Tx, request: iot.GetJobDocumentRequest) -> iot.GetJobDocumentResponse:
    """The stored text; presigned URLs are for devices only."""
    key = tx.jobs.key(call.scope.id, request.job_id)
    if key is None:
        raise JobNotFound(request.job_id)
    document = tx.jobs.document_with_origin(key)
    if request.before_substitution and document.before_substitution is not None:
        return iot.GetJobDocumentResponse(document=document.before_substitution)
    return iot.GetJobDocumentResponse(document=document.text)


# --- parts of requests --------------------------------------------------------------------------


def _found(call: Call, tx: Tx, job_id: str) -> Job:
    job = tx.jobs.find(call.scope.id, job_id)
    if job is None:
        raise JobNotFound(job_id)
    return job


def _document_of(call: Call, request: iot.CreateJobRequest, base: Base) -> Document:
    """The job's document, with the parameters of a managed template filled in."""
    document = contents.document_of(call, request, base.document)
    if base.name is not None:
        given = request.document_parameters or {}
        parameters.check_parameters(given, base.parameters, base.name)
        text = parameters.substitute(document.text, given, base.parameters)
        document = Document(text, document.source, before_substitution=document.text)
    packages.check_packages(document.text)
    return document


def _parsed_targets(targets: Sequence[str]) -> Sequence[Arn]:
    """The targets without repetitions. Errors: InvalidRequest for what is not a target's ARN."""
    arns = []
    for text in dict.fromkeys(targets):
        arn = parse_arn(text)
        if arn is None or arn.kind not in ("thing", "thinggroup"):
            raise InvalidRequest(f"Target {text} is not the ARN of a thing or thing group.")
        arns.append(arn)
    return arns


def _resolved(call: Call, tx: Tx, arn: Arn) -> Target:
    """What a target's ARN names here. Errors: ResourceNotFound if absent, or in another scope."""
    if arn.kind == "thing":
        thing = tx.things.find(call.scope.id, arn.name) if arn.is_in(call.scope) else None
        if thing is None:
            raise ResourceNotFound(f"Thing {arn.name} cannot be found.")
        return Target(str(arn), thing_key=thing.key, group_key=None)
    group = tx.groups.find(call.scope.id, arn.name) if arn.is_in(call.scope) else None
    if group is None:
        raise ResourceNotFound(f"Thing Group {arn.name} cannot be found.")
    return Target(str(arn), thing_key=None, group_key=group.key)
