"""paho-mqtt: a plain MQTT client, in both versions of the protocol."""

from __future__ import annotations

import json
import os
import pty
import queue
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from acceptance.clients.scenario import SECONDS, Execution, Rejected, work_through
from fleet import Fleet


class PahoJobs:
    """Asks and waits for the message that has the same client token."""

    def __init__(self, client: paho.Client, thing: str) -> None:
        self._client = client
        self._base = f"$aws/things/{thing}/jobs"
        self._asked = 0
        self._answers: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()
        self._told: queue.Queue[dict[str, Any]] = queue.Queue()
        client.on_message = self._on_message

    def _on_message(self, client: paho.Client, _: object, message: paho.MQTTMessage) -> None:
        told = json.loads(message.payload)
        if message.topic.endswith("/notify-next"):
            self._told.put(told)
        else:
            self._answers.put((message.topic, told))

    def listen(self) -> None:
        granted: queue.Queue[list[Any]] = queue.Queue()
        self._client.on_subscribe = lambda *given: granted.put(given[3])
        filters = ("notify-next", "start-next/+", "+/get/+", "+/update/+")
        self._client.subscribe([(f"{self._base}/{name}", 1) for name in filters])
        assert [code.value for code in granted.get(timeout=SECONDS)] == [1] * 4

    def told_of(self) -> str | None:
        told = self._told.get(timeout=SECONDS)
        return told["execution"]["jobId"] if "execution" in told else None

    def start_next(self) -> Execution | None:
        return _execution(self._ask("start-next"))

    def describe_next(self) -> Execution | None:
        return _execution(self._ask("$next/get"))

    def update(self, job: str, status: str, details: Mapping[str, str], expected_version: int) -> int:
        answer = self._ask(
            f"{job}/update",
            status=status,
            statusDetails=dict(details),
            expectedVersion=expected_version,
            includeJobExecutionState=True,
        )
        return int(answer["executionState"]["versionNumber"])

    def _ask(self, name: str, **members: Any) -> dict[str, Any]:
        self._asked += 1
        token = f"token-{self._asked}"
        topic = f"{self._base}/{name}"
        self._client.publish(topic, json.dumps({"clientToken": token, **members}), 1).wait_for_publish(
            SECONDS
        )
        answered, told = self._answers.get(timeout=SECONDS)
        assert told["clientToken"] == token
        assert self._answers.empty(), "one copy"
        if answered == topic + "/rejected":
            raise Rejected(told["code"])
        assert answered == topic + "/accepted"
        return told


def _execution(answer: dict[str, Any]) -> Execution | None:
    execution = answer.get("execution")
    return execution and Execution(execution["jobId"], execution["versionNumber"])


@contextmanager
def connected(fleet: Fleet, client_id: str, protocol: MQTTProtocolVersion) -> Iterator[paho.Client]:
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=client_id, protocol=protocol)
    admitted: queue.Queue[Any] = queue.Queue()
    client.on_connect = lambda *given: admitted.put(given[3])
    client.connect("127.0.0.1", fleet.server.mqtt_port, keepalive=60)
    client.loop_start()
    try:
        assert admitted.get(timeout=SECONDS).value == 0
        yield client
    finally:
        client.disconnect()
        client.loop_stop()


@pytest.mark.parametrize("protocol", [MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5])
def test_paho_does_its_jobs(fleet: Fleet, protocol: MQTTProtocolVersion) -> None:
    thing = fleet.thing()
    with connected(fleet, thing, protocol) as client:
        jobs = PahoJobs(client, thing)
        jobs.listen()
        work_through(fleet, thing, jobs)


# --- the mosquitto command line ----------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("mosquitto_sub") is None, reason="mosquitto's clients are not installed")
@pytest.mark.parametrize("version", ["mqttv311", "mqttv5"])
def test_mosquitto_is_told_of_jobs_and_reports(fleet: Fleet, version: str) -> None:
    """It knows no requests: it listens in one process and publishes in others."""
    thing = fleet.thing()
    base = f"$aws/things/{thing}/jobs"
    common = ["-h", "127.0.0.1", "-p", str(fleet.server.mqtt_port), "-V", version, "-q", "1"]
    first = fleet.job(thing)
    # Debugging output says when the subscription is in force; to a pipe it would come at the end.
    listens = ["mosquitto_sub", *common, "-d", "-t", f"{base}/notify-next", "-C", "2", "-W", "20"]
    terminal, end_of_listener = pty.openpty()
    with subprocess.Popen(listens, stdout=end_of_listener) as listener, open(terminal) as said:
        os.close(end_of_listener)
        while "SUBACK" not in said.readline():
            pass
        second = fleet.job(thing)
        for job in (first, second):
            report = [*common, "-t", f"{base}/{job}/update", "-m", '{"status":"SUCCEEDED"}']
            subprocess.run(["mosquitto_pub", *report], check=True, timeout=SECONDS)
        told: list[dict[str, Any]] = []
        while len(told) < 2:
            line = said.readline()
            if line.startswith("{"):
                told.append(json.loads(line))
        assert listener.wait(SECONDS) == 0
    assert told[0]["execution"]["jobId"] == second
    assert "execution" not in told[1]
    assert fleet.describe(second)["status"] == "COMPLETED"
