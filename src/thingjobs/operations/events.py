"""Telling of what happened to jobs and executions, for the scopes that asked for it.

Events are stored in the transaction of what they tell, and published after it is durable, in their order
and at least once: a server that dies in between publishes them when it is back.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import msgspec

from thingjobs.domain import events as rules
from thingjobs.domain.arn import thing_arn
from thingjobs.domain.effects import EventsWaiting
from thingjobs.domain.events import JobOperation
from thingjobs.domain.model import Counters, Job, JobExecution, JobFacts, Scope, ScopeId
from thingjobs.store.events import WaitingEvent
from thingjobs.store.executions import SweptRow, TimedOutRow
from thingjobs.store.tx import Tx

PUBLISHED_AT_ONCE = 500

_DETAILS = msgspec.json.Decoder(dict[str, str])


class Telling:
    """Gathers the events of one transaction, and stores them with ``save``."""

    def __init__(self, tx: Tx, now: int) -> None:
        self._tx = tx
        self._now = now
        self._wanted: dict[ScopeId, frozenset[str]] = {}
        self._scopes: dict[ScopeId, Scope] = {}
        self._events: list[tuple[ScopeId, rules.Event]] = []

    def ended(self, job: JobFacts, execution: JobExecution) -> None:
        """An execution reached a terminal status."""
        if self._wants(job.scope, rules.JOB_EXECUTION):
            self._execution(job.scope, job.job_id, execution.status.value.lower(), execution)

    def deleted(self, job: JobFacts, execution: JobExecution) -> None:
        if self._wants(job.scope, rules.JOB_EXECUTION):
            self._execution(job.scope, job.job_id, rules.DELETED, execution)

    def swept(
        self, job: Job | JobFacts, operation: str, rows: Sequence[SweptRow | TimedOutRow], *, force: bool
    ) -> None:
        """Executions of a job were ended or deleted all alike."""
        if not rows or not self._wants(job.scope, rules.JOB_EXECUTION):
            return
        scope = self._scope(job.scope)
        for row in rows:
            event = rules.execution_event(
                job.job_id,
                operation,
                thing_arn=thing_arn(scope, row.thing_name),
                execution_number=row.execution_number,
                status_details=None if row.status_details is None else _DETAILS.decode(row.status_details),
                force_canceled=force,
                event_id=str(uuid.uuid4()),
                now=self._now,
            )
            self._events.append((job.scope, event))

    def job(self, job: Job, operation: JobOperation, counters: Counters | None = None) -> None:
        """``job`` as it is now; ``counters``: those that the store will have, if it does not yet."""
        if not self.wants_job(job.scope):
            return
        event = rules.job_event(
            job,
            operation,
            targets=[target.arn for target in self._tx.jobs.targets(job.key)],
            counters=self._tx.jobs.counters(job.key) if counters is None else counters,
            event_id=str(uuid.uuid4()),
            now=self._now,
        )
        self._events.append((job.scope, event))

    def wants_job(self, scope: ScopeId) -> bool:
        """Whether ``job`` would do anything."""
        return self._wants(scope, rules.JOB)

    def save(self) -> None:
        if not self._events:
            return
        self._tx.events.add(self._events)
        self._tx.record(EventsWaiting())
        self._events = []

    def _execution(self, scope: ScopeId, job_id: str, operation: str, execution: JobExecution) -> None:
        event = rules.execution_event(
            job_id,
            operation,
            thing_arn=thing_arn(self._scope(scope), execution.thing_name),
            execution_number=execution.execution_number,
            status_details=execution.status_details,
            force_canceled=execution.force_canceled,
            event_id=str(uuid.uuid4()),
            now=self._now,
        )
        self._events.append((scope, event))

    def _wants(self, scope: ScopeId, event_type: str) -> bool:
        wanted = self._wanted.get(scope)
        if wanted is None:
            enabled = self._tx.events.configurations(scope).enabled
            wanted = self._wanted[scope] = frozenset(name for name, on in enabled.items() if on)
        return event_type in wanted

    def _scope(self, scope: ScopeId) -> Scope:
        if scope not in self._scopes:
            self._scopes[scope] = self._tx.scopes.get(scope)
        return self._scopes[scope]


# --- publishing -------------------------------------------------------------------------------------


def waiting(tx: Tx, now: int) -> Sequence[WaitingEvent]:
    """The next events to publish, in their order."""
    return tx.events.waiting(PUBLISHED_AT_ONCE)


def published(tx: Tx, events: Sequence[WaitingEvent]) -> None:
    """Forget the events that ``waiting`` gave; a server that dies before publishes them again."""
    tx.events.published(events[-1].id)
