"""When failures cancel a job (spec: lifecycle 7)."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingjobs.domain.abort import (
    EVALUATED_AFTER,
    REASON_CODE,
    abort_comment,
    criterion_met,
    ends_before_abort,
    executed,
    failures,
)
from thingjobs.domain.model import AbortCriterion, Counters, ExecutionStatus, FailureType

_S = ExecutionStatus


def counted(
    succeeded: int = 0,
    failed: int = 0,
    timed_out: int = 0,
    rejected: int = 0,
    canceled: int = 0,
    removed: int = 0,
    queued: int = 1,
    in_progress: int = 0,
) -> Counters:
    return {
        _S.QUEUED: queued,
        _S.IN_PROGRESS: in_progress,
        _S.SUCCEEDED: succeeded,
        _S.FAILED: failed,
        _S.REJECTED: rejected,
        _S.TIMED_OUT: timed_out,
        _S.CANCELED: canceled,
        _S.REMOVED: removed,
    }


def when(failure_type: FailureType, percentage: str, least: int) -> AbortCriterion:
    return AbortCriterion(failure_type, int(Decimal(percentage) * 100), least)


@pytest.mark.parametrize(
    ("least", "failure_type", "threshold", "s", "f", "t", "r", "aborts"),
    [
        (5, "FAILED", "20", 3, 1, 0, 0, False),
        (5, "FAILED", "20", 4, 1, 0, 0, True),
        (5, "FAILED", "20.01", 4, 1, 0, 0, False),
        (5, "FAILED", "20", 3, 0, 1, 1, False),
        (5, "ALL", "40", 3, 0, 1, 1, True),
        (3, "FAILED", "33.33", 2, 1, 0, 0, True),
        (3, "FAILED", "33.34", 2, 1, 0, 0, False),
        (1, "TIMED_OUT", "100", 0, 0, 1, 0, True),
        (1, "FAILED", "0.01", 9999, 1, 0, 0, True),
    ],
)
def test_table_of_thresholds(
    least: int, failure_type: FailureType, threshold: str, s: int, f: int, t: int, r: int, aborts: bool
) -> None:
    """Spec: lifecycle 7, the table of examples; cases 139 to 143."""
    criterion = when(failure_type, threshold, least)
    met = criterion_met([criterion], counted(succeeded=s, failed=f, timed_out=t, rejected=r))
    assert met == (criterion if aborts else None)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param(counted(failed=1), counted(failed=1, canceled=1), id="case 144: CancelJobExecution"),
        pytest.param(counted(removed=1), counted(removed=1, failed=1), id="case 191: a thing left"),
        pytest.param(counted(succeeded=2, failed=1), counted(succeeded=1, failed=1), id="case 192: deletion"),
    ],
)
def test_whatever_is_finished_counts_as_executed(before: Counters, after: Counters) -> None:
    criterion = when("FAILED", "40", 2)
    assert criterion_met([criterion], before) is None
    assert criterion_met([criterion], after) == criterion


def test_a_deleted_failure_does_not_count() -> None:
    """Spec: case 192."""
    assert criterion_met([when("FAILED", "40", 2)], counted(succeeded=2)) is None


def test_what_is_pending_does_not_count() -> None:
    assert executed(counted(failed=1, queued=50, in_progress=50)) == 1


def test_the_first_criterion_of_the_list_wins() -> None:
    """Spec: case 146: only the second is met; both are met at once."""
    strict, lax = when("FAILED", "20", 4), when("ALL", "10", 1)
    assert criterion_met([strict, lax], counted(failed=1)) == lax
    assert criterion_met([strict, lax], counted(failed=4)) == strict
    assert criterion_met([lax, strict], counted(failed=4)) == lax


def test_no_criteria_are_never_met() -> None:
    assert criterion_met([], counted(failed=9)) is None


def test_nothing_executed_meets_nothing() -> None:
    assert criterion_met([when("ALL", "0.01", 1)], counted()) is None


@pytest.mark.parametrize(
    ("criterion", "counters", "comment"),
    [
        pytest.param(
            when("FAILED", "20", 5),
            counted(succeeded=4, failed=1),
            "Abort criteria for failure type FAILED with threshold 20.00% met. "
            "Total completed executions: 5, total FAILED executions: 1",
            id="case 139",
        ),
        pytest.param(
            when("FAILED", "33.33", 3),
            counted(succeeded=2, failed=1),
            "Abort criteria for failure type FAILED with threshold 33.33% met. "
            "Total completed executions: 3, total FAILED executions: 1",
            id="case 141",
        ),
        pytest.param(
            when("ALL", "40", 5),
            counted(succeeded=3, timed_out=1, rejected=1),
            "Abort criteria for failure type ALL with threshold 40.00% met. "
            "Total completed executions: 5, total ALL executions: 2",
            id="case 143",
        ),
        pytest.param(
            when("TIMED_OUT", "0.05", 1),
            counted(timed_out=1, canceled=1, removed=1),
            "Abort criteria for failure type TIMED_OUT with threshold 0.05% met. "
            "Total completed executions: 3, total TIMED_OUT executions: 1",
            id="hundredths",
        ),
    ],
)
def test_comment(criterion: AbortCriterion, counters: Counters, comment: str) -> None:
    assert abort_comment(criterion, counters) == comment


def test_reason_code() -> None:
    assert REASON_CODE == "ABORT_CANCEL"


def test_criteria_are_looked_at_after_every_end_but_a_removal() -> None:
    """Spec: lifecycle 7 "Evaluated", "Not evaluated"."""
    assert frozenset(ExecutionStatus) - EVALUATED_AFTER == {_S.QUEUED, _S.IN_PROGRESS, _S.REMOVED}


counts = st.builds(counted, *[st.integers(0, 10_000)] * 8)
criteria = st.builds(
    AbortCriterion,
    st.sampled_from(["ALL", "TIMED_OUT", "FAILED", "REJECTED"]),
    st.integers(1, 10_000),
    st.integers(1, 1000),
)


@given(criteria, counts)
def test_met_means_enough_executed_and_share_reached(criterion: AbortCriterion, counters: Counters) -> None:
    total, failed = executed(counters), failures(criterion.failure_type, counters)
    expected = total >= criterion.min_number_of_executed_things and (
        Decimal(failed) * 100 >= Decimal(criterion.threshold_bp) / 100 * total
    )
    assert (criterion_met([criterion], counters) is not None) == expected


@given(criteria, counts)
def test_a_success_never_meets_a_criterion_that_had_enough_executed(
    criterion: AbortCriterion, counters: Counters
) -> None:
    if executed(counters) < criterion.min_number_of_executed_things:
        return
    better = {**counters, _S.SUCCEEDED: counters[_S.SUCCEEDED] + 1}
    if criterion_met([criterion], counters) is None:
        assert criterion_met([criterion], better) is None


@given(st.lists(criteria, max_size=4), counts)
def test_the_one_found_is_the_first_that_is_met_alone(
    several: list[AbortCriterion], counters: Counters
) -> None:
    alone = [criterion for criterion in several if criterion_met([criterion], counters)]
    assert criterion_met(several, counters) == (alone[0] if alone else None)


@given(
    st.lists(criteria, max_size=3),
    counts,
    st.sampled_from([_S.TIMED_OUT, _S.FAILED, _S.REJECTED, _S.SUCCEEDED]),
    st.integers(0, 40),
)
def test_so_many_can_end_before_one_meets_a_criterion(
    several: list[AbortCriterion], counters: Counters, status: ExecutionStatus, most: int
) -> None:
    expected = 0
    while expected < most:
        counters = {**counters, status: counters[status] + 1}
        if criterion_met(several, counters):
            break
        expected += 1
    before = {**counters, status: counters[status] - expected - (1 if expected < most else 0)}
    assert ends_before_abort(several, before, status, most) == expected
