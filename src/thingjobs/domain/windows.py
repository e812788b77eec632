"""What a job's schedule means at an instant: whether it waits, is open, is between windows or has ended.

Windows that overlap or touch are one. Only those that open at the start time or later count, and all end
with the end time; from then on windows mean nothing any more.

Everything here is a function of the schedule and an instant. ``next_boundary`` only says when to look
again; looking more often, or late, gives the same answers.

Source: Jobs developer guide, "job scheduling" and "recurring maintenance window"; unions, the first window
and what holds behind the last one are inferred.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from thingjobs.domain.cron import Cron, parse_cron
from thingjobs.domain.model import JobStatus, Sweep
from thingjobs.domain.schedule import Phase as Phase
from thingjobs.domain.schedule import SchedulingConfig, parse_schedule_time

_MINUTE_MS = 60_000
_FOLLOWED = 100
"""How many windows that follow one another without a gap are looked through for their closing."""


STATUS_IN: Mapping[Phase, JobStatus] = {
    Phase.WAITING: JobStatus.SCHEDULED,
    Phase.OPEN: JobStatus.IN_PROGRESS,
    Phase.CLOSED: JobStatus.SCHEDULED,
    Phase.SPENT: JobStatus.IN_PROGRESS,  # SCHEDULED would promise another window
    Phase.ENDED: JobStatus.IN_PROGRESS,
}
"""The status of a job that is neither complete, canceled nor being deleted."""

HIDDEN = frozenset({Phase.WAITING, Phase.CLOSED, Phase.SPENT})
"""Where the pending lists of devices leave a job's executions out."""


def phase_at(config: SchedulingConfig | None, now: int) -> Phase:
    """What the schedule lets happen at ``now``; a job without one is always open.

    Errors: none for a schedule that was accepted.
    """
    if config is None:
        return Phase.OPEN
    times = _read(config)
    if times.end_at is not None and now >= times.end_at:
        return Phase.ENDED
    if now < times.start_at:
        return Phase.WAITING
    if not times.windows or _open_until(times, now) > now:
        return Phase.OPEN
    if all(_last_opening(times, cron, now) is None for cron, _ in times.windows):
        return Phase.WAITING
    return Phase.SPENT if _next_opening(times, now) is None else Phase.CLOSED


def status_at(config: SchedulingConfig | None, now: int) -> JobStatus:
    """SCHEDULED or IN_PROGRESS, as the schedule has it at ``now``."""
    return STATUS_IN[phase_at(config, now)]


def is_open(config: SchedulingConfig | None, now: int) -> bool:
    """Whether executions may be handed out: after the start, before the end, inside a window if any."""
    return phase_at(config, now) is Phase.OPEN


def next_boundary(config: SchedulingConfig | None, now: int) -> int | None:
    """The first instant after ``now`` at which the job starts, ends, opens or closes; None if none comes.

    Where very many windows follow one another without a gap it may be an instant in between, at which
    nothing changes.
    """
    if config is None:
        return None
    times = _read(config)
    if times.end_at is not None and now >= times.end_at:
        return None
    coming = [times.start_at, times.end_at]
    if times.windows:
        is_open = _open_until(times, now) > now
        coming.append(_closing(times, now) if is_open else _next_opening(times, now))
    return min((instant for instant in coming if instant is not None and instant > now), default=None)


def end_at(config: SchedulingConfig | None) -> int | None:
    """When the job ends, as an instant."""
    if config is None or config.end_time is None:
        return None
    return parse_schedule_time(config.end_time)


def sweep_at_end(config: SchedulingConfig) -> Sweep | None:
    """What the end time does to executions; by default, and with STOP_ROLLOUT, nothing.

    Source: service model, JobEndBehavior; the default is inferred.
    """
    match config.end_behavior:
        case "CANCEL":
            return Sweep.CANCEL
        case "FORCE_CANCEL":
            return Sweep.FORCE_CANCEL
        case "STOP_ROLLOUT" | None:
            return None


# --- openings and closings ----------------------------------------------------------------------


class _Times(NamedTuple):
    start_at: int
    end_at: int | None
    windows: tuple[tuple[Cron, int], ...]
    """When each opens, and for how many milliseconds."""


def _read(config: SchedulingConfig) -> _Times:
    return _Times(
        start_at=0 if config.start_time is None else parse_schedule_time(config.start_time),
        end_at=end_at(config),
        windows=tuple(
            (parse_cron(window.start_time), window.duration_in_minutes * _MINUTE_MS)
            for window in config.maintenance_windows
        ),
    )


def _last_opening(times: _Times, cron: Cron, until: int) -> int | None:
    """The last opening that counts, at ``until`` or before."""
    if times.end_at is not None:
        until = min(until, times.end_at - 1)
    opening = cron.last_until(until)
    return opening if opening is not None and opening >= times.start_at else None


def _next_opening(times: _Times, now: int) -> int | None:
    """The first opening that counts after ``now``."""
    first = max(now + 1, times.start_at)
    openings = [opening for cron, _ in times.windows for opening in cron.occurrences(first, 1)]
    opening = min(openings, default=None)
    if opening is None or (times.end_at is not None and opening >= times.end_at):
        return None
    return opening


def _open_until(times: _Times, at: int) -> int:
    """When the windows that have opened by ``at`` are closed again: later than ``at`` if one is open."""
    # Of one window the latest opening closes last.
    closings = [
        opening + duration
        for cron, duration in times.windows
        if (opening := _last_opening(times, cron, at)) is not None
    ]
    return max(closings, default=at)


def _closing(times: _Times, now: int) -> int:
    """When the windows open at ``now`` will have closed, or an instant before if they are too many."""
    closing = _open_until(times, now)
    for _ in range(_FOLLOWED):
        # One that opens before the others close, or just then, goes on from there.
        further = _open_until(times, closing)
        if further <= closing:
            break
        closing = further
    return closing
