"""``python -m bench``: run the benchmarks, print one table, and write it where asked."""

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from bench.context import FULL, QUICK, Context
from bench.creation import create_job
from bench.cycles import device_cycle, growth
from bench.errors import BenchError
from bench.lifecycle import lifecycle
from bench.load import at_most, run
from bench.machine import describe as describe_machine
from bench.mqtt_connections import connect_storm, idle, notify
from bench.mqtt_cycles import mqtt_abuse, mqtt_cycle
from bench.peers import peers
from bench.presigning import presigning
from bench.process import core_plan, open_files
from bench.reads import describe, listing
from bench.report import Result, markdown, not_measured, text_table
from bench.start_up import start_up

Scenario = Callable[[Context], Awaitable[list[Result]]]

SCENARIOS: Mapping[str, Scenario] = {
    "device-cycle": device_cycle,
    "describe": describe,
    "start-up": start_up,
    "listing": listing,
    "create-job": create_job,
    "growth": growth,
    "lifecycle": lifecycle,
    "mqtt-cycle": mqtt_cycle,
    "notify": notify,
    "connect-storm": connect_storm,
    "idle": idle,
    "mqtt-abuse": mqtt_abuse,
    "presigning": presigning,
    "peers": peers,
}
# Beside the sources, because /tmp is memory on many machines and syncs nothing.
WORK_DIR = Path(__file__).parent / ".work"


NO_LIMITS = (
    "--no-request-rates",
    "--quota.active_snapshot_jobs=1000000",
    "--quota.concurrent_jobs=1000000",
)
"""What a benchmark asks is more than one account may: the limits would be what is measured."""


def main() -> int:
    args = _parser().parse_args()
    names = args.only or [name for name in SCENARIOS if name != "peers" or args.peers]
    command = shlex.join(["python", "-m", "bench", *sys.argv[1:]])
    server_cores, own_cores = core_plan()
    os.sched_setaffinity(0, own_cores)
    open_files()
    WORK_DIR.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=WORK_DIR, ignore_cleanup_errors=True) as folder:
        machine = describe_machine(Path(folder), server_cores, own_cores)
        context = Context(QUICK if args.quick else FULL, Path(folder), server_cores, args.serve_option)
        results = run(_run_all(names, context))
    print(f"\n{text_table(results)}")
    if args.json:
        rows = [result.as_json() for result in results]
        document = {"machine": machine, "command": command, "results": rows}
        args.json.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
    if args.markdown:
        args.markdown.write_text(markdown(results, machine, command))
    return 1 if any(result.failed for result in results) else 0


async def _run_all(names: Sequence[str], context: Context) -> list[Result]:
    """Every scenario in turn; one that fails has a row that says so, and the others still run."""
    results: list[Result] = []
    for name in names:
        print(f"{name} …", flush=True)
        start = time.perf_counter()
        try:
            async with at_most(context.scale.scenario_seconds):
                found = await SCENARIOS[name](context)
        except (BenchError, OSError, subprocess.SubprocessError) as error:
            found = [not_measured(name, str(error))]
        for result in found:
            context.say(f"{result.work} | {result.server} | {result.measured}")
        context.say(f"({time.perf_counter() - start:.0f} s)")
        results += found
    return results


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Benchmarks of thingjobs.")
    parser.add_argument("--only", nargs="+", choices=SCENARIOS, metavar="NAME", help=", ".join(SCENARIOS))
    parser.add_argument("--quick", action="store_true", help="small sizes, short windows: under two minutes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every number")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the table for the documentation")
    parser.add_argument(
        "--serve-option",
        action="append",
        default=list(NO_LIMITS),
        metavar="OPTION",
        help="passed on to `thingjobs serve`, as in --serve-option=--name=value; may be repeated",
    )
    either = argparse.BooleanOptionalAction
    parser.add_argument("--peers", action=either, default=True, help="compare with emulators")
    return parser


if __name__ == "__main__":
    sys.exit(main())
