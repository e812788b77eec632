"""AWSIoTPythonSDK, the first SDK: it speaks TLS only, so a proxy of the tests ends TLS for it."""

from __future__ import annotations

import json
import queue
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from AWSIoTPythonSDK.core.jobs.thingJobManager import (
    jobExecutionStatus,
    jobExecutionTopicReplyType,
    jobExecutionTopicType,
)
from AWSIoTPythonSDK.MQTTLib import (
    AWSIoTMQTTThingJobsClient,
)

from acceptance.clients.scenario import SECONDS, Execution, Rejected, work_through
from fleet import Fleet

STATUSES = {
    "IN_PROGRESS": jobExecutionStatus.JOB_EXECUTION_IN_PROGRESS,
    "SUCCEEDED": jobExecutionStatus.JOB_EXECUTION_SUCCEEDED,
}


class FirstSdk:
    def __init__(self, client: AWSIoTMQTTThingJobsClient) -> None:
        self._client = client
        self._told: queue.Queue[dict[str, Any]] = queue.Queue()
        self._answers: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()
        kinds, replies = jobExecutionTopicType, jobExecutionTopicReplyType
        self._listen(self._on_next, kinds.JOB_NOTIFY_NEXT_TOPIC, replies.JOB_REQUEST_TYPE, None)
        for kind, job in (
            (kinds.JOB_START_NEXT_TOPIC, None),
            (kinds.JOB_DESCRIBE_TOPIC, "$next"),
            (kinds.JOB_UPDATE_TOPIC, "+"),
        ):
            for reply in (replies.JOB_ACCEPTED_REPLY_TYPE, replies.JOB_REJECTED_REPLY_TYPE):
                self._listen(self._on_answer, kind, reply, job)

    def _listen(self, callback: Callable[..., None], kind: Any, reply: Any, job: str | None) -> None:
        assert self._client.createJobSubscription(callback, kind, reply, job)

    def _on_next(self, client: Any, userdata: Any, message: Any) -> None:
        self._told.put(json.loads(message.payload))

    def _on_answer(self, client: Any, userdata: Any, message: Any) -> None:
        self._answers.put((message.topic, json.loads(message.payload)))

    def told_of(self) -> str | None:
        told = self._told.get(timeout=SECONDS)
        return told["execution"]["jobId"] if "execution" in told else None

    def start_next(self) -> Execution | None:
        assert self._client.sendJobsStartNext()
        return self._execution()

    def describe_next(self) -> Execution | None:
        assert self._client.sendJobsDescribe("$next")
        return self._execution()

    def update(self, job: str, status: str, details: Mapping[str, str], expected_version: int) -> int:
        assert self._client.sendJobsUpdate(
            job, STATUSES[status], dict(details), expected_version, includeJobExecutionState=True
        )
        return int(self._answer()["executionState"]["versionNumber"])

    def _execution(self) -> Execution | None:
        execution = self._answer().get("execution")
        return execution and Execution(execution["jobId"], execution["versionNumber"])

    def _answer(self) -> dict[str, Any]:
        topic, told = self._answers.get(timeout=SECONDS)
        assert self._answers.empty(), "one copy"
        if topic.endswith("/rejected"):
            raise Rejected(told["code"])
        return told


# --- TLS ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A key and a certificate that signs itself; server and device both use it."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed, which makes the certificate")
    folder = tmp_path_factory.mktemp("tls")
    key, chain = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", key, "-out", chain, "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    return key, chain


@contextmanager
def tls_proxy(port: int, key: Path, chain: Path) -> Iterator[int]:
    """Ends TLS for one connection and carries its bytes to ``port``; its own port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    context.load_verify_locations(chain)
    context.verify_mode = ssl.CERT_REQUIRED  # as AWS asks for the device's certificate

    def carry() -> None:
        with closing(listener):
            raw, _ = listener.accept()
        with (
            context.wrap_socket(raw, server_side=True) as outside,
            socket.create_connection(("127.0.0.1", port)) as inside,
        ):
            back = threading.Thread(target=pour, args=(inside, outside))
            back.start()
            pour(outside, inside)
            back.join(SECONDS)

    listener = socket.create_server(("127.0.0.1", 0))
    carrier = threading.Thread(target=carry)
    carrier.start()
    try:
        yield listener.getsockname()[1]
    finally:
        carrier.join(SECONDS)


def pour(source: socket.socket, sink: socket.socket) -> None:
    """Carry bytes until there are no more, then end the other side."""
    with suppress(OSError):  # one of them may be gone
        while data := source.recv(65_536):
            sink.sendall(data)
    with suppress(OSError):
        sink.shutdown(socket.SHUT_RDWR)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of ssl, about what the SDK does
def test_first_sdk_does_its_jobs(fleet: Fleet, certificate: tuple[Path, Path]) -> None:
    thing = fleet.thing()
    key, chain = certificate
    with tls_proxy(fleet.server.mqtt_port, key, chain) as port:
        client = AWSIoTMQTTThingJobsClient(thing, thing, QoS=1)
        client.configureEndpoint("localhost", port)
        client.configureCredentials(str(chain), str(key), str(chain))
        client.configureConnectDisconnectTimeout(SECONDS)
        client.configureMQTTOperationTimeout(SECONDS)
        assert client.connect()
        try:
            work_through(fleet, thing, FirstSdk(client))
        finally:
            assert client.disconnect()
