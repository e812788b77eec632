"""Forecasts follow the rules that run jobs (spec: lifecycle 5 to 7)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingjobs.domain.forecast import Assumptions, Forecast, MinuteRow, Outcome, forecast
from thingjobs.domain.model import (
    AbortCriterion,
    ExponentialRate,
    JobConfig,
    RetryableFailureType,
    RetryCriterion,
    RolloutConfig,
)


def a_config(
    *,
    per_minute: int = 1000,
    exponential: ExponentialRate | None = None,
    abort: Sequence[AbortCriterion] = (),
    retry: Sequence[tuple[RetryableFailureType, int]] = (),
    timeout: int | None = None,
) -> JobConfig:
    return JobConfig(
        rollout=RolloutConfig(per_minute, exponential),
        abort=tuple(abort),
        retry=tuple(RetryCriterion(kind, number) for kind, number in retry),
        in_progress_timeout_minutes=timeout,
    )


def supposing(
    things: int, *, success: int = 100, failure: int = 0, success_seconds: int = 60, failure_seconds: int = 60
) -> Assumptions:
    """Shares in percent."""
    return Assumptions(things, success * 100, failure * 100, success_seconds, failure_seconds)


def rates(course: Forecast) -> list[int]:
    return [row.rate for row in course.rows]


# --- rates --------------------------------------------------------------------------------------


def test_notified_things_drive_the_rate() -> None:
    """Spec: lifecycle 6.3 A, case 133; nobody ever reports."""
    config = a_config(exponential=ExponentialRate(50, 20, 1000, None))
    course = forecast(config, supposing(10_000, success=0))
    assert rates(course) == [50] * 20 + [100] * 10 + [200] * 5 + [400] * 3 + [800] + [1000] * 5
    cumulative = {row.minute: row.notified for row in course.rows}
    assert [cumulative[m] for m in (19, 29, 34, 37, 38, 43)] == [1000, 2000, 3000, 4200, 5000, 10_000]
    assert course.rows[-1].in_flight == 10_000
    assert course.outcome is Outcome.WAITING


def test_no_configuration_means_the_documented_rate() -> None:
    """Spec: lifecycle 6.3 E, case 136."""
    assert rates(forecast(JobConfig(), supposing(2500))) == [1000, 1000, 1000, 0]


def test_succeeded_things_drive_the_rate() -> None:
    config = a_config(exponential=ExponentialRate(10, 20, None, 10))
    course = forecast(config, supposing(70, success_seconds=120))
    # 10 succeed by minute 2, 20 by minute 3, 40 by minute 4
    assert [(row.rate, row.notified, row.succeeded) for row in course.rows] == [
        (10, 10, 0),
        (10, 20, 0),
        (20, 40, 10),
        (40, 70, 20),
        (0, 70, 40),
        (0, 70, 70),
    ]


def test_a_rate_that_depends_on_success_never_grows_without() -> None:
    """Spec: lifecycle 6.3 C, case 135."""
    config = a_config(exponential=ExponentialRate(50, 20, None, 1000))
    course = forecast(config, supposing(10_000, success=0))
    assert rates(course) == [50] * 200


# --- ends ---------------------------------------------------------------------------------------


def test_the_whole_course_of_a_small_job() -> None:
    course = forecast(a_config(per_minute=100), supposing(250, success=90, failure=10))
    assert course.rows == (
        MinuteRow(0, 100, 100, 100, 0, 0, 0, False),
        MinuteRow(1, 100, 200, 100, 90, 10, 0, False),
        MinuteRow(2, 100, 250, 50, 180, 20, 0, False),
        MinuteRow(3, 0, 250, 0, 225, 25, 0, False),
    )
    assert course.outcome is Outcome.COMPLETED
    assert course.abort is None


def test_a_report_counts_at_the_tick_behind_it() -> None:
    course = forecast(a_config(), supposing(1, success_seconds=61))
    assert [row.succeeded for row in course.rows] == [0, 0, 1]
    assert len(forecast(a_config(), supposing(1, success_seconds=0)).rows) == 2


def test_those_that_never_report_time_out() -> None:
    course = forecast(a_config(timeout=3), supposing(10, success=50))
    assert [(row.succeeded, row.timed_out) for row in course.rows] == [(0, 0), (5, 0), (5, 0), (5, 5)]
    assert course.outcome is Outcome.COMPLETED


def test_those_that_report_too_late_time_out() -> None:
    """Spec: case 125; at the same instant the time-out comes first (ruling 7)."""
    assert forecast(a_config(timeout=1), supposing(4, success_seconds=60)).rows[-1].timed_out == 4
    assert forecast(a_config(timeout=1), supposing(4, success_seconds=59)).rows[-1].succeeded == 4


def test_a_job_without_things_is_complete_at_once() -> None:
    """Spec: case 155."""
    course = forecast(a_config(), supposing(0))
    assert course.rows == (MinuteRow(0, 0, 0, 0, 0, 0, 0, False),)
    assert course.outcome is Outcome.COMPLETED


def test_a_forecast_is_cut_off() -> None:
    course = forecast(a_config(per_minute=1), supposing(100), max_minutes=5)
    assert [row.notified for row in course.rows] == [1, 2, 3, 4, 5]
    assert course.outcome is Outcome.CUT_OFF


# --- retries ------------------------------------------------------------------------------------


def test_each_failure_is_tried_again_within_the_budget() -> None:
    course = forecast(a_config(retry=[("FAILED", 2)]), supposing(3, success=0, failure=100))
    assert [(row.notified, row.failed, row.in_flight) for row in course.rows] == [
        (3, 0, 3),
        (3, 3, 3),
        (3, 6, 3),
        (3, 9, 0),
    ]
    assert course.outcome is Outcome.COMPLETED


def test_time_outs_have_a_budget_of_their_own() -> None:
    config = a_config(retry=[("FAILED", 5), ("TIMED_OUT", 1)], timeout=2)
    course = forecast(config, supposing(10, success=0))
    assert course.rows[-1].timed_out == 20
    assert course.rows[-1].failed == 0


# --- aborts -------------------------------------------------------------------------------------

FIFTH_FAILED = AbortCriterion("FAILED", 2000, 5)


def test_a_bad_release_is_stopped() -> None:
    course = forecast(a_config(per_minute=10, abort=[FIFTH_FAILED]), supposing(1000, success=80, failure=20))
    assert course.outcome is Outcome.ABORTED
    assert course.abort is not None
    assert course.abort.minute == 1
    assert course.abort.criterion == FIFTH_FAILED
    last = course.rows[-1]
    assert (last.rate, last.notified, last.succeeded, last.failed, last.aborted) == (0, 10, 8, 2, True)


def test_what_is_in_flight_when_a_job_is_aborted_still_reports() -> None:
    config = a_config(per_minute=10, abort=[FIFTH_FAILED])
    course = forecast(config, supposing(1000, success=80, failure=20, success_seconds=240))
    assert course.abort is not None
    assert course.abort.comment.startswith(
        "Abort criteria for failure type FAILED with threshold 20.00% met."
    )
    tripped = course.rows[course.abort.minute]
    assert tripped.in_flight > 0
    assert course.rows[-1].in_flight == 0
    assert course.rows[-1].succeeded > tripped.succeeded
    assert {row.notified for row in course.rows[course.abort.minute :]} == {tripped.notified}


def test_a_good_release_is_not_stopped() -> None:
    course = forecast(
        a_config(abort=[AbortCriterion("FAILED", 2000, 100)]), supposing(5000, success=81, failure=19)
    )
    assert course.outcome is Outcome.COMPLETED


def test_few_executed_things_may_stop_a_good_release() -> None:
    """One failure among the first five is 20 %, however good the rest."""
    course = forecast(a_config(abort=[FIFTH_FAILED]), supposing(5000, success=81, failure=19))
    assert course.abort is not None
    assert "completed executions: 5," in course.abort.comment


def test_the_last_report_completes_the_job() -> None:
    """Spec: case 190."""
    abort = [AbortCriterion("FAILED", 5000, 2)]
    assert forecast(a_config(abort=abort), supposing(2, success=0, failure=100)).outcome is Outcome.COMPLETED
    assert forecast(a_config(abort=abort), supposing(3, success=0, failure=100)).outcome is Outcome.ABORTED


def test_an_abort_stops_retries() -> None:
    """Spec: case 145."""
    config = a_config(abort=[AbortCriterion("FAILED", 10_000, 4)], retry=[("FAILED", 5)])
    course = forecast(config, supposing(3, success=0, failure=100))
    # three first attempts fail and are retried; the first retry that fails is the fourth execution
    assert course.abort is not None
    assert course.abort.minute == 2
    assert course.rows[-1].failed == 6
    assert course.rows[-1].in_flight == 0


def test_a_retry_that_is_due_keeps_a_job_open_for_its_abort() -> None:
    """The fourth report, a success, is not the last while the third, a failure, has a retry."""
    config = a_config(abort=[AbortCriterion("FAILED", 2500, 4)], retry=[("FAILED", 1)])
    course = forecast(config, supposing(4, success=75, failure=25))
    assert course.abort is not None
    assert course.abort.minute == 1


# --- properties ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("success", "failure", "seconds"), [(-1, 0, 60), (0, -1, 60), (60, 41, 60), (50, 50, -1)]
)
def test_impossible_assumptions_are_refused(success: int, failure: int, seconds: int) -> None:
    with pytest.raises(ValueError, match="cannot be"):
        supposing(1, success=success, failure=failure, success_seconds=seconds)


retry_kinds: st.SearchStrategy[list[RetryableFailureType]] = st.sampled_from(
    [[], ["ALL"], ["FAILED"], ["TIMED_OUT"], ["FAILED", "TIMED_OUT"]]
)
configs = st.builds(
    a_config,
    per_minute=st.integers(100, 1000),
    exponential=st.none()
    | st.builds(ExponentialRate, st.integers(1, 99), st.integers(11, 50), st.integers(1, 500), st.none())
    | st.builds(ExponentialRate, st.integers(1, 99), st.integers(11, 50), st.none(), st.integers(1, 500)),
    abort=st.lists(
        st.builds(
            AbortCriterion,
            st.sampled_from(["ALL", "FAILED", "TIMED_OUT", "REJECTED"]),
            st.integers(1, 10_000),
            st.integers(1, 300),
        ),
        max_size=2,
    ),
    retry=retry_kinds.flatmap(
        lambda kinds: st.tuples(*(st.tuples(st.just(kind), st.integers(0, 3)) for kind in kinds))
    ),
    timeout=st.none() | st.integers(1, 20),
)
assumptions = st.integers(0, 10_000).flatmap(
    lambda success: st.builds(
        Assumptions,
        st.integers(0, 2000),
        st.just(success),
        st.integers(0, 10_000 - success),
        st.integers(0, 600),
        st.integers(0, 600),
    )
)


@given(configs, assumptions)
def test_a_forecast_adds_up(config: JobConfig, given_: Assumptions) -> None:
    course = forecast(config, given_, max_minutes=2500)
    rows = course.rows
    assert [row.minute for row in rows] == list(range(len(rows)))
    assert len(rows) <= 2500
    assert config.rollout is not None
    for row in rows:
        assert 0 <= row.rate <= config.rollout.maximum_per_minute
        assert row.notified <= given_.things
        ended = row.succeeded + row.failed + row.timed_out
        retries = sum(criterion.number_of_retries for criterion in config.retry or ())
        assert row.notified <= row.in_flight + ended <= row.notified * (1 + retries)
        assert min(row.in_flight, row.succeeded, row.failed, row.timed_out) >= 0
    for earlier, later in pairwise(rows):
        assert later.notified - earlier.notified <= later.rate
        assert all(
            was <= now for was, now in zip(earlier[2:3] + earlier[4:], later[2:3] + later[4:], strict=True)
        )
        if earlier.aborted:
            assert later.notified == earlier.notified
            assert later.rate == 0
    last = rows[-1]
    assert (course.abort is not None) == last.aborted
    match course.outcome:
        case Outcome.COMPLETED:
            assert last.notified == given_.things
            assert last.in_flight == 0
        case Outcome.WAITING:
            assert config.in_progress_timeout_minutes is None
            assert last.notified == given_.things
        case Outcome.ABORTED:
            assert course.abort is not None
        case Outcome.CUT_OFF:
            assert len(rows) == 2500
