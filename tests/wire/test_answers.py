"""Answers: what we write, the official client reads."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from botocore.exceptions import ClientError
from botocore.model import Shape

from aws_client import WITH_SHAPES, Reply, call, client, model, sample, shapes_of
from thingjobs.domain import errors as e
from thingjobs.wire.errors import ANSWERS, Answer, answer_for
from thingjobs.wire.operation import Operation, Plane
from thingjobs.wire.rest_json import encode_error, encode_response
from thingjobs.wire.routing import operation_named
from thingjobs.wire.shapes import iot, iot_jobs_data

STATE = e.ExecutionState("FAILED", 3, {"step": "2"})

# Answers that come before an operation is known, or are not of these services; no model lists them.
UNMODELED = {
    "UnknownOperationException",
    "MethodNotAllowedException",
    "NotImplementedException",
    "SerializationException",
    "MissingAuthenticationTokenException",
    "IncompleteSignatureException",
    "UnrecognizedClientException",
    "InvalidSignatureException",
    "AccessDeniedException",
}


def an_error(kind: type[e.ServiceError]) -> e.ServiceError:
    if kind is e.JobNotFound:
        return e.JobNotFound("j1")
    if kind is e.ResourceAlreadyExists:
        return e.ResourceAlreadyExists("taken", "j1", "arn")
    if kind is e.VersionMismatch:
        return e.VersionMismatch(9, STATE)
    if kind is e.Throttled:
        return e.Throttled("CreateJob", limit=10, used=10, retry_after_seconds=1)
    if kind is e.TerminalStateReached:
        return e.TerminalStateReached()
    return kind("because")


def refused(plane: Plane, error: Exception) -> ClientError:
    """What the client raises for our answer to ``error``."""
    operation = {Plane.CONTROL: "CreateJob", Plane.DEVICE: "UpdateJobExecution"}[plane]
    answer: Answer = answer_for(error)
    http = answer.control if plane is Plane.CONTROL else answer.device
    reply = Reply(encode_error(error), http.status, {"x-amzn-ErrorType": http.name})
    described = operation_named(plane, operation)
    with pytest.raises(ClientError) as caught:
        call(client(plane, lambda _: reply), described, **sample(shapes_of(described)[0]))
    return caught.value


def as_the_client_shows(shape: Shape, value: Any) -> Any:
    """``value`` with timestamps as the client gives them."""
    match shape.type_name:
        case "structure":
            return {name: as_the_client_shows(shape.members[name], item) for name, item in value.items()}
        case "list":
            return [as_the_client_shows(shape.member, item) for item in value]
        case "timestamp":
            return datetime.fromtimestamp(value, UTC)
    return value


@pytest.mark.parametrize("operation", WITH_SHAPES, ids=lambda o: f"{o.plane}-{o.name}")
def test_every_member_we_write_is_read_by_the_client(operation: Operation) -> None:
    shape = shapes_of(operation)[1]
    params = sample(shapes_of(operation)[0])
    if operation.response is None:
        assert shape is None or not shape.members
        assert (
            call(client(operation.plane, lambda _: Reply(encode_response(None))), operation, **params) == {}
        )
        return
    assert shape is not None
    full = sample(shape)
    body = encode_response(msgspec.convert(full, operation.response))
    read = call(client(operation.plane, lambda _: Reply(body)), operation, **params)
    assert read == as_the_client_shows(shape, full)


def test_an_answer_without_members_has_no_bytes() -> None:
    """spec: control-plane 1.1."""
    assert encode_response(None) == b""


def test_the_control_plane_writes_null_for_what_is_unset() -> None:
    """spec: control-plane 1.5, case 2."""
    body = encode_response(iot.CreateJobResponse(job_arn="arn", job_id="j1"))
    assert json.loads(body) == {"jobArn": "arn", "jobId": "j1", "description": None}


def test_the_device_plane_leaves_out_what_is_unset() -> None:
    """spec: wire 5, device-plane 7."""
    execution = iot_jobs_data.JobExecution(job_id="j1", version_number=1, status_details={})
    answer = iot_jobs_data.DescribeJobExecutionResponse(execution=execution)
    assert encode_response(answer) == b'{"execution":{"jobId":"j1","statusDetails":{},"versionNumber":1}}'
    assert encode_response(iot_jobs_data.StartNextPendingJobExecutionResponse()) == b"{}"


def test_status_details_may_show_the_status_and_need_not() -> None:
    """spec: control-plane 1.3."""
    shown = iot.JobExecutionStatusDetails(details_map=None, status="QUEUED")
    assert encode_response(shown) == b'{"detailsMap":null,"status":"QUEUED"}'
    assert encode_response(iot.JobExecutionStatusDetails(details_map={})) == b'{"detailsMap":{}}'


def test_numbers_are_written_as_the_service_does() -> None:
    """spec: wire 5."""
    summary = iot.JobTemplateSummary(created_at=1560787022.733)
    assert b'"createdAt":1560787022.733' in encode_response(summary)
    rate = iot.ExponentialRolloutRate(
        base_rate_per_minute=1, increment_factor=2.0, rate_increase_criteria=iot.RateIncreaseCriteria()
    )
    assert b'"incrementFactor":2.0' in encode_response(rate)


@pytest.mark.parametrize("plane", Plane)
@pytest.mark.parametrize("kind", ANSWERS, ids=lambda kind: str(kind.__name__))
def test_every_error_is_recognized_with_its_code_and_status(kind: type[e.ServiceError], plane: Plane) -> None:
    """spec: wire 5."""
    error = an_error(kind)
    http = ANSWERS[kind].control if plane is Plane.CONTROL else ANSWERS[kind].device
    raised = refused(plane, error)
    assert raised.response["Error"] == {"Code": http.name, "Message": error.message}
    assert raised.response["ResponseMetadata"]["HTTPStatusCode"] == http.status


@pytest.mark.parametrize("kind", ANSWERS, ids=lambda kind: str(kind.__name__))
def test_errors_have_the_names_and_statuses_of_the_models(kind: type[e.ServiceError]) -> None:
    """spec: control-plane 1.2, wire 5.2."""
    modeled = {
        (shape.name, shape.metadata["error"]["httpStatusCode"])
        for plane in Plane
        for shape in model(plane).error_shapes
        if "error" in shape.metadata
    }
    for http in (ANSWERS[kind].control, ANSWERS[kind].device):
        assert http.name in UNMODELED or (http.name, http.status) in modeled


def test_a_modeled_error_is_raised_as_its_own_class() -> None:
    raised = refused(Plane.CONTROL, e.JobNotFound("j1"))
    assert type(raised).__name__ == "ResourceNotFoundException"


def test_what_exists_already_is_named() -> None:
    """spec: control-plane 1.2, case 3."""
    raised = refused(Plane.CONTROL, e.ResourceAlreadyExists("taken", "j1", "arn"))
    assert (raised.response["resourceId"], raised.response["resourceArn"]) == ("j1", "arn")
    body = encode_error(e.ResourceAlreadyExists("taken", None, None))
    assert json.loads(body) == {"message": "taken", "resourceId": None, "resourceArn": None}


def test_a_refused_transition_shows_the_execution_to_the_device() -> None:
    """spec: device-plane 7."""
    body = encode_error(e.InvalidStateTransition("finished", STATE))
    assert json.loads(body) == {
        "message": "finished",
        "executionState": {"status": "FAILED", "statusDetails": {"step": "2"}, "versionNumber": 3},
    }
    assert json.loads(encode_error(e.InvalidStateTransition("no"))) == {"message": "no"}


def test_a_version_mismatch_shows_no_state_over_http() -> None:
    """spec: device-plane 7."""
    body = encode_error(e.VersionMismatch(9, STATE))
    assert json.loads(body) == {"message": "Expected version 9 but found version 3"}


def test_an_internal_error_tells_nothing() -> None:
    raised = refused(Plane.CONTROL, ZeroDivisionError("secret"))
    assert raised.response["Error"]["Code"] == "InternalFailureException"
    assert "secret" not in str(raised.response)
