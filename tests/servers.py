"""The real program as a process of its own, and real clients for it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import boto3
import botocore.config

PROGRAM = Path(sys.executable).with_name("thingjobs")
START_SECONDS = 30.0
STOP_SECONDS = 20.0
NO_RETRIES = botocore.config.Config(retries={"total_max_attempts": 1}, parameter_validation=False)
_LISTENING = re.compile(r'"http":"(http://[^"]+)","mqtt":(?:"[^"]+:(\d+)"|null)')


class Server:
    """``thingjobs dev`` or ``serve`` on a free port; its log is in ``log_file``.

    Waiting is for the log line that says it listens, never for time to pass.
    """

    def __init__(self, data: Path, *options: str, mode: str = "dev") -> None:
        self.data = data
        self.log_file = data.with_name(f"{data.name}.log")
        self._environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "THINGJOBS_"))
        }
        ports = ["--http-port", "0", *(["--mqtt-port", "0"] if mode == "dev" else [])]
        unlimited = mode == "serve" and not any("rate" in option for option in options)
        rates = ["--no-request-rates"] if unlimited else []
        self._command = [str(PROGRAM), mode, "--data", str(data), *ports, *rates, *options]
        self.process = self._started()
        self.url = self._awaited_url()

    def _started(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            env=self._environment,
        )

    def _awaited_url(self) -> str:
        """Read the log up to the line that says where it listens; a thread keeps what follows."""
        assert self.process.stderr is not None
        seen = []
        for line in self.process.stderr:
            seen.append(line)
            if match := _LISTENING.search(line):
                with self.log_file.open("a") as log:
                    log.writelines(seen)
                self._keep_log()
                self.mqtt_port = int(match[2] or 0)
                return match[1]
        self.process.wait(STOP_SECONDS)
        self.process.stderr.close()
        raise AssertionError(f"the server did not start: {''.join(seen)}")

    def _keep_log(self) -> None:
        """Have ``cat`` append the rest of the log to the file, so that the pipe never fills."""
        assert self.process.stderr is not None
        with self.log_file.open("a") as log:
            self._log_keeper = subprocess.Popen(["cat"], stdin=self.process.stderr, stdout=log)
        self.process.stderr.close()

    def close_log(self) -> None:
        """Have nobody read what the server logs from now on."""
        self._log_keeper.kill()
        self._log_keeper.wait(STOP_SECONDS)

    def client(self, service: str, *, region: str = "us-east-1", key: tuple[str, str] = ("k", "s")) -> Any:
        """A boto3 client; what the client library would refuse by itself is sent."""
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name=region,
            aws_access_key_id=key[0],
            aws_secret_access_key=key[1],
            config=NO_RETRIES,
        )

    def http(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Send a request as it is: status, headers (lower case), body."""
        request = urllib.request.Request(  # our own server
            self.url + path, data=body, headers=headers or {}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, {k.lower(): v for k, v in error.headers.items()}, error.read()

    def advance(self, seconds: float) -> int:
        """Wind the manual clock; the new time in milliseconds."""
        status, _, body = self.http("POST", "/-/clock/advance", json.dumps({"seconds": seconds}).encode())
        assert status == 200, body
        return int(json.loads(body)["now"])

    def now(self) -> int:
        return int(json.loads(self.http("GET", "/-/clock")[2])["now"])

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Whatever reaches it meanwhile, it finds all at once."""
        self.process.send_signal(signal.SIGSTOP)
        os.waitpid(self.process.pid, os.WUNTRACED)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """As the power would: no chance to finish anything."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(STOP_SECONDS)
        self._log_keeper.wait(STOP_SECONDS)

    def stop(self) -> int:
        """Ask it to stop and wait until it has; its exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(STOP_SECONDS)
        self._log_keeper.wait(STOP_SECONDS)
        return status

    def restart(self) -> None:
        """Start it again on the same data, on another port."""
        self.process = self._started()
        self.url = self._awaited_url()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
