"""A job's configuration between its wire shapes and the values the rules work on."""

from __future__ import annotations

from collections.abc import Sequence

from thingjobs.domain import job_config
from thingjobs.domain.model import (
    AbortCriterion,
    PresignedUrlConfig,
    RetryCriterion,
    RolloutConfig,
)
from thingjobs.domain.quotas import DEFAULT_QUOTAS, Quotas
from thingjobs.domain.schedule import MaintenanceWindow, SchedulingConfig
from thingjobs.wire.shapes import iot

# --- what callers send: each refuses what breaks a rule -------------------------------------------


def read_rollout(given: iot.JobExecutionsRolloutConfig | None) -> RolloutConfig | None:
    if given is None:
        return None
    rate = given.exponential_rate
    if rate is None:
        return job_config.rollout(given.maximum_per_minute, None)
    exponential = job_config.ExponentialRateGiven(
        rate.base_rate_per_minute,
        rate.increment_factor,
        rate.rate_increase_criteria.number_of_notified_things,
        rate.rate_increase_criteria.number_of_succeeded_things,
    )
    return job_config.rollout(given.maximum_per_minute, exponential)


def read_abort(given: iot.AbortConfig | None) -> tuple[AbortCriterion, ...] | None:
    if given is None:
        return None
    return job_config.abort_criteria(
        [
            job_config.AbortCriterionGiven(
                each.failure_type, each.threshold_percentage, each.min_number_of_executed_things
            )
            for each in given.criteria_list
        ]
    )


def read_timeout(given: iot.TimeoutConfig | None, quotas: Quotas = DEFAULT_QUOTAS) -> int | None:
    if given is None:
        return None
    return job_config.in_progress_timeout(given.in_progress_timeout_in_minutes, quotas)


def read_presigned_url(given: iot.PresignedUrlConfig | None) -> PresignedUrlConfig | None:
    return None if given is None else job_config.presigned_url(given.role_arn, given.expires_in_sec)


def read_retry(given: iot.JobExecutionsRetryConfig | None) -> tuple[RetryCriterion, ...] | None:
    """The criteria as sent; what they may be differs between CreateJob and UpdateJob."""
    if given is None:
        return None
    return tuple(RetryCriterion(each.failure_type, each.number_of_retries) for each in given.criteria_list)


def read_scheduling(given: iot.SchedulingConfig | None) -> SchedulingConfig | None:
    if given is None:
        return None
    return SchedulingConfig(
        start_time=given.start_time,
        end_time=given.end_time,
        end_behavior=given.end_behavior,
        maintenance_windows=_windows(given.maintenance_windows),
    )


def read_windows(given: Sequence[iot.MaintenanceWindow] | None) -> SchedulingConfig | None:
    """A template's windows: a schedule without times."""
    return SchedulingConfig(None, None, None, _windows(given)) if given else None


def _windows(given: Sequence[iot.MaintenanceWindow] | None) -> tuple[MaintenanceWindow, ...]:
    return tuple(MaintenanceWindow(window.start_time, window.duration_in_minutes) for window in given or ())


# --- what DescribeJob shows: an empty object where nothing is configured (observed) -----------------


def show_rollout(config: RolloutConfig | None) -> iot.JobExecutionsRolloutConfig:
    if config is None:
        return iot.JobExecutionsRolloutConfig()
    rate = config.exponential_rate
    return iot.JobExecutionsRolloutConfig(
        maximum_per_minute=config.maximum_per_minute,
        exponential_rate=None
        if rate is None
        else iot.ExponentialRolloutRate(
            base_rate_per_minute=rate.base_rate_per_minute,
            increment_factor=rate.increment_factor_tenths / 10,
            rate_increase_criteria=iot.RateIncreaseCriteria(
                number_of_notified_things=rate.notified_things,
                number_of_succeeded_things=rate.succeeded_things,
            ),
        ),
    )


def show_abort(criteria: tuple[AbortCriterion, ...] | None) -> iot.AbortConfig | None:
    if criteria is None:
        return None
    return iot.AbortConfig(
        criteria_list=[
            iot.AbortCriteria(
                failure_type=each.failure_type,
                action="CANCEL",
                threshold_percentage=each.threshold_bp / 100,
                min_number_of_executed_things=each.min_number_of_executed_things,
            )
            for each in criteria
        ]
    )


def show_timeout(minutes: int | None) -> iot.TimeoutConfig:
    return iot.TimeoutConfig(in_progress_timeout_in_minutes=minutes)


def show_presigned_url(config: PresignedUrlConfig | None) -> iot.PresignedUrlConfig:
    if config is None:
        return iot.PresignedUrlConfig()
    return iot.PresignedUrlConfig(role_arn=config.role_arn, expires_in_sec=config.expires_in_sec)


def show_retry(criteria: tuple[RetryCriterion, ...] | None) -> iot.JobExecutionsRetryConfig | None:
    if criteria is None:
        return None
    return iot.JobExecutionsRetryConfig(
        criteria_list=[
            iot.RetryCriteria(failure_type=each.failure_type, number_of_retries=each.number_of_retries)
            for each in criteria
        ]
    )


def show_scheduling(config: SchedulingConfig | None) -> iot.SchedulingConfig:
    if config is None:
        return iot.SchedulingConfig()
    return iot.SchedulingConfig(
        start_time=config.start_time,
        end_time=config.end_time,
        end_behavior=config.end_behavior,
        maintenance_windows=[
            iot.MaintenanceWindow(
                start_time=window.start_time, duration_in_minutes=window.duration_in_minutes
            )
            for window in config.maintenance_windows
        ]
        or None,
    )
