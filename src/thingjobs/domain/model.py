"""The values the service is about. All are frozen: a change is a new value.

Instants (``…_at``) are integer milliseconds since the epoch, UTC. Keys are the store's integers; they
are never reused, so a deleted thing and its namesake are two things.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, NamedTuple, NewType

from thingjobs.domain.schedule import Phase, SchedulingConfig

ScopeId = NewType("ScopeId", int)
ThingKey = NewType("ThingKey", int)
GroupKey = NewType("GroupKey", int)
JobKey = NewType("JobKey", int)
ExecutionId = NewType("ExecutionId", int)


@dataclass(frozen=True, slots=True)
class Scope:
    """One account in one region: nothing in it sees, or is seen by, another scope."""

    id: ScopeId
    account: str
    region: str


# --- registry -----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Thing:
    key: ThingKey
    name: str
    thing_id: str
    type_name: str | None
    attributes: Mapping[str, str]
    version: int


@dataclass(frozen=True, slots=True)
class ThingType:
    name: str
    thing_type_id: str
    description: str | None
    searchable_attributes: tuple[str, ...]
    created_at: int
    deprecated_at: int | None


@dataclass(frozen=True, slots=True)
class ThingGroup:
    """A static group. ``depth`` is 1 at the root; a group's parent is fixed for life."""

    key: GroupKey
    name: str
    group_id: str
    parent_key: GroupKey | None
    depth: int
    description: str | None
    attributes: Mapping[str, str]
    version: int
    created_at: int


# --- jobs ---------------------------------------------------------------------------------------


class JobStatus(StrEnum):
    SCHEDULED = "SCHEDULED"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    CANCELED = "CANCELED"
    DELETION_IN_PROGRESS = "DELETION_IN_PROGRESS"


class TargetSelection(StrEnum):
    SNAPSHOT = "SNAPSHOT"
    CONTINUOUS = "CONTINUOUS"


class Sweep(StrEnum):
    """What is still being done to a job's executions in the background."""

    CANCEL = "CANCEL"
    FORCE_CANCEL = "FORCE_CANCEL"
    DELETE = "DELETE"


RetryableFailureType = Literal["ALL", "TIMED_OUT", "FAILED"]
FailureType = Literal["ALL", "TIMED_OUT", "FAILED", "REJECTED"]


@dataclass(frozen=True, slots=True)
class ExponentialRate:
    """``increment_factor_tenths`` is the factor × 10; exactly one of the two thresholds is set."""

    base_rate_per_minute: int
    increment_factor_tenths: int
    notified_things: int | None
    succeeded_things: int | None


@dataclass(frozen=True, slots=True)
class RolloutConfig:
    maximum_per_minute: int
    exponential_rate: ExponentialRate | None


@dataclass(frozen=True, slots=True)
class AbortCriterion:
    """``threshold_bp`` is in hundredths of a percent; the action is always CANCEL."""

    failure_type: FailureType
    threshold_bp: int
    min_number_of_executed_things: int


@dataclass(frozen=True, slots=True)
class RetryCriterion:
    failure_type: RetryableFailureType
    number_of_retries: int


@dataclass(frozen=True, slots=True)
class PresignedUrlConfig:
    role_arn: str | None
    expires_in_sec: int | None


@dataclass(frozen=True, slots=True)
class JobConfig:
    """The members of a job that decide what happens over time; all but scheduling can be updated."""

    rollout: RolloutConfig | None = None
    abort: tuple[AbortCriterion, ...] | None = None
    retry: tuple[RetryCriterion, ...] | None = None
    in_progress_timeout_minutes: int | None = None
    presigned_url: PresignedUrlConfig | None = None
    scheduling: SchedulingConfig | None = None


@dataclass(frozen=True, slots=True)
class Job:
    key: JobKey
    scope: ScopeId
    job_id: str
    status: JobStatus
    target_selection: TargetSelection
    description: str | None
    namespace_id: str | None
    config: JobConfig
    destination_package_versions: tuple[str, ...] | None
    force_canceled: bool
    reason_code: str | None
    comment: str | None
    created_at: int
    last_updated_at: int
    completed_at: int | None
    sweep: Sweep | None
    phase: Phase = Phase.OPEN
    """What its schedule lets happen, as of the last look at it."""
    next_schedule_at: int | None = None
    """When to look again."""
    job_template_arn: str | None = None
    document_parameters: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """A job document as it is stored.

    ``source``: the URL it was read from. ``before_substitution``: the text with its parameters, if it had
    any.
    """

    text: str
    source: str | None = None
    before_substitution: str | None = None


@dataclass(frozen=True, slots=True)
class JobTemplate:
    """What a job may be made from. The scheduling in ``config`` has maintenance windows and nothing else."""

    template_id: str
    description: str
    document: Document
    config: JobConfig
    destination_package_versions: tuple[str, ...] | None
    created_at: int


@dataclass(frozen=True, slots=True)
class Target:
    """One ARN a job names, and the thing or thing group it was when the job was told of it."""

    arn: str
    thing_key: ThingKey | None
    group_key: GroupKey | None


# --- job executions -----------------------------------------------------------------------------


class ExecutionStatus(StrEnum):
    QUEUED = "QUEUED"
    IN_PROGRESS = "IN_PROGRESS"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    REJECTED = "REJECTED"
    TIMED_OUT = "TIMED_OUT"
    CANCELED = "CANCELED"
    REMOVED = "REMOVED"


PENDING = frozenset({ExecutionStatus.QUEUED, ExecutionStatus.IN_PROGRESS})
TERMINAL = frozenset(ExecutionStatus) - PENDING


class JobExecution(NamedTuple):
    """One attempt of one job on one thing.

    A named tuple, not a dataclass: the device path makes several for every request, and these are
    four times as cheap to make. ``status_details`` is None until something was reported;
    ``failed_retries`` says how many of the attempts before it followed a FAILED.
    """

    id: ExecutionId
    job_key: JobKey
    thing_key: ThingKey
    thing_name: str
    execution_number: int
    status: ExecutionStatus
    version: int
    retry_attempt: int
    failed_retries: int
    force_canceled: bool
    status_details: Mapping[str, str] | None
    queued_at: int
    started_at: int | None
    last_updated_at: int
    in_progress_deadline_at: int | None
    step_deadline_at: int | None


class JobFacts(NamedTuple):
    """What decisions about an execution need to know of its job.

    ``end_at``: when its schedule ends it. ``rolling_out``: not all things had their turn yet.
    """

    job_key: JobKey
    scope: ScopeId
    job_id: str
    status: JobStatus
    target_selection: TargetSelection
    namespace_id: str | None
    in_progress_timeout_minutes: int | None
    sweep: Sweep | None
    abort: tuple[AbortCriterion, ...] | None = None
    retry: tuple[RetryCriterion, ...] | None = None
    presigned_url: PresignedUrlConfig | None = None
    phase: Phase = Phase.OPEN
    end_at: int | None = None
    has_windows: bool = False
    rolling_out: bool = False


class Mark(StrEnum):
    """What is remembered of a thing and a job that its executions do not show."""

    ALL_DELETED = "ALL_DELETED"
    JOINS_AT_OPENING = "JOINS_AT_OPENING"


Counters = Mapping[ExecutionStatus, int]
"""A job's executions by status, all attempts counted (``jobProcessDetails``)."""
