"""Routing: method and raw path to operation."""

from __future__ import annotations

import pytest

from aws_client import receive, sample, send, shapes_of
from thingjobs.domain.errors import InvalidRequest, MethodNotAllowed, UnknownOperation
from thingjobs.wire.operation import Operation, Plane
from thingjobs.wire.routes import OPERATIONS
from thingjobs.wire.routing import route

CONTROL, DEVICE = Plane.CONTROL, Plane.DEVICE


def found(plane: Plane, method: str, path: str, prefix: str = "") -> tuple[str, dict[str, str]]:
    match = route(plane, method, path.encode(), prefix)
    return match.operation.name, match.path_params


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda o: f"{o.plane}-{o.name}")
def test_every_operation_of_the_models_is_found_where_the_client_calls_it(operation: Operation) -> None:
    shape = shapes_of(operation)[0]
    located = {
        name: sample(member) for name, member in shape.members.items() if "location" in member.serialization
    }
    request = send(operation, **located)
    path = request.url.removeprefix("http://localhost").partition("?")[0]
    match = route(operation.plane, request.method, path.encode())
    assert match.operation is operation
    labels = {
        member.serialization.get("name", name): str(located[name])
        for name, member in shape.members.items()
        if member.serialization.get("location") == "uri"
    }
    assert match.path_params == labels


def test_a_segment_is_decoded_after_the_path_is_split() -> None:
    """spec: wire 3."""
    assert found(CONTROL, "GET", "/jobs/a%2Fb") == ("DescribeJob", {"jobId": "a/b"})
    assert found(CONTROL, "GET", "/jobs/a%253Ab+c") == ("DescribeJob", {"jobId": "a%3Ab+c"})
    assert found(CONTROL, "GET", "/jobs/a%zz%4") == ("DescribeJob", {"jobId": "a%zz%4"})


def test_next_may_be_percent_encoded() -> None:
    """spec: wire 3, device-plane 7."""
    for spelled in ("$next", "%24next"):
        path = f"/things/a%3Ab/jobs/{spelled}"
        assert found(DEVICE, "PUT", path) == ("StartNextPendingJobExecution", {"thingName": "a:b"})
        assert found(DEVICE, "GET", path) == ("DescribeJobExecution", {"thingName": "a:b", "jobId": "$next"})


def test_a_path_that_both_planes_have_is_found_on_the_asked_one() -> None:
    """spec: wire 2."""
    assert found(CONTROL, "GET", "/things/t/jobs")[0] == "ListJobExecutionsForThing"
    assert found(DEVICE, "GET", "/things/t/jobs")[0] == "GetPendingJobExecutions"


def test_a_thing_may_be_called_jobs() -> None:
    """spec: wire 2."""
    assert found(CONTROL, "GET", "/things/jobs") == ("DescribeThing", {"thingName": "jobs"})
    assert found(CONTROL, "GET", "/things/jobs/jobs/jobs")[1] == {"thingName": "jobs", "jobId": "jobs"}


def test_a_literal_segment_wins_over_a_label_of_its_method_only() -> None:
    path = "/thing-groups/addThingToThingGroup"
    assert found(CONTROL, "PUT", path) == ("AddThingToThingGroup", {})
    assert found(CONTROL, "GET", path) == ("DescribeThingGroup", {"thingGroupName": "addThingToThingGroup"})


def test_a_greedy_label_takes_the_rest_of_the_path() -> None:
    assert found(CONTROL, "GET", "/destinations/arn:a/b%2Fc/d") == (
        "GetTopicRuleDestination",
        {"arn": "arn:a/b/c/d"},
    )


@pytest.mark.parametrize(
    "path", ["", "jobs", "/", "/jobs/", "//jobs", "/jobs//targets", "/jobs/j/targets/", "/nothing", "/Jobs/j"]
)
def test_other_paths_are_unknown(path: str) -> None:
    """spec: wire 3, 5.1."""
    with pytest.raises(UnknownOperation):
        found(CONTROL, "GET", path)


def test_a_modelled_trailing_slash_is_kept() -> None:
    assert found(CONTROL, "GET", "/authorizers/")[0] == "ListAuthorizers"


@pytest.mark.parametrize("method", ["POST", "HEAD", "put", "BREW"])
def test_a_known_path_with_another_method_is_told_so(method: str) -> None:
    """spec: wire 5.1."""
    with pytest.raises(MethodNotAllowed):
        found(CONTROL, method, "/jobs/j1")


@pytest.mark.parametrize(
    ("plane", "method", "path", "name"),
    [
        (CONTROL, "PUT", "/things/t/jobs/$next", "StartNextPendingJobExecution"),
        (CONTROL, "POST", "/things/t/jobs/j", "UpdateJobExecution"),
        (DEVICE, "PUT", "/things/t/jobs/j/cancel", "CancelJobExecution"),
        (DEVICE, "GET", "/jobs/j", "DescribeJob"),
    ],
)
def test_an_operation_of_the_other_plane_is_unknown_here(
    plane: Plane, method: str, path: str, name: str
) -> None:
    """case 120; spec: wire 2."""
    with pytest.raises(UnknownOperation, match=name):
        found(plane, method, path)


def test_a_path_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="UTF-8"):
        found(CONTROL, "GET", "/jobs/%ff")


def test_a_configured_prefix_is_stripped_and_required() -> None:
    """spec: wire 3."""
    assert found(CONTROL, "GET", "/x/y/jobs/j1", prefix="/x/y") == ("DescribeJob", {"jobId": "j1"})
    for path in ("/jobs/j1", "/x/yjobs/j1", "/x/y"):
        with pytest.raises(UnknownOperation):
            found(CONTROL, "GET", path, prefix="/x/y")


def test_the_client_and_the_router_agree_on_odd_names() -> None:
    for name in ("a:b", "_-:", "jobs", "cancel"):
        match, _ = receive(CONTROL, send(_operation("DescribeThing"), thingName=name))
        assert match.path_params == {"thingName": name}


def _operation(name: str) -> Operation:
    return next(operation for operation in OPERATIONS if operation.name == name)
