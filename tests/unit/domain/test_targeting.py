"""What comings and goings mean for a job (spec: lifecycle 9)."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from thingjobs.domain.model import TERMINAL, ExecutionStatus, JobStatus, TargetSelection
from thingjobs.domain.targeting import (
    Action,
    JobMoment,
    Newest,
    NoExecution,
    on_associate,
    on_join,
    on_leave,
    on_thing_deleted,
    on_turn,
)
from thingjobs.domain.windows import STATUS_IN, Phase

NEVER, DELETED = NoExecution.NEVER_GIVEN, NoExecution.ALL_DELETED
QUEUED, IN_PROGRESS = ExecutionStatus.QUEUED, ExecutionStatus.IN_PROGRESS
SUCCEEDED, REMOVED = ExecutionStatus.SUCCEEDED, ExecutionStatus.REMOVED

EVERY_NEWEST: list[Newest] = [*ExecutionStatus, *NoExecution]


def a_job(
    selection: TargetSelection = TargetSelection.CONTINUOUS,
    *,
    phase: Phase = Phase.OPEN,
    status: JobStatus | None = None,
) -> JobMoment:
    return JobMoment(status or STATUS_IN[phase], selection, phase)


CONTINUOUS, SNAPSHOT = a_job(), a_job(TargetSelection.SNAPSHOT)
NOT_OPEN = [JobStatus.COMPLETED, JobStatus.CANCELED, JobStatus.DELETION_IN_PROGRESS]


# --- the rows of lifecycle 9, in order ----------------------------------------------------------


@pytest.mark.parametrize("newest", EVERY_NEWEST)
def test_a_thing_in_a_group_at_its_turn(newest: Newest) -> None:
    """Row 1; ruling 26: one that has the job already, or had it, loses its turn."""
    assert on_turn(newest) is (Action.QUEUE_NEXT if newest is NEVER else Action.NOTHING)


@pytest.mark.parametrize("newest", [NEVER, *sorted(TERMINAL), DELETED])
def test_a_join_queues_the_next_execution(newest: Newest) -> None:
    """Rows 2 and 3 (by way of another group); ruling 26 (NEVER_GIVEN: waits for its turn); case 193."""
    assert on_join(CONTINUOUS, newest) is Action.QUEUE_NEXT


@pytest.mark.parametrize("newest", [QUEUED, IN_PROGRESS])
def test_a_join_leaves_alone_what_is_pending(newest: Newest) -> None:
    """Rows 2, 3 and "rejoin while IN_PROGRESS"; case 149."""
    assert on_join(CONTINUOUS, newest) is Action.NOTHING


@pytest.mark.parametrize("newest", EVERY_NEWEST)
def test_a_snapshot_job_follows_nobody(newest: Newest) -> None:
    """All rows of SNAPSHOT; case 153."""
    assert on_join(SNAPSHOT, newest) is Action.NOTHING
    for still_targeted in (True, False):
        assert on_leave(SNAPSHOT, newest, still_targeted=still_targeted) is Action.NOTHING


@pytest.mark.parametrize("newest", EVERY_NEWEST)
def test_leaving_one_of_several_targets_means_nothing(newest: Newest) -> None:
    """Row 6; case 151, case 194."""
    assert on_leave(CONTINUOUS, newest, still_targeted=True) is Action.NOTHING


@pytest.mark.parametrize(
    ("newest", "action"),
    [
        pytest.param(QUEUED, Action.REMOVE, id="case 147"),
        pytest.param(IN_PROGRESS, Action.NOTHING, id="case 148"),
        *[pytest.param(status, Action.NOTHING, id=status.value) for status in sorted(TERMINAL)],
        pytest.param(DELETED, Action.RECORD_REMOVED_ROW, id="E15, case 195"),
        pytest.param(NEVER, Action.NOTHING, id="before its turn, ruling 1"),
    ],
)
def test_leaving_the_last_target(newest: Newest, action: Action) -> None:
    """Rows 7 to 10."""
    assert on_leave(CONTINUOUS, newest, still_targeted=False) is action


@pytest.mark.parametrize("newest", EVERY_NEWEST)
def test_a_deleted_thing_loses_what_is_pending(newest: Newest) -> None:
    """Row "thing deleted"; E11, E12, case 154; rulings 11 and 27."""
    expected = Action.REMOVE if newest in (QUEUED, IN_PROGRESS) else Action.NOTHING
    assert on_thing_deleted(newest) is expected
    assert on_thing_deleted(newest, removes=False) is Action.NOTHING


@pytest.mark.parametrize("newest", EVERY_NEWEST)
@pytest.mark.parametrize("status", NOT_OPEN)
def test_a_job_that_is_over_follows_nobody(status: JobStatus, newest: Newest) -> None:
    """Row "JOIN/LEAVE on a CANCELED job"."""
    job = a_job(status=status)
    assert on_join(job, newest) is Action.NOTHING
    assert on_associate(job, newest, targeted_before=False) is Action.NOTHING
    assert on_leave(job, newest, still_targeted=False) is Action.NOTHING


# --- rulings ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("newest", "targeted_before", "action"),
    [
        pytest.param(REMOVED, False, Action.QUEUE_NEXT, id="ruling 4"),
        pytest.param(SUCCEEDED, False, Action.QUEUE_NEXT, id="ruling 4"),
        pytest.param(IN_PROGRESS, False, Action.NOTHING, id="left while in progress"),
        pytest.param(NEVER, False, Action.QUEUE_NEXT, id="new"),
        pytest.param(NEVER, True, Action.QUEUE_NEXT, id="waits for its turn"),
        pytest.param(SUCCEEDED, True, Action.NOTHING, id="membership alone"),
        pytest.param(QUEUED, True, Action.NOTHING, id="membership alone"),
        pytest.param(DELETED, True, Action.NOTHING, id="nothing comes back while it stays"),
        pytest.param(DELETED, False, Action.QUEUE_NEXT, id="its REMOVED row was deleted too"),
    ],
)
def test_associating_a_group_is_a_join_for_those_not_targeted(
    newest: Newest, targeted_before: bool, action: Action
) -> None:
    assert on_associate(CONTINUOUS, newest, targeted_before=targeted_before) is action


@pytest.mark.parametrize("newest", [NEVER, SUCCEEDED, REMOVED, DELETED])
def test_a_join_between_windows_waits_for_the_next(newest: Newest) -> None:
    """Ruling 9."""
    between = a_job(phase=Phase.CLOSED)
    assert on_join(between, newest) is Action.QUEUE_AT_OPENING
    assert on_join(a_job(phase=Phase.OPEN), newest) is Action.QUEUE_NEXT


@pytest.mark.parametrize("newest", [QUEUED, IN_PROGRESS])
def test_what_is_pending_between_windows_needs_no_join(newest: Newest) -> None:
    assert on_join(a_job(phase=Phase.CLOSED), newest) is Action.NOTHING


@pytest.mark.parametrize("newest", EVERY_NEWEST)
@pytest.mark.parametrize("phase", [Phase.WAITING, Phase.SPENT, Phase.ENDED])
def test_a_join_means_nothing_before_the_rollout_and_when_no_window_is_to_come(
    phase: Phase, newest: Newest
) -> None:
    """Ruling 11; before its first window a job's rollout will find the thing as a member."""
    assert on_join(a_job(phase=phase), newest) is Action.NOTHING


@pytest.mark.parametrize("newest", EVERY_NEWEST)
def test_nobody_leaves_after_the_end(newest: Newest) -> None:
    """Ruling 11."""
    assert on_leave(a_job(phase=Phase.ENDED), newest, still_targeted=False) is Action.NOTHING


@pytest.mark.parametrize("phase", [Phase.OPEN, Phase.CLOSED, Phase.SPENT])
def test_leaving_between_windows_removes(phase: Phase) -> None:
    assert on_leave(a_job(phase=phase), QUEUED, still_targeted=False) is Action.REMOVE


def test_a_new_thing_with_an_old_name_is_new_to_the_job() -> None:
    """Ruling 10: the executions of its namesake are not its own."""
    assert on_join(CONTINUOUS, NEVER) is Action.QUEUE_NEXT
    assert on_leave(CONTINUOUS, NEVER, still_targeted=False) is Action.NOTHING


# --- stories ------------------------------------------------------------------------------------


@dataclass
class Member:
    """One thing of a continuous job on several groups, with its executions in order."""

    executions: dict[int, ExecutionStatus] = field(default_factory=dict)
    groups: set[str] = field(default_factory=set)
    had_executions: bool = False

    @property
    def newest(self) -> Newest:
        if self.executions:
            return self.executions[max(self.executions)]
        return DELETED if self.had_executions else NEVER

    def joins(self, group: str) -> None:
        if group not in self.groups:  # re-adding a member is not a JOIN
            self.groups.add(group)
            self._carry_out(on_join(CONTINUOUS, self.newest))

    def leaves(self, group: str) -> None:
        self.groups.discard(group)
        self._carry_out(on_leave(CONTINUOUS, self.newest, still_targeted=bool(self.groups)))

    def becomes(self, status: ExecutionStatus) -> None:
        self.executions[max(self.executions)] = status

    def has_its_newest_deleted(self) -> None:
        del self.executions[max(self.executions)]

    def _carry_out(self, action: Action) -> None:
        following = max(self.executions, default=0) + 1
        if action is Action.QUEUE_NEXT:
            self.executions[following] = QUEUED
            self.had_executions = True
        elif action is Action.RECORD_REMOVED_ROW:
            self.executions[following] = REMOVED
        elif action is Action.REMOVE:
            self.becomes(REMOVED)


def a_member(status: ExecutionStatus, *groups: str) -> Member:
    return Member({1: status}, set(groups or ("g1",)), had_executions=True)


def test_leaves_while_in_progress_finishes_and_rejoins() -> None:
    """Case 148; row "finished after leaving, then rejoins"."""
    thing = a_member(IN_PROGRESS)
    thing.leaves("g1")
    assert thing.executions == {1: IN_PROGRESS}
    thing.becomes(SUCCEEDED)
    thing.joins("g1")
    assert thing.executions == {1: SUCCEEDED, 2: QUEUED}


def test_leaves_and_rejoins_while_in_progress() -> None:
    """Case 149; row "rejoin while IN_PROGRESS"; ruling 8: it is the same execution all the time."""
    thing = a_member(IN_PROGRESS)
    thing.leaves("g1")
    thing.joins("g1")
    thing.becomes(SUCCEEDED)
    assert thing.executions == {1: SUCCEEDED}
    thing.leaves("g1")
    thing.joins("g1")
    assert thing.executions == {1: SUCCEEDED, 2: QUEUED}


def test_each_rejoin_after_the_end_runs_the_job_again() -> None:
    """Case 150."""
    thing = a_member(SUCCEEDED)
    thing.leaves("g1")
    thing.joins("g1")
    assert thing.executions == {1: SUCCEEDED, 2: QUEUED}


def test_leaves_and_rejoins_before_it_began() -> None:
    """Row 2: REMOVED is a terminal status like any other."""
    thing = a_member(QUEUED)
    thing.leaves("g1")
    thing.joins("g1")
    assert thing.executions == {1: REMOVED, 2: QUEUED}


def test_joins_a_further_targeted_group() -> None:
    """Case 193, case 194."""
    thing = a_member(SUCCEEDED, "g1")
    thing.joins("g2")
    assert thing.executions == {1: SUCCEEDED, 2: QUEUED}
    thing.becomes(SUCCEEDED)
    thing.leaves("g1")
    assert thing.newest is SUCCEEDED
    thing.joins("g1")
    assert thing.executions == {1: SUCCEEDED, 2: SUCCEEDED, 3: QUEUED}


def test_is_added_again_to_a_group_it_is_in() -> None:
    """Row "re-adding an existing member"."""
    thing = a_member(SUCCEEDED, "g1")
    thing.joins("g1")
    assert thing.executions == {1: SUCCEEDED}


def test_has_its_only_execution_deleted() -> None:
    """Case 195."""
    thing = a_member(SUCCEEDED)
    thing.has_its_newest_deleted()
    assert on_turn(thing.newest) is Action.NOTHING
    thing.leaves("g1")
    assert thing.executions == {1: REMOVED}
    thing.joins("g1")
    assert thing.executions == {1: REMOVED, 2: QUEUED}
