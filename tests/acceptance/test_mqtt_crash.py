"""Nothing acknowledged over MQTT is lost: the server is killed without warning while devices report."""

from __future__ import annotations

import json
import random
import threading
from collections import deque
from pathlib import Path
from typing import Any, NamedTuple

from mqtt_client import Device, Ended, TcpStream
from servers import Server
from thingjobs.mqtt.packets import ConnAck, Connect, PubAck, Publish, Version

ROUNDS = 25
DEVICES = 8
JOBS = 60
IN_FLIGHT = 4
"""Reports that a device sends before the first of them is acknowledged."""


class Kept(NamedTuple):
    """What the server said is safe: the execution's version and what it was reported with."""

    version: int
    status: str


class Worker(threading.Thread):
    """Works through its jobs, several reports ahead of their acknowledgements, until the server is gone.

    Each report expects the version before it and says which it makes, so one lost or done twice shows.
    ``safe`` holds by job the last report that was acknowledged (PUBACK).
    """

    def __init__(
        self, port: int, thing: str, version: Version, tick: threading.Semaphore, safe: dict[str, Kept]
    ) -> None:
        super().__init__(name=thing)
        self._device = Device(TcpStream(port), version)
        self._device.thing = thing
        self._tick = tick
        self._sent: deque[tuple[int, str, Kept]] = deque()  # packet, job, what it makes
        self.safe = safe
        self.rejected: list[str] = []

    def run(self) -> None:
        device = self._device
        try:
            device.send(Connect(device.thing, device.version, True, 60))
            device.awaited(ConnAck)
            while (started := device.accepted("start-next")).get("execution"):
                self._work_on(started["execution"]["jobId"], started["execution"]["versionNumber"])
        except (Ended, OSError):
            return  # the server was killed
        finally:
            device.close()

    def _work_on(self, job: str, version: int) -> None:
        self._confirm(job, Kept(version, "IN_PROGRESS"))
        for status in (*["IN_PROGRESS"] * 6, "SUCCEEDED"):
            while len(self._sent) >= IN_FLIGHT:
                self._hear()
            version += 1
            members = {
                "status": status,
                "statusDetails": {"version": str(version)},
                "expectedVersion": version - 1,
            }
            packet_id = self._device.new_packet_id()
            topic = self._device.topic(f"{job}/update")
            self._device.send(Publish(topic, json.dumps(members).encode(), 1, packet_id=packet_id))
            self._sent.append((packet_id, job, Kept(version, status)))
        while self._sent:
            self._hear()
        while len(self._device.messages) < 7:  # the answers come after their acknowledgements
            packet = self._device.next_packet()
            assert isinstance(packet, Publish)
            self._device.messages.append(packet)
        self.rejected += [m.topic for m in self._device.messages if not m.topic.endswith("/accepted")]
        self._device.messages.clear()

    def _hear(self) -> None:
        """Wait for the next acknowledgement, which has to be of the report that was sent first."""
        packet_id, job, kept = self._sent.popleft()
        assert self._device.awaited(PubAck).packet_id == packet_id
        self._confirm(job, kept)

    def _confirm(self, job: str, kept: Kept) -> None:
        self.safe[job] = kept
        self._tick.release()


def test_kill_loses_no_acknowledged_report(tmp_path: Path) -> None:
    choose = random.Random(11)
    things = [f"t{i}" for i in range(DEVICES)]
    safe: dict[str, dict[str, Kept]] = {thing: {} for thing in things}
    done: dict[str, set[str]] = {thing: set() for thing in things}
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
        workers = [
            Worker(server.mqtt_port, thing, Version.V5 if n % 2 else Version.V311, tick, safe[thing])
            for n, thing in enumerate(things)
        ]
        for worker in workers:
            worker.start()
        for _ in range(choose.randrange(10, 120)):
            assert tick.acquire(timeout=30)
        server.kill()
        for worker in workers:
            worker.join(30)
        assert [rejected for worker in workers for rejected in worker.rejected] == []
        server.restart()
        iot = server.client("iot")
        for thing in things:
            done[thing] |= _checked(iot, thing, safe[thing])

    for thing in things:
        listed = iot.get_paginator("list_job_executions_for_thing").paginate(
            thingName=thing, status="SUCCEEDED"
        )
        assert {row["jobId"] for page in listed for row in page["executionSummaries"]} == done[thing]
    assert sum(len(jobs) for jobs in done.values()) > ROUNDS, "the rounds did some work"
    assert server.stop() == 0


def _checked(iot: Any, thing: str, safe: dict[str, Kept]) -> set[str]:
    """Each execution is where it was acknowledged to be, or as far on as reports were under way.

    Those that are done leave ``safe``.
    """
    done = set()
    for job, (version, status) in safe.items():
        stored = iot.describe_job_execution(thingName=thing, jobId=job)["execution"]
        reached = stored["versionNumber"]
        assert version <= reached <= version + IN_FLIGHT, (thing, job)
        if reached == version:
            assert stored["status"] == status
        if reached > 2:  # no version was skipped or made twice, so each says which it is
            assert stored["statusDetails"]["detailsMap"] == {"version": str(reached)}
        if stored["status"] == "SUCCEEDED":
            done.add(job)
    for job in done:
        del safe[job]
    return done
