"""When a job may roll out: start, end and maintenance windows, as the caller gave them.

Times are kept as the caller's text, because they are echoed; ``parse_schedule_time`` gives the instant.
A year is 365 days, two are 730.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Literal

from thingjobs.domain.cron import parse_cron
from thingjobs.domain.errors import InvalidRequest
from thingjobs.domain.quotas import DEFAULT_QUOTAS, Quotas

_MINUTE_MS = 60_000
_DAY_MS = 24 * 60 * _MINUTE_MS

SHOWN_ROLLOUTS = 7


EndBehavior = Literal["STOP_ROLLOUT", "CANCEL", "FORCE_CANCEL"]


@dataclass(frozen=True, slots=True)
class MaintenanceWindow:
    """``start_time`` is a cron expression."""

    start_time: str
    duration_in_minutes: int


@dataclass(frozen=True, slots=True)
class SchedulingConfig:
    """``end_behavior`` without ``end_time`` is kept and means nothing."""

    start_time: str | None
    end_time: str | None
    end_behavior: EndBehavior | None
    maintenance_windows: tuple[MaintenanceWindow, ...]


class Phase(StrEnum):
    """What a job's schedule lets happen."""

    WAITING = "WAITING"
    """Before the start, or before the first window: nothing was handed out yet."""
    OPEN = "OPEN"
    CLOSED = "CLOSED"
    """Between two windows: nothing is handed out, and devices do not see what is pending."""
    SPENT = "SPENT"
    """Behind the last window and before the end: as between windows, but none is to come."""
    ENDED = "ENDED"
    """The end time has passed: nothing is handed out any more; devices see what is still pending."""


_SCHEDULE_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_schedule_time(text: str) -> int:
    """The instant of ``YYYY-MM-DDThh:mm``, which is UTC.

    Errors: InvalidRequest for any other form, and for a day or time that does not exist.
    Source: the sentence was observed by others on the service (unverified by us).
    """
    try:
        if _SCHEDULE_TIME.fullmatch(text):
            return (datetime.fromisoformat(text).replace(tzinfo=UTC) - _EPOCH) // timedelta(milliseconds=1)
    except ValueError:
        pass  # 30 February: refused like a wrong form
    raise InvalidRequest(
        f"1 validation error detected: Provided time {text} UTC must follow the format YYYY-MM-DDThh:mm."
    )


def check_schedule(
    config: SchedulingConfig, *, target_selection: str, now: int, quotas: Quotas = DEFAULT_QUOTAS
) -> None:
    """Refuse a schedule that a new job must not have.

    Errors: InvalidRequest; the use of windows comes first, then times, then the windows themselves.
    Source: service model, SchedulingConfig; the order and the sentences about windows were observed by others
            on the service, those about leads are ours.
    """
    if config.maintenance_windows:
        if target_selection != "CONTINUOUS":
            raise InvalidRequest(
                "TargetSelection is invalid. MaintenanceWindow cannot be used with SNAPSHOT job."
            )
        if config.start_time is None:
            raise InvalidRequest("MaintenanceWindow cannot be used without StartTime of SchedulingConfig.")
    start = None if config.start_time is None else parse_schedule_time(config.start_time)
    end = None if config.end_time is None else parse_schedule_time(config.end_time)
    minutes = quotas.schedule_lead_minutes
    lead = minutes * _MINUTE_MS
    if start is not None and not lead <= start - now <= quotas.start_lead_days * _DAY_MS:
        raise InvalidRequest(
            f"StartTime {config.start_time} must be from {minutes} minutes"
            f" to {_years(quotas.start_lead_days)} from now."
        )
    if end is not None:
        if not lead <= end - now <= quotas.end_lead_days * _DAY_MS:
            raise InvalidRequest(
                f"EndTime {config.end_time} must be from {minutes} minutes"
                f" to {_years(quotas.end_lead_days)} from now."
            )
        if start is not None:
            after = f"after StartTime {config.start_time}."
            if end - start < lead:
                raise InvalidRequest(f"EndTime {config.end_time} must be at least {minutes} minutes {after}")
            if end - start > quotas.schedule_days * _DAY_MS:
                most = _years(quotas.schedule_days)
                raise InvalidRequest(f"EndTime {config.end_time} must be no more than {most} {after}")
    for window in config.maintenance_windows:
        parse_cron(window.start_time)


def completed(given: SchedulingConfig | None, template: SchedulingConfig | None) -> SchedulingConfig | None:
    """What is given, with the template's windows unless there are windows among it."""
    if template is None or (given is not None and given.maintenance_windows):
        return given
    return template if given is None else replace(given, maintenance_windows=template.maintenance_windows)


def scheduled_rollouts(config: SchedulingConfig, now: int, count: int = SHOWN_ROLLOUTS) -> tuple[str, ...]:
    """The next openings of the job's windows, ``YYYY-MM-DDThh:mm``, each once; none at its end or later.

    An opening while another window is open is listed too.
    """
    start = now if config.start_time is None else max(now, parse_schedule_time(config.start_time))
    openings = {
        opening
        for window in config.maintenance_windows
        for opening in parse_cron(window.start_time).occurrences(start, count)
    }
    if config.end_time is not None:
        end = parse_schedule_time(config.end_time)
        openings = {opening for opening in openings if opening < end}
    return tuple(_schedule_time(opening) for opening in sorted(openings)[:count])


def _years(days: int) -> str:
    years, rest = divmod(days, 365)
    number, unit = (days, "day") if rest else (years, "year")
    return f"{number} {unit}{'s' * (number != 1)}"


def _schedule_time(instant: int) -> str:
    return (_EPOCH + timedelta(milliseconds=instant)).strftime("%Y-%m-%dT%H:%M")
