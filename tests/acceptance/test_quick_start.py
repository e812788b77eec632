"""The commands of README.md and the code of docs/mqtt.md, run verbatim against the real program.

Each block that is run has a comment ``<!-- story: part -->`` above its fence. Nothing of a block is
changed: it runs in a folder that looks like the checkout, and finds the server's port and data directory
in the environment variables that the settings have anyway.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from servers import Server
from thingjobs.auth.keys import FILE_NAME, AccessKeys

ROOT = Path(__file__).parents[2]
PAGES = "".join((ROOT / page).read_text(encoding="utf-8") for page in ("README.md", "docs/mqtt.md"))
BLOCKS = dict(re.findall(r"<!-- ([a-z-]+: [a-z]+) -->\n```[a-z]+\n(.*?)```", PAGES, re.DOTALL))
VENV = Path(sys.executable).parent.parent


class Shell:
    """A user's shell in a checkout; variables that a block exports hold for the blocks after it."""

    def __init__(self, folder: Path, server: Server) -> None:
        folder.mkdir()
        (folder / ".venv").symlink_to(VENV)
        (folder / "examples").symlink_to(ROOT / "examples")
        self._folder = folder
        self._exports = folder / "exports.sh"
        self._exports.touch()
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "THINGJOBS_DATA": str(server.data),
            "THINGJOBS_HTTP_PORT": server.url.rpartition(":")[2],
            "THINGJOBS_MQTT_PORT": str(server.mqtt_port),
            "NO_PROXY": "127.0.0.1",
        }

    def run(self, block: str) -> str:
        """Run a block as it stands in the README; what it printed."""
        done = subprocess.run(
            self._command(f"{BLOCKS[block]}\nexport -p > {self._exports}"),
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{block}:\n{done.stdout}{done.stderr}"
        return done.stdout

    @contextmanager
    def running(self, block: str) -> Iterator[Iterator[str]]:
        """Leave a block of one command running; the lines that it prints."""
        with subprocess.Popen(
            self._command(f"exec {BLOCKS[block]}"),
            cwd=self._folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            watchdog = threading.Timer(60, process.kill)
            watchdog.start()
            try:
                yield iter(process.stdout)
            finally:
                watchdog.cancel()
                process.kill()

    def _command(self, script: str) -> list[str]:
        return ["bash", "-c", f"set -e\n. {self._exports}\n{script}\n"]


def test_make_run_starts_the_development_server() -> None:
    assert BLOCKS["quick-start: server"] == "make run\n"
    done = subprocess.run(
        ["make", "--no-print-directory", "-n", "run"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[-1].endswith("bin/thingjobs dev")


def test_quick_start_takes_a_job_from_the_operator_to_the_device_and_back(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        shell = Shell(tmp_path / "checkout", server)
        created = shell.run("quick-start: operator")
        assert '"numberOfQueuedThings": 1' in created
        assert '"status": "IN_PROGRESS"' in created

        assert shell.run("quick-start: check") == BLOCKS["quick-start: output"]

        job = server.client("iot").describe_job(jobId="blink")["job"]
        assert job["status"] == "COMPLETED"
        assert job["jobProcessDetails"]["numberOfSucceededThings"] == 1


@pytest.mark.parametrize(
    ("block", "example"), [("quick-start: device", "device.py"), ("mqtt: device", "device_mqtt.py")]
)
def test_device_shown_is_the_example(block: str, example: str) -> None:
    assert BLOCKS[block] == (ROOT / "examples" / example).read_text(encoding="utf-8")


def test_device_over_mqtt_is_told_of_its_job(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        shell = Shell(tmp_path / "checkout", server)
        shell.run("quick-start: operator")
        shell.run("mqtt: thing")
        first, *rest = BLOCKS["mqtt: output"].splitlines(keepends=True)
        with shell.running("mqtt: run") as lines:
            assert next(lines) == first
            shell.run("mqtt: job")
            assert list(islice(lines, len(rest))) == rest

        job = server.client("iot").describe_job(jobId="blink-again")["job"]
        assert job["status"] == "COMPLETED"


def test_forecast_is_shown(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        assert "Completed in minute" in Shell(tmp_path / "checkout", server).run("forecast: job")


def test_job_is_made_and_shown_without_the_aws_cli(tmp_path: Path) -> None:
    with Server(tmp_path / "data") as server:
        shell = Shell(tmp_path / "checkout", server)
        shell.run("quick-start: operator")
        assert "0%, 0 of 1 executions finished" in shell.run("jobs: operator")


def test_signed_url_opens_a_websocket(tmp_path: Path) -> None:
    """Without TLS and under the server's own name, which is all that is changed."""
    with Server(tmp_path / "data", mode="serve") as server:
        (created,) = AccessKeys(server.data / FILE_NAME).list()
        names: dict[str, Any] = {"key_id": created.access_key_id, "secret": created.secret}
        host = server.url.removeprefix("http://")
        exec(BLOCKS["websocket: sign"].replace("jobs.example.com", host), names)
        with connect(
            names["url"].replace("wss://", "ws://"), subprotocols=[Subprotocol("mqtt")]
        ) as websocket:
            assert websocket.subprotocol == "mqtt"


def test_every_block_that_is_named_is_run() -> None:
    """Or shown as something else that a test here compares."""
    tests = Path(__file__).read_text(encoding="utf-8")
    assert [block for block in BLOCKS if f'"{block}"' not in tests] == []


@pytest.mark.skipif(shutil.which("curl") is None, reason="the README winds the clock with curl")
def test_winding_the_clock_hands_out_what_came_due(tmp_path: Path) -> None:
    with Server(tmp_path / "data", "--clock", "manual") as server:
        shell = Shell(tmp_path / "checkout", server)
        shell.run("quick-start: operator")
        shell.run("clock: operator")
        assert shell.run("clock: wind").split() == ["1", "3"]


def test_serve_takes_the_keys_that_env_and_keys_print(tmp_path: Path) -> None:
    with Server(tmp_path / "data", mode="serve") as server:
        shell = Shell(tmp_path / "checkout", server)
        shell.run("quick-start: operator")
        assert '"thingName": "lamp-1"' in shell.run("serve: operator")
        *_, listed = shell.run("serve: keys").rpartition("SecretAccessKey")
        assert [line.split()[1:4:2] for line in listed.splitlines()[1:]] == [
            ["admin", "123456789012"],
            ["admin", "123456789012"],
            ["read-only", "123456789012"],
            ["admin", "210987654321"],
        ]
