"""Cron expressions of maintenance windows: the AWS dialect of six fields, in UTC.

    cron(minutes hours day-of-month month day-of-week year)        or the six fields alone

    minutes 0-59 · hours 0-23 · day-of-month 1-31 · month 1-12 or JAN-DEC
    day-of-week 1-7 or SUN-SAT (1 is Sunday) · year 1970-2199

Every field takes ``*``, numbers, ranges ``a-b``, steps ``a/n``, ``a-b/n``, ``*/n`` and lists of those.
Exactly one of the two day fields is ``?``. On its own a day-of-month may be ``L`` (last day), ``nW`` (the
weekday nearest to day n, in the same month), ``LW`` (last weekday); a day-of-week ``L`` (Saturday), ``nL``
(the last such day of the month), ``n#k`` (the k-th).

A month without the day that is asked for has no occurrence. A range that runs backwards is refused.

Source: EventBridge user guide, "cron expressions"; that Jobs speaks the same dialect is inferred.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from calendar import monthrange
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import assert_never

from thingjobs.domain.errors import InvalidRequest

FIRST_YEAR, LAST_YEAR = 1970, 2199

_MINUTE_MS = 60_000
_EPOCH = date(1970, 1, 1).toordinal()
_MINUTES_PER_DAY = 24 * 60


# --- which days of a month ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class MonthDays:
    """``1,15`` or ``*`` in day-of-month."""

    days: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LastDay:
    """``L`` in day-of-month."""


@dataclass(frozen=True, slots=True)
class LastWeekday:
    """``LW``: the last day from Monday to Friday."""


@dataclass(frozen=True, slots=True)
class NearestWeekday:
    """``15W``: the day from Monday to Friday that is nearest, without leaving the month."""

    day: int


@dataclass(frozen=True, slots=True)
class WeekDays:
    """``MON-FRI`` or ``*`` in day-of-week; 1 is Sunday."""

    weekdays: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class LastOfMonth:
    """``6L``: the last Friday."""

    weekday: int


@dataclass(frozen=True, slots=True)
class NthOfMonth:
    """``3#2``: the second Tuesday."""

    weekday: int
    nth: int


DayRule = MonthDays | LastDay | LastWeekday | NearestWeekday | WeekDays | LastOfMonth | NthOfMonth


def days_of_month(rule: DayRule, year: int, month: int) -> Sequence[int]:
    """The days that ``rule`` picks in one month, ascending."""
    first_weekday, last = _month_shape(year, month)
    match rule:
        case MonthDays(days):
            return [day for day in days if day <= last]
        case LastDay():
            return [last]
        case LastWeekday():
            return [_nearest_weekday(last, first_weekday, last)]
        case NearestWeekday(day):
            return [_nearest_weekday(day, first_weekday, last)] if day <= last else []
        case WeekDays(weekdays):
            return [day for day in range(1, last + 1) if _weekday(day, first_weekday) in weekdays]
        case LastOfMonth(weekday):
            return [last - (_weekday(last, first_weekday) - weekday) % 7]
        case NthOfMonth(weekday, nth):
            day = 1 + (weekday - first_weekday) % 7 + 7 * (nth - 1)
            return [day] if day <= last else []
        case _:
            assert_never(rule)


def _month_shape(year: int, month: int) -> tuple[int, int]:
    """Weekday of the first day (1 is Sunday), and number of days."""
    monday_is_0, last = monthrange(year, month)
    return (monday_is_0 + 1) % 7 + 1, last


def _weekday(day: int, first_weekday: int) -> int:
    return (first_weekday - 1 + day - 1) % 7 + 1


def _nearest_weekday(day: int, first_weekday: int, last: int) -> int:
    weekday = _weekday(day, first_weekday)
    if weekday == 7:  # Saturday: Friday before, or Monday if that is another month
        return day - 1 if day > 1 else day + 2
    if weekday == 1:  # Sunday: Monday after, or Friday if that is another month
        return day + 1 if day < last else day - 2
    return day


# --- the schedule -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cron:
    """A parsed expression. All fields ascend."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    day_rule: DayRule
    months: tuple[int, ...]
    years: tuple[int, ...]

    def next_after(self, instant_ms: int) -> int | None:
        """The first occurrence later than an instant; None after the last."""
        return next(self._from_minute(instant_ms // _MINUTE_MS + 1), None)

    def occurrences(self, from_ms: int, count: int) -> Sequence[int]:
        """Up to ``count`` occurrences, the first at ``from_ms`` or later."""
        return tuple(islice(self._from_minute(-(-from_ms // _MINUTE_MS)), count))

    def last_until(self, instant_ms: int) -> int | None:
        """The last occurrence at an instant or before; None before the first."""
        last_day, minute_of_last_day = divmod(instant_ms // _MINUTE_MS, _MINUTES_PER_DAY)
        for day in self._days_back(last_day):
            latest = minute_of_last_day if day == last_day else _MINUTES_PER_DAY
            time = self._last_time_until(latest)
            if time is not None:
                return (day * _MINUTES_PER_DAY + time) * _MINUTE_MS
        return None

    def _last_time_until(self, latest: int) -> int | None:
        """The last minute of a day with an occurrence, ``latest`` or before."""
        hour, minute = divmod(latest, 60)
        if hour in self.hours and minute >= self.minutes[0]:
            return hour * 60 + self.minutes[bisect_right(self.minutes, minute) - 1]
        earlier = bisect_left(self.hours, hour)
        return self.hours[earlier - 1] * 60 + self.minutes[-1] if earlier else None

    def _from_minute(self, start: int) -> Iterator[int]:
        """Occurrences at or after a minute counted from the epoch, in milliseconds."""
        first_day, minute_of_first_day = divmod(start, _MINUTES_PER_DAY)
        times = [hour * 60 + minute for hour in self.hours for minute in self.minutes]
        for day in self._days(first_day):
            earliest = minute_of_first_day if day == first_day else 0
            for time in times:
                if time >= earliest:
                    yield (day * _MINUTES_PER_DAY + time) * _MINUTE_MS

    def _days(self, start: int) -> Iterator[int]:
        """Days with occurrences at or after a day counted from the epoch."""
        if start + _EPOCH > date.max.toordinal():
            return
        first = date.fromordinal(max(start, 0) + _EPOCH)
        for year in self.years:
            if year < first.year:
                continue
            for month in self.months:
                if (year, month) < (first.year, first.month):
                    continue
                days_before = date(year, month, 1).toordinal() - _EPOCH - 1
                for day in days_of_month(self.day_rule, year, month):
                    if days_before + day >= start:
                        yield days_before + day

    def _days_back(self, start: int) -> Iterator[int]:
        """Days with occurrences at or before a day counted from the epoch, the last first."""
        if start < 0:
            return
        last = date.fromordinal(min(start + _EPOCH, date.max.toordinal()))
        for year in reversed(self.years):
            if year > last.year:
                continue
            for month in reversed(self.months):
                if (year, month) > (last.year, last.month):
                    continue
                days_before = date(year, month, 1).toordinal() - _EPOCH - 1
                for day in reversed(days_of_month(self.day_rule, year, month)):
                    if days_before + day <= start:
                        yield days_before + day


# --- reading ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Field:
    name: str
    low: int
    high: int
    names: Mapping[str, int]

    @property
    def accepted(self) -> str:
        names = list(self.names)
        return f"{self.low}-{self.high}" + (f" or {names[0]}-{names[-1]}" if names else "")


def _numbered(names: str) -> Mapping[str, int]:
    return {name: number for number, name in enumerate(names.split(), 1)}


_MINUTES = _Field("minute", 0, 59, {})
_HOURS = _Field("hour", 0, 23, {})
_DAY_OF_MONTH = _Field("day-of-month", 1, 31, {})
_MONTH = _Field("month", 1, 12, _numbered("JAN FEB MAR APR MAY JUN JUL AUG SEP OCT NOV DEC"))
_DAY_OF_WEEK = _Field("day-of-week", 1, 7, _numbered("SUN MON TUE WED THU FRI SAT"))
_YEAR = _Field("year", FIRST_YEAR, LAST_YEAR, {})

_CRON = re.compile(r"\s*cron\((.*)\)\s*", re.DOTALL)
_RANGE = re.compile(r"(?:(?P<all>\*)|(?P<first>[0-9A-Z]+)(?:-(?P<last>[0-9A-Z]+))?)(?:/(?P<step>[0-9]+))?")


def parse_cron(text: str) -> Cron:
    """Read ``cron(…)`` or six fields.

    Errors: InvalidRequest that names the expression and what is wrong with it (our wording).
    """
    try:
        return _parse(text)
    except ValueError as error:
        raise InvalidRequest(f"Maintenance window start time '{text}' is invalid: {error}.") from None


def _parse(text: str) -> Cron:
    if text.strip().startswith("rate("):
        raise ValueError("a rate expression is not supported, use cron(...)")
    wrapped = _CRON.fullmatch(text)
    fields = (wrapped[1] if wrapped else text).upper().split()
    if len(fields) != 6:
        raise ValueError(f"a cron expression has 6 fields, not {len(fields)}")
    minutes, hours, day_of_month, month, day_of_week, year = fields
    return Cron(
        minutes=_values(_MINUTES, minutes),
        hours=_values(_HOURS, hours),
        day_rule=_day_rule(day_of_month, day_of_week),
        months=_values(_MONTH, month),
        years=_values(_YEAR, year),
    )


def _day_rule(day_of_month: str, day_of_week: str) -> DayRule:
    if (day_of_month == "?") == (day_of_week == "?"):
        raise ValueError("exactly one of day-of-month and day-of-week must be '?'")
    if day_of_week == "?":
        if day_of_month == "L":
            return LastDay()
        if day_of_month == "LW":
            return LastWeekday()
        if day_of_month.endswith("W"):
            return NearestWeekday(_number(_DAY_OF_MONTH, day_of_month[:-1]))
        return MonthDays(_values(_DAY_OF_MONTH, day_of_month))
    if day_of_week == "L":
        return WeekDays((7,))
    if day_of_week.endswith("L"):
        return LastOfMonth(_number(_DAY_OF_WEEK, day_of_week[:-1]))
    if "#" in day_of_week:
        weekday, _, nth = day_of_week.partition("#")
        if nth not in ("1", "2", "3", "4", "5"):
            raise ValueError("in day-of-week, # must be followed by one number from 1 to 5")
        return NthOfMonth(_number(_DAY_OF_WEEK, weekday), int(nth))
    return WeekDays(_values(_DAY_OF_WEEK, day_of_week))


def _values(field: _Field, text: str) -> tuple[int, ...]:
    values: set[int] = set()
    for item in text.split(","):
        match = _RANGE.fullmatch(item)
        if match is None:
            raise _not_valid(field, item)
        if match["all"]:
            first, last = field.low, field.high
        else:
            first = _number(field, match["first"])
            # "a/n" starts at a and steps to the end of the field; "a" alone is only itself.
            last = field.high if match["step"] else first
            if match["last"]:
                last = _number(field, match["last"])
        if last < first:
            raise ValueError(f"the {field.name} range '{item}' runs backwards")
        step = int(match["step"] or 1)
        if not 1 <= step <= field.high:
            raise ValueError(f"the step of {field.name} '{item}' must be from 1 to {field.high}")
        values.update(range(first, last + 1, step))
    return tuple(sorted(values))


def _number(field: _Field, text: str) -> int:
    if text in field.names:
        return field.names[text]
    if text.isascii() and text.isdigit() and field.low <= int(text) <= field.high:
        return int(text)
    raise _not_valid(field, text)


def _not_valid(field: _Field, text: str) -> ValueError:
    return ValueError(f"'{text}' is not a valid {field.name} ({field.accepted})")
