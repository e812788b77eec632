"""The layers of the house: who may import whom (docs/architecture.md)."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path


def test_imports_point_inward() -> None:
    checker = Path(sys.executable).with_name("lint-imports")
    root = Path(__file__).parents[2]
    result = subprocess.run([checker, "--no-cache"], cwd=root, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout
