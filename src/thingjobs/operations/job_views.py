"""Jobs and executions as the control plane shows them."""

from __future__ import annotations

from collections.abc import Sequence

from thingjobs.domain.arn import job_arn, thing_arn
from thingjobs.domain.execution import seconds_before_timed_out
from thingjobs.domain.job import is_concurrent
from thingjobs.domain.model import Counters, ExecutionStatus, Job, JobExecution, JobStatus, Target
from thingjobs.domain.rollout import Rollout
from thingjobs.domain.schedule import scheduled_rollouts
from thingjobs.domain.timestamps import epoch_seconds
from thingjobs.operations import job_config_shapes as shapes
from thingjobs.operations.call import Call
from thingjobs.store.executions import ExecutionRow
from thingjobs.store.jobs import JobRow
from thingjobs.wire.shapes import iot


def job(
    call: Call, job: Job, *, targets: Sequence[Target], counters: Counters, rollouts: Sequence[Rollout]
) -> iot.Job:
    config = job.config
    windows = config.scheduling and config.scheduling.maintenance_windows
    return iot.Job(
        job_arn=job_arn(call.scope, job.job_id),
        job_id=job.job_id,
        target_selection=job.target_selection.value,
        status=job.status.value,
        force_canceled=job.force_canceled,
        reason_code=job.reason_code,
        comment=job.comment,
        targets=[target.arn for target in targets],
        description=job.description,
        presigned_url_config=shapes.show_presigned_url(config.presigned_url),
        job_executions_rollout_config=shapes.show_rollout(config.rollout),
        abort_config=shapes.show_abort(config.abort),
        created_at=epoch_seconds(job.created_at),
        last_updated_at=epoch_seconds(job.last_updated_at),
        completed_at=epoch_seconds(job.completed_at),
        job_process_details=_process_details(targets, counters, rollouts),
        timeout_config=shapes.show_timeout(config.in_progress_timeout_minutes),
        namespace_id=job.namespace_id,
        job_template_arn=job.job_template_arn,
        document_parameters=None if job.document_parameters is None else dict(job.document_parameters),
        job_executions_retry_config=shapes.show_retry(config.retry),
        is_concurrent=is_concurrent(job.status, rolling_out=bool(rollouts), sweep=job.sweep),
        scheduling_config=shapes.show_scheduling(config.scheduling),
        scheduled_job_rollouts=[
            iot.ScheduledJobRollout(start_time=start)
            for start in scheduled_rollouts(config.scheduling, call.now)
        ]
        if config.scheduling and windows
        else None,
        destination_package_versions=list(job.destination_package_versions)
        if job.destination_package_versions is not None
        else None,
    )


def _process_details(
    targets: Sequence[Target], counters: Counters, rollouts: Sequence[Rollout]
) -> iot.JobProcessDetails:
    processing = [
        target.arn
        for rollout in rollouts
        for target in targets[rollout.cursor.position : rollout.end_position]
    ]
    return iot.JobProcessDetails(
        processing_targets=processing or None,
        number_of_canceled_things=counters[ExecutionStatus.CANCELED],
        number_of_succeeded_things=counters[ExecutionStatus.SUCCEEDED],
        number_of_failed_things=counters[ExecutionStatus.FAILED],
        number_of_rejected_things=counters[ExecutionStatus.REJECTED],
        number_of_queued_things=counters[ExecutionStatus.QUEUED],
        number_of_in_progress_things=counters[ExecutionStatus.IN_PROGRESS],
        number_of_removed_things=counters[ExecutionStatus.REMOVED],
        number_of_timed_out_things=counters[ExecutionStatus.TIMED_OUT],
    )


def job_summary(call: Call, row: JobRow, *, thing_group_id: str | None) -> iot.JobSummary:
    """``thing_group_id``: of the group that the list is filtered by; else the job's first group is shown."""
    return iot.JobSummary(
        job_arn=job_arn(call.scope, row.job_id),
        job_id=row.job_id,
        thing_group_id=thing_group_id or row.thing_group_id,
        target_selection=row.target_selection,
        status=row.status,
        created_at=epoch_seconds(row.created_at),
        last_updated_at=epoch_seconds(row.last_updated_at),
        completed_at=epoch_seconds(row.completed_at),
        is_concurrent=is_concurrent(JobStatus(row.status), rolling_out=row.rolling_out, sweep=row.sweep),
    )


def execution(call: Call, job_id: str, execution: JobExecution) -> iot.JobExecution:
    return iot.JobExecution(
        job_id=job_id,
        status=execution.status.value,
        force_canceled=execution.force_canceled,
        status_details=iot.JobExecutionStatusDetails(
            details_map=None if execution.status_details is None else dict(execution.status_details),
            status=execution.status.value,
        ),
        thing_arn=thing_arn(call.scope, execution.thing_name),
        queued_at=epoch_seconds(execution.queued_at),
        started_at=epoch_seconds(execution.started_at),
        last_updated_at=epoch_seconds(execution.last_updated_at),
        execution_number=execution.execution_number,
        version_number=execution.version,
        approximate_seconds_before_timed_out=seconds_before_timed_out(execution, call.now),
    )


def execution_summary(row: ExecutionRow) -> iot.JobExecutionSummary:
    return iot.JobExecutionSummary(
        status=row.status,
        queued_at=epoch_seconds(row.queued_at),
        started_at=epoch_seconds(row.started_at),
        last_updated_at=epoch_seconds(row.last_updated_at),
        execution_number=row.execution_number,
        retry_attempt=row.retry_attempt,
    )
