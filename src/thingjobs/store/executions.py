"""Job executions as rows, read and written in sets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from thingjobs.domain.execution import deadline_at
from thingjobs.domain.model import (
    ExecutionStatus,
    JobExecution,
    JobKey,
    ScopeId,
    ThingKey,
)
from thingjobs.store.sqlite import Database, Value

ThingName = tuple[ScopeId, str]
ExecutionName = tuple[ScopeId, str, str, int | None]
"""Scope, thing name, job id, execution number (None: the newest)."""

_STATUS = {status.value: status for status in ExecutionStatus}


class ExecutionRow(NamedTuple):
    """What a list shows of an execution; ``name`` is its thing's name, or its job's id."""

    name: str
    execution_number: int
    status: str
    queued_at: int
    started_at: int | None
    last_updated_at: int
    retry_attempt: int
    id: int = 0


class SweptRow(NamedTuple):
    """An execution that was ended or deleted with others, all alike; ``status_details`` as JSON."""

    thing_name: str
    execution_number: int
    status_details: str | None


class TimedOutRow(NamedTuple):
    """An execution that was timed out with others; ``status_details`` as JSON."""

    thing_name: str
    execution_number: int
    status_details: str | None
    thing_key: ThingKey
    retry_attempt: int
    failed_retries: int


class RetryRow(NamedTuple):
    """A retry to be queued."""

    thing_key: ThingKey
    thing_name: str
    execution_number: int
    retry_attempt: int
    failed_retries: int


class PendingQueues(NamedTuple):
    """The things that exist of those asked for, and their pending executions in no order."""

    things: Mapping[ThingName, ThingKey]
    executions: Sequence[JobExecution]


class Executions:
    def __init__(self, database: Database) -> None:
        self._db = database

    # --- devices, in sets -------------------------------------------------------------------------

    def pending_of_things(self, names: Iterable[ThingName]) -> PendingQueues:
        rows = self._db.rows("pending_of_things", things=self._db.array(list(names)))
        things = {(row[0], row[1]): row[2] for row in rows}
        return PendingQueues(things, [_execution(row[3:]) for row in rows if row[3] is not None])

    def named(self, names: Sequence[ExecutionName]) -> Mapping[int, JobExecution]:
        """The executions that ``names`` mean, by position in ``names``; those unknown are left out."""
        rows = self._db.rows("named_executions", names=self._db.array(names))
        return {row[0]: _execution(row[1:]) for row in rows}

    def save(self, changes: Sequence[tuple[JobExecution, JobExecution]]) -> None:
        """Store each (before, after); every one must still be at the version it was decided on."""
        saved = self._db.run_many("save_execution", [_change(before, after) for before, after in changes])
        if saved != len(changes):
            raise RuntimeError(f"{len(changes) - saved} executions changed under a decision")

    # --- one ----------------------------------------------------------------------------------------

    def find(
        self, job_key: JobKey, thing_key: ThingKey, thing_name: str, execution_number: int | None
    ) -> JobExecution | None:
        """One execution; the newest if no number is given."""
        row = self._db.row(
            "execution_of_job",
            job_key=job_key,
            thing_key=thing_key,
            thing_name=thing_name,
            execution_number=execution_number,
        )
        return _execution(row) if row else None

    def pending_of_thing(self, thing_key: ThingKey) -> Sequence[JobExecution]:
        return [_execution(row) for row in self._db.rows("pending_of_thing", thing_key=thing_key)]

    def insert(self, executions: Sequence[JobExecution]) -> None:
        """Store executions as they are; their ids are ignored."""
        self._db.run_many(
            "insert_execution",
            [
                {
                    **_change(each, each),
                    "job_key": each.job_key,
                    "thing_key": each.thing_key,
                    "thing_name": each.thing_name,
                    "execution_number": each.execution_number,
                    "retry_attempt": each.retry_attempt,
                    "failed_retries": each.failed_retries,
                    "queued_at": each.queued_at,
                }
                for each in executions
            ],
        )

    def delete(self, execution: JobExecution) -> None:
        self._db.run("delete_execution", id=execution.id)

    # --- a job's, in bulk ---------------------------------------------------------------------------

    def queue(self, job_key: JobKey, things: Sequence[tuple[ThingKey, str]], now: int) -> None:
        """Queue one execution for each thing, in their order."""
        self._db.run("queue_executions", job_key=job_key, things=self._db.array(things), now=now)

    def queue_retries(self, job_key: JobKey, retries: Sequence[RetryRow], now: int) -> None:
        self._db.run("queue_retries", job_key=job_key, retries=self._db.array(retries), now=now)

    def record_removed(self, job_key: JobKey, things: Sequence[tuple[ThingKey, str]], now: int) -> None:
        """Store an execution that is REMOVED from the start for each thing."""
        self._db.run_many(
            "insert_removed_execution",
            [{"job_key": job_key, "thing_key": key, "thing_name": name, "now": now} for key, name in things],
        )

    def remove_queued(self, job_key: JobKey, things: Sequence[ThingKey], now: int) -> Sequence[SweptRow]:
        """Make REMOVED what things have not started of one job; the versions stay, as in ``domain``."""
        rows = self._db.rows("remove_queued", job_key=job_key, things=self._db.array(things), now=now)
        return [SweptRow(*row) for row in rows]

    def newest(
        self, job_key: JobKey, things: Sequence[tuple[ThingKey, str]]
    ) -> Mapping[ThingKey, ExecutionStatus]:
        """How the newest execution of the job stands, of those of ``things`` that have one."""
        rows = self._db.rows("newest_of_things", job_key=job_key, members=self._db.array(things))
        return {row[0]: _STATUS[row[1]] for row in rows}

    def cancel_some(
        self, job_key: JobKey, status: ExecutionStatus, *, force: bool, limit: int, now: int
    ) -> Sequence[SweptRow]:
        rows = self._db.rows(
            "cancel_some", job_key=job_key, status=status.value, force=int(force), limit=limit, now=now
        )
        return [SweptRow(*row) for row in rows]

    def delete_some(self, job_key: JobKey, status: ExecutionStatus, *, limit: int) -> Sequence[SweptRow]:
        rows = self._db.rows("delete_some", job_key=job_key, status=status.value, limit=limit)
        return [SweptRow(*row) for row in rows]

    # --- time-outs ------------------------------------------------------------------------------------

    def overdue_jobs(self, now: int, limit: int, left_out: Sequence[JobKey]) -> Sequence[tuple[JobKey, int]]:
        """Jobs that have executions to time out, each with its earliest deadline.

        Only the ``limit`` executions that are longest due are looked at, of those of other jobs than
        ``left_out``.
        """
        rows = self._db.rows("overdue_jobs", now=now, limit=limit, left_out=self._db.array(left_out))
        return [(JobKey(key), at) for key, at in rows]

    def overdue(self, job_key: JobKey, now: int, limit: int) -> Sequence[JobExecution]:
        rows = self._db.rows("overdue_of_job", job_key=job_key, now=now, limit=limit)
        return [_execution(row) for row in rows]

    def time_out_some(self, job_key: JobKey, now: int, limit: int) -> Sequence[TimedOutRow]:
        """Time out what is overdue of a job, all alike, the longest overdue first."""
        rows = self._db.rows("time_out_some", job_key=job_key, now=now, limit=limit)
        return [TimedOutRow(*row) for row in rows]

    def next_deadline_at(self, now: int) -> int | None:
        """When the first time-out after ``now`` is due."""
        row = self._db.row("next_deadline_at", now=now)
        return row[0] if row else None

    # --- lists ----------------------------------------------------------------------------------------

    def page_of_job(
        self,
        job_key: JobKey,
        *,
        status: ExecutionStatus | None,
        after: tuple[int, str, int] | None,
        limit: int,
    ) -> Sequence[ExecutionRow]:
        """A job's executions: last changed first, then by thing name, then newest first.

        One index serves all statuses: each is read as its own sorted run, and the runs are merged.
        """
        found: list[ExecutionRow] = []
        for each in ExecutionStatus if status is None else (status,):
            found += self._run_of_status(job_key, each, after, limit)
        found.sort(key=lambda row: (-row.last_updated_at, row.name, -row.execution_number))
        return found[:limit]

    def _run_of_status(
        self, job_key: JobKey, status: ExecutionStatus, after: tuple[int, str, int] | None, limit: int
    ) -> list[ExecutionRow]:
        run: list[ExecutionRow] = []
        last_updated_at = 2**62
        if after is not None:
            last_updated_at, thing_name, execution_number = after
            run = self._executions_of_job(
                "executions_of_job_at",
                job_key=job_key,
                status=status.value,
                last_updated_at=last_updated_at,
                thing_name=thing_name,
                execution_number=execution_number,
                limit=limit,
            )
        if len(run) < limit:
            run += self._executions_of_job(
                "executions_of_job_before",
                job_key=job_key,
                status=status.value,
                last_updated_at=last_updated_at,
                limit=limit - len(run),
            )
        return run

    def _executions_of_job(self, block: str, **parameters: Value) -> list[ExecutionRow]:
        return [ExecutionRow(*row) for row in self._db.rows(block, **parameters)]

    def page_of_thing(
        self,
        thing_key: ThingKey,
        *,
        status: str | None,
        job_id: str | None,
        namespace_id: str | None,
        after: tuple[int, int] | None,
        limit: int,
    ) -> Sequence[ExecutionRow]:
        """A thing's executions of all jobs, newest first, after (queued_at, id)."""
        queued_at, last_id = after or (2**62, 0)
        rows = self._db.rows(
            "executions_of_thing",
            thing_key=thing_key,
            queued_at=queued_at,
            id=last_id,
            status=status,
            job_id=job_id,
            namespace_id=namespace_id,
            limit=limit,
        )
        return [ExecutionRow(*row) for row in rows]


_DETAILS = msgspec.json.Decoder(dict[str, str])


def _execution(row: tuple[Any, ...]) -> JobExecution:
    (
        id_, job_key, thing_key, thing_name, number, status, version, retry_attempt, failed_retries,
        force_canceled, details, queued_at, started_at, last_updated_at, in_progress_deadline_at,
        step_deadline_at,
    ) = row  # fmt: skip
    return JobExecution(
        id_, job_key, thing_key, thing_name, number, _STATUS[status], version, retry_attempt,
        failed_retries, bool(force_canceled), None if details is None else _DETAILS.decode(details),
        queued_at, started_at, last_updated_at, in_progress_deadline_at, step_deadline_at,
    )  # fmt: skip


def _change(before: JobExecution, after: JobExecution) -> dict[str, Value]:
    details = after.status_details
    return {
        "id": after.id,
        "was": before.version,
        "status": after.status.value,
        "version": after.version,
        "force_canceled": int(after.force_canceled),
        "status_details": None if details is None else msgspec.json.encode(details).decode(),
        "started_at": after.started_at,
        "last_updated_at": after.last_updated_at,
        "in_progress_deadline_at": after.in_progress_deadline_at,
        "step_deadline_at": after.step_deadline_at,
        "deadline_at": deadline_at(after),
    }
