"""What devices ask for, decided in sets.

A batch of requests loads every execution it may touch at once; each request is decided in order of
arrival by the pure rules of ``domain``; what changed is saved at once, counters once per job. Requests
are the shapes of the data-plane model and answers too, so that HTTP and MQTT are two spellings of the
same thing. A refusal is an answer: it never harms the others of its batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from thingjobs.domain import deadline, pending
from thingjobs.domain import execution as rules
from thingjobs.domain.effects import PendingChanged
from thingjobs.domain.errors import ResourceNotFound, ServiceError, TerminalStateReached
from thingjobs.domain.model import (
    TERMINAL,
    ExecutionStatus,
    JobExecution,
    JobFacts,
    JobStatus,
    ScopeId,
    ThingKey,
)
from thingjobs.domain.quotas import DEFAULT_QUOTAS, Quotas
from thingjobs.domain.timestamps import whole_seconds
from thingjobs.operations.device_documents import DeviceDocuments
from thingjobs.operations.endings import Endings
from thingjobs.store.executions import ExecutionName, ThingName
from thingjobs.store.tx import Tx
from thingjobs.wire.shapes import iot_jobs_data as shapes

NEXT = "$next"

Request = (
    shapes.GetPendingJobExecutionsRequest
    | shapes.StartNextPendingJobExecutionRequest
    | shapes.DescribeJobExecutionRequest
    | shapes.UpdateJobExecutionRequest
)
Response = (
    shapes.GetPendingJobExecutionsResponse
    | shapes.StartNextPendingJobExecutionResponse
    | shapes.DescribeJobExecutionResponse
    | shapes.UpdateJobExecutionResponse
)

_Naming = shapes.UpdateJobExecutionRequest | shapes.DescribeJobExecutionRequest


class Command(NamedTuple):
    """One device's request, and the scope its thing is in."""

    scope: ScopeId
    request: Request


class DeviceOperations:
    """The data plane's operations. They remember nothing but job documents, which never change."""

    def __init__(self, documents: DeviceDocuments, quotas: Quotas = DEFAULT_QUOTAS) -> None:
        self._documents = documents
        self._quotas = quotas

    def changes(self, request: Request) -> bool:
        """Whether a request may change something, and so has to go through ``apply``."""
        return isinstance(
            request, shapes.StartNextPendingJobExecutionRequest | shapes.UpdateJobExecutionRequest
        )

    def apply(self, tx: Tx, commands: Sequence[Command], now: int) -> Sequence[Response | ServiceError]:
        """Decide requests of any kind and save what they change."""
        working = _Working(tx, commands, now)
        working.settle_overdue()
        answers = [self._decide(tx, working, i, command, now) for i, command in enumerate(commands)]
        working.save()
        return answers

    def look_up(self, tx: Tx, command: Command, now: int) -> Response:
        """Answer a request that changes nothing, on a reading transaction. Errors: ServiceError."""
        working = _Working(tx, [command], now)
        working.see_overdue()
        answer = self._decide(tx, working, 0, command, now)
        if isinstance(answer, ServiceError):
            raise answer
        return answer

    def _decide(
        self, tx: Tx, working: _Working, index: int, command: Command, now: int
    ) -> Response | ServiceError:
        request = command.request
        try:
            match request:
                case shapes.UpdateJobExecutionRequest():
                    return self._update(tx, working, index, command.scope, request, now)
                case shapes.StartNextPendingJobExecutionRequest():
                    return self._start_next(tx, working, command.scope, request, now)
                case shapes.GetPendingJobExecutionsRequest():
                    return _get_pending(working, command.scope, request, self._quotas)
                case shapes.DescribeJobExecutionRequest():
                    return self._describe(tx, working, index, command.scope, request, now)
        except ServiceError as refusal:
            return refusal

    # --- the four operations ------------------------------------------------------------------------

    def _start_next(
        self,
        tx: Tx,
        working: _Working,
        scope: ScopeId,
        request: shapes.StartNextPendingJobExecutionRequest,
        now: int,
    ) -> shapes.StartNextPendingJobExecutionResponse:
        rules.check_step_timeout(
            request.step_timeout_in_minutes, may_discard=False, most=self._quotas.step_timeout_minutes
        )
        queue = working.queue_of(scope, request.thing_name)
        if not queue:
            return shapes.StartNextPendingJobExecutionResponse()
        before = queue[0]
        job = working.jobs[before.job_key]
        after = rules.start_next(
            before,
            job,
            status_details=request.status_details,
            step_timeout_minutes=request.step_timeout_in_minutes,
            now=now,
        )
        working.change(before, after)
        return shapes.StartNextPendingJobExecutionResponse(
            execution=_described(after, job, self._documents.text(tx, job, now), now)
        )

    def _update(
        self,
        tx: Tx,
        working: _Working,
        index: int,
        scope: ScopeId,
        request: shapes.UpdateJobExecutionRequest,
        now: int,
    ) -> shapes.UpdateJobExecutionResponse:
        rules.check_step_timeout(
            request.step_timeout_in_minutes, may_discard=True, most=self._quotas.step_timeout_minutes
        )
        trigger = rules.check_settable(ExecutionStatus(request.status))
        before, job = working.named(index, scope, request)
        after = rules.report(
            rules.as_seen_by_device(before, job),
            job,
            trigger,
            status_details=request.status_details,
            expected_version=request.expected_version,
            step_timeout_minutes=request.step_timeout_in_minutes,
            now=now,
        )
        working.change(before, after)
        state = shapes.JobExecutionState(
            status=after.status.value,
            status_details=_details(after),
            version_number=after.version,
        )
        return shapes.UpdateJobExecutionResponse(
            execution_state=state if request.include_job_execution_state else None,
            job_document=self._documents.text(tx, job, now) if request.include_job_document else None,
        )

    def _describe(
        self,
        tx: Tx,
        working: _Working,
        index: int,
        scope: ScopeId,
        request: shapes.DescribeJobExecutionRequest,
        now: int,
    ) -> shapes.DescribeJobExecutionResponse:
        if request.job_id == NEXT:
            queue = working.queue_of(scope, request.thing_name)
            if not queue:
                return shapes.DescribeJobExecutionResponse()
            execution = queue[0]
            job = working.jobs[execution.job_key]
        else:
            execution, job = working.named(index, scope, request)
            if rules.as_seen_by_device(execution, job).status in TERMINAL:
                raise TerminalStateReached
        document = None if request.include_job_document is False else self._documents.text(tx, job, now)
        return shapes.DescribeJobExecutionResponse(execution=_described(execution, job, document, now))


class _Working:
    """The executions a batch of requests touches, as they are after the requests decided so far."""

    def __init__(self, tx: Tx, commands: Sequence[Command], now: int) -> None:
        queues: set[ThingName] = set()
        names: list[ExecutionName] = []
        positions: list[int] = []
        for i, (scope, request) in enumerate(commands):
            if isinstance(request, shapes.UpdateJobExecutionRequest) or (
                isinstance(request, shapes.DescribeJobExecutionRequest) and request.job_id != NEXT
            ):
                positions.append(i)
                names.append((scope, request.thing_name, request.job_id, request.execution_number))
            else:
                queues.add((scope, request.thing_name))
        loaded: list[JobExecution] = []
        self._things: dict[ThingName, ThingKey] = {}
        self._queues: dict[ThingKey, list[int]] = {}
        self._named: dict[int, int] = {}
        self._scopes: dict[int, ScopeId] = {}
        if queues:
            things, pending_executions = tx.executions.pending_of_things(queues)
            self._things.update(things)
            loaded += pending_executions
            scopes = {key: scope for (scope, _), key in things.items()}
            for execution in pending_executions:
                self._queues.setdefault(execution.thing_key, []).append(execution.id)
                self._scopes[execution.id] = scopes[execution.thing_key]
        if names:
            for at, execution in tx.executions.named(names).items():
                self._named[positions[at]] = execution.id
                self._scopes[execution.id] = names[at][0]
                loaded.append(execution)
        self._before: dict[int, JobExecution] = {execution.id: execution for execution in loaded}
        self._now: dict[int, JobExecution] = dict(self._before)
        self.jobs = dict(tx.jobs.facts({execution.job_key for execution in loaded})) if loaded else {}
        self._tx = tx
        self._at = now
        self._endings = Endings(tx, self.jobs, now)
        self._retried: dict[tuple[ScopeId, str, str], list[int]] = {}

    def settle_overdue(self) -> None:
        """Time out what is overdue before anything is decided, the longest overdue first."""
        overdue = [
            (deadline_at, execution.id)
            for execution in self._before.values()
            if (deadline_at := deadline.deadline_at(execution)) is not None and deadline_at <= self._at
        ]
        for _, id_ in sorted(overdue):
            execution = self._before[id_]
            self.change(execution, deadline.time_out(execution, now=self._at))

    def see_overdue(self) -> None:
        """Show what is overdue as timed out, where nothing can be stored."""
        self._now = {id_: deadline.as_of(execution, self._at) for id_, execution in self._before.items()}

    def queue_of(self, scope: ScopeId, thing_name: str) -> list[JobExecution]:
        """The pending list of a thing, in order. Errors: ResourceNotFound without such a thing."""
        thing = self._things.get((scope, thing_name))
        if thing is None:
            raise ResourceNotFound(f"Thing {thing_name} not found.")
        executions = [self._now[id_] for id_ in self._queues.get(thing, ())]
        return pending.in_order(e for e in executions if pending.is_visible(e, self.jobs[e.job_key]))

    def named(self, index: int, scope: ScopeId, request: _Naming) -> tuple[JobExecution, JobFacts]:
        """The execution that request ``index`` names, and its job. Errors: ResourceNotFound."""
        id_ = self._named.get(index)
        if self._retried:
            id_ = self._or_retry(id_, scope, request)
        if id_ is None or self.jobs[self._now[id_].job_key].status is JobStatus.DELETION_IN_PROGRESS:
            raise ResourceNotFound(f"Job {request.job_id} not found for {request.thing_name}")
        execution = self._now[id_]
        return execution, self.jobs[execution.job_key]

    def change(self, before: JobExecution, after: JobExecution) -> None:
        """Take note of what became of an execution; a retry that follows joins its thing's list."""
        if after is before:
            return
        stored = self._now[before.id]
        self._now[before.id] = after
        if after.status is stored.status:
            return
        scope = self._scopes[before.id]
        self._tx.record(PendingChanged(scope, (after.thing_name,)))
        retry = self._endings.moved(stored, after)
        if retry is not None:
            self._now[retry.id] = retry
            self._scopes[retry.id] = scope
            self._queues.setdefault(retry.thing_key, []).append(retry.id)
            name = (scope, retry.thing_name, self.jobs[retry.job_key].job_id)
            self._retried.setdefault(name, []).append(retry.id)

    def save(self) -> None:
        """Store what changed, what followed from it, and what that means for jobs."""
        changed = [(was, self._now[id_]) for id_, was in self._before.items() if self._now[id_] is not was]
        if not changed:
            return
        self._tx.executions.save(changed)
        if self._endings.retries:
            self._tx.executions.insert([self._now[retry.id] for retry in self._endings.retries])
        self._endings.save()

    def _or_retry(self, id_: int | None, scope: ScopeId, request: _Naming) -> int | None:
        """What a request means after retries in this batch: without a number, the last of them."""
        retries = self._retried.get((scope, request.thing_name, request.job_id), ())
        for retry_id in reversed(retries):
            if request.execution_number in (None, self._now[retry_id].execution_number):
                return retry_id
        return id_


def _get_pending(
    working: _Working,
    scope: ScopeId,
    request: shapes.GetPendingJobExecutionsRequest,
    quotas: Quotas,
) -> shapes.GetPendingJobExecutionsResponse:
    lists: dict[ExecutionStatus, list[shapes.JobExecutionSummary]] = {
        ExecutionStatus.IN_PROGRESS: [],
        ExecutionStatus.QUEUED: [],
    }
    queue = working.queue_of(scope, request.thing_name)
    for execution in pending.listed(queue, lambda e: working.jobs[e.job_key].has_windows, quotas):
        lists[execution.status].append(
            shapes.JobExecutionSummary(
                job_id=working.jobs[execution.job_key].job_id,
                queued_at=whole_seconds(execution.queued_at),
                started_at=execution.started_at and whole_seconds(execution.started_at),
                last_updated_at=whole_seconds(execution.last_updated_at),
                version_number=execution.version,
                execution_number=execution.execution_number,
            )
        )
    return shapes.GetPendingJobExecutionsResponse(
        in_progress_jobs=lists[ExecutionStatus.IN_PROGRESS], queued_jobs=lists[ExecutionStatus.QUEUED]
    )


def _described(execution: JobExecution, job: JobFacts, document: str | None, now: int) -> shapes.JobExecution:
    return shapes.JobExecution(
        job_id=job.job_id,
        thing_name=execution.thing_name,
        status=execution.status.value,
        status_details=_details(execution),
        queued_at=whole_seconds(execution.queued_at),
        started_at=execution.started_at and whole_seconds(execution.started_at),
        last_updated_at=whole_seconds(execution.last_updated_at),
        approximate_seconds_before_timed_out=rules.seconds_before_timed_out(execution, now),
        version_number=execution.version,
        execution_number=execution.execution_number,
        job_document=document,
    )


def _details(execution: JobExecution) -> dict[str, str] | None:
    return None if execution.status_details is None else dict(execution.status_details)
