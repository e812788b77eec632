"""Bounds of requests other than the model's, on the fast and on the slow path of validation."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from thingjobs.domain.errors import InvalidRequest
from thingjobs.wire.operation import Plane
from thingjobs.wire.rest_json import decode_members, decode_request
from thingjobs.wire.routes import OPERATIONS
from thingjobs.wire.routing import operation_named
from thingjobs.wire.shape_limits import ShapeLimits, upper_bounds
from thingjobs.wire.shapes import iot, iot_jobs_data

CREATE_JOB = operation_named(Plane.CONTROL, "CreateJob")
UPDATE = operation_named(Plane.DEVICE, "UpdateJobExecution")
A_JOB = {"targets": ["arn"], "document": "{}"}


def create_job(limits: Mapping[str, int], **members: Any) -> iot.CreateJobRequest:
    body = json.dumps({**A_JOB, **members}).encode()
    request = decode_request(ShapeLimits(limits).applied_to(CREATE_JOB), {"jobId": "j"}, b"", [], body)
    assert isinstance(request, iot.CreateJobRequest)
    return request


def refusal(limits: Mapping[str, int], **members: Any) -> str:
    with pytest.raises(InvalidRequest) as error:
        create_job(limits, **members)
    return error.value.message


def test_without_limits_the_generated_shapes_are_used() -> None:
    for operation in OPERATIONS:
        assert ShapeLimits().applied_to(operation) is operation


def test_a_length_can_be_raised_and_lowered() -> None:
    document = json.dumps("x" * 40_000)
    assert "less than or equal to 32768" in refusal({}, document=document)
    assert create_job({"JobDocument": 50_000}, document=document).document == document
    assert refusal({"JobDocument": 3}, document="null") == (
        "1 validation error detected: Value 'null' at 'document' failed to satisfy constraint:"
        " Member must have length less than or equal to 3"
    )


def test_a_value_and_a_count_deep_inside_can_be_raised_and_lowered() -> None:
    rollout = {"maximumPerMinute": 5_000}
    limits = {"MaxJobExecutionsPerMin": 5_000, "DestinationPackageVersions": 1, "TagKey": 2, "TagValue": 300}
    request = create_job(limits, jobExecutionsRolloutConfig=rollout, tags=[{"Key": "k", "Value": "v" * 300}])
    assert request.job_executions_rollout_config is not None
    assert request.job_executions_rollout_config.maximum_per_minute == 5_000
    message = refusal(limits, destinationPackageVersions=["arn:a", "arn:b"], tags=[{"Key": "key"}])
    assert "at 'destinationPackageVersions' failed to satisfy constraint: Member must have length" in message
    assert "'key' at 'tags.1.member.Key' failed to satisfy constraint: Member must have length" in message


def test_limits_hold_on_the_slow_path_too() -> None:
    """A spelling that only the slow path takes: 7.0 for an integer."""
    exponential = {"baseRatePerMinute": 1.0, "incrementFactor": 6, "rateIncreaseCriteria": {}}
    config = {"maximumPerMinute": 7.0, "exponentialRate": exponential}
    limits = {"IncrementFactor": 6, "MaxJobExecutionsPerMin": 7}
    read = create_job(limits, jobExecutionsRolloutConfig=config).job_executions_rollout_config
    assert read is not None
    assert read.exponential_rate is not None
    assert (read.maximum_per_minute, read.exponential_rate.increment_factor) == (7, 6)
    message = refusal({**limits, "MaxJobExecutionsPerMin": 6}, jobExecutionsRolloutConfig=config)
    assert message.endswith("Member must have value less than or equal to 6")


def test_devices_are_held_to_them_too() -> None:
    update = ShapeLimits({"DetailsMap": 11, "DetailsValue": 3}).applied_to(UPDATE)
    members = {"jobId": "j", "thingName": "t", "status": "IN_PROGRESS"}
    eleven = {f"k{n}": "v" for n in range(11)}
    read = decode_members(update, {**members, "statusDetails": eleven})
    assert isinstance(read, iot_jobs_data.UpdateJobExecutionRequest)
    assert read.status_details == eleven
    with pytest.raises(InvalidRequest, match="less than or equal to 3"):
        decode_members(update, {**members, "statusDetails": {"k": "long"}})


@pytest.mark.parametrize("name", upper_bounds())
def test_each_bound_is_replaced_wherever_it_holds_and_nothing_else(name: str) -> None:
    bound = upper_bounds()[name]
    limits = ShapeLimits({name: math.ceil(bound.default) + 1})
    changed = 0
    for operation in OPERATIONS:
        if operation.request is None:
            continue
        limited = limits.applied_to(operation).request
        assert limited is not None
        assert issubclass(limited, operation.request)
        before = msgspec.json.schema(operation.request)
        after = msgspec.json.schema(limited)
        changed += before != after
        assert _without(after, name) == _without(before, name)
        assert (limited is operation.request) is (before == after)
    assert changed


def _without(schema: Any, name: str) -> Any:
    """A JSON schema without the upper bound of the named shape."""
    if isinstance(schema, dict):
        bounded = schema.get("title") == name
        ends = ("maximum", "maxLength", "maxItems", "maxProperties") if bounded else ()
        return {key: _without(value, name) for key, value in schema.items() if key not in ends}
    return [_without(each, name) for each in schema] if isinstance(schema, list) else schema
