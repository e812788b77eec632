"""Canceling and deleting a job's executions, in pieces that never hold the writer for long.

The job's own change is made at once and decides what devices see; the rows follow. A sweep that is cut
off goes on where it was: what is left to do is what is still in the rows.
"""

from __future__ import annotations

from dataclasses import replace

from thingjobs.domain.arn import job_arn
from thingjobs.domain.effects import VisibilityChanged, WorkDue
from thingjobs.domain.job import SWEPT_AT_ONCE
from thingjobs.domain.model import PENDING, ExecutionStatus, Job, JobKey, Sweep
from thingjobs.operations.completion import CounterChanges
from thingjobs.store.tx import Tx

_SWEPT = {
    Sweep.CANCEL: (ExecutionStatus.QUEUED,),
    Sweep.FORCE_CANCEL: (ExecutionStatus.QUEUED, ExecutionStatus.IN_PROGRESS),
    Sweep.DELETE: tuple(ExecutionStatus),
}


def begin(tx: Tx, job: Job, now: int) -> None:
    """Carry out ``job.sweep``: all of it now if that is quick, else leave it to the engine."""
    assert job.sweep is not None
    tx.rollouts.delete_of_job(job.key)
    tx.jobs.save(job)
    counters = tx.jobs.counters(job.key)
    if sum(counters[status] for status in _SWEPT[job.sweep]) <= SWEPT_AT_ONCE:
        some(tx, job.key, limit=SWEPT_AT_ONCE + 1, now=now)
    tx.record(VisibilityChanged(job.scope))
    tx.record(WorkDue())


def some(tx: Tx, job_key: JobKey, *, limit: int, now: int) -> int:
    """Sweep up to ``limit`` executions of a job and end the sweep if that was all; how many it was."""
    job = tx.jobs.get(job_key)
    if job.sweep is None:
        return 0
    counters = CounterChanges()
    swept = 0
    for status in _SWEPT[job.sweep]:
        count = _sweep(tx, job, status, limit - swept, now)
        if count:
            if job.sweep is Sweep.DELETE:
                counters.deleted(job_key, status, count)
            else:
                counters.moved(job_key, status, ExecutionStatus.CANCELED, count)
        swept += count
    counters.save(tx)
    if swept < limit:
        _end(tx, job)
    return swept


def _sweep(tx: Tx, job: Job, status: ExecutionStatus, limit: int, now: int) -> int:
    if job.sweep is Sweep.DELETE:
        return tx.executions.delete_some(job.key, status, limit=limit)
    assert status in PENDING
    force = job.sweep is Sweep.FORCE_CANCEL
    return tx.executions.cancel_some(job.key, status, force=force, limit=limit, now=now)


def _end(tx: Tx, job: Job) -> None:
    if job.sweep is Sweep.DELETE:
        tx.tags.delete_all(job.scope, job_arn(tx.scopes.get(job.scope), job.job_id))
        tx.jobs.delete(job.key)
    else:
        tx.jobs.save(replace(job, sweep=None))
