"""Work that nobody waits for, in pieces that can be done twice: what is due, and how each is done."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from thingjobs.domain.model import JobKey
from thingjobs.operations import rollout, sweep
from thingjobs.store.tx import Tx

MANUAL_CLOCK = "manual_clock_now"
"""Under this name the store remembers where a manual clock stands."""

SWEEP_SIZE = 2_000
PURGE_SIZE = 2_000
MOST_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class Tick:
    """One tick of a rollout."""

    rollout_key: int

    def __call__(self, tx: Tx, now: int) -> None:
        found = tx.rollouts.find(self.rollout_key)
        if found is not None and found.next_tick_at <= now:
            rollout.tick(tx, self.rollout_key, now)


@dataclass(frozen=True, slots=True)
class SweepSome:
    """One piece of canceling or deleting a job's executions."""

    job_key: JobKey

    def __call__(self, tx: Tx, now: int) -> None:
        sweep.some(tx, self.job_key, limit=SWEEP_SIZE, now=now)


@dataclass(frozen=True, slots=True)
class Purge:
    """One piece of clearing away members that left and groups that were deleted."""

    def __call__(self, tx: Tx, now: int) -> None:
        tx.groups.purge(PURGE_SIZE)


Piece = Tick | SweepSome | Purge


def due(tx: Tx, now: int) -> Sequence[Piece]:
    """What is to be done now: ticks by due instant, then sweeps, then clearing away."""
    pieces: list[Piece] = [Tick(key) for key in tx.rollouts.due(now, MOST_AT_ONCE)]
    pieces += [SweepSome(key) for key in tx.jobs.to_sweep(MOST_AT_ONCE)]
    if tx.groups.has_garbage():
        pieces.append(Purge())
    return pieces


def next_due_at(tx: Tx, now: int) -> int | None:
    """The first instant after ``now`` at which something is due by the clock."""
    return tx.rollouts.next_tick_at(now)
