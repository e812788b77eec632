"""The life of a job: what may be done to it in which status, and when it is complete."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from thingjobs.domain.errors import InvalidRequest, InvalidStateTransition, LimitExceeded
from thingjobs.domain.model import Job, JobStatus, Sweep, Target, TargetSelection
from thingjobs.domain.quotas import DEFAULT_QUOTAS, Quotas

OPEN = frozenset({JobStatus.SCHEDULED, JobStatus.IN_PROGRESS})
DAY_MS = 86_400_000
SWEPT_AT_ONCE = 5_000
"""Open executions up to which a cancel or delete is finished before it is answered."""


def check_room(quotas: Quotas, selection: TargetSelection, *, active: int, concurrent: int) -> None:
    """Refuse one more job than an account may have; ``active`` counts jobs of the same target selection."""
    kind = selection.value.lower()
    most = quotas.active_snapshot_jobs
    if selection is TargetSelection.CONTINUOUS:
        most = quotas.active_continuous_jobs
    if active >= most:
        raise LimitExceeded(f"The account has {active} active {kind} jobs, and may have {most}.")
    if concurrent >= quotas.concurrent_jobs:
        raise LimitExceeded(
            f"The account has {concurrent} jobs rolling out, and may have {quotas.concurrent_jobs}."
        )


def is_retired(job: Job, quotas: Quotas, now: int) -> bool:
    """Whether a finished job is so old that it is not kept any longer.

    Source: service documentation, "jobs limits": completed and canceled jobs are kept for two years.
    """
    finished = job.status in (JobStatus.COMPLETED, JobStatus.CANCELED)
    return finished and job.sweep is None and job.last_updated_at + quotas.retention_days * DAY_MS <= now


def check_updatable(job: Job) -> None:
    if job.status not in OPEN:
        raise InvalidRequest(f"Job {job.job_id} in status {job.status} cannot be updated.")


def cancel(job: Job, *, force: bool, reason_code: str | None, comment: str | None, now: int) -> Job:
    """The job canceled; its executions still have to be swept. (No 409: CancelJob does not model one.)"""
    if job.status not in OPEN:
        raise InvalidRequest(f"Job {job.job_id} in status {job.status} cannot be canceled.")
    return replace(
        job,
        status=JobStatus.CANCELED,
        force_canceled=force,
        reason_code=reason_code if reason_code is not None else job.reason_code,
        comment=comment if comment is not None else job.comment,
        last_updated_at=now,
        sweep=Sweep.FORCE_CANCEL if force or job.sweep is Sweep.FORCE_CANCEL else Sweep.CANCEL,
        next_schedule_at=None,
    )


def delete(
    job: Job,
    *,
    force: bool,
    deletions_in_progress: int,
    most: int = DEFAULT_QUOTAS.jobs_in_deletion,
    now: int,
) -> Job:
    """The job on its way out; it is gone when its executions are."""
    if job.status is JobStatus.DELETION_IN_PROGRESS:
        raise InvalidStateTransition(f"Job {job.job_id} is already being deleted.")
    if job.status in OPEN and not force:
        raise InvalidStateTransition(
            f"Job {job.job_id} in status {job.status} cannot be deleted without force flag."
        )
    if deletions_in_progress >= most:
        raise LimitExceeded(f"No more than {most} jobs can be in deletion at a time.")
    return replace(
        job,
        status=JobStatus.DELETION_IN_PROGRESS,
        last_updated_at=now,
        sweep=Sweep.DELETE,
        next_schedule_at=None,
    )


def associate(
    job: Job,
    present: Sequence[Target],
    asked: Sequence[Target],
    *,
    comment: str | None,
    most: int = DEFAULT_QUOTAS.targets_per_job,
    now: int,
) -> tuple[Job, Sequence[Target]]:
    """The job with more targets, and those that are new to it."""
    if job.target_selection is not TargetSelection.CONTINUOUS:
        raise InvalidRequest(
            f"Job {job.job_id} is not a continuous job: targets cannot be associated with it."
        )
    if job.status is not JobStatus.IN_PROGRESS:
        raise InvalidRequest(
            f"Job {job.job_id} in status {job.status}: targets can be associated only with a job in progress."
        )
    known = {target.arn for target in present}
    new = [target for target in asked if target.arn not in known]
    if len(known) + len(new) > most:
        raise LimitExceeded(f"A job can have no more than {most} targets.")
    changed = replace(job, last_updated_at=now, comment=comment if comment is not None else job.comment)
    return changed, new


def is_concurrent(status: JobStatus, *, rolling_out: bool, sweep: Sweep | None) -> bool:
    """Whether the service still hands out or cancels executions of the job; between windows it does not."""
    return (rolling_out and status is not JobStatus.SCHEDULED) or sweep in (Sweep.CANCEL, Sweep.FORCE_CANCEL)
