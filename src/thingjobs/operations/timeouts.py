"""Executions whose timer has run out."""

from __future__ import annotations

from thingjobs.domain import deadline
from thingjobs.domain.model import JobKey
from thingjobs.operations import endings
from thingjobs.store.tx import Tx

TIMED_OUT_AT_ONCE = 1_000


def time_out_some(tx: Tx, job_key: JobKey, now: int) -> bool:
    """Time out a job's overdue executions, the longest overdue first; whether that was all."""
    overdue = tx.executions.overdue(job_key, now, TIMED_OUT_AT_ONCE)
    endings.end(tx, [(before, deadline.time_out(before, now=now)) for before in overdue], now)
    return len(overdue) < TIMED_OUT_AT_ONCE
