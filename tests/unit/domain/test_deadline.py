"""Timers of executions (spec: lifecycle 4)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingjobs.domain.deadline import as_of, deadline_at, is_overdue, time_out
from thingjobs.domain.errors import InvalidStateTransition
from thingjobs.domain.execution import DISCARD_STEP_TIMER, Trigger, report, seconds_before_timed_out
from thingjobs.domain.model import (
    ExecutionId,
    ExecutionStatus,
    JobExecution,
    JobFacts,
    JobKey,
    JobStatus,
    ScopeId,
    TargetSelection,
    ThingKey,
)

MINUTE = 60_000
NOON = 1_700_049_600_000


def at(clock: str) -> int:
    hours, minutes = clock.split(":")
    return NOON + ((int(hours) - 12) * 60 + int(minutes)) * MINUTE


def a_job(in_progress_minutes: int | None = None) -> JobFacts:
    return JobFacts(
        JobKey(1),
        ScopeId(1),
        "j1",
        JobStatus.IN_PROGRESS,
        TargetSelection.SNAPSHOT,
        namespace_id=None,
        in_progress_timeout_minutes=in_progress_minutes,
        sweep=None,
    )


def queued() -> JobExecution:
    return JobExecution(
        id=ExecutionId(1),
        job_key=JobKey(1),
        thing_key=ThingKey(1),
        thing_name="t1",
        execution_number=1,
        status=ExecutionStatus.QUEUED,
        version=1,
        retry_attempt=0,
        failed_retries=0,
        force_canceled=False,
        status_details=None,
        queued_at=at("11:00"),
        started_at=None,
        last_updated_at=at("11:00"),
        in_progress_deadline_at=None,
        step_deadline_at=None,
    )


def running(in_progress_at: int | None = None, step_at: int | None = None) -> JobExecution:
    return queued()._replace(
        status=ExecutionStatus.IN_PROGRESS,
        version=2,
        started_at=NOON,
        status_details={"step": "1"},
        in_progress_deadline_at=in_progress_at,
        step_deadline_at=step_at,
    )


def update(
    execution: JobExecution,
    job: JobFacts,
    clock: str,
    *,
    step: int | None = None,
    to: Trigger = Trigger.START,
) -> JobExecution:
    return report(
        execution,
        job,
        to,
        status_details=None,
        expected_version=None,
        step_timeout_minutes=step,
        now=at(clock),
    )


def test_the_earlier_of_two_timers_counts() -> None:
    """Spec: lifecycle 4, the worked timeline; case 121."""
    job = a_job(20)
    execution = update(queued(), job, "12:00")
    assert deadline_at(execution) == at("12:20")
    for clock, step, deadline in [("12:05", 7, "12:12"), ("12:10", 5, "12:15"), ("12:13", 9, "12:20")]:
        execution = update(execution, job, clock, step=step)
        assert deadline_at(execution) == at(deadline)
    assert seconds_before_timed_out(execution, at("12:13")) == 420
    assert as_of(execution, at("12:20") - 1) is execution
    assert as_of(execution, at("12:20")).status is ExecutionStatus.TIMED_OUT


@pytest.mark.parametrize(
    ("in_progress", "updates", "deadline"),
    [
        pytest.param(
            None, [("12:00", 10), ("12:05", DISCARD_STEP_TIMER)], None, id="step discarded, case 122"
        ),
        pytest.param(
            20, [("12:00", None), ("12:01", 5), ("12:03", DISCARD_STEP_TIMER)], "12:20", id="of two"
        ),
        pytest.param(None, [("12:00", 10), ("12:05", None)], "12:10", id="a plain update leaves it"),
        pytest.param(None, [("12:00", None)], None, id="no timer"),
    ],
)
def test_step_timers(
    in_progress: int | None, updates: list[tuple[str, int | None]], deadline: str | None
) -> None:
    """Spec: lifecycle 4, the table of step timers."""
    execution = queued()
    for clock, step in updates:
        execution = update(execution, a_job(in_progress), clock, step=step)
    assert deadline_at(execution) == (None if deadline is None else at(deadline))


def test_a_time_out_configured_later_does_not_touch_what_runs() -> None:
    """Spec: lifecycle 4; case 43."""
    early = update(queued(), a_job(10), "12:00")
    assert deadline_at(update(early, a_job(5), "12:02")) == at("12:10")
    assert deadline_at(update(queued(), a_job(5), "12:03")) == at("12:08")
    untimed = update(queued(), a_job(None), "12:00")
    assert deadline_at(update(untimed, a_job(5), "12:01")) is None


def test_what_nobody_starts_never_times_out() -> None:
    """Spec: case 124."""
    execution = queued()
    assert deadline_at(execution) is None
    assert as_of(execution, NOON + 365 * 24 * 60 * MINUTE) is execution


def test_a_time_out_is_dated_when_it_fires_and_ends_both_timers() -> None:
    """Spec: lifecycle 2 E8, ruling 6."""
    before = running(at("12:20"), at("12:15"))
    after = time_out(before, now=at("12:15"))
    assert after == before._replace(
        status=ExecutionStatus.TIMED_OUT,
        version=3,
        last_updated_at=at("12:15"),
        in_progress_deadline_at=None,
        step_deadline_at=None,
    )
    assert deadline_at(after) is None


def test_a_late_report_meets_a_timed_out_execution() -> None:
    """Spec: case 125."""
    late = as_of(running(at("12:20")), at("12:21"))
    with pytest.raises(InvalidStateTransition) as refused:
        update(late, a_job(20), "12:21", to=Trigger.SUCCEED)
    assert refused.value.state is not None
    assert refused.value.state.status == "TIMED_OUT"
    assert refused.value.state.version_number == 3
    assert refused.value.state.status_details == {"step": "1"}


def test_a_report_a_millisecond_early_is_in_time() -> None:
    execution = as_of(running(at("12:20")), at("12:20") - 1)
    assert execution.status is ExecutionStatus.IN_PROGRESS


@pytest.mark.parametrize("status", sorted(set(ExecutionStatus) - {ExecutionStatus.IN_PROGRESS}))
def test_only_what_is_in_progress_times_out(status: ExecutionStatus) -> None:
    execution = running(at("12:20"))._replace(status=status)
    assert deadline_at(execution) is None
    assert as_of(execution, at("13:00")) is execution
    with pytest.raises(InvalidStateTransition):
        time_out(execution, now=at("13:00"))


instants = st.integers(NOON, NOON + 10**9)


@given(st.none() | instants, st.none() | instants, instants)
def test_never_early(in_progress_at: int | None, step_at: int | None, now: int) -> None:
    execution = running(in_progress_at, step_at)
    timers = [timer for timer in (in_progress_at, step_at) if timer is not None]
    assert deadline_at(execution) == min(timers, default=None)
    assert is_overdue(execution, now) == any(timer <= now for timer in timers)
    assert (as_of(execution, now) is execution) == (not is_overdue(execution, now))
    assert as_of(as_of(execution, now), now) == as_of(execution, now)
