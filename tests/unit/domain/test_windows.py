"""What a schedule means at an instant (spec: lifecycle 8)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingjobs.domain.cron import parse_cron
from thingjobs.domain.due import Due, Kind
from thingjobs.domain.model import JobStatus, Sweep
from thingjobs.domain.schedule import EndBehavior, MaintenanceWindow, SchedulingConfig, parse_schedule_time
from thingjobs.domain.windows import (
    HIDDEN,
    Phase,
    end_at,
    is_open,
    next_boundary,
    phase_at,
    status_at,
    sweep_at_end,
)

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR

SUNDAYS = MaintenanceWindow("cron(0 2 ? * SUN *)", 120)


def at(text: str) -> int:
    """Days of January 2026: the 14th is a Wednesday, the 18th a Sunday."""
    return int(datetime.fromisoformat(f"2026-01-{text}").replace(tzinfo=UTC).timestamp()) * 1000


def shown(instant: int | None) -> str | None:
    if instant is None:
        return None
    return datetime.fromtimestamp(instant // 1000, UTC).strftime("%d %H:%M")


def a_schedule(
    *windows: MaintenanceWindow,
    start: str | None = None,
    end: str | None = None,
    end_behavior: EndBehavior | None = None,
) -> SchedulingConfig:
    def written(text: str | None) -> str | None:
        return None if text is None else f"2026-01-{text.replace(' ', 'T')}"

    return SchedulingConfig(written(start), written(end), end_behavior, windows)


def timeline(config: SchedulingConfig, start: str, changes: int) -> list[tuple[str | None, str]]:
    """The phase at ``start`` and after each boundary."""
    now: int | None = at(start)
    found: list[tuple[str | None, str]] = []
    while now is not None and len(found) < changes:
        found.append((shown(now), phase_at(config, now).value))
        now = next_boundary(config, now)
    return found


# --- the example --------------------------------------------------------------------------------


def test_a_sunday_window() -> None:
    """Spec: lifecycle 8, the example: created Wednesday 10:00, start Wednesday 12:00."""
    config = a_schedule(SUNDAYS, start="14 12:00")
    assert timeline(config, "14 10:00", 7) == [
        ("14 10:00", "WAITING"),
        ("14 12:00", "WAITING"),
        ("18 02:00", "OPEN"),
        ("18 04:00", "CLOSED"),
        ("25 02:00", "OPEN"),
        ("25 04:00", "CLOSED"),
        ("01 02:00", "OPEN"),
    ]
    statuses = [status_at(config, at(t)).value for t in ("14 12:00", "18 02:00", "18 03:59", "18 04:00")]
    assert statuses == ["SCHEDULED", "IN_PROGRESS", "IN_PROGRESS", "SCHEDULED"]


# --- without windows ----------------------------------------------------------------------------


def test_a_job_without_a_schedule_is_always_open() -> None:
    assert phase_at(None, at("14 10:00")) is Phase.OPEN
    assert next_boundary(None, at("14 10:00")) is None
    assert end_at(None) is None


def test_a_start() -> None:
    """Spec: lifecycle J2, J3; case 158."""
    config = a_schedule(start="14 12:00")
    assert timeline(config, "14 10:00", 9) == [("14 10:00", "WAITING"), ("14 12:00", "OPEN")]
    assert status_at(config, at("14 12:00") - 1) is JobStatus.SCHEDULED
    assert status_at(config, at("14 12:00")) is JobStatus.IN_PROGRESS


def test_an_end_without_a_start_begins_open() -> None:
    config = a_schedule(end="14 12:00")
    assert timeline(config, "14 10:00", 9) == [("14 10:00", "OPEN"), ("14 12:00", "ENDED")]
    assert status_at(config, at("14 12:00")) is JobStatus.IN_PROGRESS
    assert end_at(config) == at("14 12:00")


def test_start_and_end() -> None:
    config = a_schedule(start="14 12:00", end="14 13:00")
    assert [phase for _, phase in timeline(config, "14 10:00", 9)] == ["WAITING", "OPEN", "ENDED"]


# --- windows ------------------------------------------------------------------------------------


def test_a_window_that_is_open_when_the_job_starts_does_not_count() -> None:
    """Spec: the first window is the first to open at the start time or later."""
    config = a_schedule(SUNDAYS, start="18 03:00")
    assert timeline(config, "18 03:00", 2) == [("18 03:00", "WAITING"), ("25 02:00", "OPEN")]


def test_a_window_that_opens_at_the_start_counts() -> None:
    config = a_schedule(SUNDAYS, start="18 02:00")
    assert timeline(config, "18 01:00", 3) == [
        ("18 01:00", "WAITING"),
        ("18 02:00", "OPEN"),
        ("18 04:00", "CLOSED"),
    ]


def test_overlapping_windows_are_one() -> None:
    config = a_schedule(
        MaintenanceWindow("cron(0 2 * * ? *)", 120),
        MaintenanceWindow("cron(0 3 * * ? *)", 120),
        MaintenanceWindow("cron(30 3 * * ? *)", 10),
        start="14 00:00",
    )
    assert timeline(config, "14 00:00", 4) == [
        ("14 00:00", "WAITING"),
        ("14 02:00", "OPEN"),
        ("14 05:00", "CLOSED"),
        ("15 02:00", "OPEN"),
    ]


def test_a_window_longer_than_its_period_overlaps_itself() -> None:
    config = a_schedule(
        MaintenanceWindow("cron(0 2,3,4 * * ? *)", 90), start="14 00:00"
    )  # 02:00 to 03:30, 03:00 to 04:30, 04:00 to 05:30
    assert timeline(config, "14 02:00", 2) == [("14 02:00", "OPEN"), ("14 05:30", "CLOSED")]


def test_windows_that_touch_are_one() -> None:
    config = a_schedule(
        MaintenanceWindow("cron(0 2 * * ? *)", 60),
        MaintenanceWindow("cron(0 3 * * ? *)", 60),
        start="14 00:00",
    )
    assert timeline(config, "14 02:00", 2) == [("14 02:00", "OPEN"), ("14 04:00", "CLOSED")]


def test_a_window_may_reach_into_the_next_day() -> None:
    config = a_schedule(MaintenanceWindow("cron(0 23 ? * SUN *)", 1430), start="14 00:00")
    assert timeline(config, "18 23:00", 2) == [("18 23:00", "OPEN"), ("19 22:50", "CLOSED")]


@pytest.mark.parametrize("minutes", [1, 30, 1430])
def test_windows_without_a_gap_are_looked_at_now_and_then(minutes: int) -> None:
    config = a_schedule(MaintenanceWindow("cron(* * * * ? *)", minutes), start="14 00:00")
    boundary = next_boundary(config, at("14 00:00"))
    assert boundary is not None
    assert boundary >= at("14 01:00")
    assert is_open(config, boundary)


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        pytest.param("18 03:00", ["CLOSED", "OPEN", "ENDED"], id="inside a window"),
        pytest.param("18 04:00", ["CLOSED", "OPEN", "ENDED"], id="as a window closes"),
        pytest.param("18 02:00", ["SPENT", "ENDED"], id="as a window would open"),
        pytest.param("21 00:00", ["CLOSED", "OPEN", "SPENT", "ENDED"], id="between windows, ruling 12"),
    ],
)
def test_the_end_cuts_windows(end: str, expected: Sequence[str]) -> None:
    config = a_schedule(SUNDAYS, start="10 00:00", end=end)
    found = timeline(config, "14 00:00", 9)
    assert [phase for _, phase in found] == expected
    assert found[-1] == (end, "ENDED")


def test_a_job_behind_its_last_window_waits_for_no_other() -> None:
    """Spec: lifecycle J5: SCHEDULED only if another window is to come."""
    config = a_schedule(SUNDAYS, start="10 00:00", end="21 00:00")
    assert status_at(config, at("18 04:00")) is JobStatus.IN_PROGRESS
    assert phase_at(config, at("18 04:00")) in HIDDEN


def test_windows_no_longer_apply_after_the_end() -> None:
    """Spec: ruling 29: what is still pending is visible, also between windows."""
    config = a_schedule(SUNDAYS, start="10 00:00", end="21 00:00")
    for later in ("21 00:00", "22 00:00", "25 02:30", "25 05:00"):
        assert phase_at(config, at(later)) is Phase.ENDED
    assert Phase.ENDED not in HIDDEN
    assert status_at(config, at("22 00:00")) is JobStatus.IN_PROGRESS
    assert next_boundary(config, at("21 00:00")) is None


def test_windows_that_never_open_leave_a_job_waiting_for_its_end() -> None:
    config = a_schedule(MaintenanceWindow("cron(0 2 ? * SUN 1999)", 60), start="14 00:00", end="15 00:00")
    assert timeline(config, "14 00:00", 9) == [("14 00:00", "WAITING"), ("15 00:00", "ENDED")]


@pytest.mark.parametrize("phase", Phase)
def test_only_an_open_job_hands_out(phase: Phase) -> None:
    instants = {
        Phase.WAITING: "10 00:00",
        Phase.OPEN: "11 02:00",
        Phase.CLOSED: "14 00:00",
        Phase.SPENT: "18 04:00",
        Phase.ENDED: "21 00:00",
    }
    config = a_schedule(SUNDAYS, start="10 00:00", end="21 00:00")
    assert phase_at(config, at(instants[phase])) is phase
    assert is_open(config, at(instants[phase])) == (phase is Phase.OPEN)


@pytest.mark.parametrize(
    ("behavior", "sweep"),
    [
        (None, None),
        ("STOP_ROLLOUT", None),
        ("CANCEL", Sweep.CANCEL),
        ("FORCE_CANCEL", Sweep.FORCE_CANCEL),
    ],
)
def test_what_the_end_does_to_executions(behavior: EndBehavior | None, sweep: Sweep | None) -> None:
    """Spec: lifecycle 8, endTime behaviour; cases 159 to 161."""
    assert sweep_at_end(a_schedule(end="21 00:00", end_behavior=behavior)) is sweep


# --- properties ---------------------------------------------------------------------------------

# Small enough to be enumerated: a week of January, by the minute.
FIRST, LAST = at("12 00:00"), at("19 00:00")
windows = st.builds(
    MaintenanceWindow,
    st.sampled_from(
        [
            "0 2 * * ? *",
            "30 2 * * ? *",
            "0 0/6 * * ? *",
            "0/20 3-4 * * ? *",
            "15 23 ? * SUN,WED *",
            "0 12 13,16 * ? *",
            "59 23 14 1 ? 2026",
            "0 5 L * ? *",
        ]
    ),
    st.sampled_from([1, 10, 20, 45, 60, 180, 360, 1430]),
)
quarters = st.integers(0, (LAST - FIRST) // (15 * MINUTE)).map(
    lambda n: datetime.fromtimestamp((FIRST + n * 15 * MINUTE) // 1000, UTC).strftime("%Y-%m-%dT%H:%M")
)
schedules = st.builds(
    SchedulingConfig,
    quarters,
    st.none() | quarters,
    st.none(),
    st.lists(windows, min_size=1, max_size=3).map(tuple),
).filter(lambda config: config.end_time is None or (config.start_time or "") < config.end_time)
instants = st.integers(FIRST, LAST)


def naively_open(config: SchedulingConfig, now: int) -> bool:
    assert config.start_time is not None
    start = parse_schedule_time(config.start_time)
    end = 2**62 if config.end_time is None else parse_schedule_time(config.end_time)
    return start <= now < end and any(
        start <= opening < end and opening <= now < opening + window.duration_in_minutes * MINUTE
        for window in config.maintenance_windows
        for opening in parse_cron(window.start_time).occurrences(now - 2 * DAY, 200)
    )


@given(schedules, instants)
def test_open_means_that_some_window_is(config: SchedulingConfig, now: int) -> None:
    assert is_open(config, now) == naively_open(config, now)


@given(schedules, instants, st.integers(0, 10_000))
def test_nothing_changes_before_the_next_boundary(config: SchedulingConfig, now: int, share: int) -> None:
    boundary = next_boundary(config, now)
    assert boundary is None or boundary > now
    until = now + 30 * DAY if boundary is None else boundary
    between = now + (until - now - 1) * share // 10_000
    assert phase_at(config, between) is phase_at(config, now)
    assert phase_at(config, until - 1) is phase_at(config, now)


@given(schedules, instants)
def test_a_boundary_inside_a_day_is_a_real_one(config: SchedulingConfig, now: int) -> None:
    boundary = next_boundary(config, now)
    if boundary is None or boundary > now + DAY:
        return
    is_start = config.start_time is not None and boundary == parse_schedule_time(config.start_time)
    assert is_start or phase_at(config, boundary) is not phase_at(config, now)


@given(schedules, st.lists(instants, min_size=2, max_size=2).map(sorted))
def test_phases_come_in_order(config: SchedulingConfig, two: list[int]) -> None:
    order = {Phase.WAITING: 0, Phase.OPEN: 1, Phase.CLOSED: 1, Phase.SPENT: 2, Phase.ENDED: 3}
    earlier, later = (phase_at(config, now) for now in two)
    assert order[earlier] <= order[later]


# --- the last occurrence of a cron expression ------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "until", "expected"),
    [
        ("0 2 ? * SUN *", "18 02:00", "2026-01-18T02:00"),
        ("0 2 ? * SUN *", "18 01:59", "2026-01-11T02:00"),
        ("0 2 L * ? *", "14 00:00", "2025-12-31T02:00"),
        ("0 2 29 2 ? *", "14 00:00", "2024-02-29T02:00"),
        ("59 23 ? * SUN 1999", "14 00:00", "1999-12-26T23:59"),
        ("0 2 ? * SUN 2027", "14 00:00", None),
    ],
)
def test_last_occurrence(text: str, until: str, expected: str | None) -> None:
    found = parse_cron(text).last_until(at(until))
    assert found == (None if expected is None else parse_schedule_time(expected))


@given(windows.map(lambda window: window.start_time), st.integers(0, 2**42))
def test_the_last_occurrence_is_the_one_before_the_next(text: str, now: int) -> None:
    cron = parse_cron(text)
    last = cron.last_until(now)
    if last is None:
        assert cron.occurrences(0, 1) == () or cron.occurrences(0, 1)[0] > now
        return
    assert last <= now
    assert cron.next_after(last) == cron.next_after(now)
    assert cron.occurrences(last, 1) == (last,)


def test_before_the_epoch_there_is_no_last_occurrence() -> None:
    assert parse_cron("* * * * ? *").last_until(-1) is None
    assert parse_cron("* * * * ? *").last_until(0) == 0


# --- several things at one instant ------------------------------------------------------------------


def test_the_order_at_one_instant() -> None:
    """Spec: ruling 7."""
    now = at("18 02:00")
    in_order = [
        Due(now - 1, Kind.TICK, 9),
        Due(now, Kind.TIME_OUT, 3),
        Due(now, Kind.TIME_OUT, 7),
        Due(now, Kind.JOB_END, 2),
        Due(now, Kind.JOB_START, 1),
        Due(now, Kind.WINDOW, 1),
        Due(now, Kind.TICK, 1),
        Due(now + 1, Kind.TIME_OUT, 1),
    ]
    backwards = in_order[::-1]
    backwards.sort()
    assert backwards == in_order
