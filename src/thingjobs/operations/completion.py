"""What a change of executions means for their jobs: counters, and completion."""

from __future__ import annotations

from collections.abc import Iterable

from thingjobs.domain.job import is_complete
from thingjobs.domain.model import TERMINAL, ExecutionStatus, JobKey
from thingjobs.store.tx import Tx


class CounterChanges:
    """Counter changes gathered over a batch; ``finished`` are the jobs of which an execution ended."""

    def __init__(self) -> None:
        self._changes: dict[JobKey, dict[ExecutionStatus, int]] = {}
        self.finished: set[JobKey] = set()

    def add(self, job: JobKey, status: ExecutionStatus, count: int) -> None:
        change = self._changes.setdefault(job, {})
        change[status] = change.get(status, 0) + count

    def moved(self, job: JobKey, was: ExecutionStatus, now_is: ExecutionStatus, count: int = 1) -> None:
        """``count`` executions went from one status to another."""
        if was is now_is:
            return
        self.add(job, was, -count)
        self.add(job, now_is, count)
        if now_is in TERMINAL:
            self.finished.add(job)

    def deleted(self, job: JobKey, was: ExecutionStatus, count: int = 1) -> None:
        self.add(job, was, -count)
        self.finished.add(job)

    def save(self, tx: Tx) -> None:
        tx.jobs.add_to_counters(self._changes)


def complete_finished(tx: Tx, jobs: Iterable[JobKey], now: int) -> None:
    """Complete those of ``jobs`` that have been handed out and have nothing pending."""
    jobs = set(jobs)
    if not jobs:
        return
    done = [
        job.key
        for job in tx.jobs.standing(jobs)
        if is_complete(job.status, job.target_selection, rolling_out=job.rolling_out, pending=job.pending)
    ]
    if done:
        tx.jobs.complete(done, now)
