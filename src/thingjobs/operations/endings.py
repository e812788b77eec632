"""What the ends of executions mean for their jobs and things: counters, completion, abort, retries.

Whatever may end one execution unlike the next goes through here. Ends are decided one after the other by
``domain.consequence``, each with the counters as they are right after it; what follows is saved at once.
Executions that end by the thousand and all alike do so in ``timeouts``, ``following`` and ``sweep``.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from thingjobs.domain import job as jobs
from thingjobs.domain.abort import EVALUATED_AFTER, REASON_CODE, abort_comment
from thingjobs.domain.consequence import consequence
from thingjobs.domain.effects import PendingChanged
from thingjobs.domain.model import (
    TERMINAL,
    AbortCriterion,
    ExecutionId,
    ExecutionStatus,
    Job,
    JobExecution,
    JobFacts,
    JobKey,
    JobStatus,
    ScopeId,
    TargetSelection,
)
from thingjobs.domain.retry import Chain, may_retry, next_attempt
from thingjobs.operations import sweep
from thingjobs.operations.completion import has_ended, standing, tell_completed
from thingjobs.operations.events import Telling
from thingjobs.store.tx import Tx

FIRST_PROVISIONAL_ID = 2**62
"""Retries that are not stored yet sort behind all that are."""

_Count = dict[ExecutionStatus, int]


class Endings:
    """The ends of one transaction. ``facts`` are kept as they are after the ends so far."""

    def __init__(self, tx: Tx, facts: dict[JobKey, JobFacts], now: int) -> None:
        self.facts = facts
        self.retries: list[JobExecution] = []
        """Those that followed, with provisional ids; whoever uses this class stores them."""
        self._tx = tx
        self._now = now
        self._changes: dict[JobKey, _Count] = {}
        self._counters: dict[JobKey, _Count] | None = None
        self._completed: list[JobKey] = []
        self._aborted: list[Job] = []
        self._telling = Telling(tx, now)

    # --- what happened ------------------------------------------------------------------------------

    def moved(self, before: JobExecution, after: JobExecution) -> JobExecution | None:
        """Take note of a change; the retry that follows from it, if one does."""
        if before.status is after.status:
            return None
        self._count(before.job_key, before.status, -1)
        self._count(before.job_key, after.status, 1)
        if after.status not in TERMINAL:
            return None
        job = self.facts[before.job_key]
        self._telling.ended(job, after)
        criteria = job.abort if after.status in EVALUATED_AFTER else None
        return self._follow(job, criteria, after, self._due_retry(job, after))

    def deleted(self, execution: JobExecution) -> None:
        self._count(execution.job_key, execution.status, -1)
        job = self.facts[execution.job_key]
        self._telling.deleted(job, execution)
        self._follow(job, job.abort, execution, None)

    def save(self) -> None:
        """Store counters, in job order, then what became of jobs, and the events of it all."""
        self._tx.jobs.add_to_counters(self._changes)
        self._changes = {}
        if self._completed:
            self._tx.jobs.complete(self._completed, self._now)
            self._completed = []
        self._telling.save()
        for job in self._aborted:
            sweep.begin(self._tx, job, self._now)
        self._aborted = []

    # --- what follows -------------------------------------------------------------------------------

    def _due_retry(self, job: JobFacts, ended: JobExecution) -> Chain | None:
        if not job.retry:
            return None
        chain = next_attempt(job.retry, ended.status, Chain(ended.retry_attempt, ended.failed_retries))
        if chain is None:
            return None
        targeted = True
        if job.target_selection is TargetSelection.CONTINUOUS:
            thing = (ended.thing_key, ended.thing_name)
            targeted = bool(self._tx.marks.targeted(job.job_key, [thing]))
        return chain if may_retry(job.status, ended=has_ended(job, self._now), targeted=targeted) else None

    def _follow(
        self,
        job: JobFacts,
        criteria: Sequence[AbortCriterion] | None,
        ended: JobExecution,
        retry: Chain | None,
    ) -> JobExecution | None:
        if job.status not in jobs.OPEN:
            return None
        counters = self._counters_of(job.job_key)
        follows = consequence(standing(job, self._now), counters, criteria=criteria, retry=retry)
        if follows.completes:
            self._complete(job)
        elif follows.aborts is not None:
            self._abort(job, abort_comment(follows.aborts, counters))
        elif follows.retry is not None:
            return self._retry(ended, follows.retry)
        return None

    def _complete(self, job: JobFacts) -> None:
        self.facts[job.job_key] = job._replace(status=JobStatus.COMPLETED)
        self._completed.append(job.job_key)
        tell_completed(self._tx, self._telling, job, self._counters_of(job.job_key), self._now)

    def _abort(self, job: JobFacts, comment: str) -> None:
        canceled = jobs.cancel(
            self._tx.jobs.get(job.job_key),
            force=False,
            reason_code=REASON_CODE,
            comment=comment,
            now=self._now,
        )
        self.facts[job.job_key] = job._replace(status=canceled.status, sweep=canceled.sweep)
        self._aborted.append(canceled)

    def _retry(self, ended: JobExecution, chain: Chain) -> JobExecution:
        retry = JobExecution(
            id=ExecutionId(FIRST_PROVISIONAL_ID + len(self.retries)),
            job_key=ended.job_key,
            thing_key=ended.thing_key,
            thing_name=ended.thing_name,
            execution_number=ended.execution_number + 1,
            status=ExecutionStatus.QUEUED,
            version=1,
            retry_attempt=chain.retry_attempt,
            failed_retries=chain.failed_retries,
            force_canceled=False,
            status_details=None,
            queued_at=self._now,
            started_at=None,
            last_updated_at=self._now,
            in_progress_deadline_at=None,
            step_deadline_at=None,
        )
        self.retries.append(retry)
        self._count(retry.job_key, ExecutionStatus.QUEUED, 1)
        return retry

    # --- counting -----------------------------------------------------------------------------------

    def _count(self, job_key: JobKey, status: ExecutionStatus, count: int) -> None:
        change = self._changes.get(job_key)
        if change is None:
            change = self._changes[job_key] = {}
        change[status] = change.get(status, 0) + count
        if self._counters is not None:
            self._counters[job_key][status] += count

    def _counters_of(self, job_key: JobKey) -> _Count:
        """A job's counters as they are now: those stored, and all changes since."""
        if self._counters is None:
            self._counters = {
                key: dict(stored) for key, stored in self._tx.jobs.counters_of(self.facts).items()
            }
            for key, change in self._changes.items():
                for status, count in change.items():
                    self._counters[key][status] += count
        return self._counters[job_key]


def end(tx: Tx, changes: Sequence[tuple[JobExecution, JobExecution]], now: int) -> None:
    """Store changes (before, after) that end executions, in this order, and all that follows from them."""
    if not changes:
        return
    endings = of_jobs(tx, {before.job_key for before, _ in changes}, now)
    for before, after in changes:
        endings.moved(before, after)
    tx.executions.save(changes)
    if endings.retries:
        tx.executions.insert(endings.retries)
    names: dict[ScopeId, list[str]] = {}
    for before, _ in changes:
        names.setdefault(endings.facts[before.job_key].scope, []).append(before.thing_name)
    for scope, changed in names.items():
        tx.record(PendingChanged(scope, tuple(changed)))
    endings.save()


def of_jobs(tx: Tx, job_keys: Iterable[JobKey], now: int) -> Endings:
    return Endings(tx, dict(tx.jobs.facts(job_keys)), now)
