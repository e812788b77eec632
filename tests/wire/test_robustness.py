"""Whatever comes in, what goes out is a value or an error of ours."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import msgspec
import pytest
from botocore.model import Shape
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import Struct

from aws_client import WITH_SHAPES, sample, shapes_of
from thingjobs.domain.errors import InvalidRequest, ServiceError
from thingjobs.wire.operation import Operation, Plane
from thingjobs.wire.rest_json import decode_members, decode_request, parse_object
from thingjobs.wire.routes import OPERATIONS
from thingjobs.wire.routing import Match, route
from thingjobs.wire.shapes import iot
from thingjobs.wire.validation import read_slowly

# A busy machine is no fault of the code.
CALM = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

P = ParamSpec("P")
T = TypeVar("T")

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
ODD = st.sampled_from(
    [
        None,
        "",
        "x",
        "\n",
        "7",
        0,
        -1,
        1,
        5.0,
        5.5,
        1e300,
        2**31,
        2**63,
        10**400,
        True,
        [],
        [None],
        {},
        {"": None},
    ]
)
LITERALS = sorted({part for operation in OPERATIONS for part in operation.uri.split("/") if "{" not in part})
SEGMENTS = st.sampled_from(LITERALS).map(str.encode) | st.binary(max_size=6) | st.just(b"%ff%zz%")


def values(shape: Shape) -> st.SearchStrategy[Any]:
    """Values near ``shape``: right ones, odd ones, and any JSON."""
    near: st.SearchStrategy[Any]
    match shape.type_name:
        case "structure":
            parts = {name: values(member) for name, member in shape.members.items()}
            near = st.fixed_dictionaries({}, optional=parts)
        case "list":
            near = st.lists(values(shape.member), max_size=3)
        case "map":
            near = st.dictionaries(st.just(sample(shape.key)) | st.text(), values(shape.value), max_size=3)
        case _:
            near = st.just(sample(shape))
    return near | near | near | st.just(sample(shape)) | ODD | JSON


REQUESTS = st.sampled_from(WITH_SHAPES).flatmap(
    lambda operation: st.tuples(
        st.just(operation), values(shapes_of(operation)[0]).filter(lambda members: isinstance(members, dict))
    )
)


def attempt(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | ServiceError:
    """What the function gives, or the refusal it raises; nothing else may be raised."""
    try:
        return function(*args, **kwargs)
    except ServiceError as error:
        return error


@CALM
@given(plane=st.sampled_from(Plane), method=st.text(max_size=6) | st.just("GET"), path=st.lists(SEGMENTS))
def test_any_path_is_routed_or_refused(plane: Plane, method: str, path: list[bytes]) -> None:
    outcome = attempt(route, plane, method, b"/" + b"/".join(path))
    assert isinstance(outcome, Match) or outcome.message.encode()


@CALM
@given(
    operation=st.sampled_from(WITH_SHAPES),
    label=st.text(max_size=70),
    query=st.binary(max_size=50),
    header=st.binary(max_size=20),
    body=st.binary(max_size=50) | JSON.map(lambda value: json.dumps(value).encode()),
)
def test_any_request_is_decoded_or_refused(
    operation: Operation, label: str, query: bytes, header: bytes, body: bytes
) -> None:
    query += b"&" + b"&".join(param.name.encode() + b"=" + query for param in operation.query)
    headers = [(param.name.encode(), header) for param in operation.header]
    labels = {param.name: label for param in operation.path}
    outcome = attempt(decode_request, operation, labels, query, headers, body)
    assert msgspec.json.encode(outcome) if isinstance(outcome, Struct) else outcome.message


@CALM
@given(REQUESTS)
def test_any_members_are_decoded_or_refused(request: tuple[Operation, dict[str, Any]]) -> None:
    operation, members = request
    outcome = attempt(decode_members, operation, members)
    if isinstance(outcome, Struct):
        again = parse_object(msgspec.json.encode(outcome))
        assert decode_members(operation, again) == outcome
    else:
        assert outcome.message.encode()


@CALM
@given(REQUESTS)
def test_the_slow_path_takes_what_the_fast_path_takes(request: tuple[Operation, dict[str, Any]]) -> None:
    operation, members = request
    assert operation.request is not None
    try:
        decoded = msgspec.convert(members, operation.request)
    except msgspec.ValidationError:
        return
    assert read_slowly(operation.request, members, {}) == decoded


@pytest.mark.parametrize(
    "members",
    [
        {"abortConfig": {"criteriaList": [{}] * 300_000}},
        {"documentParameters": {str(n): 1 for n in range(300_000)}},
        {"tags": [{"Key": [[]] * 10}] * 1_000},
    ],
)
def test_a_request_with_too_many_values_is_refused_without_a_walk(members: dict[str, Any]) -> None:
    """Hundreds of thousands of faults would take seconds in which nobody else is served."""
    with pytest.raises(InvalidRequest, match="more than 5000 values"):
        read_slowly(iot.CreateJobRequest, {"jobId": "j", "targets": ["t"], **members}, {})


def test_faults_of_many_values_are_told() -> None:
    tags = [{"Key": ""}] * 1_000
    with pytest.raises(InvalidRequest, match=r"\A1000 validation errors detected"):
        read_slowly(iot.CreateJobRequest, {"jobId": "j", "targets": ["t"], "tags": tags}, {})
