"""One job goes out to a small fleet, for all to see: `make demo`.

It starts a server of its own on a free port and an empty data directory, makes 50 things in a group, and
rolls a job out to them, 10 per minute. The server's clock is manual, so a minute passes in a second. 50
devices ask for work over HTTP, report progress and finish; some fail, some reject. It ends by itself.
"""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

THINGS = 50
PER_MINUTE = 10
REAL_SECONDS_PER_MINUTE = 1.0
GIVE_UP_AFTER_SECONDS = 25.0
GROUP, JOB = "lamps", "firmware-2"
COLORS = {
    "Queued": "yellow",
    "InProgress": "cyan",
    "Succeeded": "green",
    "Failed": "red",
    "Rejected": "magenta",
}

Counts = dict[str, int]


def main() -> int:
    """Run the demo; the exit status is 0 if the job completed."""
    console = Console(soft_wrap=True, highlight=False)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="thingjobs-demo-") as folder, running_server(folder) as url:
        iot, jobs = client("iot", url), client("iot-jobs-data", url)
        console.print(f"The server listens on {url}. Making {THINGS} things in the group {GROUP}.")
        names = make_fleet(iot)
        create_job(iot)
        console.print(f"Job {JOB} goes out to them, {PER_MINUTE} per minute; a minute takes a second here.")
        over = threading.Event()
        with ThreadPoolExecutor(THINGS) as pool:
            devices = [pool.submit(run_device, jobs, name, over) for name in names]
            try:
                status, counts, minutes = watch(iot, url, console, started + GIVE_UP_AFTER_SECONDS)
            finally:
                over.set()
        requests = sum(device.result() for device in devices)
        console.print(
            f"Job {JOB} is {status}: {in_words(counts)}.\n{THINGS} devices made {requests} requests in"
            f" {minutes} minutes of the server's clock, {time.monotonic() - started:.1f} seconds of yours."
        )
        return 0 if status == "COMPLETED" else 1


# --- the server -----------------------------------------------------------------------------------


@contextlib.contextmanager
def running_server(data: str) -> Iterator[str]:
    """A development server on a free port; its URL. It stops when the block ends."""
    program = str(Path(sys.executable).with_name("thingjobs"))
    command = [program, "dev", "--data", data, "--http-port", "0", "--clock", "manual"]
    command += ["--log-level", "info", "--log-format", "json"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    seen = []
    try:
        for line in process.stderr:
            seen.append(line)
            if match := re.search(r'"http":"(http://[^"]+)"', line):
                # The rest of the log is read and dropped, so that the pipe never fills.
                threading.Thread(target=deque, args=(process.stderr, 0), daemon=True).start()
                yield match[1]
                return
        raise SystemExit(f"The server did not start:\n{''.join(seen)}")
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)


def client(service: str, url: str) -> Any:
    """A boto3 client. A development server takes any credentials."""
    return boto3.client(
        service,
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="demo",
        aws_secret_access_key="demo",
        config=Config(max_pool_connections=THINGS, proxies={}),
    )


# --- the operator -----------------------------------------------------------------------------------


def make_fleet(iot: Any) -> list[str]:
    iot.create_thing_group(thingGroupName=GROUP)
    names = [f"lamp-{number:02}" for number in range(1, THINGS + 1)]
    for name in names:
        iot.create_thing(thingName=name)
        iot.add_thing_to_thing_group(thingGroupName=GROUP, thingName=name)
    return names


def create_job(iot: Any) -> None:
    iot.create_job(
        jobId=JOB,
        targets=[iot.describe_thing_group(thingGroupName=GROUP)["thingGroupArn"]],
        document=json.dumps({"operation": "update", "version": "2.0.0"}),
        jobExecutionsRolloutConfig={"maximumPerMinute": PER_MINUTE},
    )


def watch(iot: Any, url: str, console: Console, until: float) -> tuple[str, Counts, int]:
    """Show the job until it is over, winding the clock; its status, its counters and the minutes wound."""
    minutes, shown = 0, ""
    next_minute_at = time.monotonic() + REAL_SECONDS_PER_MINUTE
    live = Live(console=console, auto_refresh=False)
    with live if console.is_terminal else contextlib.nullcontext():
        while True:
            job = iot.describe_job(jobId=JOB)["job"]
            counts = {status: job["jobProcessDetails"][f"numberOf{status}Things"] for status in COLORS}
            if console.is_terminal:
                live.update(bars(counts, minutes), refresh=True)
            elif in_words(counts) != shown:
                shown = in_words(counts)
                console.print(f"minute {minutes}: {shown}")
            if job["status"] != "IN_PROGRESS" or time.monotonic() > until:
                return job["status"], counts, minutes
            if time.monotonic() >= next_minute_at:
                urllib.request.urlopen(f"{url}/-/clock/advance", b'{"seconds": 60}').close()
                minutes += 1
                next_minute_at += REAL_SECONDS_PER_MINUTE
            time.sleep(0.2)


def bars(counts: Counts, minutes: int) -> Table:
    table = Table(title=f"minute {minutes} of the server's clock", box=None, show_header=False)
    waiting = {"to be told": THINGS - sum(counts.values())}
    for status, count in {**waiting, **counts}.items():
        color = COLORS.get(status, "white")
        bar = ProgressBar(THINGS, count, width=50, complete_style=color, finished_style=color)
        table.add_row(f"[{color}]{status}[/]", bar, str(count))
    return table


def in_words(counts: Counts) -> str:
    return ", ".join(f"{count} {status}" for status, count in counts.items() if count)


# --- the devices ------------------------------------------------------------------------------------


def run_device(jobs: Any, name: str, over: threading.Event) -> int:
    """Ask for the job until it comes, and do it; the number of requests made.

    Every 8th lamp fails and every 13th rejects.
    """
    number = int(name.removeprefix("lamp-"))
    steps = [("IN_PROGRESS", "downloading"), ("IN_PROGRESS", "installing"), ("SUCCEEDED", "restarted")]
    if number % 13 == 0:
        steps = [("REJECTED", "battery low")]
    elif number % 8 == 0:
        steps[1:] = [("FAILED", "checksum wrong")]
    requests = 1
    while (found := jobs.start_next_pending_job_execution(thingName=name).get("execution")) is None:
        if over.wait(0.4):
            return requests
        requests += 1
    for status, what in steps:
        over.wait(0.3)
        details = {"step": what}
        jobs.update_job_execution(thingName=name, jobId=found["jobId"], status=status, statusDetails=details)
        requests += 1
    return requests


if __name__ == "__main__":
    raise SystemExit(main())
