"""One job goes out to a small fleet, for all to see: `make demo`.

It starts a server of its own on free ports and an empty data directory, and 200 virtual devices that speak
MQTT to it. A job is made with boto3 and rolls out to them, 40 per minute. The server's clock is manual, so a
minute passes in two seconds. Devices report progress and finish; some fail, some reject, some lose their
connection and come back. It ends by itself.
"""

from __future__ import annotations

import asyncio
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
from pathlib import Path
from typing import Any

import boto3
import uvloop
from botocore.config import Config
from rich.console import Console
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from thingjobs.simulate.control_plane import create_things
from thingjobs.simulate.fleet import Fleet
from thingjobs.simulate.options import Options
from thingjobs.simulate.view import in_words

DEVICES = 200
PER_MINUTE = 40
REAL_SECONDS_PER_MINUTE = 2.0
GIVE_UP_AFTER_SECONDS = 45.0
LOOKS_PER_SECOND = 5
GROUP, JOB = "lamps", "firmware-2"
COLORS = {
    "Queued": "yellow",
    "InProgress": "cyan",
    "Succeeded": "green",
    "Failed": "red",
    "Rejected": "magenta",
}

Counts = dict[str, int]


async def demo() -> int:
    """Run the demo; the exit status is 0 if the job completed."""
    console = Console(soft_wrap=True, highlight=False)
    started = time.monotonic()
    with (
        tempfile.TemporaryDirectory(prefix="thingjobs-demo-") as folder,
        running_server(folder) as (url, mqtt_port),
    ):
        console.print(f"The server listens on {url}, and for MQTT on port {mqtt_port}.")
        options = Options(
            devices=DEVICES,
            prefix="lamp-",
            mqtt_port=mqtt_port,
            endpoint_url=url,
            work_seconds=(0.5, 3.0),
            failure_rate=0.08,
            rejection_rate=0.04,
            disconnect_rate=0.15,
        )
        await create_things(url, options.thing_names(), GROUP)
        console.print(f"{DEVICES} devices connect; their things are in the group {GROUP}.")
        fleet, over = Fleet(options), asyncio.Event()
        living = asyncio.create_task(fleet.run(options.check(), over))
        try:
            iot = await asyncio.to_thread(create_job, url)
            console.print(f"Job {JOB} goes out, {PER_MINUTE} per minute; a minute takes two seconds.")
            until = started + GIVE_UP_AFTER_SECONDS
            status, counts, minutes = await watch(iot, url, fleet, console, until)
        finally:
            over.set()
            await living
        console.print(f"Job {JOB} is {status}: {in_counts(counts)}.\n{in_words(await fleet.summary())}")
    spent = time.monotonic() - started
    console.print(f"{minutes} minutes of the server's clock took {spent:.1f} seconds of yours.")
    return 0 if status == "COMPLETED" else 1


# --- the server -----------------------------------------------------------------------------------


@contextlib.contextmanager
def running_server(data: str) -> Iterator[tuple[str, int]]:
    """A development server on free ports; its URL and its MQTT port. It stops when the block ends."""
    program = str(Path(sys.executable).with_name("thingjobs"))
    command = [program, "dev", "--data", data, "--http-port", "0", "--mqtt-port", "0", "--clock", "manual"]
    command += ["--log-level", "info", "--log-format", "json"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    seen = []
    try:
        for line in process.stderr:
            seen.append(line)
            if '"mqtt":"' in line:
                listening = json.loads(line)
                # The rest of the log is read and dropped, so that the pipe never fills.
                threading.Thread(target=deque, args=(process.stderr, 0), daemon=True).start()
                yield listening["http"], int(re.sub(r".*:", "", listening["mqtt"]))
                return
        raise SystemExit(f"The server did not start:\n{''.join(seen)}")
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)


# --- the operator -----------------------------------------------------------------------------------


def create_job(url: str) -> Any:
    """Make the job as any program would, and give the client. A development server takes any credentials."""
    iot = boto3.client(
        "iot",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="demo",
        aws_secret_access_key="demo",
        config=Config(proxies={}),
    )
    iot.create_job(
        jobId=JOB,
        targets=[iot.describe_thing_group(thingGroupName=GROUP)["thingGroupArn"]],
        document=json.dumps({"operation": "update", "version": "2.0.0"}),
        jobExecutionsRolloutConfig={"maximumPerMinute": PER_MINUTE},
    )
    return iot


async def watch(iot: Any, url: str, fleet: Fleet, console: Console, until: float) -> tuple[str, Counts, int]:
    """Show the job until it is over, winding the clock; its status, its counters and the minutes wound."""
    minutes, shown, next_line_at = 0, "", 0.0
    next_minute_at = time.monotonic() + REAL_SECONDS_PER_MINUTE
    live = Live(console=console, auto_refresh=False)
    with live if console.is_terminal else contextlib.nullcontext():
        while True:
            job = (await asyncio.to_thread(iot.describe_job, jobId=JOB))["job"]
            counts = {status: job["jobProcessDetails"][f"numberOf{status}Things"] for status in COLORS}
            over = job["status"] != "IN_PROGRESS" and fleet.tally.finished == DEVICES
            now = time.monotonic()
            if console.is_terminal:
                live.update(bars(counts, fleet, minutes), refresh=True)
            elif in_counts(counts) != shown and (over or now >= next_line_at):
                shown, next_line_at = in_counts(counts), now + 1
                console.print(f"minute {minutes}: {shown}")
            if over or now > until:
                return job["status"], counts, minutes
            if now >= next_minute_at and job["status"] == "IN_PROGRESS":
                await asyncio.to_thread(wind, url)
                minutes += 1
                next_minute_at += REAL_SECONDS_PER_MINUTE
            await asyncio.sleep(1 / LOOKS_PER_SECOND)


def wind(url: str) -> None:
    urllib.request.urlopen(f"{url}/-/clock/advance", b'{"seconds": 60}').close()


def bars(counts: Counts, fleet: Fleet, minutes: int) -> Table:
    table = Table(title=f"minute {minutes} of the server's clock", box=None, show_header=False)
    waiting = {"to be told": DEVICES - sum(counts.values())}
    for status, count in {**waiting, **counts}.items():
        color = COLORS.get(status, "white")
        bar = ProgressBar(DEVICES, count, width=50, complete_style=color, finished_style=color)
        table.add_row(f"[{color}]{status}[/]", bar, str(count))
    doing = ", ".join(f"{count} {activity.value}" for activity, count in fleet.doing.items() if count)
    table.add_row("devices", doing)
    return table


def in_counts(counts: Counts) -> str:
    return ", ".join(f"{count} {status}" for status, count in counts.items() if count)


if __name__ == "__main__":
    raise SystemExit(uvloop.run(demo()))
