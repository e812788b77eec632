"""Cron expressions of maintenance windows (spec: lifecycle 8)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from thingjobs.domain.cron import Cron, parse_cron
from thingjobs.domain.errors import InvalidRequest

MINUTE = 60_000


def at(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def shown(instants: Sequence[int]) -> list[str]:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    return [(epoch + timedelta(milliseconds=instant)).strftime("%Y-%m-%dT%H:%M") for instant in instants]


def first(text: str, start: str, count: int = 3) -> list[str]:
    return shown(parse_cron(text).occurrences(at(start), count))


# --- the dialect ------------------------------------------------------------------------------------


def test_the_example_of_the_guide() -> None:
    """spec: lifecycle 8; 2026-01-14 is a Wednesday"""
    assert first("cron(0 2 ? * SUN *)", "2026-01-14T12:00", 2) == ["2026-01-18T02:00", "2026-01-25T02:00"]


def test_the_six_fields_may_stand_alone() -> None:
    assert (
        parse_cron("0 2 ? * SUN *")
        == parse_cron("cron(0 2 ? * SUN *)")
        == parse_cron("  cron( 0 2 ? * 1 * ) ")
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30 10 1 * ? *", ["2026-02-01T10:30", "2026-03-01T10:30", "2026-04-01T10:30"]),
        ("0/25 10 15 1 ? *", ["2026-01-15T10:00", "2026-01-15T10:25", "2026-01-15T10:50"]),
        ("*/30 10 15 1 ? *", ["2026-01-15T10:00", "2026-01-15T10:30", "2027-01-15T10:00"]),
        ("5-40/20 10 15 1 ? *", ["2026-01-15T10:05", "2026-01-15T10:25", "2027-01-15T10:05"]),
        ("0 8,20,8 15 * ? *", ["2026-01-15T08:00", "2026-01-15T20:00", "2026-02-15T08:00"]),
        ("0 0 ? * mon-Fri *", ["2026-01-15T00:00", "2026-01-16T00:00", "2026-01-19T00:00"]),
        ("0 0 ? * SAT,1 *", ["2026-01-17T00:00", "2026-01-18T00:00", "2026-01-24T00:00"]),
        ("00 00 1 feb,APR-may ? *", ["2026-02-01T00:00", "2026-04-01T00:00", "2026-05-01T00:00"]),
        ("0 0 1 1 ? 2028/4", ["2028-01-01T00:00", "2032-01-01T00:00", "2036-01-01T00:00"]),
        ("0 0 * 12 ? 2026-2027", ["2026-12-01T00:00", "2026-12-02T00:00", "2026-12-03T00:00"]),
    ],
)
def test_numbers_names_ranges_lists_and_steps(text: str, expected: list[str]) -> None:
    assert first(text, "2026-01-15T00:00") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 0 L * ? *", ["2027-01-31T00:00", "2027-02-28T00:00", "2027-03-31T00:00"]),
        ("0 0 L 2 ? *", ["2027-02-28T00:00", "2028-02-29T00:00", "2029-02-28T00:00"]),
        ("0 0 LW * ? *", ["2027-01-29T00:00", "2027-02-26T00:00", "2027-03-31T00:00"]),
        ("0 0 ? * L *", ["2027-01-02T00:00", "2027-01-09T00:00", "2027-01-16T00:00"]),
        ("0 0 ? * 6L *", ["2027-01-29T00:00", "2027-02-26T00:00", "2027-03-26T00:00"]),
        ("0 0 ? * sunl *", ["2027-01-31T00:00", "2027-02-28T00:00", "2027-03-28T00:00"]),
        ("0 0 ? * 3#2 *", ["2027-01-12T00:00", "2027-02-09T00:00", "2027-03-09T00:00"]),
        ("0 0 ? * FRI#5 *", ["2027-01-29T00:00", "2027-04-30T00:00", "2027-07-30T00:00"]),
        # 1 May 2027 is a Saturday: Monday the third. 1 August is a Sunday: the second.
        ("0 0 1W 5-8 ? *", ["2027-05-03T00:00", "2027-06-01T00:00", "2027-07-01T00:00"]),
        ("0 0 1W 8 ? *", ["2027-08-02T00:00", "2028-08-01T00:00", "2029-08-01T00:00"]),
        # 31 January 2027 is a Sunday: Friday the 29th. February has no 31st.
        ("0 0 31W * ? *", ["2027-01-29T00:00", "2027-03-31T00:00", "2027-05-31T00:00"]),
        ("0 0 16W 1 ? *", ["2027-01-15T00:00", "2028-01-17T00:00", "2029-01-16T00:00"]),
    ],
)
def test_special_days(text: str, expected: list[str]) -> None:
    """2027-01-01 is a Friday"""
    assert first(text, "2027-01-01T00:00") == expected


def test_a_month_without_the_day_has_no_occurrence() -> None:
    assert first("0 0 31 * ? *", "2026-02-01T00:00") == [
        "2026-03-31T00:00",
        "2026-05-31T00:00",
        "2026-07-31T00:00",
    ]
    assert first("0 0 29 2 ? *", "2096-01-01T00:00") == [
        "2096-02-29T00:00",
        "2104-02-29T00:00",
        "2108-02-29T00:00",
    ]


@pytest.mark.parametrize("text", ["0 0 30 2 ? *", "0 0 1 1 ? 1999", "0 0 31W 4 ? *"])
def test_an_expression_may_never_come_true(text: str) -> None:
    assert parse_cron(text).next_after(at("2026-01-01T00:00")) is None


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("rate(5 minutes)", "a rate expression is not supported"),
        ("", "6 fields, not 0"),
        ("cron()", "6 fields, not 0"),
        ("0 2 ? * SUN", "6 fields, not 5"),
        ("0 0 2 ? * SUN *", "6 fields, not 7"),
        ("cron(0 2 ? * SUN *", r"'CRON\(0' is not a valid minute"),
        ("0 2 * * * *", r"exactly one of day-of-month and day-of-week must be '\?'"),
        ("0 2 1 * SUN *", r"exactly one of day-of-month and day-of-week must be '\?'"),
        ("0 2 ? * ? *", r"exactly one of day-of-month and day-of-week must be '\?'"),
        ("? 2 ? * SUN *", "is not a valid minute"),
        ("0 2 ? ? SUN *", "is not a valid month"),
        ("60 2 ? * SUN *", r"'60' is not a valid minute \(0-59\)"),
        ("0 24 ? * SUN *", "'24' is not a valid hour"),
        ("0 2 0 * ? *", "'0' is not a valid day-of-month"),
        ("0 2 32 * ? *", "'32' is not a valid day-of-month"),
        ("0 2 1 13 ? *", "'13' is not a valid month"),
        ("0 2 ? * 0 *", r"'0' is not a valid day-of-week \(1-7 or SUN-SAT\)"),
        ("0 2 ? * 8 *", "'8' is not a valid day-of-week"),
        ("0 2 ? * SUN 1969", r"'1969' is not a valid year \(1970-2199\)"),
        ("0 2 ? * SUN 2200", "'2200' is not a valid year"),
        ("0 2 ? * SOL *", "'SO' is not a valid day-of-week"),
        ("0 2 ? JAN-SUN SUN *", "'SUN' is not a valid month"),
        ("0 2 ? * FRI-MON *", "the day-of-week range 'FRI-MON' runs backwards"),
        ("0 22-2 ? * SUN *", "the hour range '22-2' runs backwards"),
        ("0/0 2 ? * SUN *", "the step of minute '0/0' must be from 1 to 59"),
        ("0/60 2 ? * SUN *", "the step of minute"),
        ("1-2-3 2 ? * SUN *", "is not a valid minute"),
        ("-1 2 ? * SUN *", "is not a valid minute"),
        ("1, 2 ? * SUN *", "is not a valid minute"),
        ("*,1,, 2 ? * SUN *", "is not a valid minute"),
        ("1.5 2 ? * SUN *", "is not a valid minute"),
        ("١ 2 ? * SUN *", "is not a valid minute"),
        ("0 2 ? * 3#6 *", "# must be followed by one number from 1 to 5"),
        ("0 2 ? * 3#0 *", "# must be followed by one number from 1 to 5"),
        ("0 2 ? * 3#1,6#3 *", "# must be followed by one number from 1 to 5"),
        ("0 2 ? * #1 *", "'' is not a valid day-of-week"),
        ("0 2 L,15 * ? *", "'L' is not a valid day-of-month"),
        ("0 2 15,L * ? *", "'L' is not a valid day-of-month"),
        ("0 2 L-3 * ? *", "'L' is not a valid day-of-month"),
        ("0 2 1W,15W * ? *", "'1W,15' is not a valid day-of-month"),
        ("0 2 W * ? *", "'' is not a valid day-of-month"),
        ("0 2 32W * ? *", "'32' is not a valid day-of-month"),
        ("0 2 ? * 8L *", "'8' is not a valid day-of-week"),
        ("L 2 ? * SUN *", "'L' is not a valid minute"),
    ],
)
def test_what_the_dialect_does_not_have_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(InvalidRequest, match=complaint) as refused:
        parse_cron(text)
    assert refused.value.message.startswith(f"Maintenance window start time '{text}' is invalid: ")


@given(st.text(alphabet="0123456789*?/-,#LWlwSUNJAN() cronrate", max_size=40))
def test_any_other_text_is_read_or_refused(text: str) -> None:
    with suppress(InvalidRequest):
        parse_cron(text)


# --- instants ---------------------------------------------------------------------------------------

EVERY_MINUTE = parse_cron("* * * * ? *")


def test_next_is_later_and_occurrences_may_begin_at_the_instant() -> None:
    noon = at("2026-01-15T12:00")
    assert EVERY_MINUTE.next_after(noon) == noon + MINUTE
    assert EVERY_MINUTE.next_after(noon - 1) == noon
    assert EVERY_MINUTE.next_after(noon + 1) == noon + MINUTE
    assert EVERY_MINUTE.occurrences(noon, 2) == (noon, noon + MINUTE)
    assert EVERY_MINUTE.occurrences(noon + 1, 1) == (noon + MINUTE,)
    assert EVERY_MINUTE.occurrences(noon - 1, 1) == (noon,)
    assert EVERY_MINUTE.occurrences(noon, 0) == ()


def test_years_end_with_2199() -> None:
    last = at("2199-12-31T23:59")
    assert EVERY_MINUTE.next_after(last - 1) == last
    assert EVERY_MINUTE.next_after(last) is None
    assert EVERY_MINUTE.occurrences(last, 7) == (last,)
    assert EVERY_MINUTE.next_after(10**18) is None


def test_years_begin_with_1970() -> None:
    assert EVERY_MINUTE.occurrences(-(10**18), 1) == (0,)
    assert EVERY_MINUTE.next_after(-1) == 0


# --- property: the same as looking at every minute ---------------------------------------------------


@dataclass(frozen=True)
class Drawn:
    """An expression and, written without the code under test, what it means."""

    text: str
    is_day: Callable[[date], bool]
    is_time: Callable[[int, int], bool]


def month_of(day: date) -> list[date]:
    start = day.replace(day=1)
    return [d for d in (start + timedelta(days=n) for n in range(31)) if d.month == day.month]


def weekday(day: date) -> int:
    return day.isoweekday() % 7 + 1


def fields(low: int, high: int) -> st.SearchStrategy[tuple[str, set[int]]]:
    numbers = st.integers(low, high)
    steps = st.integers(1, high)
    pairs = st.tuples(numbers, numbers).map(sorted)
    items = st.one_of(
        st.just(("*", set(range(low, high + 1)))),
        numbers.map(lambda n: (str(n), {n})),
        pairs.map(lambda p: (f"{p[0]}-{p[1]}", set(range(p[0], p[1] + 1)))),
        st.tuples(numbers, steps).map(lambda p: (f"{p[0]}/{p[1]}", set(range(p[0], high + 1, p[1])))),
        steps.map(lambda n: (f"*/{n}", set(range(low, high + 1, n)))),
    )
    return st.lists(items, min_size=1, max_size=2).map(
        lambda parts: (
            ",".join(text for text, _ in parts),
            set[int]().union(*(values for _, values in parts)),
        )
    )


def is_nearest_weekday(number: int) -> Callable[[date], bool]:
    def holds(day: date) -> bool:
        month = month_of(day)
        candidates = [d for d in month if d.weekday() < 5]
        return len(month) >= number and day == min(candidates, key=lambda d: abs(d.day - number))

    return holds


DayRule = tuple[str, str, Callable[[date], bool]]

day_rules: st.SearchStrategy[DayRule] = st.one_of(
    fields(1, 31).map(lambda f: (f[0], "?", lambda d: d.day in f[1])),
    fields(1, 7).map(lambda f: ("?", f[0], lambda d: weekday(d) in f[1])),
    st.just(("L", "?", lambda d: d == month_of(d)[-1])),
    st.just(("LW", "?", lambda d: d == [x for x in month_of(d) if x.weekday() < 5][-1])),
    st.integers(1, 31).map(lambda n: (f"{n}W", "?", is_nearest_weekday(n))),
    st.integers(1, 7).map(
        lambda n: ("?", f"{n}L", lambda d: d == [x for x in month_of(d) if weekday(x) == n][-1])
    ),
    st.tuples(st.integers(1, 7), st.integers(1, 5)).map(
        lambda p: ("?", f"{p[0]}#{p[1]}", lambda d: weekday(d) == p[0] and (d.day - 1) // 7 == p[1] - 1)
    ),
)


@st.composite
def expressions(draw: st.DrawFn) -> Drawn:
    minutes, minute_values = draw(fields(0, 59))
    hours, hour_values = draw(fields(0, 23))
    day_of_month, day_of_week, is_day = draw(day_rules)
    months, month_values = draw(st.one_of(st.just(("*", set(range(1, 13)))), fields(1, 12)))
    years, year_values = draw(st.one_of(st.just(("*", set(range(1970, 2200)))), fields(1970, 2199)))
    return Drawn(
        text=f"cron({minutes} {hours} {day_of_month} {months} {day_of_week} {years})",
        is_day=lambda d: d.year in year_values and d.month in month_values and is_day(d),
        is_time=lambda hour, minute: hour in hour_values and minute in minute_values,
    )


def by_looking_at_every_minute(drawn: Drawn, start: datetime, days: int, count: int) -> list[int]:
    found = []
    for n in range(days):
        day = start.date() + timedelta(days=n)
        if drawn.is_day(day):
            for minute in range(24 * 60):
                moment = datetime(day.year, day.month, day.day, minute // 60, minute % 60, tzinfo=UTC)
                if moment >= start and drawn.is_time(moment.hour, moment.minute):
                    found.append(round(moment.timestamp() * 1000))
                    if len(found) == count:
                        return found
    return found


days = st.one_of(
    st.dates(date(1970, 1, 1), date(2199, 12, 31)), st.dates(date(2023, 12, 1), date(2024, 3, 31))
)


@settings(max_examples=300, deadline=None)
@given(expressions(), days, st.integers(0, 86_400_000 - 1))
def test_occurrences_are_those_found_by_looking_at_every_minute(
    drawn: Drawn, day: date, millisecond_of_day: int
) -> None:
    horizon = 70
    start_ms = at(day.isoformat()) + millisecond_of_day
    start = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=start_ms)
    end_ms = at(day.isoformat()) + horizon * 86_400_000
    expected = by_looking_at_every_minute(drawn, start, horizon, 7)
    cron = parse_cron(drawn.text)
    assert [found for found in cron.occurrences(start_ms, 7) if found < end_ms] == expected
    assert list(islice(successors(cron, start_ms - 1), len(expected))) == expected


def successors(cron: Cron, instant: int) -> Iterator[int]:
    while (following := cron.next_after(instant)) is not None:
        yield following
        instant = following
