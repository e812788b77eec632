"""The pending list of a thing: what its device is told to work on, and in which order.

Source: Jobs developer guide, "job notifications" (10 entries, IN_PROGRESS first, oldest first).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from thingjobs.domain.model import PENDING, ExecutionStatus, JobExecution, JobFacts, JobStatus

LISTED = 10

T = TypeVar("T")


def is_visible(execution: JobExecution, job: JobFacts) -> bool:
    """Whether a device sees a pending execution in its lists (describe and update by job id always do).

    Left out: jobs that wait for their start or are being deleted, the QUEUED executions of a canceled
    job, and jobs of a namespace, which have their own topics.
    """
    if job.status in (JobStatus.SCHEDULED, JobStatus.DELETION_IN_PROGRESS) or job.namespace_id is not None:
        return False
    return not (job.status is JobStatus.CANCELED and execution.status is ExecutionStatus.QUEUED)


def in_order(executions: Iterable[JobExecution]) -> list[JobExecution]:
    """The pending ones: IN_PROGRESS before QUEUED, then the earliest queued, then creation order."""
    pending = [e for e in executions if e.status in PENDING]
    pending.sort(key=lambda e: (e.status is ExecutionStatus.QUEUED, e.queued_at, e.id))
    return pending


def listed(ordered: Sequence[T]) -> Sequence[T]:
    """What GetPendingJobExecutions and notify show of a longer list."""
    return ordered[:LISTED]
