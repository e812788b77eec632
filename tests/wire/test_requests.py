"""Requests: what the official client sends is read as it was meant."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from aws_client import WITH_SHAPES, receive, sample, send, shapes_of
from thingjobs.domain.errors import (
    InvalidRequest,
    MalformedJson,
    OperationNotServed,
    SerializationFailed,
)
from thingjobs.wire.operation import Operation, Plane
from thingjobs.wire.rest_json import decode_members, decode_request, parse_object
from thingjobs.wire.routing import operation_named, route
from thingjobs.wire.shapes import iot, iot_jobs_data

CREATE_JOB = operation_named(Plane.CONTROL, "CreateJob")
UPDATE_JOB = operation_named(Plane.CONTROL, "UpdateJob")
UPDATE_EXECUTION = operation_named(Plane.DEVICE, "UpdateJobExecution")


def http(
    operation: Operation, body: object = None, query: bytes = b"", **path: str
) -> Any:  # each test knows its shape
    """Decode a request with the given JSON body; path labels default to ``x1``."""
    labels = {param.name: "x1" for param in operation.path} | path
    raw = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    return decode_request(operation, labels, query, [], raw)


def create_job(**body: object) -> iot.CreateJobRequest:
    request = http(CREATE_JOB, {"targets": ["arn"], **body})
    assert isinstance(request, iot.CreateJobRequest)
    return request


@pytest.mark.parametrize("operation", WITH_SHAPES, ids=lambda o: f"{o.plane}-{o.name}")
def test_every_member_the_client_sends_arrives(operation: Operation) -> None:
    params = sample(shapes_of(operation)[0])
    match, request = receive(operation.plane, send(operation, **params))
    assert match.operation is operation
    assert type(request) is operation.request
    assert {
        name: value for name, value in msgspec.to_builtins(request).items() if value is not None
    } == params


@pytest.mark.parametrize("operation", WITH_SHAPES, ids=lambda o: f"{o.plane}-{o.name}")
def test_only_required_members_are_required(operation: Operation) -> None:
    shape = shapes_of(operation)[0]
    params = {name: sample(shape.members[name]) for name in shape.required_members}
    _, request = receive(operation.plane, send(operation, **params))
    given = {name: value for name, value in msgspec.to_builtins(request).items() if value is not None}
    assert given == params


# --- the body -----------------------------------------------------------------------------------


def test_an_absent_body_is_an_empty_object() -> None:
    """spec: wire 4."""
    request = http(operation_named(Plane.CONTROL, "CancelJob"))
    assert request == iot.CancelJobRequest(job_id="x1")


@pytest.mark.parametrize(
    "body", [b"[]", b"null", b"1", b'"{}"', b"{", b"\xff", b'{"a":"\xff"}', b'{"a":NaN}', b"[" * 100_000]
)
def test_a_body_that_is_no_json_object_is_malformed(body: bytes) -> None:
    """spec: wire 4, device-plane 5."""
    with pytest.raises(MalformedJson, match="could not be interpreted as valid UTF-8-encoded JSON"):
        http(CREATE_JOB, body)


@pytest.mark.parametrize("text", [b'"\\ud800"', b'"\\ud800x"', b'"\\udc00\\ud800"', b'"\xed\xa0\x80"'])
def test_a_lone_surrogate_never_gets_in(text: bytes) -> None:
    with pytest.raises(MalformedJson):
        http(CREATE_JOB, b'{"targets":["a"],"document":' + text + b"}")


def test_the_body_of_an_operation_without_body_members_is_not_read() -> None:
    request = http(operation_named(Plane.CONTROL, "DescribeJob"), b"not json")
    assert request == iot.DescribeJobRequest(job_id="x1")


def test_unknown_members_and_nulls_count_as_absent() -> None:
    """spec: control-plane 1.1."""
    assert create_job(unknown={"a": [1]}, description=None, abortConfig=None) == create_job()


def test_members_of_path_and_query_are_ignored_in_the_body() -> None:
    request = http(UPDATE_JOB, {"jobId": "other", "namespaceId": 5, "description": "d"})
    assert request == iot.UpdateJobRequest(job_id="x1", description="d")


# --- numbers ------------------------------------------------------------------------------------


def test_an_integer_may_come_with_an_empty_fraction() -> None:
    """spec: wire 4."""
    request = create_job(jobExecutionsRolloutConfig={"maximumPerMinute": 5.0})
    assert request.job_executions_rollout_config == iot.JobExecutionsRolloutConfig(maximum_per_minute=5)


@pytest.mark.parametrize("number", [5.5, "5", True, [], {}])
def test_anything_else_is_no_integer(number: object) -> None:
    path = "jobExecutionsRolloutConfig.maximumPerMinute"
    with pytest.raises(InvalidRequest, match=f"at '{path}' must be an integer"):
        create_job(jobExecutionsRolloutConfig={"maximumPerMinute": number})


def test_a_double_may_come_as_an_integer() -> None:
    """spec: control-plane 1.3."""
    criterion = {
        "failureType": "ALL",
        "action": "CANCEL",
        "thresholdPercentage": 10,
        "minNumberOfExecutedThings": 1,
    }
    config = create_job(abortConfig={"criteriaList": [criterion]}).abort_config
    assert config is not None
    assert repr(config.criteria_list[0].threshold_percentage) == "10.0"


def test_expected_version_and_execution_number_may_come_as_text() -> None:
    """spec: control-plane 1.3, device-plane 2."""
    request = http(UPDATE_EXECUTION, {"status": "FAILED", "expectedVersion": "7", "executionNumber": "12"})
    assert (request.expected_version, request.execution_number) == (7, 12)
    cancel = operation_named(Plane.CONTROL, "CancelJobExecution")
    assert http(cancel, {"expectedVersion": "7"}).expected_version == 7


@pytest.mark.parametrize("text", ["", "x", "7.0", " 7", "٧", "0x7", "1" * 5000])
def test_text_that_is_no_decimal_is_no_expected_version(text: str) -> None:
    with pytest.raises(InvalidRequest, match="at 'expectedVersion' must be an integer"):
        http(UPDATE_EXECUTION, {"status": "FAILED", "expectedVersion": text})


@pytest.mark.parametrize("number", [2**63, -(2**63) - 1, 10**400, "9223372036854775808"])
def test_a_long_has_64_bits(number: object) -> None:
    with pytest.raises(InvalidRequest, match=r"'expectedVersion' failed .* (less|greater) than or equal to"):
        http(UPDATE_EXECUTION, {"status": "FAILED", "expectedVersion": number})


# --- the query ----------------------------------------------------------------------------------


def test_a_query_is_form_decoded_and_the_last_of_a_name_wins() -> None:
    """spec: wire 3."""
    tags = operation_named(Plane.CONTROL, "ListTagsForResource")
    request = http(tags, query=b"resourceArn=first&resourceArn=arn%3Aaws%3Aiot+x%2By&other=1&nextToken")
    assert request == iot.ListTagsForResourceRequest(resource_arn="arn:aws:iot x+y", next_token="")


@pytest.mark.parametrize("text", ["True", "1", "", "yes"])
def test_a_boolean_of_the_query_is_true_or_false(text: str) -> None:
    """spec: control-plane 1.1."""
    with pytest.raises(InvalidRequest, match="at 'force' must be true or false"):
        http(operation_named(Plane.CONTROL, "DeleteJob"), query=f"force={text}".encode())


@pytest.mark.parametrize("text", ["x", "", "1.0", "%D9%A7", "+1", "1" * 5000])
def test_a_number_of_the_query_is_a_decimal_integer(text: str) -> None:
    """spec: wire 3."""
    with pytest.raises(InvalidRequest, match="at 'maxResults' must be an integer"):
        http(operation_named(Plane.CONTROL, "ListJobs"), query=f"maxResults={text}".encode())


def test_a_query_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="query string"):
        http(operation_named(Plane.CONTROL, "ListJobs"), query=b"nextToken=%ff")


@pytest.mark.parametrize("text", ["x", "", "1.5", "9223372036854775808", "1" * 5000])
def test_an_execution_number_in_the_path_must_be_a_long(text: str) -> None:
    """spec: control-plane 3.13."""
    delete = operation_named(Plane.CONTROL, "DeleteJobExecution")
    with pytest.raises(SerializationFailed, match=f"^'{text}' can not be converted to Long$"):
        http(delete, executionNumber=text)


def test_an_execution_number_in_the_path_may_be_below_one() -> None:
    """The operation refuses it, in other words. spec: control-plane 3.13."""
    delete = operation_named(Plane.CONTROL, "DeleteJobExecution")
    assert http(delete, executionNumber="0").execution_number == 0


# --- spellings of older documentation pages -----------------------------------------------------


@pytest.mark.parametrize("name", ["CancelJob", "CancelJobExecution"])
@pytest.mark.parametrize(
    ("query", "body", "force"),
    [(b"", {"force": True}, True), (b"force=false", {"force": True}, False), (b"", {}, None)],
)
def test_force_is_taken_from_the_body_and_the_query_wins(
    name: str, query: bytes, body: object, force: bool | None
) -> None:
    """spec: control-plane 1.3."""
    assert http(operation_named(Plane.CONTROL, name), body, query).force is force


def test_force_is_taken_from_the_body_nowhere_else() -> None:
    assert http(operation_named(Plane.CONTROL, "DeleteJob"), {"force": True}).force is None


def test_presigned_url_config_data_stands_in_for_presigned_url_config() -> None:
    """spec: control-plane 1.3."""
    old, new = {"expiresInSec": 60}, {"expiresInSec": 70}
    assert create_job(presignedUrlConfigData=old) == create_job(presignedUrlConfig=old)
    assert create_job(presignedUrlConfigData=old, presignedUrlConfig=None) == create_job(
        presignedUrlConfig=old
    )
    assert create_job(presignedUrlConfigData=old, presignedUrlConfig=new) == create_job(
        presignedUrlConfig=new
    )


@pytest.mark.parametrize("operation", [CREATE_JOB, UPDATE_JOB], ids=lambda o: str(o.name))
def test_maximum_per_minute_may_stand_inside_the_exponential_rate(operation: Operation) -> None:
    """spec: control-plane 1.3."""
    rate = {
        "baseRatePerMinute": 5,
        "incrementFactor": 2,
        "rateIncreaseCriteria": {"numberOfNotifiedThings": 1},
    }

    def maximum(config: dict[str, object]) -> object:
        request = http(operation, {"targets": ["arn"], "jobExecutionsRolloutConfig": config})
        return request.job_executions_rollout_config.maximum_per_minute

    assert maximum({"exponentialRate": {**rate, "maximumPerMinute": 50}}) == 50
    assert maximum({"exponentialRate": {**rate, "maximumPerMinute": 50}, "maximumPerMinute": 70}) == 70
    assert maximum({"exponentialRate": rate}) is None


# --- members from elsewhere, as on MQTT ---------------------------------------------------------


def test_members_of_an_mqtt_payload_make_the_same_request() -> None:
    payload = b'{"status":"IN_PROGRESS","statusDetails":{"a":"b"},"clientToken":"c"}'
    members = {**parse_object(payload), "thingName": "t1", "jobId": "j1"}
    assert decode_members(UPDATE_EXECUTION, members) == iot_jobs_data.UpdateJobExecutionRequest(
        thing_name="t1", job_id="j1", status="IN_PROGRESS", status_details={"a": "b"}
    )


def test_members_that_http_keeps_in_the_query_are_json_on_mqtt() -> None:
    describe = operation_named(Plane.DEVICE, "DescribeJobExecution")
    members = {"thingName": "t1", "jobId": "$next", "includeJobDocument": False, "executionNumber": "3"}
    assert decode_members(describe, members) == iot_jobs_data.DescribeJobExecutionRequest(
        thing_name="t1", job_id="$next", include_job_document=False, execution_number=3
    )


@pytest.mark.parametrize("status", ["QUEUED", "CANCELED", "TIMED_OUT", "REMOVED"])
def test_a_status_no_device_may_set_is_left_to_the_operation(status: str) -> None:
    assert http(UPDATE_EXECUTION, {"status": status}).status == status


def test_an_operation_without_shapes_is_not_served() -> None:
    match = route(Plane.CONTROL, "GET", b"/policies")
    with pytest.raises(OperationNotServed, match="ListPolicies"):
        decode_members(match.operation, {})
