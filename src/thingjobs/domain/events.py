"""The events of jobs and job executions: where they are published, and what they say.

Published only for the types that are enabled. Of one action an execution's event comes before the job's
event that it causes; what is canceled or deleted is told between the job's two events.

Source: Jobs developer guide, "jobs events". The milliseconds of job events (beside ``timestamp`` in
seconds), the order, and the members ``executionNumber``, ``forceCanceled``, ``reasonCode`` and
``numberOfTimedOutThings`` are observed by others (unverified).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from thingjobs.domain.model import Counters, ExecutionStatus, Job

JOB = "JOB"
JOB_EXECUTION = "JOB_EXECUTION"

TYPES = (
    "THING",
    "THING_GROUP",
    "THING_TYPE",
    "THING_GROUP_MEMBERSHIP",
    "THING_GROUP_HIERARCHY",
    "THING_TYPE_ASSOCIATION",
    JOB,
    JOB_EXECUTION,
    "POLICY",
    "CERTIFICATE",
    "CA_CERTIFICATE",
)
"""Every type that can be enabled; of the others than jobs' nothing is published here."""


class JobOperation(StrEnum):
    """What happened to a job: the last level of the topic, and in capitals the event's status."""

    COMPLETED = "completed"
    CANCELLATION_IN_PROGRESS = "cancellation_in_progress"
    CANCELED = "canceled"
    DELETION_IN_PROGRESS = "deletion_in_progress"
    DELETED = "deleted"


_CANCEL = frozenset({JobOperation.CANCELLATION_IN_PROGRESS, JobOperation.CANCELED})
_DELETE = frozenset({JobOperation.DELETION_IN_PROGRESS, JobOperation.DELETED})
_WITH_DETAILS = frozenset({JobOperation.COMPLETED, JobOperation.CANCELED})
_COUNTED = (
    ("numberOfCanceledThings", ExecutionStatus.CANCELED),
    ("numberOfRejectedThings", ExecutionStatus.REJECTED),
    ("numberOfFailedThings", ExecutionStatus.FAILED),
    ("numberOfRemovedThings", ExecutionStatus.REMOVED),
    ("numberOfSucceededThings", ExecutionStatus.SUCCEEDED),
    ("numberOfTimedOutThings", ExecutionStatus.TIMED_OUT),
)

DELETED = "deleted"
"""What happens to an execution without being one of its statuses."""


class Event(NamedTuple):
    topic: str
    payload: Mapping[str, Any]


def job_event(
    job: Job,
    operation: JobOperation,
    *,
    targets: Sequence[str],
    counters: Counters,
    event_id: str,
    now: int,
) -> Event:
    """What is told of a job; ``job`` is the job as it is after that.

    Units: ``timestamp`` in seconds, the other instants in milliseconds.
    """
    payload: dict[str, Any] = {
        "eventType": JOB,
        "eventId": event_id,
        "timestamp": now // 1000,
        "operation": operation.value,
        "jobId": job.job_id,
        "status": operation.value.upper(),
        "targetSelection": job.target_selection.value,
        "targets": list(targets),
    }
    if job.description is not None:
        payload["description"] = job.description
    if operation is JobOperation.COMPLETED:
        payload["completedAt"] = job.completed_at
    payload["createdAt"] = job.created_at
    payload["lastUpdatedAt"] = job.last_updated_at
    if operation in _CANCEL or operation in _DELETE:
        if job.comment is not None:
            payload["comment"] = job.comment
        if operation in _CANCEL:
            if job.reason_code is not None:
                payload["reasonCode"] = job.reason_code
            payload["forceCanceled"] = job.force_canceled
    if operation in _WITH_DETAILS:
        payload["jobProcessDetails"] = {name: counters[status] for name, status in _COUNTED}
    return Event(f"$aws/events/job/{job.job_id}/{operation.value}", payload)


def execution_event(
    job_id: str,
    operation: str,
    *,
    thing_arn: str,
    execution_number: int,
    status_details: Mapping[str, str] | None,
    force_canceled: bool,
    event_id: str,
    now: int,
) -> Event:
    """What is told of an execution that reached a terminal status, or was deleted.

    ``operation``: the status in lower case, or ``deleted``.
    """
    payload: dict[str, Any] = {
        "eventType": JOB_EXECUTION,
        "eventId": event_id,
        "timestamp": now // 1000,
        "operation": operation,
        "jobId": job_id,
        "thingArn": thing_arn,
        "executionNumber": execution_number,
        "status": operation.upper(),
    }
    if status_details:
        payload["statusDetails"] = dict(status_details)
    if operation == "canceled":
        payload["forceCanceled"] = force_canceled
    return Event(f"$aws/events/jobExecution/{job_id}/{operation}", payload)
