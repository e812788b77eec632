"""Work that nobody waits for, in pieces that can be done twice: what is due, and how each is done."""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace

from thingjobs.domain.due import Due, Kind
from thingjobs.domain.job import DAY_MS, is_retired
from thingjobs.domain.model import GroupKey, JobKey, Sweep
from thingjobs.domain.quotas import DEFAULT_QUOTAS, Quotas
from thingjobs.domain.schedule import Phase
from thingjobs.operations import following, rollout, schedules, sweep, timeouts
from thingjobs.store.jobs import ScheduleRow
from thingjobs.store.tx import Tx

MANUAL_CLOCK = "manual_clock_now"
"""Under this name the store remembers where a manual clock stands."""

SWEEP_SIZE = 2_000
PURGE_SIZE = 2_000
LEAVE_SIZE = 1_000
"""Members of a deleted group, times the jobs they leave."""
LOOKED_AT = 1_000
"""Overdue executions looked at to learn which jobs have some."""
MOST_AT_ONCE = 100
"""Pieces of each other kind that are looked for at a time."""


@dataclass(frozen=True, slots=True)
class TimeOut:
    """Some of a job's executions whose timer ran out."""

    job_key: JobKey

    def __call__(self, tx: Tx, now: int) -> None:
        timeouts.time_out_some(tx, self.job_key, now)


@dataclass(frozen=True, slots=True)
class ScheduleStep:
    """A job starts or ends, or one of its windows opens or closes. Time-outs of the same instant go first."""

    job_key: JobKey
    spread: bool = False
    quotas: Quotas = DEFAULT_QUOTAS

    def __call__(self, tx: Tx, now: int) -> None:
        if timeouts.time_out_some(tx, self.job_key, now):
            schedules.step(tx, self.job_key, spread=self.spread, quotas=self.quotas, now=now)


@dataclass(frozen=True, slots=True)
class Tick:
    """One tick of a rollout."""

    rollout_key: int
    spread: bool = False
    per_minute: int = DEFAULT_QUOTAS.rollout_per_minute

    def __call__(self, tx: Tx, now: int) -> None:
        found = tx.rollouts.find(self.rollout_key)
        if found is not None and found.next_tick_at <= now:
            rollout.tick(tx, self.rollout_key, now, spread=self.spread, per_minute=self.per_minute)


@dataclass(frozen=True, slots=True)
class SweepSome:
    """One piece of canceling or deleting a job's executions."""

    job_key: JobKey

    def __call__(self, tx: Tx, now: int) -> None:
        sweep.some(tx, self.job_key, limit=SWEEP_SIZE, now=now)


@dataclass(frozen=True, slots=True)
class Retire:
    """A finished job that nobody has touched for two years: it goes, and nothing is told of it."""

    job_key: JobKey
    quotas: Quotas

    def __call__(self, tx: Tx, now: int) -> None:
        job = tx.jobs.find_by_key(self.job_key)
        if job is not None and is_retired(job, self.quotas, now):
            sweep.begin(tx, replace(job, sweep=Sweep.DELETE), now)


@dataclass(frozen=True, slots=True)
class Leave:
    """Some members of a deleted group leave the jobs that followed it."""

    group_key: GroupKey

    def __call__(self, tx: Tx, now: int) -> None:
        following.some_leave_deleted_group(tx, self.group_key, limit=LEAVE_SIZE, now=now)


@dataclass(frozen=True, slots=True)
class Purge:
    """One piece of clearing away members that left and groups that were deleted."""

    def __call__(self, tx: Tx, now: int) -> None:
        tx.groups.purge(PURGE_SIZE)


ByClock = TimeOut | ScheduleStep | Tick
"""What must not be late, and so goes before the rest."""

Piece = ByClock | SweepSome | Retire | Leave | Purge


def due_by_clock(
    tx: Tx,
    now: int,
    *,
    spread: bool = False,
    quotas: Quotas = DEFAULT_QUOTAS,
    left_out: Set[Piece] = frozenset(),
) -> Sequence[Piece]:
    """What the clock made due, in its order.

    ``spread``: whether a minute's batch of a rollout may be handed out in parts.
    ``left_out`` is not looked for, so that the first so many found are others.
    """
    timing_out = [piece.job_key for piece in left_out if isinstance(piece, TimeOut)]
    found: list[tuple[Due, Piece]] = [
        (Due(at, Kind.TIME_OUT, key), TimeOut(key))
        for key, at in tx.executions.overdue_jobs(now, LOOKED_AT, timing_out)
    ]
    stepping = [piece.job_key for piece in left_out if isinstance(piece, ScheduleStep)]
    found += [
        (Due(row.at, _kind(row), row.key), ScheduleStep(row.key, spread, quotas))
        for row in tx.jobs.to_look_at(now, MOST_AT_ONCE, stepping)
    ]
    ticking = [piece.rollout_key for piece in left_out if isinstance(piece, Tick)]
    found += [
        (Due(at, Kind.TICK, key), Tick(key, spread, quotas.rollout_per_minute))
        for key, at in tx.rollouts.due(now, MOST_AT_ONCE, ticking)
    ]
    found.sort(key=lambda each: each[0])
    return [piece for _, piece in found]


def due(
    tx: Tx,
    now: int,
    *,
    spread: bool = False,
    quotas: Quotas = DEFAULT_QUOTAS,
    left_out: Set[Piece] = frozenset(),
) -> Sequence[Piece]:
    """What is to be done now: what ``due_by_clock`` gives, then sweeps, then clearing away."""
    pieces = list(due_by_clock(tx, now, spread=spread, quotas=quotas, left_out=left_out))
    sweeping = [piece.job_key for piece in left_out if isinstance(piece, SweepSome)]
    pieces += [SweepSome(key) for key in tx.jobs.to_sweep(MOST_AT_ONCE, sweeping)]
    leaving = [piece.group_key for piece in left_out if isinstance(piece, Leave)]
    pieces += [Leave(key) for key in tx.groups.leaving(MOST_AT_ONCE, leaving)]
    retiring = [piece.job_key for piece in left_out if isinstance(piece, Retire)]
    kept = quotas.retention_days * DAY_MS
    pieces += [Retire(key, quotas) for key, _ in tx.jobs.to_retire(now - kept, MOST_AT_ONCE, retiring)]
    if Purge() not in left_out and tx.groups.has_garbage():
        pieces.append(Purge())
    return pieces


def look(
    tx: Tx,
    now: int,
    *,
    spread: bool = False,
    quotas: Quotas = DEFAULT_QUOTAS,
    left_out: Set[Piece] = frozenset(),
) -> tuple[Sequence[Piece], int | None]:
    """What is to be done now, and if there is nothing, when there will be something.

    Both of one instant: what becomes due between two looks would be in neither answer, and be forgotten.
    """
    pieces = due(tx, now, spread=spread, quotas=quotas, left_out=left_out)
    return pieces, None if pieces else next_due_at(tx, now, quotas=quotas)


def next_due_at(tx: Tx, now: int, *, quotas: Quotas = DEFAULT_QUOTAS) -> int | None:
    """The first instant after ``now`` at which something is due by the clock."""
    kept = quotas.retention_days * DAY_MS
    retires = tx.jobs.next_to_retire(now - kept)
    instants = (
        tx.executions.next_deadline_at(now),
        tx.jobs.next_schedule_at(now),
        tx.rollouts.next_tick_at(now),
        None if retires is None else retires + kept,
    )
    return min((instant for instant in instants if instant is not None), default=None)


def _kind(row: ScheduleRow) -> Kind:
    if row.end_at is not None and row.at >= row.end_at:
        return Kind.JOB_END
    return Kind.JOB_START if row.phase is Phase.WAITING else Kind.WINDOW
