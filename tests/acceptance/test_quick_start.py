"""The commands of README.md, run verbatim against the real program.

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
from pathlib import Path

import pytest

from servers import Server

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = dict(re.findall(r"<!-- ([a-z-]+: [a-z]+) -->\n```[a-z]+\n(.*?)```", README, re.DOTALL))
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
            "NO_PROXY": "127.0.0.1",
        }

    def run(self, block: str) -> str:
        """Run a block as it stands in the README; what it printed."""
        script = f"set -e\n. {self._exports}\n{BLOCKS[block]}\nexport -p > {self._exports}\n"
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self._folder,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, f"{block}:\n{done.stdout}{done.stderr}"
        return done.stdout


def test_make_run_starts_the_development_server() -> None:
    assert BLOCKS["quick-start: server"] == "make run\n"
    done = subprocess.run(["make", "-n", "run"], cwd=ROOT, capture_output=True, text=True, check=True)
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


def test_device_shown_is_the_example() -> None:
    assert BLOCKS["quick-start: device"] == (ROOT / "examples" / "device.py").read_text(encoding="utf-8")


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
