"""What is ours and AWS does not have: health, readiness, metrics, the list of operations, the clock."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from aws_client import SERVICES, model
from fleet import Fleet
from servers import Server
from thingjobs.operations.catalog import CONTROL, DEVICE
from thingjobs.wire.operation import Plane


def test_health_and_readiness_are_open(server: Server) -> None:
    status, headers, body = server.http("GET", "/-/health")
    assert (status, headers["content-type"], json.loads(body)["status"]) == (200, "application/json", "ok")
    status, _, body = server.http("GET", "/-/ready")
    assert (status, json.loads(body)) == (200, {"status": "ready", "store": "ok"})


def test_metrics_count_requests_by_operation(fleet: Fleet) -> None:
    fleet.completed_job()
    fleet.server.http("GET", "/jobs/nope")
    status, headers, body = fleet.server.http("GET", "/-/metrics")
    assert (status, headers["content-type"].split(";")[0]) == (200, "text/plain")
    lines = body.decode().splitlines()
    for operation, plane, code in (
        ("CreateJob", "control", "200"),
        ("DescribeJob", "control", "404"),
        ("UpdateJobExecution", "device", "200"),
    ):
        series = f'thingjobs_requests_total{{operation="{operation}",plane="{plane}",status="{code}"}}'
        assert any(line.startswith(series) for line in lines)


def test_operations_are_those_of_the_models(server: Server) -> None:
    status, _, body = server.http("GET", "/-/operations")
    assert status == 200
    shown = {(o["plane"], o["name"]): o for o in json.loads(body)["operations"]}
    expected = {(plane, name) for plane in Plane for name in model(plane).operation_names}
    assert shown.keys() == expected
    for (plane, name), operation in shown.items():
        described = model(Plane(plane)).operation_model(name)
        assert operation["service"] == SERVICES[Plane(plane)]
        assert operation["method"] == described.http["method"]
        assert operation["uri"] == described.http["requestUri"]


def test_operations_say_what_is_served_and_to_whom(server: Server) -> None:
    shown = json.loads(server.http("GET", "/-/operations")[2])["operations"]
    served = {(o["plane"], o["name"]): o["role"] for o in shown if o["served"]}
    assert {name for plane, name in served if plane == "control"} == CONTROL.keys()
    assert {name for plane, name in served if plane == "device"} == DEVICE
    assert served["control", "CreateJob"] == served["device", "UpdateJobExecution"] == "admin"
    assert {served[plane, "DescribeJobExecution"] for plane in Plane} == {"read-only"}
    assert {o["role"] for o in shown if not o["served"]} == {None}


# --- the clock ------------------------------------------------------------------------------------


def test_manual_clock_stands_still_and_is_wound(server: Server) -> None:
    before = json.loads(server.http("GET", "/-/clock")[2])
    assert before == {"now": server.now(), "mode": "manual"}
    assert server.advance(1.25) == before["now"] + 1250
    assert server.advance(0) == server.now() == before["now"] + 1250


@pytest.mark.parametrize(
    "body",
    [
        b'{"seconds":-1}',
        b'{"seconds":"1"}',
        b'{"seconds":null}',
        b'{"seconds":true}',
        b'{"seconds":[1]}',
        b'{"seconds":1e999}',
        b'{"seconds":1e12}',
        b'{"minutes":1}',
        b"{}",
        b"",
        b"60",
        b"{",
    ],
)
def test_clock_is_not_wound_by_anything_else_than_seconds(server: Server, body: bytes) -> None:
    """spec: ruling 22"""
    before = server.now()
    status, headers, _ = server.http("POST", "/-/clock/advance", body)
    assert (status, headers["x-amzn-errortype"]) == (400, "InvalidRequestException")
    assert server.now() == before


def test_reading_the_way_to_wind_the_clock_is_refused(server: Server) -> None:
    assert server.http("GET", "/-/clock/advance")[0] == 405


def test_manual_clock_survives_a_restart(tmp_path: Path) -> None:
    with Server(tmp_path / "data", "--clock", "manual") as server:
        stood_at = server.advance(86_400)
        assert server.stop() == 0
        server.restart()
        assert server.now() == stood_at


def test_system_clock_cannot_be_wound(tmp_path: Path) -> None:
    """spec: ruling 24 (in `dev`)"""
    with Server(tmp_path / "data") as server:
        first, second = (json.loads(server.http("GET", "/-/clock")[2]) for _ in range(2))
        assert (first["mode"], second["now"] >= first["now"]) == ("system", True)
        status, _, _ = server.http("POST", "/-/clock/advance", b'{"seconds":1}')
        assert status == 409
