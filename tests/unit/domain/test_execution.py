"""The life of an execution: every pair of status and trigger, and what each transition does to the rest."""

from __future__ import annotations

from itertools import product

import pytest

from thingjobs.domain import execution as rules
from thingjobs.domain.errors import (
    InvalidRequest,
    InvalidStateTransition,
    VersionConflict,
    VersionMismatch,
)
from thingjobs.domain.execution import DEVICE_MAY_SET, TRANSITIONS, Trigger, next_status
from thingjobs.domain.model import PENDING, TERMINAL, ExecutionStatus, JobExecution, Sweep
from values import MINUTE, NOW, an_execution, facts

Status = ExecutionStatus
QUEUED, IN_PROGRESS, CANCELED = Status.QUEUED, Status.IN_PROGRESS, Status.CANCELED

LEGAL = {
    (QUEUED, Trigger.START): IN_PROGRESS,
    (QUEUED, Trigger.SUCCEED): Status.SUCCEEDED,
    (QUEUED, Trigger.FAIL): Status.FAILED,
    (QUEUED, Trigger.REJECT): Status.REJECTED,
    (QUEUED, Trigger.CANCEL): CANCELED,
    (QUEUED, Trigger.FORCE_CANCEL): CANCELED,
    (QUEUED, Trigger.REMOVE): Status.REMOVED,
    (IN_PROGRESS, Trigger.START): IN_PROGRESS,
    (IN_PROGRESS, Trigger.SUCCEED): Status.SUCCEEDED,
    (IN_PROGRESS, Trigger.FAIL): Status.FAILED,
    (IN_PROGRESS, Trigger.REJECT): Status.REJECTED,
    (IN_PROGRESS, Trigger.FORCE_CANCEL): CANCELED,
    (IN_PROGRESS, Trigger.REMOVE): Status.REMOVED,
    (IN_PROGRESS, Trigger.TIME_OUT): Status.TIMED_OUT,
}


def reported(
    execution: JobExecution,
    trigger: Trigger = Trigger.START,
    *,
    details: dict[str, str] | None = None,
    version: int | None = None,
    step: int | None = None,
    timeout: int | None = None,
    at: int = NOW,
) -> JobExecution:
    job = facts(in_progress_timeout_minutes=timeout)
    return rules.report(
        execution,
        job,
        trigger,
        status_details=details,
        expected_version=version,
        step_timeout_minutes=step,
        now=at,
    )


def started_next(
    execution: JobExecution,
    *,
    details: dict[str, str] | None = None,
    step: int | None = None,
    timeout: int | None = None,
    at: int = NOW,
) -> JobExecution:
    job = facts(in_progress_timeout_minutes=timeout)
    return rules.start_next(execution, job, status_details=details, step_timeout_minutes=step, now=at)


# --- the table ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "trigger"), list(product(Status, Trigger)))
def test_every_pair_of_status_and_trigger(status: Status, trigger: Trigger) -> None:
    """spec: lifecycle 2"""
    assert next_status(status, trigger) is LEGAL.get((status, trigger))


def test_only_pending_executions_change_and_all_statuses_are_known() -> None:
    assert TRANSITIONS.keys() == PENDING
    assert set(Status) == PENDING | TERMINAL


@pytest.mark.parametrize("status", Status)
def test_devices_set_four_statuses_and_no_other(status: Status) -> None:
    """case 102, case 117"""
    settable = {IN_PROGRESS, Status.SUCCEEDED, Status.FAILED, Status.REJECTED}
    if status in settable:
        assert LEGAL[QUEUED, rules.check_settable(status)] is status
    else:
        message = f"The status of job execution cannot be changed to be {status}"
        with pytest.raises(InvalidStateTransition, match=message) as refused:
            rules.check_settable(status)
        assert refused.value.state is None
    assert DEVICE_MAY_SET.keys() == settable


# --- reports --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "trigger", "started"),
    [
        (QUEUED, Trigger.START, NOW),
        (QUEUED, Trigger.SUCCEED, NOW),
        (QUEUED, Trigger.FAIL, NOW),
        (QUEUED, Trigger.REJECT, None),
        (IN_PROGRESS, Trigger.START, NOW - MINUTE // 2),
        (IN_PROGRESS, Trigger.SUCCEED, NOW - MINUTE // 2),
        (IN_PROGRESS, Trigger.FAIL, NOW - MINUTE // 2),
        (IN_PROGRESS, Trigger.REJECT, NOW - MINUTE // 2),
    ],
)
def test_report_bumps_the_version_and_dates_the_first_start(
    status: Status, trigger: Trigger, started: int | None
) -> None:
    """case 111; spec: lifecycle 2 E2, E3, E5–E7"""
    before = an_execution(status, status_details={"a": "1"})
    assert reported(before, trigger) == before._replace(
        status=LEGAL[status, trigger],
        version=before.version + 1,
        started_at=started,
        last_updated_at=NOW,
    )


@pytest.mark.parametrize(
    ("status", "trigger"), list(product(sorted(TERMINAL), sorted(DEVICE_MAY_SET.values())))
)
def test_nothing_is_reported_of_a_finished_execution(status: Status, trigger: Trigger) -> None:
    """case 97; spec: lifecycle 2 E14"""
    execution = an_execution(status, version=5, status_details={"a": "1"})
    message = f"Job j1 for t1 has already finished with status {status}"
    with pytest.raises(InvalidStateTransition, match=message) as refused:
        reported(execution, trigger, version=5)
    assert refused.value.state == rules.state_of(execution)


@pytest.mark.parametrize("status", Status)
def test_stale_version_is_told_before_the_state(status: Status) -> None:
    """case 95"""
    execution = an_execution(status, version=3)
    with pytest.raises(VersionMismatch, match="Expected version 2 but found version 3") as refused:
        reported(execution, version=2)
    assert (refused.value.state.status, refused.value.state.version_number) == (status, 3)


@pytest.mark.parametrize(
    ("stored", "given", "after"),
    [
        (None, None, None),
        (None, {}, {}),
        ({"a": "1"}, None, {"a": "1"}),
        ({"a": "1"}, {"b": "2"}, {"b": "2"}),
        ({"a": "1"}, {}, {}),
    ],
)
def test_details_given_replace_all_that_is_stored(
    stored: dict[str, str] | None, given: dict[str, str] | None, after: dict[str, str] | None
) -> None:
    """case 110, case 200"""
    for status in (QUEUED, IN_PROGRESS):
        execution = an_execution(status, status_details=stored)
        assert reported(execution, Trigger.SUCCEED, details=given).status_details == after


# --- start next -----------------------------------------------------------------------------------


def test_start_next_starts_what_is_queued() -> None:
    """case 84; spec: lifecycle 2 E2"""
    before = an_execution()
    assert started_next(before, details={"a": "1"}, step=7, timeout=20) == before._replace(
        status=IN_PROGRESS,
        version=2,
        status_details={"a": "1"},
        started_at=NOW,
        last_updated_at=NOW,
        in_progress_deadline_at=NOW + 20 * MINUTE,
        step_deadline_at=NOW + 7 * MINUTE,
    )


def test_start_next_leaves_what_runs_but_for_its_step_timer() -> None:
    """case 85; spec: lifecycle 2 E4"""
    running = an_execution(IN_PROGRESS, step_deadline_at=NOW + MINUTE)
    assert started_next(running, details={"a": "1"}, timeout=20) is running
    after = started_next(running, details={"a": "1"}, step=9, timeout=20)
    assert after == running._replace(step_deadline_at=NOW + 9 * MINUTE)


# --- timers ---------------------------------------------------------------------------------------


def effective(execution: JobExecution) -> int | None:
    """Minutes from NOW to the earlier deadline."""
    deadlines = [execution.in_progress_deadline_at, execution.step_deadline_at]
    known = [deadline for deadline in deadlines if deadline is not None]
    return (min(known) - NOW) // MINUTE if known else None


Step = tuple[int, int | None]
"""A report: minutes after the start, and the step time-out that it carries."""


@pytest.mark.parametrize(
    ("timeout", "steps", "deadlines"),
    [
        (20, [(5, 7), (10, 5), (13, 9)], [12, 15, 20]),
        (None, [(0, 10), (5, -1)], [10, None]),
        (20, [(1, 5), (3, -1)], [6, 20]),
        (None, [(0, 10), (5, None)], [10, 10]),
        (20, [(19, None)], [20]),
        (None, [(2, -1)], [None]),
    ],
)
def test_step_timer_restarts_with_each_value_and_never_outlives_the_other(
    timeout: int | None, steps: list[Step], deadlines: list[int | None]
) -> None:
    """case 121, case 122 (without time-outs); spec: lifecycle 4"""
    execution = reported(an_execution(), timeout=timeout)
    assert effective(execution) == timeout
    for (minutes, step), deadline in zip(steps, deadlines, strict=True):
        execution = reported(execution, step=step, timeout=timeout, at=NOW + minutes * MINUTE)
        assert effective(execution) == deadline


@pytest.mark.parametrize(("at_start", "later"), [(None, 5), (20, 5), (20, None)])
def test_changed_time_out_of_the_job_does_not_touch_what_runs(
    at_start: int | None, later: int | None
) -> None:
    """spec: control-plane 3.3, lifecycle 4"""
    running = reported(an_execution(), timeout=at_start)
    assert effective(reported(running, timeout=later, at=NOW + MINUTE)) == at_start
    assert effective(started_next(running, timeout=later, at=NOW + MINUTE)) == at_start


@pytest.mark.parametrize("trigger", [Trigger.SUCCEED, Trigger.FAIL, Trigger.REJECT])
def test_finishing_stops_both_timers_whatever_is_asked(trigger: Trigger) -> None:
    """spec: lifecycle 2 E5–E7, ruling 14"""
    running = reported(an_execution(), step=5, timeout=20)
    for execution in (running, an_execution()):
        assert effective(reported(execution, trigger, step=5, timeout=20)) is None


@pytest.mark.parametrize("minutes", [None, 1, 10_080])
def test_step_time_out_in_bounds(minutes: int | None) -> None:
    rules.check_step_timeout(minutes, may_discard=False)
    rules.check_step_timeout(minutes, may_discard=True)


@pytest.mark.parametrize("minutes", [0, -1, -2, 10_081])
def test_step_time_out_out_of_bounds(minutes: int) -> None:
    """case 123; −1 discards the timer, on updates only"""
    with pytest.raises(InvalidRequest):
        rules.check_step_timeout(minutes, may_discard=False)
    if minutes == -1:
        rules.check_step_timeout(minutes, may_discard=True)
    else:
        with pytest.raises(InvalidRequest):
            rules.check_step_timeout(minutes, may_discard=True)


@pytest.mark.parametrize(
    ("at", "seconds"),
    [
        (0, 300),
        (1, 300),
        (999, 300),
        (1_000, 299),
        (299_001, 1),
        (300_000, 0),
        (400_000, 0),
    ],
)
def test_seconds_left_are_rounded_up_and_never_negative(at: int, seconds: int) -> None:
    """case 121; spec: device-plane 4.3"""
    running = reported(an_execution(), step=5, timeout=20)
    assert rules.seconds_before_timed_out(running, NOW + at) == seconds


def test_seconds_left_are_shown_of_timed_running_executions_only() -> None:
    assert rules.seconds_before_timed_out(an_execution(IN_PROGRESS), NOW) is None
    for status in set(Status) - {IN_PROGRESS}:
        assert rules.seconds_before_timed_out(an_execution(status, step_deadline_at=NOW), NOW) is None


# --- what operators and the service do --------------------------------------------------------------


@pytest.mark.parametrize(("status", "force"), [(QUEUED, False), (QUEUED, True), (IN_PROGRESS, True)])
def test_cancel_bumps_the_version_and_stops_the_timers(status: Status, force: bool) -> None:
    """case 53, case 72, case 73; spec: lifecycle 2 E9, E10"""
    before = an_execution(
        status,
        status_details={"a": "1"},
        in_progress_deadline_at=NOW + MINUTE,
        step_deadline_at=NOW + MINUTE,
    )
    after = rules.cancel(before, "j1", force=force, expected_version=before.version, now=NOW)
    assert after == before._replace(
        status=CANCELED,
        version=before.version + 1,
        force_canceled=force,
        last_updated_at=NOW,
        in_progress_deadline_at=None,
        step_deadline_at=None,
    )
    assert rules.cancel(before, "j1", force=force, status_details={}, now=NOW).status_details == {}


@pytest.mark.parametrize(
    ("status", "force"), [(IN_PROGRESS, False), *product(sorted(TERMINAL), (False, True))]
)
def test_cancel_of_what_cannot_be_canceled(status: Status, force: bool) -> None:
    """case 72, case 74; the version is looked at first (case 71)"""
    execution = an_execution(status, version=4)
    message = "Job execution for thing t1 within job j1 cannot be canceled."
    with pytest.raises(InvalidStateTransition, match=message):
        rules.cancel(execution, "j1", force=force, expected_version=4, now=NOW)
    with pytest.raises(VersionConflict, match="Expected version 3 but found version 4"):
        rules.cancel(execution, "j1", force=force, expected_version=3, now=NOW)


@pytest.mark.parametrize("status", sorted(PENDING))
def test_removal_keeps_the_version(status: Status) -> None:
    """case 154; spec: lifecycle 2 E11, E12"""
    before = an_execution(status, step_deadline_at=NOW + MINUTE, in_progress_deadline_at=NOW + MINUTE)
    assert rules.remove(before, now=NOW) == before._replace(
        status=Status.REMOVED, last_updated_at=NOW, in_progress_deadline_at=None, step_deadline_at=None
    )


@pytest.mark.parametrize(("status", "force"), list(product(Status, (False, True))))
def test_only_what_runs_needs_force_to_be_deleted(status: Status, force: bool) -> None:
    """case 76, case 77; spec: lifecycle 2 E13"""
    if status is IN_PROGRESS and not force:
        with pytest.raises(InvalidStateTransition, match="cannot be deleted without force flag"):
            rules.check_deletable(an_execution(status), "j1", force=force)
    else:
        rules.check_deletable(an_execution(status), "j1", force=force)


@pytest.mark.parametrize(("status", "sweep"), list(product(Status, (None, *Sweep))))
def test_sweep_shows_on_an_execution_before_it_reaches_the_row(status: Status, sweep: Sweep | None) -> None:
    """spec: ruling 2"""
    canceled = {Sweep.CANCEL: {QUEUED}, Sweep.FORCE_CANCEL: {QUEUED, IN_PROGRESS}}
    execution = an_execution(status, version=4)
    seen = rules.as_seen_by_device(execution, facts(sweep=sweep))
    if sweep in canceled and status in canceled[sweep]:
        force = sweep is Sweep.FORCE_CANCEL
        assert (seen.status, seen.version, seen.force_canceled) == (CANCELED, 5, force)
    else:
        assert seen is execution
