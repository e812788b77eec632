"""The Jobs operations on executions, as operators use them."""

from __future__ import annotations

from thingjobs.domain import deadline, targeting
from thingjobs.domain import execution as rules
from thingjobs.domain.arn import thing_arn
from thingjobs.domain.effects import PendingChanged
from thingjobs.domain.errors import InvalidRequest, JobNotFound, ResourceNotFound
from thingjobs.domain.job import OPEN
from thingjobs.domain.model import (
    ExecutionStatus,
    JobExecution,
    JobFacts,
    JobKey,
    Mark,
    TargetSelection,
    ThingKey,
)
from thingjobs.domain.paging import decode_token, encode_token
from thingjobs.operations import endings
from thingjobs.operations import job_views as views
from thingjobs.operations.call import Call
from thingjobs.store.tx import Tx
from thingjobs.wire.shapes import iot

PAGE = 250


def list_job_executions_for_job(
    call: Call, tx: Tx, request: iot.ListJobExecutionsForJobRequest
) -> iot.ListJobExecutionsForJobResponse:
    """One row per execution, the last changed first."""
    job_key = tx.jobs.key(call.scope.id, request.job_id)
    if job_key is None:
        raise JobNotFound(request.job_id)
    filters = {"jobId": request.job_id, "status": request.status}
    after = None
    if request.next_token is not None:
        after = decode_token("ListJobExecutionsForJob", filters, request.next_token, (int, str, int))
    limit = request.max_results or PAGE
    found = tx.executions.page_of_job(
        job_key,
        status=None if request.status is None else ExecutionStatus(request.status),
        after=after,
        limit=limit + 1,
    )
    page = found[:limit]
    token = None
    if len(found) > limit:
        last = page[-1]
        position = (last.last_updated_at, last.name, last.execution_number)
        token = encode_token("ListJobExecutionsForJob", filters, position)
    return iot.ListJobExecutionsForJobResponse(
        execution_summaries=[
            iot.JobExecutionSummaryForJob(
                thing_arn=thing_arn(call.scope, row.name), job_execution_summary=views.execution_summary(row)
            )
            for row in page
        ],
        next_token=token,
    )


def list_job_executions_for_thing(
    call: Call, tx: Tx, request: iot.ListJobExecutionsForThingRequest
) -> iot.ListJobExecutionsForThingResponse:
    """All of a thing's executions, finished ones too, the newest first."""
    thing = tx.things.find(call.scope.id, request.thing_name)
    if thing is None:
        raise ResourceNotFound(f"Thing {request.thing_name} cannot be found.")
    filters = {
        "thingName": request.thing_name,
        "status": request.status,
        "jobId": request.job_id,
        "namespaceId": request.namespace_id,
    }
    after = None
    if request.next_token is not None:
        after = decode_token("ListJobExecutionsForThing", filters, request.next_token, (int, int))
    limit = request.max_results or PAGE
    found = tx.executions.page_of_thing(
        thing.key,
        status=request.status,
        job_id=request.job_id,
        namespace_id=request.namespace_id,
        after=after,
        limit=limit + 1,
    )
    page = found[:limit]
    token = None
    if len(found) > limit:
        token = encode_token("ListJobExecutionsForThing", filters, (page[-1].queued_at, page[-1].id))
    return iot.ListJobExecutionsForThingResponse(
        execution_summaries=[
            iot.JobExecutionSummaryForThing(
                job_id=row.name, job_execution_summary=views.execution_summary(row)
            )
            for row in page
        ],
        next_token=token,
    )


def describe_job_execution(
    call: Call, tx: Tx, request: iot.DescribeJobExecutionRequest
) -> iot.DescribeJobExecutionResponse:
    """Any execution in any status; the newest without a number."""
    job_key = _job_key(call, tx, request.job_id)
    execution = _found(call, tx, job_key, request.job_id, request.thing_name, request.execution_number)
    return iot.DescribeJobExecutionResponse(execution=views.execution(call, request.job_id, execution))


def cancel_job_execution(call: Call, tx: Tx, request: iot.CancelJobExecutionRequest) -> None:
    job_key = _job_key(call, tx, request.job_id)
    before = _found(call, tx, job_key, request.job_id, request.thing_name, None)
    after = rules.cancel(
        deadline.as_of(before, call.now),
        request.job_id,
        force=bool(request.force),
        expected_version=request.expected_version,
        status_details=request.status_details,
        now=call.now,
    )
    endings.end(tx, [(before, after)], call.now)


def delete_job_execution(call: Call, tx: Tx, request: iot.DeleteJobExecutionRequest) -> None:
    """Remove one execution; its number is free again if it was the highest."""
    if request.execution_number < 1:
        raise InvalidRequest("Execution number is invalid.")
    job_key = _job_key(call, tx, request.job_id)
    execution = _found(call, tx, job_key, request.job_id, request.thing_name, request.execution_number)
    rules.check_deletable(deadline.as_of(execution, call.now), request.job_id, force=bool(request.force))
    tx.executions.delete(execution)
    ends = endings.of_jobs(tx, [job_key], call.now)
    _remember_deletion(tx, ends.facts[job_key], execution)
    ends.deleted(execution)
    ends.save()
    tx.record(PendingChanged(call.scope.id, (request.thing_name,)))


def remove_executions_of_thing(tx: Tx, thing_key: ThingKey, now: int) -> None:
    """What a deleted thing had pending becomes REMOVED and stays with its jobs."""
    pending = [
        each
        for each in tx.executions.pending_of_thing(thing_key)
        if targeting.on_thing_deleted(each.status) is targeting.Action.REMOVE
    ]
    endings.end(tx, [(before, rules.remove(before, now=now)) for before in pending], now)


def _remember_deletion(tx: Tx, job: JobFacts, deleted: JobExecution) -> None:
    """Note that a thing lost the last execution of a job that might hand it out again."""
    things = [(deleted.thing_key, deleted.thing_name)]
    may_come_again = job.rolling_out or job.target_selection is TargetSelection.CONTINUOUS
    if job.status in OPEN and may_come_again and not tx.executions.newest(job.job_key, things):
        tx.marks.put(job.job_key, things, Mark.ALL_DELETED)


def _job_key(call: Call, tx: Tx, job_id: str) -> JobKey:
    key = tx.jobs.key(call.scope.id, job_id)
    if key is None:
        raise ResourceNotFound(f"Job execution cannot be found as the Job {job_id} does not exist.")
    return key


def _found(
    call: Call, tx: Tx, job_key: JobKey, job_id: str, thing_name: str, execution_number: int | None
) -> JobExecution:
    thing = tx.things.find(call.scope.id, thing_name)
    execution = (
        None if thing is None else tx.executions.find(job_key, thing.key, thing_name, execution_number)
    )
    if execution is None:
        raise ResourceNotFound(f"Job execution for thing {thing_name} cannot be found within job {job_id}.")
    return execution
