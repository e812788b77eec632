"""What a job's configuration may be: the rules that no single member's constraint can say.

Each function takes what the caller sent and gives the value the service keeps, or refuses in the
service's own sentence. Source: observed answers of the service; the Jobs API reference for the limits.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import NamedTuple

from thingjobs.domain.errors import InvalidRequest
from thingjobs.domain.model import (
    AbortCriterion,
    ExponentialRate,
    FailureType,
    JobConfig,
    PresignedUrlConfig,
    RetryCriterion,
    RolloutConfig,
)
from thingjobs.domain.quotas import DEFAULT_QUOTAS, Quotas

_ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/.+")


class ExponentialRateGiven(NamedTuple):
    base_rate_per_minute: int
    increment_factor: float
    notified_things: int | None
    succeeded_things: int | None


class AbortCriterionGiven(NamedTuple):
    failure_type: FailureType
    threshold_percentage: float
    min_number_of_executed_things: int


def in_progress_timeout(minutes: int | None, quotas: Quotas = DEFAULT_QUOTAS) -> int:
    """Minutes from 1 to the quota."""
    if minutes is None or not 1 <= minutes <= quotas.in_progress_timeout_minutes:
        shown = "null" if minutes is None else minutes
        raise InvalidRequest(f"Provide valid timeout value, inProgressTimeoutInMinutes cannot be {shown}.")
    return minutes


def abort_criteria(given: Sequence[AbortCriterionGiven]) -> tuple[AbortCriterion, ...]:
    """One criterion per failure type; percentages above 0 with at most two decimals."""
    criteria: list[AbortCriterion] = []
    for each in given:
        if any(each.failure_type == known.failure_type for known in criteria):
            raise InvalidRequest("Multiple AbortCriteria cannot have the same failure type")
        if each.threshold_percentage <= 0:
            raise InvalidRequest(
                f"ThresholdPercentage value {each.threshold_percentage} for AbortCriteria"
                " must have value greater than 0"
            )
        threshold_bp = Decimal(str(each.threshold_percentage)) * 100
        if threshold_bp != int(threshold_bp):
            raise InvalidRequest("Abort thresholdPercentage must have two or less decimal digits")
        criteria.append(
            AbortCriterion(each.failure_type, int(threshold_bp), each.min_number_of_executed_things)
        )
    return tuple(criteria)


def rollout(maximum_per_minute: int | None, exponential: ExponentialRateGiven | None) -> RolloutConfig:
    """A rate the rollout can follow: a maximum, and possibly a growing rate below it."""
    if exponential is None:
        if maximum_per_minute is None:
            raise InvalidRequest(
                "Provide MaximumPerMinute value or provide ExponentialRate and MaximumPerMinute"
            )
        return RolloutConfig(maximum_per_minute, None)
    if maximum_per_minute is None:
        raise InvalidRequest("Provide MaximumPerMinute value when ExponentialRate is defined")
    thresholds = (exponential.notified_things, exponential.succeeded_things)
    if thresholds == (None, None):
        raise InvalidRequest(
            "Provide either NumberOfNotifiedThings or NumberOfSucceededThings"
            " when RateIncreaseCriteria is defined"
        )
    if None not in thresholds:
        raise InvalidRequest(
            "Provide only one of NumberOfNotifiedThings or NumberOfSucceededThings"
            " when RateIncreaseCriteria is defined"
        )
    if exponential.base_rate_per_minute >= maximum_per_minute:
        raise InvalidRequest("Exponential rollout baseRatePerMinute should be less than maximumPerMinute.")
    tenths = Decimal(str(exponential.increment_factor)) * 10
    if tenths != int(tenths):
        raise InvalidRequest("Exponential rollout incrementFactor must have one or less decimal digits")
    return RolloutConfig(
        maximum_per_minute,
        ExponentialRate(
            base_rate_per_minute=exponential.base_rate_per_minute,
            increment_factor_tenths=int(tenths),
            notified_things=exponential.notified_things,
            succeeded_things=exponential.succeeded_things,
        ),
    )


def presigned_url(role_arn: str | None, expires_in_sec: int | None) -> PresignedUrlConfig:
    """A role that is an IAM role."""
    if role_arn is not None and not _ROLE_ARN.fullmatch(role_arn):
        raise InvalidRequest(f"Given role {role_arn} is invalid.")
    return PresignedUrlConfig(role_arn, expires_in_sec)


def retry_criteria(
    criteria: Sequence[RetryCriterion], quotas: Quotas = DEFAULT_QUOTAS
) -> tuple[RetryCriterion, ...]:
    """At most one criterion per failure type, ALL by itself, no more retries together than the quota."""
    check_all_alone(criteria)
    types = [criterion.failure_type for criterion in criteria]
    if len(set(types)) < len(types):
        raise InvalidRequest("Multiple RetryCriteria cannot have the same failure type")
    total = sum(criterion.number_of_retries for criterion in criteria)
    most = quotas.retries_per_job
    if total > most:
        raise InvalidRequest(
            f"The number of retries of all criteria together cannot exceed {most}, but is {total}."
        )
    return tuple(criteria)


def check_all_alone(criteria: Sequence[RetryCriterion]) -> None:
    if len(criteria) > 1 and any(criterion.failure_type == "ALL" for criterion in criteria):
        raise InvalidRequest("A retryCriteria with failure type ALL must be used by itself.")


def check_retries_to_zero(criteria: Sequence[RetryCriterion]) -> None:
    """What UpdateJob allows of retries, whatever the job: only to stop them."""
    if any(criterion.number_of_retries for criterion in criteria):
        raise InvalidRequest("The number of retries cannot be updated to any number other than 0.")
    check_all_alone(criteria)


def updated_retry_criteria(
    stored: Sequence[RetryCriterion] | None, criteria: Sequence[RetryCriterion]
) -> tuple[RetryCriterion, ...]:
    """The criteria UpdateJob leaves: those the job was made with, in the order given now."""
    if stored is None:
        raise InvalidRequest(
            "RetryConfig cannot be updated if the job has no RetryConfig defined during creation."
        )
    if {c.failure_type for c in stored} != {c.failure_type for c in criteria}:
        raise InvalidRequest("FailureTypes must match existing FailureTypes defined in RetryConfig.")
    return tuple(criteria)


def completed(given: JobConfig, template: JobConfig) -> JobConfig:
    """What is given, and the template's for each member that is not; no member is taken in parts.

    The schedule is ``schedule.completed``'s.
    """
    return replace(
        given,
        rollout=given.rollout or template.rollout,
        abort=given.abort or template.abort,
        retry=given.retry if given.retry is not None else template.retry,
        in_progress_timeout_minutes=given.in_progress_timeout_minutes or template.in_progress_timeout_minutes,
        presigned_url=given.presigned_url or template.presigned_url,
    )
