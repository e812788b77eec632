"""What it costs the server to hand out documents with presigned URLs.

Measured is all that lies between the stored document and what a device gets: reading it, writing it as
devices get it, finding its placeholders and signing their URLs. ``bench.deliveries`` does the work.
"""

import json
import subprocess

from bench.context import Context
from bench.errors import BenchError
from bench.report import Result
from bench.server import program

DOCUMENTS = 10_000
PLACEHOLDERS = 2
TARGET_SECONDS = 1.0
LIMIT_SECONDS = 120
WORK = {
    "own": "each of a job of its own, with objects of its own",
    "same": "all of one job, within ten seconds",
}


async def presigning(context: Context) -> list[Result]:
    ended = subprocess.run(
        [
            program("python"),
            "-m",
            "bench.deliveries",
            f"--documents={DOCUMENTS}",
            f"--placeholders={PLACEHOLDERS}",
        ],
        capture_output=True,
        text=True,
        timeout=LIMIT_SECONDS,
        check=False,
    )
    if ended.returncode != 0:
        raise BenchError(f"presigning: {(ended.stderr.strip().splitlines() or ['no output'])[-1]}")
    measured: dict[str, float] = json.loads(ended.stdout)
    return [
        Result(
            "presigning",
            f"{DOCUMENTS:,} documents with {PLACEHOLDERS} placeholders, {what}",
            f"{measured[name]:.2f} s CPU, {measured[name] / DOCUMENTS / PLACEHOLDERS * 1e6:.1f} µs per URL",
            {"cpu_seconds": measured[name]},
            target=f"≤ {TARGET_SECONDS:.0f} s",
            met=measured[name] <= TARGET_SECONDS,
        )
        for name, what in WORK.items()
    ]
