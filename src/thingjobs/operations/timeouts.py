"""Executions whose timer has run out."""

from __future__ import annotations

from thingjobs.domain import deadline
from thingjobs.domain.effects import PendingChanged
from thingjobs.domain.model import ExecutionStatus, Job, JobKey
from thingjobs.operations import endings
from thingjobs.operations.completion import complete_if_done
from thingjobs.operations.events import Telling
from thingjobs.store.tx import Tx

TIMED_OUT_AT_ONCE = 1_000
TIMED_OUT = ExecutionStatus.TIMED_OUT.value.lower()


def time_out_some(tx: Tx, job_key: JobKey, now: int) -> bool:
    """Time out a job's overdue executions, the longest overdue first; whether that was all.

    Where one's end may mean something for the others (an abort, a retry) they are ended one by one, else
    in one statement.
    """
    job = tx.jobs.find_by_key(job_key)
    if job is not None and job.sweep is None and not job.config.abort and not job.config.retry:
        return _time_out_alike(tx, job, now)
    overdue = tx.executions.overdue(job_key, now, TIMED_OUT_AT_ONCE)
    endings.end(tx, [(before, deadline.time_out(before, now=now)) for before in overdue], now)
    return len(overdue) < TIMED_OUT_AT_ONCE


def _time_out_alike(tx: Tx, job: Job, now: int) -> bool:
    rows = tx.executions.time_out_some(job.key, now, TIMED_OUT_AT_ONCE)
    if rows:
        count = len(rows)
        tx.jobs.add_to_counters(
            {job.key: {ExecutionStatus.IN_PROGRESS: -count, ExecutionStatus.TIMED_OUT: count}}
        )
        tx.record(PendingChanged(job.scope, tuple(row.thing_name for row in rows)))
        telling = Telling(tx, now)
        telling.swept(job, TIMED_OUT, rows, force=False)
        telling.save()
        complete_if_done(tx, job.key, now)
    return len(rows) < TIMED_OUT_AT_ONCE
