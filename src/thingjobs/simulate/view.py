"""How a simulation looks while it runs, and what is said of it at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.table import Table

from thingjobs.simulate.device import Activity
from thingjobs.simulate.fleet import Fleet
from thingjobs.simulate.tally import milliseconds

COLORS = {"SUCCEEDED": "green", "FAILED": "red", "REJECTED": "magenta"}
FRAMES_PER_SECOND = 4
LINES_PER_SECOND = 1


async def show(fleet: Fleet, console: Console) -> None:
    """Show progress until canceled: a table on a terminal, else a line whenever something changed."""
    if console.is_terminal:
        with Live(table(fleet), console=console, auto_refresh=False, transient=True) as live:
            while True:
                await asyncio.sleep(1 / FRAMES_PER_SECOND)
                live.update(table(fleet), refresh=True)
    said = ""
    while True:
        await asyncio.sleep(1 / LINES_PER_SECOND)
        if (line := progress(fleet)) != said:
            said = line
            console.print(f"{fleet.seconds:5.0f} s: {line}")


def table(fleet: Fleet) -> Table:
    """The state of the fleet, as it is now."""
    tally = fleet.tally
    shown = Table(title=f"{len(fleet.devices)} devices, {fleet.seconds:.0f} s", box=None, show_header=False)
    shown.add_column(justify="right")
    shown.add_column(min_width=60)
    for activity in (Activity.WORKING, Activity.IDLE, Activity.OFFLINE):
        shown.add_row(str(fleet.doing[activity]), activity.value)
    for outcome, count in sorted(tally.outcomes.items()):
        shown.add_row(f"[{COLORS.get(outcome, 'yellow')}]{count}[/]", outcome)
    shown.add_row(f"{tally.finished / max(fleet.seconds, 0.001):.1f}", "finished per second")
    shown.add_row(str(tally.connects), f"connections made, {tally.losses} lost")
    if tally.errors:
        shown.add_row(f"[red]{tally.errors.total()}[/]", f"errors: {_counts(tally.errors)}")
    if (latency := milliseconds(tally.answer_seconds)) is not None:
        shown.add_row(f"{latency['p50']:.1f}", f"ms to an answer (p99 {latency['p99']:.1f})")
    return shown


def progress(fleet: Fleet) -> str:
    doing = {activity.value: fleet.doing[activity] for activity in Activity}
    return _counts({**doing, **dict(sorted(fleet.tally.outcomes.items()))}) or "nothing yet"


def in_words(summary: Mapping[str, Any]) -> str:
    """The summary for people."""
    outcomes = _counts(summary["outcomes"])
    lines = [
        f"{summary['devices']} devices finished {summary['finished']} job executions in"
        f" {summary['seconds']:.1f} s{': ' if outcomes else ''}{outcomes}.",
        f"{summary['requests']} requests on {summary['connects']} connections, {summary['drops']} dropped and"
        f" resumed, {summary['losses']} lost; {summary['reboots']} reboots.",
    ]
    for what, latency in (
        ("Request to answer", summary["request_to_answer_ms"]),
        ("Job queued to device notified", summary["queued_to_notified_ms"]),
    ):
        if latency is not None:
            lines.append(f"{what}: median {latency['p50']:.1f} ms, p99 {latency['p99']:.1f} ms.")
    if summary["throttled"]:
        lines.append(f"{summary['throttled']} requests were throttled and made again.")
    if summary["errors"]:
        lines.append(f"Errors: {_counts(summary['errors'])}.")
    return "\n".join(lines)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count)
