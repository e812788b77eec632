"""Jobs and executions as they look: tables, a bar, a page about one job."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import timedelta

from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.highlighter import JSONHighlighter
from rich.table import Table
from rich.text import Text

from thingjobs.domain.model import ExecutionStatus, JobStatus
from thingjobs.jobs_cli import words
from thingjobs.jobs_cli.client import Members
from thingjobs.jobs_cli.progress import ORDER, Counts, counts, shares

MOST_WIDTH = 100
LABEL_WIDTH = 12
LEAST_NAME = 12
GAP = 2

STYLES: Mapping[str, str] = {
    ExecutionStatus.SUCCEEDED: "green",
    ExecutionStatus.FAILED: "red",
    ExecutionStatus.TIMED_OUT: "bright_red",
    ExecutionStatus.REJECTED: "magenta",
    ExecutionStatus.CANCELED: "yellow",
    ExecutionStatus.REMOVED: "bright_black",
    ExecutionStatus.IN_PROGRESS: "cyan",
    ExecutionStatus.QUEUED: "bright_black",
    JobStatus.SCHEDULED: "blue",
    JobStatus.COMPLETED: "green",
    JobStatus.DELETION_IN_PROGRESS: "bright_black",
}
CELLS: Mapping[ExecutionStatus, str] = {
    ExecutionStatus.SUCCEEDED: "█",
    ExecutionStatus.IN_PROGRESS: "▒",
    ExecutionStatus.QUEUED: "░",
}
"""Told apart without colors too; every other end is ▓."""


def colored(status: str) -> Text:
    return Text(status, STYLES.get(status, ""))


def _cell(status: ExecutionStatus) -> str:
    return CELLS.get(status, "▓")


class Bar:
    """Executions by status, as wide as there is room."""

    def __init__(self, counted: Counts) -> None:
        self.counted = counted

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        width = max(len(ORDER), min(MOST_WIDTH, options.max_width))
        cells = shares(self.counted, width)
        yield Text.assemble(
            *((_cell(status) * cells[status], STYLES[status]) for status in ORDER if cells[status])
        ) or Text("·" * width, "bright_black")


def progress(job: Members, about: str = "") -> Group:
    """Status, bar and counters: what changes while a job goes on. ``about`` comes below its name."""
    counted, going = counts(job), words.stage(job)
    head = Text.assemble(
        (job["jobId"], "bold"),
        "  ",
        colored(job["status"]),
        f"  {going}" if going else "",
    )
    legend = Text("   ").join(
        Text.assemble((f"{_cell(status)} {counted[status]:,}", STYLES[status]), f" {words.status(status)}")
        for status in ORDER
        if counted[status]
    )
    told = [Text(about, "italic")] if about else []
    return Group(head, *told, Bar(counted), Text(words.share(counted)), *([legend] if legend else []))


def page(answer: Members, tags: Iterable[Mapping[str, str]]) -> Group:
    """All about a job, for one who knows nothing of it. ``answer`` is DescribeJob's."""
    job = answer["job"]
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bright_black", no_wrap=True, min_width=LABEL_WIDTH)
    grid.add_column(overflow="fold")
    rows = [
        *words.configuration(job, answer.get("documentSource")),
        *words.history(job),
        ("tags", words.pairs({tag["Key"]: tag.get("Value", "") for tag in tags})),
    ]
    for label, value in rows:
        if value:
            grid.add_row(label, Text(value))
    return Group(progress(job, job.get("description", "")), Text(), grid)


def document(text: str) -> Text:
    """A job document, indented and colored if it is JSON."""
    try:
        json.loads(text)
    except ValueError:
        return Text(text)
    return JSONHighlighter()(words.indented(text))


def job_tables(pages: Iterable[Sequence[Members]], width: int) -> Iterator[Table]:
    """A table for each page as it comes, ``width`` cells wide at most."""
    return _tables(
        ("job", "status", "selection", "created (UTC)", "updated (UTC)"),
        (
            [
                (
                    job["jobId"],
                    colored(job["status"]),
                    job["targetSelection"].lower(),
                    words.minute(job["createdAt"]),
                    words.minute(job["lastUpdatedAt"]),
                )
                for job in jobs
            ]
            for jobs in pages
        ),
        width,
    )


def execution_tables(pages: Iterable[Sequence[Members]], width: int) -> Iterator[Table]:
    return _tables(
        ("thing", "#", "status", "retry", "updated (UTC)", "took"),
        (
            [
                (entry["thingArn"].partition("/")[2], *_execution(entry["jobExecutionSummary"]))
                for entry in entries
            ]
            for entries in pages
        ),
        width,
    )


def execution_page(execution: Members) -> Group:
    """One execution with what its device said. ``execution`` is DescribeJobExecution's, with the
    ``retryAttempt`` of its summary."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bright_black", no_wrap=True, min_width=LABEL_WIDTH)
    grid.add_column(overflow="fold")
    force = "by force" if execution.get("forceCanceled") else ""
    retry = execution.get("retryAttempt")
    left = execution.get("approximateSecondsBeforeTimedOut")
    for label, value in (
        ("retry", f"{retry}" if retry else ""),
        ("queued", _utc(execution, "queuedAt")),
        ("started", _utc(execution, "startedAt")),
        ("updated", _utc(execution, "lastUpdatedAt")),
        ("took", words.took(execution)),
        ("times out", f"in {words.duration(timedelta(seconds=left))}" if left is not None else ""),
        ("version", str(execution["versionNumber"])),
        ("details", words.pairs(execution.get("statusDetails", {}).get("detailsMap", {}))),
    ):
        if value:
            grid.add_row(label, Text(value))
    head = Text.assemble(
        (f"execution {execution['executionNumber']}", "bold"),
        "  ",
        colored(execution["status"]),
        f"  {force}" if force else "",
    )
    return Group(head, grid)


def _utc(execution: Members, member: str) -> str:
    return f"{words.instant(execution[member])} UTC" if member in execution else ""


def _execution(summary: Members) -> Sequence[str | Text]:
    retry = summary.get("retryAttempt")
    return (
        str(summary["executionNumber"]),
        colored(summary["status"]),
        str(retry) if retry else "",
        words.instant(summary["lastUpdatedAt"]),
        words.took(summary),
    )


def _tables(
    heads: Sequence[str], pages: Iterable[Sequence[Sequence[str | Text]]], room: int
) -> Iterator[Table]:
    """The first has the heads; each is at least as wide as those before it, so that columns line up. Only the
    first column, which has the names, is folded where there is no room."""
    widths = [len(head) for head in heads]
    for number, rows in enumerate(pages):
        for row, at in itertools.product(rows, range(len(heads))):
            widths[at] = max(widths[at], len(row[at]))
        table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), show_header=number == 0)
        left = room - sum(widths[1:]) - GAP * len(widths[1:])
        for head, width in zip(heads, (max(LEAST_NAME, min(widths[0], left)), *widths[1:]), strict=True):
            table.add_column(head, width=width, overflow="fold", header_style="bold")
        for row in rows:
            table.add_row(*row)
        yield table
