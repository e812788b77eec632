"""Handing a job out: the only place that queues executions.

A job is stored with a rollout: a cursor over its targets. Each tick queues as many executions as the rate
allows, moves the cursor and counts, all in one transaction, so that a tick may be cut off at any point
and be done again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from thingjobs.domain import rollout as rules
from thingjobs.domain.arn import parse_arn
from thingjobs.domain.effects import PendingChanged, WorkDue
from thingjobs.domain.model import ExecutionStatus, Job, Target, TargetSelection, ThingKey
from thingjobs.domain.rollout import Cursor, Rollout
from thingjobs.operations.completion import CounterChanges, complete_finished
from thingjobs.store.tx import Tx


def begin(tx: Tx, job: Job, *, position: int, end_position: int, limited: bool, now: int) -> None:
    """Begin to hand ``job`` out to its targets ``position`` .. ``end_position`` - 1, with the first tick.

    A SNAPSHOT job follows its groups as they are now, whatever happens to them later.
    """
    seq = tx.groups.current_seq() if job.target_selection is TargetSelection.SNAPSHOT else None
    key = tx.rollouts.insert(
        job.key, position=position, end_position=end_position, snapshot_seq=seq, limited=limited, now=now
    )
    tick(tx, key, now)


def tick(tx: Tx, rollout_key: int, now: int) -> None:
    """Queue what the rate allows now; end the rollout when all targets are done.

    Doing nothing if the rollout is gone makes a tick safe to repeat.
    """
    rollout = tx.rollouts.find(rollout_key)
    if rollout is None:
        return
    job = tx.jobs.get(rollout.job_key)
    size = rules.batch_size(job.config.rollout, limited=rollout.limited)
    cursor, queued = _walk(tx, job, rollout, size, now)
    if queued:
        counters = CounterChanges()
        counters.add(job.key, ExecutionStatus.QUEUED, queued)
        counters.save(tx)
    if cursor.position >= rollout.end_position:
        tx.rollouts.delete(rollout.key)
        complete_finished(tx, [job.key], now)
    else:
        tx.rollouts.save(
            replace(
                rollout,
                cursor=cursor,
                next_tick_at=rules.following_tick(rollout, now),
                notified=rollout.notified + queued,
            )
        )
    tx.record(WorkDue())


def _walk(tx: Tx, job: Job, rollout: Rollout, size: int, now: int) -> tuple[Cursor, int]:
    """Queue up to ``size`` executions from the cursor on; where it stands then, and how many were queued."""
    targets = tx.jobs.targets(job.key)
    cursor = rollout.cursor
    queued = 0
    while cursor.position < rollout.end_position:
        left = size - queued
        # One more than wanted is looked for: without it this target is done, and the rollout perhaps too.
        steps = _steps(tx, job, rollout, targets[cursor.position], cursor, left + 1)
        new = _not_given_yet(tx, rollout, cursor, steps[:left])
        if new:
            tx.executions.queue(job.key, new, now)
            tx.record(PendingChanged(job.scope, tuple(name for _, name in new)))
        queued += len(new)
        if len(steps) <= left:
            cursor = Cursor(cursor.position + 1)
        elif left:
            cursor = steps[left - 1].cursor
        if queued >= size and len(steps) > left:
            break
    return cursor, queued


class _Step(NamedTuple):
    """A thing met on the walk, and the cursor once it is dealt with."""

    thing_key: ThingKey
    thing_name: str
    cursor: Cursor


def _steps(tx: Tx, job: Job, rollout: Rollout, target: Target, cursor: Cursor, limit: int) -> list[_Step]:
    if target.group_key is None:
        arn = parse_arn(target.arn)
        assert arn is not None
        assert target.thing_key is not None
        alive = tx.things.keys(job.scope, [arn.name]).get(arn.name) == target.thing_key
        return [_Step(target.thing_key, arn.name, cursor)] if alive else []
    members = tx.groups.walk(
        target.group_key,
        depth=cursor.depth,
        group_name=cursor.group_name,
        after_thing=cursor.after_thing,
        limit=limit,
        seq=rollout.snapshot_seq,
    )
    return [
        _Step(m.thing_key, m.thing_name, Cursor(cursor.position, m.depth, m.group_name, m.thing_name))
        for m in members
    ]


def _not_given_yet(
    tx: Tx, rollout: Rollout, cursor: Cursor, steps: Sequence[_Step]
) -> Sequence[tuple[ThingKey, str]]:
    """Without the things that have the job already: met under an earlier target, or joined late.

    The first target of a snapshot can hold neither.
    """
    things = [(step.thing_key, step.thing_name) for step in steps]
    if not things or (cursor.position == 0 and rollout.snapshot_seq is not None):
        return things
    given = tx.executions.already_given(rollout.job_key, things)
    return [thing for thing in things if thing[0] not in given]
