"""Handing a job out: the only place that queues executions.

A job is stored with a rollout: a cursor over its targets. Each tick queues as many executions as the rate
allows, moves the cursor and counts, all in one transaction, so that a tick may be cut off at any point
and be done again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from thingjobs.domain.arn import parse_arn
from thingjobs.domain.effects import PendingChanged, WorkDue
from thingjobs.domain.job import OPEN
from thingjobs.domain.model import ExecutionStatus, Job, JobKey, Mark, Target, TargetSelection, ThingKey
from thingjobs.domain.quotas import DEFAULT_QUOTAS
from thingjobs.domain.rollout import NEVER, Cursor, Rollout
from thingjobs.domain.rollout_rate import Minute, Slice, minute_at, plan_slice
from thingjobs.domain.targeting import Action, JobMoment, on_associate, on_turn
from thingjobs.operations.completion import complete_if_done
from thingjobs.operations.newest import newest_of
from thingjobs.store.tx import Tx

ASSOCIATED_AT_ONCE = 1_000
"""Things of targets that were associated later wait for no rate; this only bounds a transaction."""

LOOK_AHEAD = 100
"""Things looked at together, at least, behind the last one that the rate allows."""

LOOKED_AT_ONCE = 5_000
"""Things and targets a tick looks at before it lets others have the writer."""


def begin(
    tx: Tx,
    job: Job,
    *,
    position: int,
    end_position: int,
    limited: bool,
    spread: bool,
    per_minute: int = DEFAULT_QUOTAS.rollout_per_minute,
    now: int,
) -> None:
    """Begin to hand ``job`` out to its targets ``position`` .. ``end_position`` - 1, with the first tick.

    A SNAPSHOT job follows its groups as they are now, whatever happens to them later.
    """
    seq = tx.groups.current_seq() if job.target_selection is TargetSelection.SNAPSHOT else None
    key = tx.rollouts.insert(
        job.key, position=position, end_position=end_position, snapshot_seq=seq, limited=limited, now=now
    )
    tick(tx, key, now, spread=spread, per_minute=per_minute)


def pause(tx: Tx, job_key: JobKey) -> None:
    """Hand out no more until ``resume``."""
    for rollout in tx.rollouts.of_job(job_key):
        tx.rollouts.save(replace(rollout, next_tick_at=NEVER, minute=None))


def resume(
    tx: Tx,
    job_key: JobKey,
    *,
    spread: bool,
    per_minute: int = DEFAULT_QUOTAS.rollout_per_minute,
    now: int,
) -> None:
    """Go on, with a new series of ticks; what was handed out before counts on."""
    for rollout in tx.rollouts.of_job(job_key):
        tx.rollouts.save(replace(rollout, started_at=now, next_tick_at=now, minute=None))
        tick(tx, rollout.key, now, spread=spread, per_minute=per_minute)


def tick(
    tx: Tx,
    rollout_key: int,
    now: int,
    *,
    spread: bool = False,
    per_minute: int = DEFAULT_QUOTAS.rollout_per_minute,
) -> None:
    """Queue what the rate allows now; end the rollout when all targets are done.

    Where very many things have the job already, it is due again at once and goes on behind those it saw.
    ``spread``: a minute's batch may be handed out in parts (only of a job that has a rate of its own).
    ``per_minute``: the rate of a job that has none.
    Doing nothing if the rollout is gone makes a tick safe to repeat.
    """
    rollout = tx.rollouts.find(rollout_key)
    if rollout is None:
        return
    job = tx.jobs.get(rollout.job_key)
    if job.status not in OPEN:  # its end came first
        tx.rollouts.delete(rollout.key)
        return
    minute, part = _allowed(tx, job, rollout, spread, per_minute, now)
    cursor, queued, is_cut_short = _walk(tx, job, rollout, part.size, now)
    if queued:
        tx.jobs.add_to_counters({job.key: {ExecutionStatus.QUEUED: queued}})
    if cursor.position >= rollout.end_position:
        tx.rollouts.delete(rollout.key)
        complete_if_done(tx, job.key, now)
    else:
        tx.rollouts.save(
            replace(
                rollout,
                cursor=cursor,
                next_tick_at=now if is_cut_short else part.next_at,
                notified=rollout.notified + queued,
                minute=minute and minute._replace(handed_out=minute.handed_out + queued),
            )
        )
    tx.record(WorkDue())


def _allowed(
    tx: Tx, job: Job, rollout: Rollout, spread: bool, per_minute: int, now: int
) -> tuple[Minute | None, Slice]:
    """The minute the rollout is in, and what may be handed out now."""
    if not rollout.limited:
        return None, Slice(ASSOCIATED_AT_ONCE, now)
    config = job.config.rollout
    grows_with_success = config and config.exponential_rate and config.exponential_rate.succeeded_things
    minute = minute_at(
        rollout.minute,
        config,
        started_at=rollout.started_at,
        now=now,
        notified=rollout.notified,
        succeeded=tx.jobs.counters(job.key)[ExecutionStatus.SUCCEEDED] if grows_with_success else 0,
        default=per_minute,
    )
    return minute, plan_slice(minute, now, spread=spread and config is not None)


class _Walked(NamedTuple):
    """Where the walk stands, how many it queued, and whether it had only looked at too many to go on."""

    cursor: Cursor
    queued: int
    is_cut_short: bool


def _walk(tx: Tx, job: Job, rollout: Rollout, size: int, now: int) -> _Walked:
    """Queue up to ``size`` executions from the cursor on.

    It stops before the first thing that is too many: when only things that have the job already are left,
    the rollout is done.
    """
    targets = tx.jobs.targets(job.key)
    cursor = rollout.cursor
    queued = looked_at = 0
    while cursor.position < rollout.end_position:
        if looked_at >= LOOKED_AT_ONCE:
            return _Walked(cursor, queued, is_cut_short=True)
        limit = min(max(size - queued + 1, LOOK_AHEAD), LOOKED_AT_ONCE - looked_at)
        steps = _steps(tx, job, rollout, targets[cursor.position], cursor, limit)
        looked_at += len(steps) or 1
        fresh = _to_be_given(tx, job, rollout, cursor, steps)
        taken = fresh[: size - queued]
        if taken:
            things = _things(taken)
            tx.executions.queue(job.key, things, now)
            if not rollout.limited:
                tx.marks.take(job.key, things, Mark.ALL_DELETED)
            tx.record(PendingChanged(job.scope, tuple(step.thing_name for step in taken)))
        queued += len(taken)
        if len(taken) < len(fresh):
            return _Walked(taken[-1].cursor if taken else cursor, queued, is_cut_short=False)
        cursor = steps[-1].cursor if len(steps) == limit else Cursor(cursor.position + 1)
    return _Walked(cursor, queued, is_cut_short=False)


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
        return [_Step(target.thing_key, arn.name, Cursor(cursor.position + 1))] if alive else []
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


def _to_be_given(
    tx: Tx, job: Job, rollout: Rollout, cursor: Cursor, steps: Sequence[_Step]
) -> Sequence[_Step]:
    """Without the things that have the job already: met under an earlier target, or joined late.

    The first target of a snapshot can hold neither.
    """
    if not steps or (cursor.position == 0 and rollout.snapshot_seq is not None):
        return steps
    things = _things(steps)
    newest = newest_of(tx, job.key, things)
    if rollout.limited:
        actions = [on_turn(newest[step.thing_key]) for step in steps]
    else:
        moment = JobMoment(job.status, job.target_selection, job.phase)
        before = tx.marks.targeted(job.key, things, before=cursor.position)
        actions = [
            on_associate(moment, newest[step.thing_key], targeted_before=step.thing_key in before)
            for step in steps
        ]
    return [step for step, action in zip(steps, actions, strict=True) if action is Action.QUEUE_NEXT]


def _things(steps: Sequence[_Step]) -> Sequence[tuple[ThingKey, str]]:
    return [(step.thing_key, step.thing_name) for step in steps]
