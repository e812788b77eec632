"""A disk that takes no more: requests are refused, the process lives, and goes on when there is room.

The limit on file sizes that the kernel enforces for one process stands in for the disk: writes fail in
the system call, as they do when a disk is full.
"""

from __future__ import annotations

import json
import resource
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from servers import Server

NO_LIMIT = resource.RLIM_INFINITY


def limit_files(server: Server, size: int) -> None:
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (size, NO_LIMIT))


def readiness(server: Server) -> tuple[int, Any]:
    status, _, body = server.http("GET", "/-/ready")
    return status, json.loads(body)


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
    """Issue: a full or read-only disk gives ServiceUnavailable, shows in /-/ready, and passes."""
    with Server(tmp_path / "data") as server:
        iot = server.client("iot")
        before = iot.create_thing(thingName="before")
        log_size = (tmp_path / "data" / "thingjobs.db-wal").stat().st_size
        limit_files(server, room and log_size + room)

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
        assert readiness(server) == (200, {"status": "ready", "store": "ok"})
        iot.create_thing(thingName="after")
        names = {
            thing["thingName"]
            for page in iot.get_paginator("list_things").paginate()
            for thing in page["things"]
        }
        assert names == {"before", "after"} | {f"during-{i}" for i in range(stored)}
