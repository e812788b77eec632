"""The few requests the benchmarks make of any server: building them, and reading the answers."""

import asyncio
import json
import time
from typing import Any

from bench.errors import BenchError
from bench.load import Connection
from bench.server import Server

POLL_SECONDS = 0.005

DOCUMENT = json.dumps(
    {
        "operation": "firmware-update",
        "version": "4.2.1",
        "files": [
            {
                "name": "rootfs.img",
                "url": "https://updates.example.com/firmware/4.2.1/rootfs.img",
                "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
            }
        ],
        "rebootAfter": True,
    }
)


def create_thing(server: Server, name: str) -> bytes:
    return server.signer.request("POST", f"/things/{name}", b"{}")


def create_thing_group(server: Server, name: str) -> bytes:
    return server.signer.request("POST", f"/thing-groups/{name}", b"{}")


def describe_thing_group(server: Server, name: str) -> bytes:
    return server.signer.request("GET", f"/thing-groups/{name}")


def add_thing_to_thing_group(server: Server, thing: str, group: str) -> bytes:
    body = json.dumps({"thingName": thing, "thingGroupName": group}).encode()
    return server.signer.request("PUT", "/thing-groups/addThingToThingGroup", body)


def create_job(server: Server, job_id: str, targets: list[str]) -> bytes:
    body = json.dumps({"targets": targets, "document": DOCUMENT}).encode()
    return server.signer.request("PUT", f"/jobs/{job_id}", body)


def cancel_job(server: Server, job_id: str) -> bytes:
    return server.signer.request("PUT", f"/jobs/{job_id}/cancel", b"{}")


def describe_job(server: Server, job_id: str) -> bytes:
    return server.signer.request("GET", f"/jobs/{job_id}")


def describe_job_execution(server: Server, thing: str, job_id: str) -> bytes:
    return server.signer.request("GET", f"/things/{thing}/jobs/{job_id}")


def thing_group_arn(answer: bytes) -> str:
    """The ARN in an answer of CreateThingGroup or DescribeThingGroup."""
    return str(json.loads(answer)["thingGroupArn"])


async def counters(connection: Connection, server: Server, job_id: str) -> dict[str, Any]:
    """The ``jobProcessDetails`` of a job."""
    answer = json.loads(await connection.ask(describe_job(server, job_id)))
    details: dict[str, Any] = answer["job"]["jobProcessDetails"]
    return details


async def wait_queued(
    connection: Connection, server: Server, job_id: str, things: int, limit_seconds: float = 30
) -> float:
    """Wait until ``things`` executions of a job are queued; the seconds it took from now."""
    start = time.perf_counter()
    queued = -1
    while (waited := time.perf_counter() - start) < limit_seconds:
        queued = (await counters(connection, server, job_id))["numberOfQueuedThings"]
        if queued >= things:
            return time.perf_counter() - start
        await asyncio.sleep(POLL_SECONDS)
    raise BenchError(f"{queued} of {things} executions of {job_id} queued after {waited:.0f} s")
