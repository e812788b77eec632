"""Canceling and deleting a job's executions, in pieces that never hold the writer for long.

The job's own change is made at once and decides what devices see; the rows follow. A sweep that is cut
off goes on where it was: what is left to do is what is still in the rows.
"""

from __future__ import annotations

from dataclasses import replace

from thingjobs.domain.arn import job_arn
from thingjobs.domain.effects import VisibilityChanged, WorkDue
from thingjobs.domain.events import DELETED, JobOperation
from thingjobs.domain.job import OPEN, SWEPT_AT_ONCE
from thingjobs.domain.model import PENDING, ExecutionStatus, Job, JobKey, JobStatus, Sweep
from thingjobs.operations.completion import complete_if_done
from thingjobs.operations.events import Telling
from thingjobs.store.tx import Tx

_SWEPT = {
    Sweep.CANCEL: (ExecutionStatus.QUEUED,),
    Sweep.FORCE_CANCEL: (ExecutionStatus.QUEUED, ExecutionStatus.IN_PROGRESS),
    Sweep.DELETE: tuple(ExecutionStatus),
}


def begin(tx: Tx, job: Job, now: int) -> None:
    """Carry out ``job.sweep``: all of it now if that is quick, else leave it to the engine.

    The job may be canceled or in deletion. If it is open, its end time has come; if it is finished and is
    deleted all the same, it is retired, and nothing is told of that.
    """
    assert job.sweep is not None
    tx.rollouts.delete_of_job(job.key)
    tx.jobs.save(job)
    telling = Telling(tx, now)
    if job.status is JobStatus.DELETION_IN_PROGRESS:
        telling.job(job, JobOperation.DELETION_IN_PROGRESS)
    elif job.status is JobStatus.CANCELED and job.sweep is not Sweep.DELETE:
        telling.job(job, JobOperation.CANCELLATION_IN_PROGRESS)
    telling.save()
    counters = tx.jobs.counters(job.key)
    if sum(counters[status] for status in _SWEPT[job.sweep]) <= SWEPT_AT_ONCE:
        some(tx, job.key, limit=SWEPT_AT_ONCE + 1, now=now)
    tx.record(VisibilityChanged(job.scope))
    tx.record(WorkDue())


def some(tx: Tx, job_key: JobKey, *, limit: int, now: int) -> int:
    """Sweep up to ``limit`` executions of a job and end the sweep if that was all; how many it was."""
    job = tx.jobs.find_by_key(job_key)
    if job is None or job.sweep is None:
        return 0
    telling = Telling(tx, now)
    changes: dict[ExecutionStatus, int] = {}
    swept = 0
    for status in _SWEPT[job.sweep]:
        count = _sweep(tx, telling, job, status, limit - swept, now)
        if count:
            changes[status] = -count
            swept += count
    if job.sweep is not Sweep.DELETE and swept:
        changes[ExecutionStatus.CANCELED] = swept
    tx.jobs.add_to_counters({job_key: changes})
    if swept < limit:
        _end(tx, telling, job, now)
    telling.save()
    return swept


def _sweep(tx: Tx, telling: Telling, job: Job, status: ExecutionStatus, limit: int, now: int) -> int:
    if job.sweep is Sweep.DELETE:
        deleted = tx.executions.delete_some(job.key, status, limit=limit)
        if job.status is JobStatus.DELETION_IN_PROGRESS:  # else it is retired, which is not told
            telling.swept(job, DELETED, deleted, force=False)
        return len(deleted)
    assert status in PENDING
    force = job.sweep is Sweep.FORCE_CANCEL
    canceled = tx.executions.cancel_some(job.key, status, force=force, limit=limit, now=now)
    telling.swept(job, JobOperation.CANCELED, canceled, force=force)
    return len(canceled)


def _end(tx: Tx, telling: Telling, job: Job, now: int) -> None:
    if job.sweep is Sweep.DELETE:
        if job.status is JobStatus.DELETION_IN_PROGRESS:
            telling.job(job, JobOperation.DELETED)
        tx.tags.delete_all(job.scope, job_arn(tx.scopes.get(job.scope), job.job_id))
        tx.jobs.delete(job.key)
        return
    done = replace(job, sweep=None)
    tx.jobs.save(done)
    if done.status is JobStatus.CANCELED:
        telling.job(done, JobOperation.CANCELED)
    elif done.status in OPEN:
        telling.save()
        complete_if_done(tx, done.key, now)
