"""The log of a server: one form for every line, a line for every refusal, and who asked."""

from __future__ import annotations

import base64
import json
import re
import socket
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from servers import Server


def lines(server: Server) -> list[dict[str, Any]]:
    """All lines of a server that has ended; each is JSON."""
    return [json.loads(line) for line in server.log_file.read_text().splitlines()]


def requests(server: Server) -> list[dict[str, Any]]:
    return [line for line in lines(server) if line["event"] == "request"]


def sent(server: Server, data: bytes) -> bytes:
    """What a server answers to bytes."""
    place = urlsplit(server.url)
    with socket.create_connection((place.hostname, place.port), 20) as connection:
        connection.sendall(data)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def test_bytes_that_are_not_http_are_logged_and_counted_as_a_refusal(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        answer = sent(server, b"\x16\x03\x01 garbage\r\n\r\n").decode()
        metrics = server.http("GET", "/-/metrics")[2].decode()
        assert server.stop() == 0
    assert answer.startswith("HTTP/1.1 400 ")
    request_id = re.findall(r"x-amzn-requestid: (\S+)", answer)
    assert 'thingjobs_requests_total{operation="unknown",plane="none",status="400"} 1.0' in metrics
    (line,) = requests(server)
    assert [line["request_id"]] == request_id
    assert (line["status"], line["error"]) == (400, "InvalidRequestException")
    assert [other["event"] for other in lines(server)] == ["listening", "request", "stopping"]


def test_operators_are_named_and_winding_the_clock_is_logged(tmp_path: Path) -> None:
    with Server(tmp_path / "data", "--clock", "manual", mode="serve") as server:
        (key,) = json.loads((server.data / "access-keys.json").read_text())["keys"]
        name, secret = key["access_key_id"], key["secret"]
        basic = {"Authorization": "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()}
        assert server.http("POST", "/-/clock/advance", b'{"seconds": 1}', basic)[0] == 200
        assert server.http("GET", "/-/nothing", headers=basic)[0] == 404
        assert server.http("GET", "/-/metrics", headers=basic)[0] == 200
        assert server.http("GET", "/-/metrics")[0] == 403
        assert server.stop() == 0
    shown = [(line["path"], line["status"], line["principal"]) for line in requests(server)]
    assert shown == [
        ("/-/clock/advance", 200, name),
        ("/-/nothing", 404, name),
        ("/-/metrics", 403, None),
    ]
