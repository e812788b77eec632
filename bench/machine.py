"""The machine a bench ran on, as far as it explains the numbers."""

import os
import platform
import statistics
import subprocess
import time
from datetime import UTC, datetime
from pathlib import Path

from bench.errors import BenchError
from bench.server import program

SYNCS = 200


def describe(work_dir: Path, server_cores: set[int], own_cores: set[int]) -> dict[str, str]:
    return {
        "Date": datetime.now(UTC).strftime("%Y-%m-%d"),
        "Cores": f"{os.cpu_count()} × {_processor()}",
        "Cores used": f"server {sorted(server_cores)}, load generator {sorted(own_cores)}",
        "Memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB",
        "System": f"{platform.system()} {platform.release()}",
        "Python": f"server {_server_python()}, load generator {platform.python_version()}",
        "Disk sync of 4 KiB": f"{sync_ms(work_dir):.2f} ms (median of {SYNCS})",
    }


def sync_ms(folder: Path) -> float:
    """The median time of writing and syncing one page to the disk the stores are on."""
    path = folder / "sync-probe"
    spent: list[float] = []
    with path.open("wb", buffering=0) as file:
        for _ in range(SYNCS):
            start = time.perf_counter()
            file.write(b"x" * 4096)
            os.fdatasync(file.fileno())
            spent.append(time.perf_counter() - start)
    path.unlink()
    return statistics.median(spent) * 1000


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def _server_python() -> str:
    try:
        python = program("python")
    except BenchError:
        return "none"
    asked = [python, "-c", "import platform; print(platform.python_version())"]
    return subprocess.run(asked, capture_output=True, text=True, timeout=30, check=True).stdout.strip()
