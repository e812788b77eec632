"""Start, end and maintenance windows of a job (spec: lifecycle 8, control-plane 2)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingjobs.domain.errors import InvalidRequest
from thingjobs.domain.schedule import (
    EndBehavior,
    MaintenanceWindow,
    SchedulingConfig,
    check_schedule,
    parse_schedule_time,
    scheduled_rollouts,
)

MINUTE = 60_000
DAY = 24 * 60 * MINUTE


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


NOW = at("2026-01-14T10:00:30.250")  # a Wednesday
EVERY_SUNDAY = MaintenanceWindow("cron(0 2 ? * SUN *)", 120)
EVERY_NIGHT = MaintenanceWindow("0 2 * * ? *", 60)


def a_schedule(
    start_time: str | None = None,
    end_time: str | None = None,
    end_behavior: EndBehavior | None = None,
    windows: Sequence[MaintenanceWindow] = (),
) -> SchedulingConfig:
    return SchedulingConfig(start_time, end_time, end_behavior, tuple(windows))


def check(config: SchedulingConfig, target_selection: str = "CONTINUOUS", now: int = NOW) -> None:
    check_schedule(config, target_selection=target_selection, now=now)


def refusal(config: SchedulingConfig, target_selection: str = "CONTINUOUS", now: int = NOW) -> str:
    with pytest.raises(InvalidRequest) as refused:
        check(config, target_selection, now)
    return refused.value.message


# --- the form of a time -----------------------------------------------------------------------------


def test_a_time_is_read_as_utc() -> None:
    assert parse_schedule_time("2027-01-01T10:00") == 1798797600000
    assert parse_schedule_time("1970-01-01T00:00") == 0
    assert parse_schedule_time("2028-02-29T23:59") == at("2028-02-29T23:59")


@pytest.mark.parametrize(
    "text",
    [
        "2027-01-01T10:00:00Z",
        "2027-01-01 10:00",
        "2027-01-01T10:00Z",
        "2027-01-01T10:00:00",
        "2027-01-01T10:00+01:00",
        "2027-01-01t10:00",
        "2027-01-01",
        "20270101T1000",
        "2027-1-1T10:00",
        "2027-02-29T10:00",
        "2027-13-01T10:00",
        "2027-01-01T24:00",
        "2027-01-01T10:60",
        "0000-01-01T10:00",
        " 2027-01-01T10:00",
        "2027-01-01T10:00\n",
        "２０２７-01-01T10:00",
        "1798797600",
        "x",
    ],
)
def test_any_other_form_is_refused_and_echoed(text: str) -> None:
    """spec: case 181"""
    sentence = (
        f"1 validation error detected: Provided time {text} UTC must follow the format YYYY-MM-DDThh:mm."
    )
    with pytest.raises(InvalidRequest) as refused:
        parse_schedule_time(text)
    assert refused.value.message == sentence
    assert refusal(a_schedule(start_time=text)) == sentence
    assert refusal(a_schedule(end_time=text)) == sentence


@given(st.datetimes().map(lambda moment: moment.strftime("%Y").zfill(4) + moment.strftime("-%m-%dT%H:%M")))
def test_every_minute_of_the_calendar_can_be_read(text: str) -> None:
    elapsed = timedelta(milliseconds=parse_schedule_time(text))
    assert datetime(1970, 1, 1, tzinfo=UTC) + elapsed == datetime.fromisoformat(text).replace(tzinfo=UTC)


# --- windows ------------------------------------------------------------------------------------------


def test_windows_are_not_for_snapshot_jobs() -> None:
    """spec: case 30"""
    sentence = "TargetSelection is invalid. MaintenanceWindow cannot be used with SNAPSHOT job."
    assert refusal(a_schedule("2026-01-14T12:00", windows=[EVERY_SUNDAY]), "SNAPSHOT") == sentence
    assert refusal(a_schedule(windows=[EVERY_SUNDAY]), "SNAPSHOT") == sentence
    assert refusal(a_schedule("nonsense", windows=[EVERY_SUNDAY]), "SNAPSHOT") == sentence


def test_windows_need_a_start_time() -> None:
    """spec: case 182"""
    assert (
        refusal(a_schedule(windows=[EVERY_SUNDAY]))
        == "MaintenanceWindow cannot be used without StartTime of SchedulingConfig."
    )


def test_windows_must_be_cron_expressions() -> None:
    """spec: lifecycle 8"""
    check(a_schedule("2026-01-14T12:00", windows=[EVERY_SUNDAY, EVERY_NIGHT]))
    for text in ("rate(1 day)", "every day", "0 2 * * SUN *"):
        windows = [EVERY_NIGHT, MaintenanceWindow(text, 60)]
        assert f"'{text}' is invalid" in refusal(a_schedule("2026-01-14T12:00", windows=windows))


# --- start and end ------------------------------------------------------------------------------------


@pytest.mark.parametrize("target_selection", ["SNAPSHOT", "CONTINUOUS"])
def test_start_is_thirty_minutes_to_a_year_ahead(target_selection: str) -> None:
    """spec: case 31, ruling 21, ruling 32"""
    start = at("2026-06-01T00:00")
    config = a_schedule("2026-06-01T00:00")
    check(config, target_selection, now=start - 30 * MINUTE)
    check(config, target_selection, now=start - 365 * DAY)
    sentence = "StartTime 2026-06-01T00:00 must be from 30 minutes to 1 year from now."
    for now in (start - 29 * MINUTE, start - 30 * MINUTE + 1, start, start + DAY, start - 365 * DAY - 1):
        assert refusal(config, target_selection, now) == sentence


def test_end_is_thirty_minutes_to_two_years_ahead() -> None:
    """spec: lifecycle 8, ruling 32"""
    end = at("2026-06-01T00:00")
    config = a_schedule(end_time="2026-06-01T00:00", end_behavior="CANCEL")
    check(config, now=end - 30 * MINUTE)
    check(config, now=end - 730 * DAY)
    sentence = "EndTime 2026-06-01T00:00 must be from 30 minutes to 2 years from now."
    for now in (end - 30 * MINUTE + 1, end, end - 730 * DAY - 1):
        assert refusal(config, now=now) == sentence


def test_end_is_thirty_minutes_after_start() -> None:
    """spec: lifecycle 8"""
    check(a_schedule("2026-01-14T12:00", "2026-01-14T12:30"))
    for end in ("2026-01-14T12:29", "2026-01-14T12:00", "2026-01-14T11:00"):
        assert refusal(a_schedule("2026-01-14T12:00", end)) == (
            f"EndTime {end} must be at least 30 minutes after StartTime 2026-01-14T12:00."
        )


def test_end_behavior_without_end_time_is_accepted() -> None:
    """spec: lifecycle 8"""
    check(a_schedule(end_behavior="FORCE_CANCEL"))
    check(a_schedule())


# --- what comes next ----------------------------------------------------------------------------------


def test_a_job_with_windows_shows_its_next_seven() -> None:
    """spec: case 164"""
    assert scheduled_rollouts(a_schedule("2026-01-14T12:00", windows=[EVERY_SUNDAY]), NOW) == (
        "2026-01-18T02:00",
        "2026-01-25T02:00",
        "2026-02-01T02:00",
        "2026-02-08T02:00",
        "2026-02-15T02:00",
        "2026-02-22T02:00",
        "2026-03-01T02:00",
    )


def test_the_windows_of_a_job_are_one_list_without_repetitions() -> None:
    """spec: lifecycle 8"""
    config = a_schedule(
        "2026-01-16T12:00", windows=[EVERY_SUNDAY, EVERY_NIGHT, MaintenanceWindow("0 9 17 * ? *", 5)]
    )
    assert scheduled_rollouts(config, NOW, 4) == (
        "2026-01-17T02:00",
        "2026-01-17T09:00",
        "2026-01-18T02:00",
        "2026-01-19T02:00",
    )


def test_the_first_window_is_at_start_time_or_later() -> None:
    """spec: lifecycle 8"""
    assert scheduled_rollouts(a_schedule("2026-01-16T02:00", windows=[EVERY_NIGHT]), NOW, 1) == (
        "2026-01-16T02:00",
    )
    assert scheduled_rollouts(a_schedule("2026-01-16T02:01", windows=[EVERY_NIGHT]), NOW, 1) == (
        "2026-01-17T02:00",
    )


def test_windows_that_have_opened_are_not_listed_again() -> None:
    config = a_schedule("2026-01-01T00:00", windows=[EVERY_NIGHT])
    assert scheduled_rollouts(config, at("2026-01-20T02:00"), 1) == ("2026-01-20T02:00",)
    assert scheduled_rollouts(config, at("2026-01-20T02:00") + 1, 1) == ("2026-01-21T02:00",)


def test_no_window_opens_at_the_end_or_later() -> None:
    """spec: ruling 29"""
    config = a_schedule("2026-01-15T00:00", "2026-01-17T02:00", windows=[EVERY_NIGHT])
    assert scheduled_rollouts(config, NOW) == ("2026-01-15T02:00", "2026-01-16T02:00")
    assert scheduled_rollouts(config, at("2026-01-17T02:00")) == ()


def test_a_job_without_windows_shows_none() -> None:
    assert scheduled_rollouts(a_schedule("2026-01-15T00:00"), NOW) == ()
