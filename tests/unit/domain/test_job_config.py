"""What a job's configuration may be, in the service's sentences, and what is kept of it."""

from __future__ import annotations

from decimal import Decimal
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingjobs.domain import job_config
from thingjobs.domain.errors import InvalidRequest
from thingjobs.domain.job_config import AbortCriterionGiven, ExponentialRateGiven
from thingjobs.domain.model import (
    AbortCriterion,
    ExponentialRate,
    FailureType,
    PresignedUrlConfig,
    RetryableFailureType,
    RetryCriterion,
    RolloutConfig,
)

ROLE = "arn:aws:iam::123456789012:role/presigner"
NOT_ZERO = "The number of retries cannot be updated to any number other than 0."
ALL_ALONE = "A retryCriteria with failure type ALL must be used by itself."


def told(refused: pytest.ExceptionInfo[InvalidRequest]) -> str:
    return refused.value.message


def retries(**times: int) -> tuple[RetryCriterion, ...]:
    types = {name: name for name in get_args(RetryableFailureType)}
    return tuple(RetryCriterion(types[name], n) for name, n in times.items())


# --- time-out -------------------------------------------------------------------------------------


@pytest.mark.parametrize("minutes", [1, 10_080])
def test_time_out_in_bounds(minutes: int) -> None:
    assert job_config.in_progress_timeout(minutes) == minutes


@pytest.mark.parametrize(("minutes", "shown"), [(0, "0"), (10_081, "10081"), (None, "null"), (-1, "-1")])
def test_time_out_out_of_bounds(minutes: int | None, shown: str) -> None:
    """case 27"""
    with pytest.raises(InvalidRequest) as refused:
        job_config.in_progress_timeout(minutes)
    expected = f"Provide valid timeout value, inProgressTimeoutInMinutes cannot be {shown}."
    assert told(refused) == expected


# --- abort ----------------------------------------------------------------------------------------


def abort(*criteria: tuple[FailureType, float]) -> tuple[AbortCriterion, ...]:
    return job_config.abort_criteria([AbortCriterionGiven(kind, at, 1) for kind, at in criteria])


@pytest.mark.parametrize(
    ("percentage", "basis_points"),
    [
        (0.01, 1),
        (0.29, 29),
        (1.1, 110),
        (20, 2000),
        (33.33, 3333),
        (33.34, 3334),
        (99.99, 9999),
        (100.0, 10_000),
    ],
)
def test_threshold_is_kept_exactly(percentage: float, basis_points: int) -> None:
    """spec: lifecycle 7"""
    assert abort(("FAILED", percentage)) == (AbortCriterion("FAILED", basis_points, 1),)


@given(st.integers(1, 10_000))
def test_any_threshold_of_two_decimals_is_kept_exactly(basis_points: int) -> None:
    assert abort(("ALL", float(Decimal(basis_points) / 100)))[0].threshold_bp == basis_points


@pytest.mark.parametrize(
    ("criteria", "message"),
    [
        (
            [("FAILED", 0.0)],
            "ThresholdPercentage value 0.0 for AbortCriteria must have value greater than 0",
        ),
        (
            [("FAILED", -0.001)],
            "ThresholdPercentage value -0.001 for AbortCriteria must have value greater than 0",
        ),
        ([("FAILED", 10.999)], "Abort thresholdPercentage must have two or less decimal digits"),
        ([("FAILED", 50.0), ("FAILED", 20.0)], "Multiple AbortCriteria cannot have the same failure type"),
        ([("ALL", 50.0), ("ALL", 0.0)], "Multiple AbortCriteria cannot have the same failure type"),
        ([("ALL", 0.001), ("ALL", 0.0)], "Abort thresholdPercentage must have two or less decimal digits"),
    ],
)
def test_abort_criteria_are_refused_one_after_the_other(
    criteria: list[tuple[FailureType, float]], message: str
) -> None:
    """case 25, case 183"""
    with pytest.raises(InvalidRequest) as refused:
        abort(*criteria)
    assert told(refused) == message


def test_each_failure_type_may_have_a_criterion() -> None:
    criteria = abort(*((kind, 50.0) for kind in get_args(FailureType)))
    assert [criterion.failure_type for criterion in criteria] == list(get_args(FailureType))


# --- rollout --------------------------------------------------------------------------------------


def rate(
    base: int = 10, factor: float = 2.0, notified: int | None = 5, succeeded: int | None = None
) -> ExponentialRateGiven:
    return ExponentialRateGiven(base, factor, notified, succeeded)


@pytest.mark.parametrize(("factor", "tenths"), [(1.1, 11), (1.5, 15), (2, 20), (4.9, 49), (5.0, 50)])
def test_increment_factor_is_kept_exactly(factor: float, tenths: int) -> None:
    """case 23"""
    assert job_config.rollout(20, rate(factor=factor)) == RolloutConfig(
        20, ExponentialRate(10, tenths, notified_things=5, succeeded_things=None)
    )


def test_constant_rate_needs_only_a_maximum() -> None:
    assert job_config.rollout(20, None) == RolloutConfig(20, None)


@pytest.mark.parametrize(
    ("maximum", "exponential", "message"),
    [
        (None, None, "Provide MaximumPerMinute value or provide ExponentialRate and MaximumPerMinute"),
        (None, rate(), "Provide MaximumPerMinute value when ExponentialRate is defined"),
        (
            20,
            rate(notified=None),
            "Provide either NumberOfNotifiedThings or NumberOfSucceededThings"
            " when RateIncreaseCriteria is defined",
        ),
        (
            20,
            rate(succeeded=1),
            "Provide only one of NumberOfNotifiedThings or NumberOfSucceededThings"
            " when RateIncreaseCriteria is defined",
        ),
        (20, rate(base=50), "Exponential rollout baseRatePerMinute should be less than maximumPerMinute."),
        (50, rate(base=50), "Exponential rollout baseRatePerMinute should be less than maximumPerMinute."),
        (20, rate(factor=1.55), "Exponential rollout incrementFactor must have one or less decimal digits"),
    ],
)
def test_rates_that_cannot_be_followed(
    maximum: int | None, exponential: ExponentialRateGiven | None, message: str
) -> None:
    """case 18–22, case 24"""
    with pytest.raises(InvalidRequest) as refused:
        job_config.rollout(maximum, exponential)
    assert told(refused) == message


# --- presigned URLs -------------------------------------------------------------------------------


@pytest.mark.parametrize("role", [None, ROLE, "arn:aws-cn:iam::123456789012:role/path/to"])
def test_role_of_iam_is_taken(role: str | None) -> None:
    assert job_config.presigned_url(role, 60) == PresignedUrlConfig(role, 60)


@pytest.mark.parametrize(
    "role", ["arn:aws:iam::123456789012:user/u", "arn:aws:iam::12:role/r", "r" * 20, f"{ROLE[:31]}"]
)
def test_what_is_no_role_of_iam_is_refused(role: str) -> None:
    """spec: control-plane 2"""
    with pytest.raises(InvalidRequest) as refused:
        job_config.presigned_url(role, None)
    assert told(refused) == f"Given role {role} is invalid."


# --- retries --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "criteria", [retries(ALL=10), retries(FAILED=5, TIMED_OUT=5), retries(TIMED_OUT=0, FAILED=10)]
)
def test_ten_retries_in_all(criteria: tuple[RetryCriterion, ...]) -> None:
    assert job_config.retry_criteria(criteria) == criteria


@pytest.mark.parametrize(
    "criteria",
    [
        retries(FAILED=6, TIMED_OUT=5),
        retries(ALL=1, FAILED=1),
        (*retries(FAILED=1), *retries(FAILED=2)),
    ],
)
def test_more_or_repeated_or_mixed_retries(criteria: tuple[RetryCriterion, ...]) -> None:
    """case 28, case 29"""
    with pytest.raises(InvalidRequest):
        job_config.retry_criteria(criteria)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (retries(FAILED=2), NOT_ZERO),
        (retries(ALL=0, FAILED=1), NOT_ZERO),
        (retries(ALL=0, FAILED=0), ALL_ALONE),
        (retries(FAILED=0), None),
    ],
)
def test_update_may_only_stop_retries(given: tuple[RetryCriterion, ...], message: str | None) -> None:
    """case 44, case 210: what is not zero is told first"""
    if message is None:
        job_config.check_retries_to_zero(given)
        return
    with pytest.raises(InvalidRequest) as refused:
        job_config.check_retries_to_zero(given)
    assert told(refused) == message


BOTH = retries(FAILED=2, TIMED_OUT=3)


@pytest.mark.parametrize(
    ("stored", "given", "fits"),
    [
        (BOTH, retries(TIMED_OUT=0, FAILED=0), True),
        (BOTH, retries(FAILED=0), False),
        (retries(FAILED=2), retries(FAILED=0, TIMED_OUT=0), False),
        (retries(FAILED=2), retries(ALL=0), False),
        (retries(ALL=2), retries(ALL=0), True),
    ],
)
def test_update_names_the_same_failure_types(
    stored: tuple[RetryCriterion, ...], given: tuple[RetryCriterion, ...], fits: bool
) -> None:
    """case 210"""
    if fits:
        assert job_config.updated_retry_criteria(stored, given) == given
        return
    with pytest.raises(InvalidRequest, match="FailureTypes must match existing FailureTypes"):
        job_config.updated_retry_criteria(stored, given)


def test_retries_cannot_be_added_later() -> None:
    """case 46"""
    with pytest.raises(InvalidRequest, match="RetryConfig cannot be updated if the job has no RetryConfig"):
        job_config.updated_retry_criteria(None, retries(FAILED=0))
