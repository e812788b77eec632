"""What every scenario is given: how much to do, where, and on which cores."""

import json
import subprocess
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from bench.errors import BenchError
from bench.server import Server, program, serving, serving_mqtt

BULK_SECONDS = 400


@dataclass(frozen=True)
class Scale:
    """The amount of work of one run of the bench."""

    window_seconds: float
    devices: tuple[int, ...]
    things: int
    medium: int
    large: int
    repeats: int
    peer_seconds: float
    peer_things: tuple[int, ...]
    scenario_seconds: float
    mqtt_devices: tuple[int, ...]
    connected: int


FULL = Scale(
    window_seconds=8,
    devices=(1, 16, 64, 256),
    things=8000,
    medium=100_000,
    large=1_000_000,
    repeats=5,
    peer_seconds=5,
    peer_things=(100, 1000),
    scenario_seconds=600,
    mqtt_devices=(1, 16, 64, 256, 1000),
    connected=10_000,
)
QUICK = Scale(
    window_seconds=2,
    devices=(1, 64, 256),
    things=2000,
    medium=5_000,
    large=20_000,
    repeats=3,
    peer_seconds=2,
    peer_things=(100,),
    scenario_seconds=90,
    mqtt_devices=(1, 256),
    connected=2_000,
)


@dataclass
class Context:
    scale: Scale
    work_dir: Path
    cores: set[int]
    serve_options: Sequence[str] = ()
    _loaded: Path | None = None

    def say(self, text: str) -> None:
        print(f"  {text}", flush=True)

    def serving(self, data: Path) -> AbstractContextManager[Server]:
        """``thingjobs serve`` on ``data``, with the options of this run."""
        return serving(data, self.cores, self.serve_options)

    def serving_mqtt(self, data: Path) -> AbstractContextManager[Server]:
        """``thingjobs dev`` on ``data``, which listens for MQTT without TLS, with the options of this run."""
        return serving_mqtt(data, self.cores, self.serve_options)

    def fresh(self, name: str) -> Path:
        """A data directory that no server has used yet."""
        taken = len(list(self.work_dir.iterdir()))
        return self.work_dir / f"{name}-{taken}"

    def loaded(self) -> Path:
        """A data directory with the medium and the large group and its history, filled once a run."""
        if self._loaded is None:
            data = self.fresh("loaded")
            for size in (self.scale.medium, self.scale.large):
                self.load(data, size, group_name(size), executions=size if size == self.scale.large else 0)
            self._loaded = data
        return self._loaded

    def load(self, data: Path, things: int, group: str, executions: int) -> None:
        """Fill ``data`` with things, and finished executions on them."""
        start = time.perf_counter()
        self.bulk(data, group, things=things, executions=executions)
        spent = time.perf_counter() - start
        self.say(f"loaded {things:,} things and {executions:,} executions in {spent:.0f} s")

    def bulk(self, data: Path, group: str, **sizes: int) -> dict[str, float]:
        """Run ``bench.bulk`` on ``data`` in the project's environment; what it measured."""
        options = [f"--{name.replace('_', '-')}={value}" for name, value in sizes.items()]
        ended = subprocess.run(
            [program("python"), "-m", "bench.bulk", "--data", str(data), "--group", group, *options],
            capture_output=True,
            text=True,
            timeout=BULK_SECONDS,
            check=False,
        )
        if ended.returncode != 0:
            last = (ended.stderr.strip().splitlines() or ["no output"])[-1]
            raise BenchError(f"bulk loader: {last}")
        measured: dict[str, float] = json.loads(ended.stdout or "{}")
        return measured


def group_name(things: int) -> str:
    """The bulk-loaded group of that many things."""
    return f"bulk-{things}"


def thing_name(group: str, number: int) -> str:
    """The name that the bulk loader gives."""
    return f"{group}-{number:07d}"
