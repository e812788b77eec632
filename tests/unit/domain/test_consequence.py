"""What the end of an execution means for its job (spec: lifecycle 1, 5 R7, 7, 12)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingjobs.domain.consequence import Consequence, JobStanding, consequence, is_complete
from thingjobs.domain.model import AbortCriterion, Counters, ExecutionStatus, JobStatus, TargetSelection
from thingjobs.domain.retry import Chain

_S = ExecutionStatus
HALF_FAILED = AbortCriterion("FAILED", 5000, 2)
RETRY = Chain(1, 1)


def a_job(
    status: JobStatus = JobStatus.IN_PROGRESS,
    selection: TargetSelection = TargetSelection.SNAPSHOT,
    *,
    rolling_out: bool = False,
    ended: bool = False,
) -> JobStanding:
    return JobStanding(status, selection, rolling_out, ended)


def after(
    job: JobStanding,
    counters: Counters,
    *,
    criteria: Sequence[AbortCriterion] | None = (HALF_FAILED,),
    retry: Chain | None = None,
) -> Consequence:
    return consequence(job, counters, criteria=criteria, retry=retry)


BOTH_FAILED = {_S.FAILED: 2}
ONE_OPEN = {_S.FAILED: 2, _S.QUEUED: 1}


# --- completion ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("job", "complete"),
    [
        pytest.param(a_job(), True, id="J7, case 165"),
        pytest.param(a_job(rolling_out=True), False, id="J7: things still wait for their turn"),
        pytest.param(a_job(JobStatus.SCHEDULED), False, id="J2: waits for its start"),
        pytest.param(a_job(selection=TargetSelection.CONTINUOUS), False, id="case 156"),
        pytest.param(a_job(selection=TargetSelection.CONTINUOUS, ended=True), True, id="J8, case 157"),
        pytest.param(a_job(JobStatus.SCHEDULED, TargetSelection.CONTINUOUS, ended=True), True, id="J8"),
        pytest.param(a_job(ended=True), True, id="J8"),
        pytest.param(a_job(JobStatus.CANCELED), False, id="stays CANCELED"),
        pytest.param(a_job(JobStatus.CANCELED, ended=True), False, id="stays CANCELED"),
        pytest.param(a_job(JobStatus.COMPLETED), False, id="is complete already"),
        pytest.param(a_job(JobStatus.DELETION_IN_PROGRESS), False, id="is on its way out"),
    ],
)
def test_complete_with_nothing_pending(job: JobStanding, complete: bool) -> None:
    assert is_complete(job, {_S.SUCCEEDED: 1, _S.CANCELED: 1}) is complete
    assert is_complete(job, {}) is complete, "no execution at all is like none pending (case 155)"


@pytest.mark.parametrize("status", [_S.QUEUED, _S.IN_PROGRESS])
@pytest.mark.parametrize("ended", [True, False])
def test_not_complete_with_anything_pending(status: ExecutionStatus, ended: bool) -> None:
    assert not is_complete(a_job(ended=ended), {status: 1})


# --- the order ----------------------------------------------------------------------------------


def test_the_last_report_completes_the_job_whatever_its_criteria() -> None:
    """Spec: R7, case 190."""
    assert after(a_job(), BOTH_FAILED) == Consequence(completes=True)


def test_with_something_open_the_same_report_aborts() -> None:
    assert after(a_job(), ONE_OPEN) == Consequence(aborts=HALF_FAILED)
    assert after(a_job(rolling_out=True), BOTH_FAILED) == Consequence(aborts=HALF_FAILED)


def test_a_continuous_job_without_an_end_is_aborted_by_its_last_report() -> None:
    """Spec: ruling 25."""
    job = a_job(selection=TargetSelection.CONTINUOUS)
    assert after(job, BOTH_FAILED) == Consequence(aborts=HALF_FAILED)


def test_a_retry_that_is_due_keeps_a_job_from_completing() -> None:
    """Spec: R7, case 126."""
    assert after(a_job(), {_S.FAILED: 1}, retry=RETRY) == Consequence(retry=RETRY)


def test_an_abort_stops_the_retry_of_the_report_that_met_the_criteria() -> None:
    """Spec: R7, case 145."""
    assert after(a_job(), BOTH_FAILED, retry=RETRY) == Consequence(aborts=HALF_FAILED)


@pytest.mark.parametrize("status", [JobStatus.CANCELED, JobStatus.COMPLETED, JobStatus.DELETION_IN_PROGRESS])
def test_nothing_follows_in_a_job_that_is_over(status: JobStatus) -> None:
    """Spec: lifecycle 7: later results are counted but never evaluated again."""
    assert after(a_job(status), ONE_OPEN) == Consequence()


def test_a_removal_is_no_occasion_to_abort() -> None:
    assert after(a_job(), ONE_OPEN, criteria=None) == Consequence()


def test_criteria_are_looked_at_between_windows_too() -> None:
    job = a_job(JobStatus.SCHEDULED, TargetSelection.CONTINUOUS)
    assert after(job, ONE_OPEN) == Consequence(aborts=HALF_FAILED)


@given(
    st.builds(
        JobStanding,
        st.sampled_from(JobStatus),
        st.sampled_from(TargetSelection),
        st.booleans(),
        st.booleans(),
    ),
    st.fixed_dictionaries({status: st.integers(0, 3) for status in ExecutionStatus}),
    st.none() | st.just([HALF_FAILED]),
    st.none() | st.just(RETRY),
)
def test_at_most_one_thing_follows(
    job: JobStanding, counters: Counters, criteria: list[AbortCriterion] | None, retry: Chain | None
) -> None:
    follows = consequence(job, counters, criteria=criteria, retry=retry)
    assert (follows.completes, follows.aborts is not None, follows.retry is not None).count(True) <= 1
    if follows.completes:
        assert not counters[_S.QUEUED]
        assert not counters[_S.IN_PROGRESS]
