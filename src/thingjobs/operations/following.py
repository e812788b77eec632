"""Continuous jobs follow their groups: what joining and leaving means for a thing's executions.

Everything is done in sets, one job after the other, so that a group of any size is dealt with in pieces.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from thingjobs.domain.effects import PendingChanged, WorkDue
from thingjobs.domain.model import ExecutionStatus, GroupKey, Job, JobFacts, JobKey, Mark, ThingKey
from thingjobs.domain.targeting import Action, JobMoment, on_join, on_leave
from thingjobs.operations.completion import complete_if_done, has_ended
from thingjobs.operations.events import Telling
from thingjobs.operations.newest import newest_of
from thingjobs.store.tx import Tx

Things = Sequence[tuple[ThingKey, str]]
"""Things by key and name."""

REMOVED = ExecutionStatus.REMOVED.value.lower()
LEFT_AT_ONCE = 1_000
"""Members, times the jobs they leave, of which the end of a group is dealt with before it is answered."""


def joined(tx: Tx, group: GroupKey, things: Things, now: int) -> None:
    """Things have joined a group."""
    for job in _followers(tx, group).values():
        _join(tx, job, things, now)


def left(tx: Tx, group: GroupKey, things: Things, now: int) -> None:
    """Things are in a group no more."""
    for job in _followers(tx, group).values():
        _leave(tx, job, things, now)


def group_deleted(tx: Tx, group: GroupKey, now: int) -> None:
    """A group is gone, and its members have left it: all at once if they are few, else in pieces."""
    if not tx.marks.followers(group):
        return
    tx.groups.begin_leaving(group)
    some_leave_deleted_group(tx, group, limit=LEFT_AT_ONCE, now=now)
    tx.record(WorkDue())


def some_leave_deleted_group(tx: Tx, group: GroupKey, *, limit: int, now: int) -> None:
    """Some members of a deleted group leave all jobs that followed it.

    Shapes: members times jobs are ``limit`` at the most, but one member leaves in any case.
    """
    after = tx.groups.leaving_after(group)
    if after is None:
        return
    followers = _followers(tx, group)
    members = max(1, limit // max(1, len(followers)))
    things = tx.groups.members_to_leave(group, after=after, limit=members)
    for job in followers.values():
        _leave(tx, job, things, now)
    tx.groups.go_on_leaving(group, things[-1][1] if len(things) == members else None)


def some_join_at_opening(tx: Tx, job: Job, *, limit: int, now: int) -> bool:
    """Work off some of the things that joined between two windows; whether that was all."""
    marked = tx.marks.some(job.key, Mark.JOINS_AT_OPENING, limit)
    if not marked:
        return True
    tx.marks.take(job.key, [(key, "") for key, _ in marked], Mark.JOINS_AT_OPENING)
    things = [(key, name) for key, name in marked if name is not None]
    targeted = tx.marks.targeted(job.key, things)
    _join(tx, tx.jobs.facts([job.key])[job.key], [thing for thing in things if thing[0] in targeted], now)
    return len(marked) < limit


# --- one job ------------------------------------------------------------------------------------


def _followers(tx: Tx, group: GroupKey) -> Mapping[JobKey, JobFacts]:
    keys = tx.marks.followers(group)
    facts = tx.jobs.facts(keys) if keys else {}
    return {key: facts[key] for key in keys}


def _join(tx: Tx, job: JobFacts, things: Things, now: int) -> None:
    newest = newest_of(tx, job.job_key, things)
    moment = JobMoment(job.status, job.target_selection, job.phase)
    asked = {key: on_join(moment, newest[key]) for key, _ in things}
    queued = [thing for thing in things if asked[thing[0]] is Action.QUEUE_NEXT]
    waiting = [thing for thing in things if asked[thing[0]] is Action.QUEUE_AT_OPENING]
    if queued:
        tx.executions.queue(job.job_key, queued, now)
        tx.marks.take(job.job_key, queued, Mark.ALL_DELETED)
        tx.jobs.add_to_counters({job.job_key: {ExecutionStatus.QUEUED: len(queued)}})
        tx.record(PendingChanged(job.scope, tuple(name for _, name in queued)))
    if waiting:
        tx.marks.put(job.job_key, waiting, Mark.JOINS_AT_OPENING)


def _leave(tx: Tx, job: JobFacts, things: Things, now: int) -> None:
    newest = newest_of(tx, job.job_key, things)
    targeted = tx.marks.targeted(job.job_key, things)
    moment = JobMoment(job.status, job.target_selection, job.phase)
    asked = {key: on_leave(moment, newest[key], still_targeted=key in targeted) for key, _ in things}
    removed = [thing for thing in things if asked[thing[0]] is Action.REMOVE]
    recorded = [thing for thing in things if asked[thing[0]] is Action.RECORD_REMOVED_ROW]
    if removed:
        _remove(tx, job, removed, now)
    if recorded:
        tx.executions.record_removed(job.job_key, recorded, now)
        tx.marks.take(job.job_key, recorded, Mark.ALL_DELETED)
        tx.jobs.add_to_counters({job.job_key: {ExecutionStatus.REMOVED: len(recorded)}})
    gone = [thing for thing in things if thing[0] not in targeted]
    if gone and job.has_windows:
        tx.marks.take(job.job_key, gone, Mark.JOINS_AT_OPENING)


def _remove(tx: Tx, job: JobFacts, things: Things, now: int) -> None:
    """Take what is queued from things: all alike, since REMOVED neither aborts a job nor is tried again."""
    rows = tx.executions.remove_queued(job.job_key, [key for key, _ in things], now)
    count = len(rows)
    tx.jobs.add_to_counters({job.job_key: {ExecutionStatus.QUEUED: -count, ExecutionStatus.REMOVED: count}})
    tx.record(PendingChanged(job.scope, tuple(row.thing_name for row in rows)))
    telling = Telling(tx, now)
    telling.swept(job, REMOVED, rows, force=False)
    telling.save()
    if has_ended(job, now):
        complete_if_done(tx, job.job_key, now)
