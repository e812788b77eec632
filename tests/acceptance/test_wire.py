"""HTTP as any client may speak it: routes, shapes of answers, wrong bodies, bytes that are no HTTP."""

from __future__ import annotations

import http.client
import json
import socket
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from fleet import DEVICE_PLANE, Fleet, arn, refusal
from servers import Server
from thingjobs.auth.keys import FILE_NAME, AccessKeys

MAX_BODY = 1_048_576


def scoped(service: str, region: str = "us-east-1") -> dict[str, str]:
    """The header of a signature that `dev` does not verify; its scope counts."""
    credential = f"AKIA/20260101/{region}/{service}/aws4_request"
    return {
        "Authorization": f"AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders=host, Signature=0",
        "Content-Type": "application/json",
    }


def refused(answer: tuple[int, dict[str, str], bytes]) -> tuple[int, str]:
    """Status and name of a refusal that has the service's shape."""
    status, headers, body = answer
    told = json.loads(body)
    assert isinstance(told["message"], str)
    assert headers["content-type"] == "application/json"
    uuid.UUID(headers["x-amzn-requestid"])
    return status, headers["x-amzn-errortype"]


def connection(server: Server) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=30)


def exchange(server: Server, sent: bytes) -> bytes:
    """All that comes back until the server closes."""
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), timeout=30) as made:
        made.sendall(sent)
        received = b""
        while part := made.recv(65_536):
            received += part
    return received


# --- answers --------------------------------------------------------------------------------------


def test_every_served_jobs_operation_parses_and_has_a_request_id(fleet: Fleet) -> None:
    """case 167 (what is served)"""
    thing, group = fleet.thing(), arn("thinggroup", fleet.group())
    iot, done = fleet.iot, fleet.completed_job()
    job = {"jobId": fleet.unique("j")}
    execution = {"thingName": thing, **job}
    answers = [
        iot.create_job(**fleet.order(thing, group, targetSelection="CONTINUOUS", **job)),
        iot.describe_job(**job),
        iot.update_job(**job, description="d"),
        iot.list_jobs(),
        iot.get_job_document(**job),
        iot.associate_targets_with_job(**job, targets=[group]),
        iot.list_job_executions_for_job(**job),
        iot.list_job_executions_for_thing(thingName=thing),
        iot.describe_job_execution(**execution),
        fleet.data.get_pending_job_executions(thingName=thing),
        fleet.data.start_next_pending_job_execution(thingName=thing),
        fleet.data.describe_job_execution(**execution),
        fleet.data.update_job_execution(**execution, status="IN_PROGRESS"),
        iot.cancel_job_execution(**execution, force=True),
        iot.delete_job_execution(**execution, executionNumber=1),
        iot.cancel_job(**job),
        iot.delete_job(jobId=done),
    ]
    ids = {answer["ResponseMetadata"]["RequestId"] for answer in answers}
    assert len(ids) == len(answers)
    assert all(str(uuid.UUID(id_)) == id_ for id_ in ids)


def test_unset_members_are_null_for_operators_and_absent_for_devices(fleet: Fleet) -> None:
    """spec: control-plane 1.1, 1.5; wire 5"""
    thing = fleet.thing()
    job = fleet.job(thing)

    def shown(path: str, headers: dict[str, str] | None = None) -> dict[str, Any]:
        status, _, body = fleet.server.http("GET", path, headers=headers)
        assert status == 200
        answer: dict[str, Any] = json.loads(body)
        return answer

    described = shown(f"/jobs/{job}")["job"]
    unset = ("abortConfig", "jobExecutionsRetryConfig", "comment", "reasonCode", "description", "completedAt")
    assert [described[name] for name in unset] == [None] * len(unset)
    assert isinstance(described["createdAt"], float)
    assert shown("/jobs?maxResults=250")["nextToken"] is None
    execution = shown(f"/things/{thing}/jobs/{job}")["execution"]
    assert (execution["statusDetails"]["detailsMap"], execution["startedAt"]) == (None, None)
    assert shown(f"/jobs/{job}/things")["executionSummaries"][0]["jobExecutionSummary"]["startedAt"] is None
    for path in (f"/things/{thing}/jobs/{job}", f"/things/{thing}/jobs"):
        answer = fleet.server.http("GET", path, headers=DEVICE_PLANE)[2]
        assert b"null" not in answer
    queued = shown(f"/things/{thing}/jobs/{job}", DEVICE_PLANE)["execution"]["queuedAt"]
    assert type(queued) is int


def test_one_connection_carries_many_requests(fleet: Fleet) -> None:
    """spec: wire 5"""
    made = connection(fleet.server)
    for number in range(3):
        made.request("POST", f"/things/{fleet.unique('kept')}-{number}", "{}")
        first_socket = made.sock
        answer = made.getresponse()
        assert (answer.status, answer.read()[:1]) == (200, b"{")
        assert made.sock is first_socket
    made.close()


# --- which operation ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "told"),
    [
        ("GET", "/nothing", (404, "UnknownOperationException")),
        ("GET", "/", (404, "UnknownOperationException")),
        ("GET", "/jobs/", (404, "UnknownOperationException")),
        ("GET", "/jobs//things", (404, "UnknownOperationException")),
        ("GET", "/jobs/j1/", (404, "UnknownOperationException")),
        ("POST", "/jobs/j1", (405, "MethodNotAllowedException")),
        ("GET", "/jobs/%ff", (400, "InvalidRequestException")),
        ("GET", "/jobs/a%2Fb", (400, "InvalidRequestException")),
        ("GET", "/jobs/j%00", (400, "InvalidRequestException")),
        ("POST", "/streams/s1", (501, "NotImplementedException")),
        ("GET", "/-/nothing", (404, "UnknownOperationException")),
        ("POST", "/-/health", (405, "MethodNotAllowedException")),
    ],
)
def test_paths_that_lead_nowhere(server: Server, method: str, path: str, told: tuple[int, str]) -> None:
    """spec: wire 3, 5.1"""
    assert refused(server.http(method, path)) == told


@pytest.mark.parametrize(
    ("headers", "device"),
    [
        ({}, False),
        ({"Host": "iot.us-east-1.amazonaws.com"}, False),
        ({"Host": "abc.jobs.iot.us-east-1.amazonaws.com"}, True),
        ({"Host": "abc-ats.iot.us-east-1.amazonaws.com"}, True),
        ({"Host": "abc-ats.iot.us-east-1.amazonaws.com", **scoped("iot-jobs-data")}, True),
        ({"Host": "abc-ats.iot.us-east-1.amazonaws.com", **scoped("iot")}, False),
        (scoped("iotdata"), True),
        (scoped("execute-api"), False),
    ],
)
def test_scope_then_host_tell_the_plane(fleet: Fleet, headers: dict[str, str], device: bool) -> None:
    """case 197; spec: wire 2"""
    status, _, body = fleet.server.http("GET", f"/things/{fleet.thing()}/jobs", headers=headers)
    assert (status, b"queuedJobs" in body, b"executionSummaries" in body) == (200, device, not device)


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        (scoped("s3"), "InvalidSignatureException"),
        (scoped("iot", "Nowhere"), "InvalidSignatureException"),
        ({"Authorization": "Bearer token"}, "IncompleteSignatureException"),
        ({"Authorization": "AWS4-HMAC-SHA256 Credential=AKIA"}, "IncompleteSignatureException"),
    ],
)
def test_scope_that_means_no_plane_is_refused(server: Server, headers: dict[str, str], name: str) -> None:
    """spec: wire 5.1"""
    assert refused(server.http("GET", "/jobs", headers=headers)) == (403, name)


# --- queries --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("force=yes", 400),
        ("force=True", 400),
        ("force=", 400),
        ("force=%ff", 400),
        ("force=no&force=false", 409),
        ("color=red", 409),
        ("force=true", 200),
    ],
)
def test_booleans_of_a_query_are_exact_and_the_last_counts(fleet: Fleet, query: str, status: int) -> None:
    """spec: control-plane 1.1, wire 3"""
    job = fleet.job(fleet.thing())
    assert fleet.server.http("DELETE", f"/jobs/{job}?{query}")[0] == status


@pytest.mark.parametrize("number", ["x", "1.0", "", "1e1", "9" * 30])
def test_numbers_of_a_query_are_decimal_integers(server: Server, number: str) -> None:
    """spec: wire 3"""
    assert refused(server.http("GET", f"/jobs?maxResults={number}")) == (400, "InvalidRequestException")


# --- bodies ---------------------------------------------------------------------------------------


def test_integers_may_be_written_with_a_zero_fraction(fleet: Fleet) -> None:
    """spec: wire 4"""
    for minutes, status in ((5.0, 200), (5.5, 400)):
        order = fleet.order(fleet.thing(), timeoutConfig={"inProgressTimeoutInMinutes": minutes})
        answer = fleet.server.http("PUT", f"/jobs/{order.pop('jobId')}", json.dumps(order).encode())
        assert answer[0] == status


@pytest.mark.parametrize("body", [b"{", b"[]", b'"text"', b"\xff\xfe", b"{}{}", b"[" * 100_000])
def test_body_that_is_no_json_object_is_refused(fleet: Fleet, body: bytes) -> None:
    """spec: wire 4, 5.1"""
    job = fleet.job(fleet.thing())
    for method, path in (("PUT", "/jobs/new"), ("PATCH", f"/jobs/{job}"), ("PUT", f"/jobs/{job}/cancel")):
        answer = fleet.server.http(method, path, body)
        assert refused(answer) == (400, "InvalidRequestException")
    assert fleet.describe(job)["status"] == "IN_PROGRESS"


def test_body_may_come_in_chunks_or_not_at_all(fleet: Fleet) -> None:
    """spec: wire 4"""
    job = fleet.job(fleet.thing())
    made = connection(fleet.server)
    made.request("PATCH", f"/jobs/{job}", iter([b'{"descrip', b'tion":"in ', b'chunks"}']))
    assert made.getresponse().read() == b""
    assert fleet.describe(job)["description"] == "in chunks"
    made.request("PUT", f"/jobs/{job}/cancel")
    assert made.getresponse().status == 200
    made.close()


def test_long_document_fits_even_when_every_character_is_escaped(fleet: Fleet) -> None:
    """spec: ruling 3"""
    order = fleet.order(fleet.thing(), document='"' + "\N{GRINNING FACE}" * 32_766 + '"')
    body = json.dumps(order).encode()
    assert len(body) > 390_000
    assert fleet.server.http("PUT", f"/jobs/{order['jobId']}", body)[0] == 200


def test_body_beyond_one_mebibyte_is_refused(fleet: Fleet) -> None:
    """spec: ruling 3, wire 4"""
    job = fleet.job(fleet.thing())
    fill = b'{"description":"d","padding":"'
    full = fill + b"x" * (MAX_BODY - len(fill) - 2) + b'"}'
    assert fleet.server.http("PATCH", f"/jobs/{job}", full)[0] == 200
    head = f"PATCH /jobs/{job} HTTP/1.1\r\nHost: h\r\n".encode()
    chunk = b"40000\r\n" + b"x" * 0x40000 + b"\r\n"
    for sent in (
        head + b"Content-Length: 1048577\r\n\r\n",
        head + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 4 + b"1\r\nx\r\n",
    ):
        answer = exchange(fleet.server, sent)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"x-amzn-errortype: InvalidRequestException" in answer


def test_client_that_waits_to_be_asked_for_its_body_is_asked(fleet: Fleet) -> None:
    """spec: wire 4"""
    job = fleet.job(fleet.thing())
    address = urlsplit(fleet.server.url)
    head = f"PATCH /jobs/{job} HTTP/1.1\r\nHost: h\r\nContent-Length: 19\r\nExpect: 100-continue\r\n\r\n"
    with socket.create_connection((address.hostname, address.port), timeout=30) as made:
        made.sendall(head.encode())
        assert made.recv(1000).startswith(b"HTTP/1.1 100 ")
        made.sendall(b'{"description":"e"}')
        assert made.recv(1000).startswith(b"HTTP/1.1 200 ")


# --- bytes that are no HTTP -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sent",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 hello, TLS\r\n\r\n",
        b"GET\r\n\r\n",
        b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00",
        b"GET /jobs HTTP/1.1\r\nHost: h\r\nContent-Length: many\r\n\r\n",
        b"GET /jobs HTTP/1.1\r\nHost: h\r\nContent-Length: -1\r\n\r\n",
        b"GET /jobs HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 70_000 + b"\r\n\r\n",
        b"POST /things/t HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    ],
    ids=["tls", "no-path", "mqtt", "length-text", "length-negative", "huge-head", "bad-chunk"],
)
def test_garbage_is_answered_and_harms_nobody_else(fleet: Fleet, sent: bytes) -> None:
    """spec: wire 5.1"""
    other = connection(fleet.server)
    other.connect()
    head, _, body = exchange(fleet.server, sent).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ")
    headers = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
    assert headers[b"x-amzn-errortype"] == b"invalidrequestexception"
    uuid.UUID(headers[b"x-amzn-requestid"].decode())
    assert json.loads(body)["message"]
    other.request("GET", "/jobs")
    assert other.getresponse().status == 200
    other.close()


# --- behind a prefix --------------------------------------------------------------------------------


def test_a_path_prefix_stands_in_front_of_the_api(tmp_path: Path) -> None:
    """spec: wire 3, endpoint path prefix; signatures are of the whole path"""
    with Server(tmp_path / "data", "--path-prefix", "/aws/iot", mode="serve") as server:
        (key,) = AccessKeys(server.data / FILE_NAME).list()
        address, server.url = server.url, f"{server.url}/aws/iot"
        fleet = Fleet(server, lambda prefix: f"{prefix}-1", key=(key.access_key_id, key.secret))
        thing = fleet.thing()
        job = fleet.job(thing)
        assert fleet.start_next(thing) is not None
        assert fleet.describe(job)["status"] == "IN_PROGRESS"
        server.url = address
        without = Fleet(server, lambda prefix: f"{prefix}-2", key=(key.access_key_id, key.secret))
        assert refusal(without.thing).code == "UnknownOperationException"
        assert server.http("GET", "/-/health")[0] == 200
