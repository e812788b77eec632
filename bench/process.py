"""A server under measurement: started on its own core, watched through /proc, stopped with SIGTERM."""

import http.client
import os
import resource
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from bench.errors import BenchError

HOST = "127.0.0.1"
CLOCK_TICKS = os.sysconf("SC_CLK_TCK")
STOP_SECONDS = 20.0
READY_SECONDS = 60.0
READY_POLL_SECONDS = 0.005


def core_plan() -> tuple[set[int], set[int]]:
    """The cores of the server and of the load generator; the same ones where there is only one."""
    cores = sorted(os.sched_getaffinity(0))
    return ({cores[0]}, {cores[1]}) if len(cores) > 1 else (set(cores), set(cores))


def open_files() -> int:
    """How many files this process and its children may open, made as many as it may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most if most != resource.RLIM_INFINITY else 1_000_000


@contextmanager
def _on_cores(cores: set[int]) -> Iterator[None]:
    """Children started inside inherit ``cores``, with every thread they will ever have."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


class Process:
    """One child process; a context manager that always stops it."""

    def __init__(
        self, argv: Sequence[str], *, log: Path, cores: set[int], env: Mapping[str, str] | None = None
    ) -> None:
        self._argv = argv
        self._log = log
        self.started_at = time.perf_counter()
        with _on_cores(cores), log.open("wb") as output:
            self._child = subprocess.Popen(
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(env or {})},
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def cpu_seconds(self) -> float:
        """User and system time of all threads so far; counted in ticks of 10 ms on most kernels."""
        stat = Path(f"/proc/{self._child.pid}/stat").read_text()
        fields = stat[stat.rindex(")") + 2 :].split()
        return (int(fields[11]) + int(fields[12])) / CLOCK_TICKS

    def rss_mb(self) -> float:
        return self._memory("VmRSS")

    def peak_rss_mb(self) -> float:
        return self._memory("VmHWM")

    def wait_ready(self, port: int, path: str, seconds: float = READY_SECONDS) -> float:
        """Seconds from the start of the process until ``path`` on ``port`` answers 200."""
        deadline = self.started_at + seconds
        while time.perf_counter() < deadline:
            if self._child.poll() is not None:
                raise BenchError(f"{self._argv[0]} ended with {self._child.returncode}: {self.log_tail()}")
            if _answers(port, path):
                return time.perf_counter() - self.started_at
            time.sleep(READY_POLL_SECONDS)
        raise BenchError(f"{path} did not answer 200 within {seconds:.0f} s: {self.log_tail()}")

    def log_tail(self) -> str:
        lines = self._log.read_text(errors="replace").strip().splitlines()
        return " | ".join(lines[-3:]) or "(no output)"

    def stop(self) -> None:
        """SIGTERM, and SIGKILL if that is not enough."""
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGTERM)
        try:
            self._child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait(STOP_SECONDS)

    def _memory(self, name: str) -> float:
        for line in Path(f"/proc/{self._child.pid}/status").read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) / 1024
        raise BenchError(f"/proc shows no {name}")


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (http.client.HTTPException, OSError):
        return False
    finally:
        connection.close()
