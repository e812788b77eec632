"""Domain values for tests, with what a case does not mention filled in."""

from __future__ import annotations

from typing import Any

from thingjobs.domain.model import (
    ExecutionId,
    ExecutionStatus,
    Job,
    JobConfig,
    JobExecution,
    JobFacts,
    JobKey,
    JobStatus,
    ScopeId,
    TargetSelection,
    ThingKey,
)

NOW = 1_700_000_000_000
MINUTE = 60_000


def an_execution(status: ExecutionStatus = ExecutionStatus.QUEUED, **members: Any) -> JobExecution:
    """An execution queued a minute ago; one that left QUEUED was started half a minute ago."""
    queued = status is ExecutionStatus.QUEUED
    usual: dict[str, Any] = {
        "id": ExecutionId(1),
        "job_key": JobKey(1),
        "thing_key": ThingKey(1),
        "thing_name": "t1",
        "execution_number": 1,
        "status": status,
        "version": 1 if queued else 2,
        "retry_attempt": 0,
        "failed_retries": 0,
        "force_canceled": False,
        "status_details": None,
        "queued_at": NOW - MINUTE,
        "started_at": None if queued else NOW - MINUTE // 2,
        "last_updated_at": NOW - (MINUTE if queued else MINUTE // 2),
        "in_progress_deadline_at": None,
        "step_deadline_at": None,
    }
    return JobExecution(**{**usual, **members})


def facts(**members: Any) -> JobFacts:
    """What decisions know of job ``j1``, in progress."""
    usual: dict[str, Any] = {
        "job_key": JobKey(1),
        "scope": ScopeId(1),
        "job_id": "j1",
        "status": JobStatus.IN_PROGRESS,
        "target_selection": TargetSelection.SNAPSHOT,
        "namespace_id": None,
        "in_progress_timeout_minutes": None,
        "sweep": None,
    }
    return JobFacts(**{**usual, **members})


def a_job(**members: Any) -> Job:
    """Job ``j1`` of a minute ago, in progress."""
    usual: dict[str, Any] = {
        "key": JobKey(1),
        "scope": ScopeId(1),
        "job_id": "j1",
        "status": JobStatus.IN_PROGRESS,
        "target_selection": TargetSelection.SNAPSHOT,
        "description": None,
        "namespace_id": None,
        "config": JobConfig(),
        "destination_package_versions": None,
        "force_canceled": False,
        "reason_code": None,
        "comment": None,
        "created_at": NOW - MINUTE,
        "last_updated_at": NOW - MINUTE,
        "completed_at": None,
        "sweep": None,
    }
    return Job(**{**usual, **members})
