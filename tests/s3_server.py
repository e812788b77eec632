"""A real S3 server as a process of its own: SeaweedFS, which verifies every signature and its expiry."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import boto3
import botocore.config

PROGRAM = Path(sys.executable).with_name("weed")
START_SECONDS = 30.0
STOP_SECONDS = 20.0
ATTEMPTS = 3
"""A port that was free a moment ago may be taken by the time the server asks for it."""

PORTS = (
    "s3.port",
    "s3.port.grpc",
    "master.port",
    "master.port.grpc",
    "volume.port",
    "volume.port.grpc",
    "filer.port",
    "filer.port.grpc",
    "admin.port",
    "admin.port.grpc",
)
CLIENT = botocore.config.Config(
    signature_version="s3v4", s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}
)
_READY = "All enabled components are running and ready to use"
_S3_ENDPOINT = re.compile(r"S3 Endpoint:\s+(http://\S+)")


class Key(NamedTuple):
    """Credentials; ``session_token`` is there if a role was assumed."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None


class S3Server:
    """SeaweedFS in ``data``, with one administrator and the role ``role_arn``, which may only read.

    Its ``log_file`` stands beside ``data``. S3 and STS share ``endpoint``. Waiting is for the line in which
    it says that all of it is ready, never for time to pass.
    """

    region = "us-east-1"
    access_key_id = "AKIAIOSFODNN7TESTING"
    secret_access_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYTESTINGKEY"
    role_arn = "arn:aws:iam::123456789012:role/presigner"

    def __init__(self, data: Path) -> None:
        self.data = data
        self.log_file = data.with_name(f"{data.name}.log")
        data.mkdir(parents=True)
        for name, content in (("identities.json", self._identities()), ("roles.json", self._roles())):
            (data / name).write_text(json.dumps(content), encoding="utf-8")
        self.endpoint = self._awaited_endpoint()

    def client(self, service: str = "s3", key: Key | None = None) -> Any:
        """A boto3 client, path-style; of the administrator unless ``key`` says who."""
        by = key or Key(self.access_key_id, self.secret_access_key)
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=self.region,
            aws_access_key_id=by.access_key_id,
            aws_secret_access_key=by.secret_access_key,
            aws_session_token=by.session_token,
            config=CLIENT if service == "s3" else None,
        )

    def assume_role(self) -> Key:
        """What STS gives to who takes on ``role_arn``."""
        answer = self.client("sts").assume_role(RoleArn=self.role_arn, RoleSessionName="tests")
        given = answer["Credentials"]
        return Key(given["AccessKeyId"], given["SecretAccessKey"], given["SessionToken"])

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        self._process.wait(STOP_SECONDS)
        self._log_keeper.wait(STOP_SECONDS)

    def __enter__(self) -> S3Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # --- starting -----------------------------------------------------------------------------------

    def _awaited_endpoint(self) -> str:
        said = ""
        for _ in range(ATTEMPTS):
            endpoint, said = self._started()
            if endpoint is not None:
                return endpoint
        raise AssertionError(f"the S3 server did not start: {said}")

    def _started(self) -> tuple[str | None, str]:
        """Where it listens, or None if it ended instead; and what it said until then."""
        self._process = subprocess.Popen(
            [PROGRAM, *self._arguments()],
            cwd=self.data,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert self._process.stdout is not None
        give_up = threading.Timer(START_SECONDS, self._process.kill)
        give_up.start()
        endpoint, said, ready = None, "", False
        for line in self._process.stdout:
            said += line
            ready = ready or _READY in line
            if ready and (match := _S3_ENDPOINT.search(line)):
                endpoint = match[1]
                break
        give_up.cancel()
        with self.log_file.open("a", encoding="utf-8") as log:
            log.write(said)
            log.flush()
            self._log_keeper = subprocess.Popen(["cat"], stdin=self._process.stdout, stdout=log)
        self._process.stdout.close()
        if endpoint is None:
            self.stop()
        return endpoint, said

    def _arguments(self) -> list[str]:
        return [
            "mini",
            "-dir=.",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            *(f"-{name}={port}" for name, port in free_ports(PORTS).items()),
            "-s3.config=identities.json",
            "-s3.iam.config=roles.json",
            "-s3.autoCreateBucket=false",
            "-s3.localSocket=s3.sock",
            "-filer.localSocket=filer.sock",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
            "-webdav=false",
            "-admin.ui=false",
            "-master.telemetry=false",
            "-volume.preStopSeconds=0",
        ]

    def _identities(self) -> dict[str, object]:
        key = {"accessKey": self.access_key_id, "secretKey": self.secret_access_key}
        return {"identities": [{"name": "administrator", "credentials": [key], "actions": ["Admin"]}]}

    def _roles(self) -> dict[str, object]:
        may_read = {"Effect": "Allow", "Action": ["s3:GetObject", "s3:GetObjectVersion"], "Resource": ["*"]}
        all_may_assume = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": ["sts:AssumeRole"]}
        role = {
            "roleName": self.role_arn.rpartition("/")[2],
            "roleArn": self.role_arn,
            "attachedPolicies": ["reading"],
            "trustPolicy": _policy(all_may_assume),
        }
        return {
            "sts": {
                "issuer": "tests",
                "signingKey": "dGhlIGtleSBvZiB0aGUgc2VydmVyIGZvciB0ZXN0cw==",
                "tokenDuration": "1h",
                "maxSessionLength": "12h",
            },
            "policies": [{"name": "reading", "document": _policy(may_read)}],
            "roles": [role],
        }


def _policy(statement: Mapping[str, object]) -> dict[str, object]:
    return {"Version": "2012-10-17", "Statement": [statement]}


def free_ports(names: tuple[str, ...]) -> dict[str, int]:
    """A port of the loopback for each name, all different and free at this moment."""
    with ExitStack() as stack:
        bound = {name: stack.enter_context(socket.socket()) for name in names}
        for each in bound.values():
            each.bind(("127.0.0.1", 0))
        return {name: each.getsockname()[1] for name, each in bound.items()}
