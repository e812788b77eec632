"""A disk that takes no more: requests are refused, the process lives, and goes on when there is room.

The limit on file sizes that the kernel enforces for one process stands in for the disk: writes fail in
the system call, as they do when a disk is full.
"""

from __future__ import annotations

import json
import resource
import subprocess
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from botocore.exceptions import ClientError

from servers import Server

NO_LIMIT = resource.RLIM_INFINITY
SECONDS = 20
LOG_BEFORE = 64 << 20
"""Bytes that the log has at the start, so that it is beyond every limit that is set here."""


class LoggedToFile(Server):
    """A server whose standard error is a file, which the limit holds for as for the data."""

    def _started(self) -> subprocess.Popen[str]:
        path = self.data.with_name(f"{self.data.name}.stderr")
        with path.open("wb") as log:
            log.truncate(LOG_BEFORE)
        with path.open("ab") as log:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                text=True,
                env=self._environment,
            )
        self._tail = subprocess.Popen(
            ["tail", f"--pid={process.pid}", "-c", f"+{LOG_BEFORE + 1}", "-f", str(path)],
            stdout=subprocess.PIPE,
            text=True,
        )
        process.stderr = self._tail.stdout
        return process

    def stop(self) -> int:
        status = super().stop()
        self._tail.wait(SECONDS)
        return status


def limit_files(server: Server, size: int) -> None:
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size, NO_LIMIT))


def readiness(server: Server) -> tuple[int, Any]:
    status, _, body = server.http("GET", "/-/ready")
    return status, json.loads(body)


def until(claim: Callable[[], object]) -> None:
    """Ask the server until the claim holds: readiness may be a second old."""
    give_up_at = monotonic() + SECONDS
    while not claim():
        assert monotonic() < give_up_at


def metric(server: Server, name: str) -> float:
    text = server.http("GET", "/-/metrics")[2].decode()
    return next(float(line.split()[1]) for line in text.splitlines() if line.startswith(f"{name} "))


def events(server: Server) -> list[dict[str, Any]]:
    return [json.loads(line) for line in server.log_file.read_text().splitlines()]


def create_until_refused(iot: Any) -> tuple[int, Any]:
    """Make things until one is refused: how many were made, and the refusal."""
    for n in range(200):
        try:
            iot.create_thing(thingName=f"during-{n}", attributePayload={"attributes": {"a": "x" * 700}})
        except ClientError as error:
            return n, error.response
    raise AssertionError("nothing was refused")


@pytest.mark.parametrize("room", [0, 4096], ids=["no write at all", "only a few pages"])
def test_a_full_disk_refuses_writes_and_recovers(tmp_path: Path, room: int) -> None:
    """Issue: a full or read-only disk gives ServiceUnavailable, shows in /-/ready, and passes.

    The log is on the same disk.
    """
    with LoggedToFile(tmp_path / "data") as server:
        iot = server.client("iot")
        before = iot.create_thing(thingName="before")
        wal_size = (tmp_path / "data" / "thingjobs.db-wal").stat().st_size
        limit_files(server, room and wal_size + room)

        stored, refusal = create_until_refused(iot)
        assert refusal["Error"]["Code"] == "ServiceUnavailableException"
        assert refusal["ResponseMetadata"]["HTTPStatusCode"] == 503
        limit_files(server, 0)
        status, body = readiness(server)
        assert status == 503
        assert "store cannot serve now" in body["store"]
        assert server.http("GET", "/-/health")[0] == 200
        assert iot.describe_thing(thingName="before")["thingId"] == before["thingId"]

        limit_files(server, NO_LIMIT)
        iot.create_thing(thingName="after")
        until(lambda: readiness(server) == (200, {"status": "ready", "store": "ok"}))
        names = {
            thing["thingName"]
            for page in iot.get_paginator("list_things").paginate()
            for thing in page["things"]
        }
        assert names == {"before", "after"} | {f"during-{i}" for i in range(stored)}
        lost = metric(server, "thingjobs_log_lines_lost_total")
        assert server.stop() == 0
    (notice,) = [line for line in events(server) if line["event"] == "log_lines_lost"]
    assert notice["lines"] == lost > stored
    assert events(server)[-1]["event"] == "stopping"


def test_log_whose_reader_is_gone_is_missed_by_nobody(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        server.close_log()
        status, headers, _ = server.http("POST", "/things/t", b"{}")
        assert (status, headers["content-type"]) == (200, "application/json")
        assert headers["x-amzn-requestid"]
        status, headers, _ = server.http("GET", "/things/nobody")
        assert (status, headers["x-amzn-errortype"]) == (404, "ResourceNotFoundException")
        assert metric(server, "thingjobs_log_lines_lost_total") == 2
        assert server.stop() == 0
