"""Starting thingjobs itself, as an operator would, on a data directory and free ports of the loopback."""

import shlex
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError
from bench.process import HOST, Process
from bench.signing import Credentials, Signer

VENV_BIN = Path(".venv/bin")
ENV_SECONDS = 30


@dataclass(frozen=True)
class Server:
    """A running server, ours or a peer's, as the load generator sees it."""

    name: str
    process: Process
    port: int
    signer: Signer
    host: str = HOST
    mqtt_port: int = 0

    def cpu_seconds(self) -> float:
        return self.process.cpu_seconds()


@contextmanager
def serving(data: Path, cores: set[int], options: Sequence[str]) -> Iterator[Server]:
    """``thingjobs serve`` on ``data``: signatures verified, every acknowledged write on disk."""
    port = free_port()
    argv = [program("thingjobs"), "serve", "--data", str(data), "--http-port", str(port), *options]
    with Process(argv, log=data.with_suffix(".log"), cores=cores) as process:
        process.wait_ready(port, "/-/ready")
        yield Server("thingjobs", process, port, Signer(f"{HOST}:{port}", credentials_of(data)))


@contextmanager
def serving_mqtt(data: Path, cores: set[int], options: Sequence[str]) -> Iterator[Server]:
    """``thingjobs dev`` on ``data``: MQTT without TLS; every acknowledged write on disk as well."""
    port, mqtt_port = free_port(), free_port()
    argv = [program("thingjobs"), "dev", "--data", str(data), "--http-port", str(port)]
    argv += ["--mqtt-port", str(mqtt_port), *options]
    with Process(argv, log=data.with_suffix(".log"), cores=cores) as process:
        process.wait_ready(port, "/-/ready")
        signer = Signer(f"{HOST}:{port}", credentials_of(data))
        yield Server("thingjobs", process, port, signer, mqtt_port=mqtt_port)


def start_up_seconds(data: Path, cores: set[int]) -> float:
    """Time from spawning ``thingjobs dev`` on ``data`` to its first healthy answer."""
    port, mqtt_port = free_port(), free_port()
    argv = [program("thingjobs"), "dev", "--data", str(data), "--http-port", str(port)]
    argv += ["--mqtt-port", str(mqtt_port)]
    with Process(argv, log=data.with_suffix(".log"), cores=cores) as process:
        return process.wait_ready(port, "/-/health")


def credentials_of(data: Path) -> Credentials:
    """The keys that ``thingjobs env`` prints for ``data``."""
    printed = subprocess.run(
        [program("thingjobs"), "env", "--data", str(data)],
        capture_output=True,
        text=True,
        timeout=ENV_SECONDS,
        check=False,
    )
    words = dict(word.split("=", 1) for word in shlex.split(printed.stdout) if "=" in word)
    try:
        return Credentials(words["AWS_ACCESS_KEY_ID"], words["AWS_SECRET_ACCESS_KEY"], words["AWS_REGION"])
    except KeyError as missing:
        raise BenchError(f"thingjobs env printed no {missing}: {printed.stderr[-300:]}") from None


def program(name: str) -> str:
    """A program of the project's own environment, made by ``make setup``."""
    path = VENV_BIN / name
    if not path.exists():
        raise BenchError(
            f"{path} is missing: run `make setup` first, and start the bench from the repository root"
        )
    return str(path)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
