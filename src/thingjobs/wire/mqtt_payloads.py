"""The JSON that devices and the service exchange on the reserved jobs topics.

The same requests and answers as on the HTTP data plane, with the differences of MQTT: a client token goes
through, every answer has a timestamp, the job document is a JSON value, and executions do not repeat the
thing's name. Source: Jobs developer guide, "jobs MQTT API"; member order as observed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec
from msgspec import Raw, Struct

from thingjobs.domain.effects import PendingNotice
from thingjobs.domain.errors import InvalidRequest, MalformedJson, ServiceError
from thingjobs.domain.model import JobExecution
from thingjobs.domain.timestamps import whole_seconds
from thingjobs.wire.errors import answer_for
from thingjobs.wire.operation import Operation
from thingjobs.wire.rest_json import decode_members, execution_state, parse_object
from thingjobs.wire.shapes import iot_jobs_data as shapes

_encode = msgspec.json.Encoder().encode


class DeviceRequest(NamedTuple):
    """A request in the shape of its operation, or why it cannot be one; the client token if it was read."""

    request: Any
    refusal: ServiceError | None
    client_token: str | None


def read_request(
    operation: Operation, payload: bytes, named: Mapping[str, str], *, max_client_token: int
) -> DeviceRequest:
    """The request in ``payload``; ``named`` are the members that the topic gives (thingName, jobId).

    ``max_client_token``: characters.
    """
    client_token = None
    try:
        members = parse_object(payload)
        client_token = _client_token(members.pop("clientToken", None), max_client_token)
        return DeviceRequest(decode_members(operation, {**members, **named}), None, client_token)
    except ServiceError as refusal:
        return DeviceRequest(None, refusal, client_token)


def _client_token(value: object, most: int) -> str | None:
    if value is not None and (not isinstance(value, str) or len(value) > most):
        raise InvalidRequest(f"clientToken must be a string of at most {most} characters.")
    return value


# --- answers ------------------------------------------------------------------------------------


class _Message(Struct, rename="camel", omit_defaults=True, kw_only=True, gc=False):
    client_token: str | None = None
    timestamp: int


class _Execution(Struct, rename="camel", omit_defaults=True, kw_only=True, gc=False):
    job_id: str | None
    status: str | None
    status_details: dict[str, str] | None = None
    queued_at: int | None
    started_at: int | None = None
    last_updated_at: int | None
    version_number: int | None
    execution_number: int | None
    approximate_seconds_before_timed_out: int | None = None
    job_document: Raw | None = None


class _PendingLists(_Message, kw_only=True):
    in_progress_jobs: list[shapes.JobExecutionSummary]
    queued_jobs: list[shapes.JobExecutionSummary]


class _OneExecution(_Message, kw_only=True):
    execution: _Execution | None = None


class _Updated(_Message, kw_only=True):
    execution_state: shapes.JobExecutionState | None = None
    job_document: Raw | None = None


class _Rejected(_Message, kw_only=True):
    execution_state: shapes.JobExecutionState | None = None
    code: str
    message: str


def accepted(answer: Any, client_token: str | None, now: int) -> bytes:
    """The payload of an ``…/accepted`` message; ``now`` in milliseconds."""
    timestamp = whole_seconds(now)
    if isinstance(answer, shapes.UpdateJobExecutionResponse):
        return _encode(
            _Updated(
                client_token=client_token,
                timestamp=timestamp,
                execution_state=answer.execution_state,
                job_document=_raw(answer.job_document),
            )
        )
    if isinstance(answer, shapes.GetPendingJobExecutionsResponse):
        return _encode(
            _PendingLists(
                client_token=client_token,
                timestamp=timestamp,
                in_progress_jobs=answer.in_progress_jobs or [],
                queued_jobs=answer.queued_jobs or [],
            )
        )
    given = answer.execution
    execution = None
    if given is not None:
        execution = _Execution(
            job_id=given.job_id,
            status=given.status,
            status_details=given.status_details,
            queued_at=given.queued_at,
            started_at=given.started_at,
            last_updated_at=given.last_updated_at,
            version_number=given.version_number,
            execution_number=given.execution_number,
            approximate_seconds_before_timed_out=given.approximate_seconds_before_timed_out,
            job_document=_raw(given.job_document),
        )
    return _encode(_OneExecution(client_token=client_token, timestamp=timestamp, execution=execution))


def rejected(error: Exception, client_token: str | None, now: int) -> bytes:
    """The payload of a ``…/rejected`` message; what went wrong inside is not told."""
    state = getattr(error, "state", None)
    return _encode(
        _Rejected(
            client_token=None if isinstance(error, MalformedJson) else client_token,
            timestamp=whole_seconds(now),
            execution_state=None if state is None else execution_state(state),
            code=answer_for(error).mqtt_code,
            message=error.message if isinstance(error, ServiceError) else "An internal error occurred.",
        )
    )


# --- notifications ------------------------------------------------------------------------------


class _Notify(Struct):
    timestamp: int
    jobs: dict[str, list[shapes.JobExecutionSummary]]


class _NotifyNext(Struct, omit_defaults=True):
    timestamp: int
    execution: _Execution | None = None


def notify(notice: PendingNotice) -> bytes:
    """The list of pending executions; a status without any is left out."""
    jobs: dict[str, list[shapes.JobExecutionSummary]] = {}
    for execution, job in notice.pending:
        jobs.setdefault(execution.status.value, []).append(_summary(execution, job.job_id))
    return _encode(_Notify(whole_seconds(notice.at), jobs))


def notify_next(notice: PendingNotice) -> bytes:
    """The first pending execution with its document; without any, only the timestamp."""
    if not notice.pending:
        return _encode(_NotifyNext(whole_seconds(notice.at)))
    execution, job = notice.pending[0]
    details = execution.status_details
    return _encode(
        _NotifyNext(
            whole_seconds(notice.at),
            _Execution(
                job_id=job.job_id,
                status=execution.status.value,
                status_details=None if details is None else dict(details),
                queued_at=whole_seconds(execution.queued_at),
                started_at=whole_seconds(execution.started_at),
                last_updated_at=whole_seconds(execution.last_updated_at),
                version_number=execution.version,
                execution_number=execution.execution_number,
                job_document=_raw(notice.document),
            ),
        )
    )


def _summary(execution: JobExecution, job_id: str) -> shapes.JobExecutionSummary:
    return shapes.JobExecutionSummary(
        job_id=job_id,
        queued_at=whole_seconds(execution.queued_at),
        started_at=whole_seconds(execution.started_at),
        last_updated_at=whole_seconds(execution.last_updated_at),
        version_number=execution.version,
        execution_number=execution.execution_number,
    )


def _raw(document: str | None) -> Raw | None:
    return None if document is None else Raw(document.encode("utf-8", "surrogatepass"))
