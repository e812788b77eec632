"""The pending list of a thing: what its device is told to work on, and in which order.

Source: Jobs developer guide, "job notifications" (10 entries, IN_PROGRESS first, oldest first).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from thingjobs.domain.execution import as_seen_by_device
from thingjobs.domain.model import PENDING, ExecutionStatus, JobExecution, JobFacts, JobStatus
from thingjobs.domain.quotas import DEFAULT_QUOTAS, Quotas
from thingjobs.domain.windows import HIDDEN

T = TypeVar("T")


def is_visible(execution: JobExecution, job: JobFacts) -> bool:
    """Whether a device sees a pending execution in its lists (describe and update by job id always do).

    Left out: jobs that wait for their start or for a window or are being deleted, executions that their
    job's cancellation is about to reach, and jobs of a namespace, which have their own topics.
    """
    if job.status in (JobStatus.SCHEDULED, JobStatus.DELETION_IN_PROGRESS) or job.namespace_id is not None:
        return False
    if job.status is JobStatus.IN_PROGRESS and job.phase in HIDDEN:
        return False
    return as_seen_by_device(execution, job).status in PENDING


def in_order(executions: Iterable[JobExecution]) -> list[JobExecution]:
    """The pending ones: IN_PROGRESS before QUEUED, then the earliest queued, then creation order."""
    pending = [e for e in executions if e.status in PENDING]
    pending.sort(key=lambda e: (e.status is ExecutionStatus.QUEUED, e.queued_at, e.id))
    return pending


def listed(
    ordered: Sequence[T], has_windows: Callable[[T], bool], quotas: Quotas = DEFAULT_QUOTAS
) -> Sequence[T]:
    """What GetPendingJobExecutions and notify show of a longer list.

    ``has_windows`` says of an entry whether its job has maintenance windows.
    """
    left = {False: quotas.executions_listed, True: quotas.windowed_executions_listed}
    if len(ordered) <= min(left.values()):
        return ordered
    shown = []
    for entry in ordered:
        windowed = has_windows(entry)
        if left[windowed]:
            left[windowed] -= 1
            shown.append(entry)
    return shown
