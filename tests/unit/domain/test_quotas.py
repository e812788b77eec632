"""Limits of the rules can be raised and lowered, and refusals name the number that holds (spec: quotas)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from thingjobs.domain import execution, job_config, registry
from thingjobs.domain.document import check_document, device_spelling
from thingjobs.domain.errors import InvalidRequest
from thingjobs.domain.model import ExponentialRate, RetryCriterion, RolloutConfig, ThingType
from thingjobs.domain.quotas import DEFAULT_QUOTAS, Quotas
from thingjobs.domain.rollout_rate import rate_per_minute
from thingjobs.domain.schedule import SchedulingConfig, check_schedule, parse_schedule_time

NOW = parse_schedule_time("2026-01-14T12:00")


def with_quotas(**quotas: int) -> Quotas:
    return replace(DEFAULT_QUOTAS, **quotas)


def refusal(call: Callable[..., Any], *arguments: Any, **named: Any) -> str:
    with pytest.raises(InvalidRequest) as error:
        call(*arguments, **named)
    return error.value.message


def test_time_out_of_a_job() -> None:
    assert job_config.in_progress_timeout(20_000, with_quotas(in_progress_timeout_minutes=20_000)) == 20_000
    assert refusal(job_config.in_progress_timeout, 6, with_quotas(in_progress_timeout_minutes=5)) == (
        "Provide valid timeout value, inProgressTimeoutInMinutes cannot be 6."
    )


def test_time_out_of_a_step() -> None:
    execution.check_step_timeout(20_000, may_discard=False, most=20_000)
    assert refusal(execution.check_step_timeout, 6, may_discard=True, most=5) == (
        "Provide valid step timeout value, stepTimeoutInMinutes cannot be 6."
    )


def test_retries_of_a_job() -> None:
    criteria = [RetryCriterion("FAILED", 10), RetryCriterion("TIMED_OUT", 2)]
    assert job_config.retry_criteria(criteria, with_quotas(retries_per_job=12)) == tuple(criteria)
    assert refusal(job_config.retry_criteria, criteria, with_quotas(retries_per_job=11)) == (
        "The number of retries of all criteria together cannot exceed 11, but is 12."
    )


def test_nesting_of_a_document() -> None:
    deep = "[" * 1_001 + "]" * 1_001
    check_document(deep, nesting=1_001)
    assert "invalid JSON document" in refusal(check_document, "[[]]", nesting=1)


def test_a_stored_document_is_delivered_however_deep_it_is() -> None:
    """The limit may have been lowered since it was stored."""
    deep = "[" * 5_000 + "]" * 5_000
    assert device_spelling(deep) == deep


def a_schedule(start: str | None, end: str | None = None) -> SchedulingConfig:
    return SchedulingConfig(start, end, None, ())


def check(config: SchedulingConfig, quotas: Quotas) -> None:
    check_schedule(config, target_selection="SNAPSHOT", now=NOW, quotas=quotas)


def test_leads_of_a_schedule() -> None:
    quotas = with_quotas(schedule_lead_minutes=1, start_lead_days=2, end_lead_days=1_000, schedule_days=999)
    check(a_schedule("2026-01-14T12:01", "2026-01-14T12:02"), quotas)
    check(a_schedule("2026-01-15T12:00", "2028-10-10T12:00"), quotas)
    assert refusal(check, a_schedule("2026-01-16T12:01"), quotas) == (
        "StartTime 2026-01-16T12:01 must be from 1 minutes to 2 days from now."
    )
    assert refusal(check, a_schedule(None, "2029-01-14T12:00"), quotas) == (
        "EndTime 2029-01-14T12:00 must be from 1 minutes to 1000 days from now."
    )


def test_length_of_a_schedule() -> None:
    quotas = with_quotas(schedule_days=1)
    check(a_schedule("2026-01-14T12:30", "2026-01-15T12:30"), quotas)
    assert refusal(check, a_schedule("2026-01-14T12:30", "2026-01-15T12:31"), quotas) == (
        "EndTime 2026-01-15T12:31 must be no more than 1 day after StartTime 2026-01-14T12:30."
    )
    two_years = with_quotas(end_lead_days=5_000)
    assert "must be no more than 2 years after" in refusal(
        check, a_schedule("2026-01-14T13:00", "2028-01-14T13:01"), two_years
    )


def test_rate_of_a_job_without_a_rate() -> None:
    assert rate_per_minute(None, notified=0, succeeded=0, default=7) == 7


def test_growth_to_any_maximum_that_can_be_set() -> None:
    config = RolloutConfig(2**31 - 1, ExponentialRate(1, 11, 1, None))
    assert rate_per_minute(config, notified=10**9, succeeded=0) == 2**31 - 1


def test_delay_of_deleting_a_thing_type() -> None:
    thing_type = ThingType("type", "id", None, (), NOW, deprecated_at=NOW)
    check = partial(
        registry.check_type_deletable,
        thing_type,
        in_use=False,
        quotas=with_quotas(thing_type_deletion_minutes=2),
    )
    check(now=NOW + 120_000)
    assert refusal(check, now=NOW + 119_999) == ("Please wait for 2 minutes after deprecation and then retry")
