"""A small world of things, groups, jobs and devices, whose clock is wound as the engine winds it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from factories import (
    MINUTE,
    Device,
    a_call,
    a_job,
    add_things,
    arn,
    counted,
    describe,
    group_arn,
    join,
    leave,
    memory_database,
    rows,
)
from thingjobs.domain.effects import PendingNotice
from thingjobs.domain.model import ScopeId
from thingjobs.domain.quotas import DEFAULT_QUOTAS, Quotas
from thingjobs.operations import background, event_configurations, events, job_executions, jobs
from thingjobs.operations.call import Call
from thingjobs.operations.device import DeviceOperations
from thingjobs.operations.device_documents import DeviceDocuments
from thingjobs.operations.notifications import Notifier
from thingjobs.store.tx import Tx
from thingjobs.wire.shapes import iot

NOON = 1_700_049_600_000
"""12:00 UTC on a Wednesday, 15 November 2023."""

Told = list[tuple[list[str] | None, str | None]]
"""For each notice: job ids of the list (None: not told), job id of the head (None: not told, "": no head)."""


class World:
    """Everything happens in one transaction; ``call.now`` is the time."""

    def __init__(
        self, *, spread: bool = False, quotas: Quotas = DEFAULT_QUOTAS, path: str = ":memory:"
    ) -> None:
        """``path``: a file for a world that is to be restarted."""
        self._path = path
        self._database = memory_database(path)
        self.tx = Tx(self._database)
        self.tx.begin()
        self.call: Call = replace(a_call(self.tx, NOON), spread=spread, quotas=quotas)
        self._operations = DeviceOperations(DeviceDocuments())
        self._notifiers: dict[str, Notifier] = {}

    def restart(self) -> None:
        """Go on with nothing but what is stored."""
        self.tx.commit()
        self.close()
        self._database = memory_database(self._path)
        self.tx = Tx(self._database)
        self.tx.begin()
        self._operations = DeviceOperations(DeviceDocuments())
        self._notifiers = {}

    def close(self) -> None:
        self._database.connection.close()

    # --- time ---------------------------------------------------------------------------------------

    @property
    def now(self) -> int:
        return self.call.now

    def work_off(self) -> None:
        """Do all that is due now, as the engine does."""
        while pieces := background.due(self.tx, self.now, spread=self.call.spread, quotas=self.call.quotas):
            for piece in pieces:
                piece(self.tx, self.now)

    def wind(self, minutes: float) -> None:
        """Let time pass, doing all that comes due on the way at its own instant."""
        until = self.now + round(minutes * MINUTE)
        self.work_off()
        while (due_at := background.next_due_at(self.tx, self.now)) is not None and due_at <= until:
            self._set(due_at)
            self.work_off()
        self._set(until)

    def skip(self, minutes: float) -> None:
        """Let time pass while nobody looks."""
        self._set(self.now + round(minutes * MINUTE))

    def at(self, minutes: float) -> str:
        """A schedule's time, so many minutes from now."""
        instant = datetime.fromtimestamp(self.now / 1000 + minutes * 60, UTC)
        return instant.strftime("%Y-%m-%dT%H:%M")

    def _set(self, now: int) -> None:
        self.call = replace(self.call, now=now)

    # --- registry -----------------------------------------------------------------------------------

    def things(self, *names: str, group: str | None = None) -> None:
        add_things(self.call, self.tx, *names, group=group)

    def join(self, thing: str, group: str) -> None:
        join(self.call, self.tx, thing, group)

    def leave(self, thing: str, group: str) -> None:
        leave(self.call, self.tx, thing, group)

    # --- jobs ---------------------------------------------------------------------------------------

    def job(self, job_id: str, *targets: str, **members: Any) -> None:
        """A job on things, or on groups whose names begin with g."""
        arns = [(group_arn if name.startswith("g") else arn)(self.call, name) for name in targets]
        a_job(self.call, self.tx, job_id, arns, **members)

    def continuous(self, job_id: str, *targets: str, **members: Any) -> None:
        self.job(job_id, *targets, targetSelection="CONTINUOUS", **members)

    def status(self, job_id: str) -> str | None:
        return describe(self.call, self.tx, job_id).status

    def shown(self, job_id: str) -> iot.Job:
        return describe(self.call, self.tx, job_id)

    def counted(self, job_id: str) -> dict[str, int]:
        return counted(self.call, self.tx, job_id)

    def cancel(self, job_id: str, **members: Any) -> None:
        jobs.cancel_job(self.call, self.tx, iot.CancelJobRequest(job_id=job_id, **members))

    def delete(self, job_id: str, **members: Any) -> None:
        jobs.delete_job(self.call, self.tx, iot.DeleteJobRequest(job_id=job_id, **members))

    def update(self, job_id: str, **members: Any) -> None:
        jobs.update_job(self.call, self.tx, iot.UpdateJobRequest(job_id=job_id, **members))

    # --- executions ---------------------------------------------------------------------------------

    def cancel_execution(self, thing: str, job_id: str, **members: Any) -> None:
        request = iot.CancelJobExecutionRequest(job_id=job_id, thing_name=thing, **members)
        job_executions.cancel_job_execution(self.call, self.tx, request)

    def delete_execution(self, thing: str, job_id: str, number: int = 1, *, force: bool = False) -> None:
        request = iot.DeleteJobExecutionRequest(
            job_id=job_id, thing_name=thing, execution_number=number, force=force
        )
        job_executions.delete_job_execution(self.call, self.tx, request)

    def executions(self, job_id: str, thing: str) -> list[str]:
        """The statuses of a thing's executions of a job, the first one first."""
        found = rows(
            self.tx,
            "SELECT e.execution_number, e.status FROM job_execution e JOIN job j ON j.key = e.job_key"
            f" WHERE j.job_id = '{job_id}' AND e.thing_name = '{thing}' ORDER BY e.execution_number",
        )
        assert [number for number, _ in found] == list(range(1, len(found) + 1))
        return [status for _, status in found]

    def execution(self, job_id: str, thing: str, number: int | None = None) -> iot.JobExecution:
        request = iot.DescribeJobExecutionRequest(job_id=job_id, thing_name=thing, execution_number=number)
        answer = job_executions.describe_job_execution(self.call, self.tx, request)
        assert answer.execution is not None
        return answer.execution

    def device(self, thing: str) -> Device:
        """The device as of now."""
        device = Device(self.tx, self.call, thing, self._operations)
        device.now = self.now
        return device

    def report(self, job_id: str, status: str, *things: str, **members: Any) -> None:
        for thing in things:
            self.device(thing).update(job_id, status, **members)

    def pending(self, thing: str) -> list[str | None]:
        started, queued = self.device(thing).pending()
        return started + queued

    # --- what is told -------------------------------------------------------------------------------

    def listen(self, thing: str) -> None:
        """Have ``told`` hear what the device of a thing is told from now on."""
        notifier = self._notifiers[thing] = Notifier(DeviceDocuments())
        notifier.watch(self.tx, (self.call.scope.id, thing))
        self.tx.take_effects()

    def told(self, thing: str) -> Told:
        """What the device was told since it was asked last; one thing can listen at a time."""
        notifier = self._notifiers[thing]
        effects = self.tx.take_effects()
        found = []
        while True:
            follow = notifier.follow(self.tx, effects, self.now)
            found += [notice for notice in follow if isinstance(notice, PendingNotice)]
            notifier.settled(committed=True)
            effects = []
            if not notifier.has_more():
                break
        return [
            (
                [listed.job.job_id for listed in notice.pending] if notice.list_changed else None,
                (notice.pending[0].job.job_id if notice.pending else "") if notice.head_changed else None,
            )
            for notice in found
        ]

    def enable_events(self, *types: str) -> None:
        request = iot.UpdateEventConfigurationsRequest(
            event_configurations={each: iot.Configuration(enabled=True) for each in types}  # type: ignore[misc]  # the names are what is tested
        )
        event_configurations.update_event_configurations(self.call, self.tx, request)

    def events(self) -> list[tuple[str, dict[str, Any]]]:
        """Topics, without ``$aws/events/``, and payloads of what waits to be published; it is published."""
        found: list[tuple[ScopeId, str, bytes]] = []
        while waiting := events.waiting(self.tx, self.now):
            found += [(event.scope, event.topic, event.payload) for event in waiting]
            events.published(self.tx, waiting)
        assert all(scope == self.call.scope.id for scope, _, _ in found)
        return [(topic.removeprefix("$aws/events/"), json.loads(payload)) for _, topic, payload in found]

    def topics(self) -> list[str]:
        return [topic for topic, _ in self.events()]


def retry(**times: int) -> dict[str, Any]:
    """A jobExecutionsRetryConfig: ``retry(FAILED=3)``."""
    return {"criteriaList": [{"failureType": name, "numberOfRetries": n} for name, n in times.items()]}


def abort(*criteria: tuple[str, float, int]) -> dict[str, Any]:
    """An abortConfig of (failure type, percentage, minimum of executed things)."""
    return {
        "criteriaList": [
            {
                "failureType": kind,
                "action": "CANCEL",
                "thresholdPercentage": percentage,
                "minNumberOfExecutedThings": minimum,
            }
            for kind, percentage, minimum in criteria
        ]
    }


def names(prefix: str, count: int) -> Sequence[str]:
    return [f"{prefix}{number:05}" for number in range(count)]
