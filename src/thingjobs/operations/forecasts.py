"""How a job would go, asked without making it: the members of CreateJob in, a timeline out."""

from __future__ import annotations

from decimal import Decimal

import msgspec
from msgspec import Struct

from thingjobs.domain import job_config
from thingjobs.domain.errors import InvalidRequest
from thingjobs.domain.forecast import DEFAULT_MAX_MINUTES, Assumptions, Forecast, forecast
from thingjobs.domain.model import JobConfig
from thingjobs.domain.quotas import DEFAULT_QUOTAS, Quotas
from thingjobs.operations import job_config_shapes as shapes
from thingjobs.wire.shapes import iot

MAX_THINGS = 10_000_000
MAX_MINUTES = 366 * 24 * 60
_WHOLE_BP = 10_000


class JobPlan(Struct, rename="camel", frozen=True, kw_only=True):
    """The members of a CreateJob request that shape its rollout; all others are ignored."""

    job_executions_rollout_config: iot.JobExecutionsRolloutConfig | None = None
    abort_config: iot.AbortConfig | None = None
    timeout_config: iot.TimeoutConfig | None = None
    job_executions_retry_config: iot.JobExecutionsRetryConfig | None = None


class ForecastRequest(Struct, rename="camel", frozen=True, kw_only=True):
    """``job``: as for CreateJob. Rates are percentages of executions.

    Who does not succeed fails, and the other way round; if both rates are given, what is left never reports.
    """

    job: JobPlan
    things: int
    success_rate: float | None = None
    failure_rate: float | None = None
    success_seconds: int = 60
    failure_seconds: int = 60
    max_minutes: int = DEFAULT_MAX_MINUTES


class Minute(Struct, rename="camel"):
    minute: int
    rate: int
    notified: int
    in_flight: int
    succeeded: int
    failed: int
    timed_out: int


class ForecastAbort(Struct, rename="camel"):
    minute: int
    comment: str


class ForecastResponse(Struct, rename="camel"):
    """``minutes`` up to the end; ``finished_minute`` is None if the forecast was cut off or never ends."""

    outcome: str
    finished_minute: int | None
    abort: ForecastAbort | None
    minutes: list[Minute]


def make_forecast(
    members: object, *, quotas: Quotas = DEFAULT_QUOTAS, shape: type[ForecastRequest] = ForecastRequest
) -> ForecastResponse:
    """``shape``: the request with the limits that hold here.

    Errors: InvalidRequest for members that cannot be read or break a rule of CreateJob.
    """
    try:
        request = msgspec.convert(members, shape)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"The forecast cannot be read: {error}") from None
    if not 0 <= request.things <= MAX_THINGS:
        raise InvalidRequest(f"things must be from 0 to {MAX_THINGS}.")
    if not 1 <= request.max_minutes <= MAX_MINUTES:
        raise InvalidRequest(f"maxMinutes must be from 1 to {MAX_MINUTES}.")
    success_bp, failure_bp = _shares(request)
    try:
        assumptions = Assumptions(
            things=request.things,
            success_bp=success_bp,
            failure_bp=failure_bp,
            success_seconds=request.success_seconds,
            failure_seconds=request.failure_seconds,
        )
    except ValueError as error:
        raise InvalidRequest(f"The forecast's assumptions do not fit: {error}.") from None
    result = forecast(
        _config(request.job, quotas),
        assumptions,
        max_minutes=request.max_minutes,
        per_minute=quotas.rollout_per_minute,
    )
    return _shown(result)


def _config(plan: JobPlan, quotas: Quotas) -> JobConfig:
    timeout = shapes.read_timeout(plan.timeout_config, quotas)
    abort = shapes.read_abort(plan.abort_config)
    rollout = shapes.read_rollout(plan.job_executions_rollout_config)
    retry = shapes.read_retry(plan.job_executions_retry_config)
    return JobConfig(
        rollout=rollout,
        abort=abort,
        retry=retry and job_config.retry_criteria(retry, quotas),
        in_progress_timeout_minutes=timeout,
    )


def _shares(request: ForecastRequest) -> tuple[int, int]:
    """Successes and failures in hundredths of a percent. Errors: InvalidRequest for what is no percentage."""
    success_bp = _basis_points("successRate", request.success_rate)
    failure_bp = _basis_points("failureRate", request.failure_rate)
    if success_bp is None:
        failure_bp = failure_bp or 0
        return _WHOLE_BP - failure_bp, failure_bp
    return success_bp, _WHOLE_BP - success_bp if failure_bp is None else failure_bp


def _basis_points(name: str, percentage: float | None) -> int | None:
    if percentage is None:
        return None
    if not 0 <= percentage <= 100:  # also what is not a number
        raise InvalidRequest(f"{name} must be a percentage from 0 to 100.")
    return int(Decimal(str(percentage)) * 100)


def _shown(result: Forecast) -> ForecastResponse:
    ended = result.outcome.value in ("COMPLETED", "ABORTED")
    return ForecastResponse(
        outcome=result.outcome.value,
        finished_minute=result.rows[-1].minute if ended else None,
        abort=None if result.abort is None else ForecastAbort(result.abort.minute, result.abort.comment),
        minutes=[Minute(*row[:7]) for row in result.rows],
    )
