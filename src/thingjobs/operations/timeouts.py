"""Executions whose timer has run out.

They are timed out as a set, in a few statements, as far as their ends mean the same for the job. Only the
one at which a criterion is met that aborts the job is decided alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from thingjobs.domain import deadline
from thingjobs.domain.abort import ends_before_abort
from thingjobs.domain.effects import PendingChanged
from thingjobs.domain.job import OPEN
from thingjobs.domain.model import ExecutionStatus, JobFacts, JobKey, TargetSelection
from thingjobs.domain.retry import Chain, may_retry, next_attempt
from thingjobs.operations import endings
from thingjobs.operations.completion import complete_if_done, has_ended
from thingjobs.operations.events import Telling
from thingjobs.store.executions import RetryRow, TimedOutRow
from thingjobs.store.tx import Tx

TIMED_OUT_AT_ONCE = 1_000
TIMED_OUT = ExecutionStatus.TIMED_OUT.value.lower()


def time_out_some(tx: Tx, job_key: JobKey, now: int) -> bool:
    """Time out a job's overdue executions, the longest overdue first; whether that was all."""
    job = tx.jobs.facts([job_key]).get(job_key)
    if job is None:
        return True
    limit = TIMED_OUT_AT_ONCE
    if job.abort and job.status in OPEN:
        limit = ends_before_abort(job.abort, tx.jobs.counters(job_key), ExecutionStatus.TIMED_OUT, limit)
    if _time_out_alike(tx, job, limit, now) < limit:
        return True
    if limit == TIMED_OUT_AT_ONCE:
        return False
    last = tx.executions.overdue(job_key, now, 1)
    endings.end(tx, [(before, deadline.time_out(before, now=now)) for before in last], now)
    return not last


def _time_out_alike(tx: Tx, job: JobFacts, limit: int, now: int) -> int:
    """Time out up to ``limit``, none of which aborts the job; how many there were."""
    rows = tx.executions.time_out_some(job.job_key, now, limit) if limit else ()
    if not rows:
        return 0
    retries = _retries(tx, job, rows, now)
    if retries:
        tx.executions.queue_retries(job.job_key, retries, now)
    changes = {
        ExecutionStatus.IN_PROGRESS: -len(rows),
        ExecutionStatus.TIMED_OUT: len(rows),
        ExecutionStatus.QUEUED: len(retries),
    }
    tx.jobs.add_to_counters({job.job_key: changes})
    tx.record(PendingChanged(job.scope, tuple(row.thing_name for row in rows)))
    telling = Telling(tx, now)
    telling.swept(job, TIMED_OUT, rows, force=False)
    telling.save()
    complete_if_done(tx, job.job_key, now)
    return len(rows)


def _retries(tx: Tx, job: JobFacts, rows: Sequence[TimedOutRow], now: int) -> Sequence[RetryRow]:
    if not job.retry or not may_retry(job.status, ended=has_ended(job, now), targeted=True):
        return ()
    found = []
    for row in rows:
        chain = Chain(row.retry_attempt, row.failed_retries)
        following = next_attempt(job.retry, ExecutionStatus.TIMED_OUT, chain)
        if following is not None:
            found.append(RetryRow(row.thing_key, row.thing_name, row.execution_number + 1, *following))
    if job.target_selection is TargetSelection.CONTINUOUS:
        targeted = tx.marks.targeted(job.job_key, [(retry.thing_key, retry.thing_name) for retry in found])
        return [retry for retry in found if retry.thing_key in targeted]
    return found
