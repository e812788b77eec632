"""What it costs the server to sign the URLs in the documents that it hands out.

The work runs in the project's own environment, because it imports thingjobs:
``.venv/bin/python -m bench.presigning --documents 10000``.
"""

import argparse
import json
import statistics
import subprocess
import time

from bench.context import Context
from bench.errors import BenchError
from bench.report import Result
from bench.server import program

DOCUMENTS = 10_000
PLACEHOLDERS = 2
TARGET_SECONDS = 1.0
LIMIT_SECONDS = 120
WORK = {
    "own": "objects of its own in each document",
    "same": "the same objects in all documents",
}


async def presigning(context: Context) -> list[Result]:
    ended = subprocess.run(
        [program("python"), "-m", "bench.presigning", f"--documents={DOCUMENTS}"],
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


def measure(documents: int) -> dict[str, float]:
    """CPU seconds for the URLs of so many documents, median of five; names as in ``WORK``."""
    from thingjobs.domain.presign import S3Object
    from thingjobs.s3.roles import Roles
    from thingjobs.s3.signing import Credentials
    from thingjobs.s3.storage import Options, Storage

    role = "arn:aws:iam::123456789012:role/firmware"
    roles = Roles(static={role: Credentials("AKIAEXAMPLEEXAMPLE22", "0" * 40)})
    storage = Storage(Options(region="us-east-1", buckets=("*",)), roles)

    def seconds(names: list[str], second: int) -> float:
        objects = [S3Object("firmware", name) for name in names]
        start = time.process_time()
        for named in objects:
            storage.presigned_url(role, named, expires_in_sec=3600, now=second * 1000)
        return time.process_time() - start

    own = [f"releases/2026-01/lamp v2/{number}.bin" for number in range(documents * PLACEHOLDERS)]
    same = [own[number % PLACEHOLDERS] for number in range(documents * PLACEHOLDERS)]
    now = 1_768_480_200
    return {
        "own": statistics.median(seconds(own, now + run) for run in range(5)),
        "same": statistics.median(seconds(same, now + run) for run in range(5, 10)),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Sign the URLs of documents; prints what it cost as JSON.")
    parser.add_argument("--documents", type=int, required=True)
    print(json.dumps(measure(parser.parse_args().documents)))
