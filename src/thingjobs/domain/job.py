"""The life of a job: what may be done to it in which status, and when it is complete."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from thingjobs.domain.errors import InvalidRequest, InvalidStateTransition, LimitExceeded
from thingjobs.domain.model import (
    Job,
    JobStatus,
    Sweep,
    Target,
    TargetSelection,
)

OPEN = frozenset({JobStatus.SCHEDULED, JobStatus.IN_PROGRESS})
MAX_TARGETS = 100
MAX_DELETIONS_IN_PROGRESS = 10
SWEPT_AT_ONCE = 5_000
"""Open executions up to which a cancel or delete is finished before it is answered."""


def initial_status(start_time: str | None) -> JobStatus:
    return JobStatus.IN_PROGRESS if start_time is None else JobStatus.SCHEDULED


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
        sweep=Sweep.FORCE_CANCEL if force else Sweep.CANCEL,
    )


def delete(job: Job, *, force: bool, deletions_in_progress: int, now: int) -> Job:
    """The job on its way out; it is gone when its executions are."""
    if job.status is JobStatus.DELETION_IN_PROGRESS:
        raise InvalidStateTransition(f"Job {job.job_id} is already being deleted.")
    if job.status in OPEN and not force:
        raise InvalidStateTransition(
            f"Job {job.job_id} in status {job.status} cannot be deleted without force flag."
        )
    if deletions_in_progress >= MAX_DELETIONS_IN_PROGRESS:
        raise LimitExceeded(f"No more than {MAX_DELETIONS_IN_PROGRESS} jobs can be in deletion at a time.")
    return replace(job, status=JobStatus.DELETION_IN_PROGRESS, last_updated_at=now, sweep=Sweep.DELETE)


def associate(
    job: Job, present: Sequence[Target], asked: Sequence[Target], *, comment: str | None, now: int
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
    if len(known) + len(new) > MAX_TARGETS:
        raise LimitExceeded(f"A job can have no more than {MAX_TARGETS} targets.")
    changed = replace(job, last_updated_at=now, comment=comment if comment is not None else job.comment)
    return changed, new


def is_complete(status: JobStatus, selection: TargetSelection, *, rolling_out: bool, pending: int) -> bool:
    """Whether nothing more can happen to the job's executions, so that it becomes COMPLETED.

    ``pending`` counts executions that are QUEUED or IN_PROGRESS.
    """
    return (
        status is JobStatus.IN_PROGRESS
        and selection is TargetSelection.SNAPSHOT
        and not rolling_out
        and pending == 0
    )


def is_concurrent(*, rolling_out: bool, sweep: Sweep | None) -> bool:
    """Whether the service still hands out or cancels executions of the job."""
    return rolling_out or sweep in (Sweep.CANCEL, Sweep.FORCE_CANCEL)
