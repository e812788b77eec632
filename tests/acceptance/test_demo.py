"""The demo, as `make demo` runs it where there is no terminal."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

DEMO = Path(__file__).parents[2] / "tools" / "demo.py"


def test_demo_ends_by_itself_with_its_job_completed() -> None:
    done = subprocess.run([sys.executable, DEMO], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is COMPLETED: 178 Succeeded, 14 Failed, 8 Rejected." in done.stdout
    assert "200 devices finished 200 job executions in" in done.stdout
