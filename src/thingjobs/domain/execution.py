"""The life of a job execution: one table of transitions, and the functions that walk it.

    QUEUED ──start──▶ IN_PROGRESS ──▶ SUCCEEDED · FAILED · REJECTED · CANCELED · REMOVED · TIMED_OUT
       └──────────────────────────────▶ (the same but the last, without having started)

Every function takes the old value and gives the new one, or raises and changes nothing.
Source: Jobs developer guide, "job execution states"; details as observed by third parties.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from thingjobs.domain.errors import (
    ExecutionState,
    InvalidRequest,
    InvalidStateTransition,
    VersionConflict,
    VersionMismatch,
)
from thingjobs.domain.model import TERMINAL, ExecutionStatus, JobExecution, JobFacts, Sweep
from thingjobs.domain.quotas import DEFAULT_QUOTAS

MINUTE = 60_000
DISCARD_STEP_TIMER = -1


class Trigger(StrEnum):
    """What can happen to an execution."""

    START = "START"
    SUCCEED = "SUCCEED"
    FAIL = "FAIL"
    REJECT = "REJECT"
    CANCEL = "CANCEL"
    FORCE_CANCEL = "FORCE_CANCEL"
    REMOVE = "REMOVE"
    TIME_OUT = "TIME_OUT"


_S = ExecutionStatus
TRANSITIONS: Mapping[ExecutionStatus, Mapping[Trigger, ExecutionStatus]] = {
    _S.QUEUED: {
        Trigger.START: _S.IN_PROGRESS,
        Trigger.SUCCEED: _S.SUCCEEDED,
        Trigger.FAIL: _S.FAILED,
        Trigger.REJECT: _S.REJECTED,
        Trigger.CANCEL: _S.CANCELED,
        Trigger.FORCE_CANCEL: _S.CANCELED,
        Trigger.REMOVE: _S.REMOVED,
    },
    _S.IN_PROGRESS: {
        Trigger.START: _S.IN_PROGRESS,
        Trigger.SUCCEED: _S.SUCCEEDED,
        Trigger.FAIL: _S.FAILED,
        Trigger.REJECT: _S.REJECTED,
        Trigger.FORCE_CANCEL: _S.CANCELED,
        Trigger.REMOVE: _S.REMOVED,
        Trigger.TIME_OUT: _S.TIMED_OUT,
    },
}  # every other status is terminal: nothing changes it

DEVICE_MAY_SET: Mapping[ExecutionStatus, Trigger] = {
    _S.IN_PROGRESS: Trigger.START,
    _S.SUCCEEDED: Trigger.SUCCEED,
    _S.FAILED: Trigger.FAIL,
    _S.REJECTED: Trigger.REJECT,
}

_TRIGGER_OF_SWEEP: Mapping[Sweep | None, Trigger] = {
    Sweep.CANCEL: Trigger.CANCEL,
    Sweep.FORCE_CANCEL: Trigger.FORCE_CANCEL,
}


def next_status(status: ExecutionStatus, trigger: Trigger) -> ExecutionStatus | None:
    """The status after ``trigger``, or None if it is not allowed now."""
    after = TRANSITIONS.get(status)
    return after.get(trigger) if after else None


def state_of(execution: JobExecution) -> ExecutionState:
    return ExecutionState(execution.status.value, execution.version, execution.status_details)


def as_seen_by_device(execution: JobExecution, job: JobFacts) -> JobExecution:
    """The execution as the device must see it while its job's cancellation is still being carried out.

    A canceled job's executions count as canceled from that moment, before the background sweep has
    reached their rows.
    """
    trigger = _TRIGGER_OF_SWEEP.get(job.sweep)
    if trigger is None or next_status(execution.status, trigger) is None:
        return execution
    return execution._replace(
        status=ExecutionStatus.CANCELED,
        version=execution.version + 1,
        force_canceled=trigger is Trigger.FORCE_CANCEL,
    )


# --- what devices do ----------------------------------------------------------------------------


def check_settable(status: ExecutionStatus) -> Trigger:
    """The trigger of a status a device reports; refused before anything is looked up."""
    trigger = DEVICE_MAY_SET.get(status)
    if trigger is None:
        raise InvalidStateTransition(f"The status of job execution cannot be changed to be {status}")
    return trigger


def check_step_timeout(
    minutes: int | None, *, may_discard: bool, most: int = DEFAULT_QUOTAS.step_timeout_minutes
) -> None:
    """Refuse a step time-out outside 1..``most`` minutes (−1 discards the timer, on updates only)."""
    if minutes is None or 1 <= minutes <= most or (may_discard and minutes == DISCARD_STEP_TIMER):
        return
    raise InvalidRequest(f"Provide valid step timeout value, stepTimeoutInMinutes cannot be {minutes}.")


def start_next(
    head: JobExecution,
    job: JobFacts,
    *,
    status_details: Mapping[str, str] | None,
    step_timeout_minutes: int | None,
    now: int,
) -> JobExecution:
    """The head of a thing's queue after StartNextPendingJobExecution.

    An execution that is IN_PROGRESS is given again as it is; only its step timer starts anew if one is sent.
    """
    if head.status is ExecutionStatus.IN_PROGRESS:
        if step_timeout_minutes is None:
            return head
        return head._replace(step_deadline_at=now + step_timeout_minutes * MINUTE)
    return report(
        head,
        job,
        Trigger.START,
        status_details=status_details,
        expected_version=None,
        step_timeout_minutes=step_timeout_minutes,
        now=now,
    )


def report(
    execution: JobExecution,
    job: JobFacts,
    trigger: Trigger,
    *,
    status_details: Mapping[str, str] | None,
    expected_version: int | None,
    step_timeout_minutes: int | None,
    now: int,
) -> JobExecution:
    """The execution after a device's report.

    The first report starts it, unless it rejects: ``started_at`` and the job's in-progress timer are set
    then and never again. ``status_details`` given replace the stored ones whole.
    Errors: VersionMismatch before InvalidStateTransition.
    """
    if expected_version is not None and expected_version != execution.version:
        raise VersionMismatch(expected_version, state_of(execution))
    status = next_status(execution.status, trigger)
    if status is None:
        raise InvalidStateTransition(
            f"Job {job.job_id} for {execution.thing_name}"
            f" has already finished with status {execution.status}",
            state_of(execution),
        )
    started_at = execution.started_at
    deadline_at = execution.in_progress_deadline_at
    step_deadline_at = execution.step_deadline_at
    if started_at is None and trigger is not Trigger.REJECT:
        started_at = now
    if status in TERMINAL:
        deadline_at = step_deadline_at = None
    else:
        if execution.status is ExecutionStatus.QUEUED and job.in_progress_timeout_minutes is not None:
            deadline_at = now + job.in_progress_timeout_minutes * MINUTE
        if step_timeout_minutes == DISCARD_STEP_TIMER:
            step_deadline_at = None
        elif step_timeout_minutes is not None:
            step_deadline_at = now + step_timeout_minutes * MINUTE
    return execution._replace(
        status=status,
        version=execution.version + 1,
        status_details=execution.status_details if status_details is None else status_details,
        started_at=started_at,
        last_updated_at=now,
        in_progress_deadline_at=deadline_at,
        step_deadline_at=step_deadline_at,
    )


def deadline_at(execution: JobExecution) -> int | None:
    """When the execution times out: the earlier of its timers; None if no timer runs."""
    if execution.status is not ExecutionStatus.IN_PROGRESS:
        return None
    in_progress, step = execution.in_progress_deadline_at, execution.step_deadline_at
    if in_progress is None or step is None:
        return step if in_progress is None else in_progress
    return min(in_progress, step)


def seconds_before_timed_out(execution: JobExecution, now: int) -> int | None:
    """Seconds until the earlier of the two timers, rounded up, 0 when due; None without a timer."""
    deadline = deadline_at(execution)
    return None if deadline is None else max(0, -((now - deadline) // 1000))


# --- what operators and the service do ----------------------------------------------------------


def cancel(
    execution: JobExecution,
    job_id: str,
    *,
    force: bool,
    expected_version: int | None = None,
    status_details: Mapping[str, str] | None = None,
    now: int,
) -> JobExecution:
    """The execution after CancelJobExecution. Errors: VersionConflict before InvalidStateTransition."""
    if expected_version is not None and expected_version != execution.version:
        raise VersionConflict(f"Expected version {expected_version} but found version {execution.version}")
    status = next_status(execution.status, Trigger.FORCE_CANCEL if force else Trigger.CANCEL)
    if status is None:
        raise InvalidStateTransition(
            f"Job execution for thing {execution.thing_name} within job {job_id} cannot be canceled."
        )
    return execution._replace(
        status=status,
        version=execution.version + 1,
        force_canceled=force,
        status_details=execution.status_details if status_details is None else status_details,
        last_updated_at=now,
        in_progress_deadline_at=None,
        step_deadline_at=None,
    )


def remove(execution: JobExecution, *, now: int) -> JobExecution:
    """A pending execution after its thing is gone; the version stays as it was (observed)."""
    return execution._replace(
        status=ExecutionStatus.REMOVED,
        last_updated_at=now,
        in_progress_deadline_at=None,
        step_deadline_at=None,
    )


def check_deletable(execution: JobExecution, job_id: str, *, force: bool) -> None:
    """Refuse DeleteJobExecution of an execution in progress, unless forced."""
    if execution.status is ExecutionStatus.IN_PROGRESS and not force:
        raise InvalidStateTransition(
            f"Job execution for thing {execution.thing_name} within job {job_id}"
            " in status IN_PROGRESS cannot be deleted without force flag."
        )
