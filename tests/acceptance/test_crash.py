"""Nothing acknowledged is lost: the server is killed without warning while devices report."""

from __future__ import annotations

import http.client
import json
import random
import threading
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from servers import Server

ROUNDS = 12
DEVICES = 8
JOBS = 40
DATA_PLANE = (
    "AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/iot-jobs-data/aws4_request,"
    " SignedHeaders=host, Signature=0"
)


class Device(threading.Thread):
    """Works through its jobs, reporting progress, until the server goes away.

    ``acknowledged`` holds, by job, the last version and status that the server confirmed; every report
    carries the version it is to become, so that a report lost or done twice shows.
    """

    def __init__(self, url: str, thing: str, tick: threading.Semaphore, acknowledged: dict[str, Any]) -> None:
        super().__init__(name=thing)
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=30)
        self._thing = thing
        self._tick = tick
        self.acknowledged = acknowledged
        self.refused: list[str] = []

    def run(self) -> None:
        try:
            while True:
                execution = self._ask("PUT", f"/things/{self._thing}/jobs/$next", {}).get("execution")
                if execution is None:
                    return
                self._work_on(execution["jobId"], execution["versionNumber"])
        except (OSError, http.client.HTTPException):
            return  # the server was killed
        finally:
            self._connection.close()

    def _work_on(self, job: str, version: int) -> None:
        self._confirm(job, version, "IN_PROGRESS")
        for status in ("IN_PROGRESS", "IN_PROGRESS", "SUCCEEDED"):
            version += 1
            self._ask(
                "POST",
                f"/things/{self._thing}/jobs/{job}",
                {
                    "status": status,
                    "statusDetails": {"version": str(version)},
                    "expectedVersion": version - 1,
                },
            )
            self._confirm(job, version, status)

    def _ask(self, method: str, path: str, body: dict[str, Any]) -> Any:
        self._connection.request(method, path, json.dumps(body), {"Authorization": DATA_PLANE})
        answer = self._connection.getresponse()
        text = answer.read()
        if answer.status != 200:
            self.refused.append(f"{method} {path}: {text!r}")
            raise http.client.HTTPException(text)
        return json.loads(text)

    def _confirm(self, job: str, version: int, status: str) -> None:
        self.acknowledged[job] = (version, status)
        self._tick.release()


def test_kill_loses_no_acknowledged_report(tmp_path: Path) -> None:
    """Issue: kill -9 during a stream of updates; acknowledged reports are there, counters equal the list."""
    choose = random.Random(7)
    things = [f"t{i}" for i in range(DEVICES)]
    known: dict[str, dict[str, Any]] = {thing: {} for thing in things}
    server = Server(tmp_path / "data")
    iot = server.client("iot")
    iot.create_thing_group(thingGroupName="g")
    for thing in things:
        iot.create_thing(thingName=thing)
        iot.add_thing_to_thing_group(thingGroupName="g", thingName=thing)
    group = iot.describe_thing_group(thingGroupName="g")["thingGroupArn"]
    for n in range(JOBS):
        iot.create_job(jobId=f"j{n}", targets=[group], document="{}")

    for _ in range(ROUNDS):
        tick = threading.Semaphore(0)
        devices = [Device(server.url, thing, tick, known[thing]) for thing in things]
        for device in devices:
            device.start()
        for _ in range(choose.randrange(20, 90)):
            assert tick.acquire(timeout=30)
        server.kill()
        for device in devices:
            device.join(30)
        assert [refusal for device in devices for refusal in device.refused] == []
        server.restart()
        iot = server.client("iot")
        for thing in things:
            _check_kept(iot, thing, known[thing])
        _check_counters(iot)

    total = sum(len(jobs) for jobs in known.values())
    assert total > ROUNDS, "the rounds did some work"
    assert server.stop() == 0


def _check_kept(iot: Any, thing: str, acknowledged: dict[str, Any]) -> None:
    """Each execution is at the version confirmed, or one report further that was not confirmed in time."""
    for job, (version, status) in acknowledged.items():
        stored = iot.describe_job_execution(thingName=thing, jobId=job)["execution"]
        assert version <= stored["versionNumber"] <= version + 1, (thing, job)
        if stored["versionNumber"] == version:
            assert stored["status"] == status
        details = stored["statusDetails"].get("detailsMap", {})
        if stored["versionNumber"] > 2:
            assert details == {"version": str(stored["versionNumber"])}


def _check_counters(iot: Any) -> None:
    names = ("Queued", "InProgress", "Succeeded", "Failed", "Rejected", "TimedOut", "Canceled", "Removed")
    for n in range(JOBS):
        listed: Counter[str] = Counter()
        for page in iot.get_paginator("list_job_executions_for_job").paginate(jobId=f"j{n}"):
            for row in page["executionSummaries"]:
                status = row["jobExecutionSummary"]["status"]
                listed[status.title().replace("_", "")] += 1
        job = iot.describe_job(jobId=f"j{n}")["job"]
        counted = {name: job["jobProcessDetails"][f"numberOf{name}Things"] for name in names}
        assert counted == {name: listed[name] for name in names}
        assert (job["status"] == "COMPLETED") == (listed["Succeeded"] == DEVICES)
