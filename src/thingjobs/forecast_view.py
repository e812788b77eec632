"""A forecast as a person reads it in a terminal: a plot over time, and the minutes that matter."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from thingjobs.operations.forecasts import ForecastResponse, Minute

PLOT_WIDTH = 72
PLOT_HEIGHT = 12
SHOWN_ROWS = 24
_EIGHTHS = " ▁▂▃▄▅▆▇█"


def show(console: Console, answer: ForecastResponse, things: int) -> None:
    """Print the course of the job, and how it ends."""
    console.print(f"[bold]Notified and succeeded[/bold], of {things:,} things, over {_span(answer)}\n")
    for line in plot([row.notified for row in answer.minutes], things):
        console.print(line, style="cyan")
    console.print("notified\n", style="dim")
    for line in plot([row.succeeded for row in answer.minutes], things):
        console.print(line, style="green")
    console.print("succeeded\n", style="dim")
    console.print(_table(answer.minutes))
    console.print(_ending(answer))


def plot(values: Sequence[int], most: int) -> Sequence[str]:
    """Lines of a bar chart, the top one first; many values share a column, which shows the last of them."""
    width = min(PLOT_WIDTH, len(values))
    columns = [values[(i + 1) * len(values) // width - 1] for i in range(width)]
    steps = PLOT_HEIGHT * 8
    heights = [value * steps // max(most, 1) for value in columns]
    return [
        "".join(_EIGHTHS[min(8, max(0, height - 8 * level))] for height in heights)
        for level in reversed(range(PLOT_HEIGHT))
    ]


def _table(minutes: Sequence[Minute]) -> Table:
    table = Table("minute", "rate", "notified", "in flight", "succeeded", "failed", "timed out", box=None)
    for column in table.columns:
        column.justify = "right"
    stride = -(-len(minutes) // SHOWN_ROWS)
    for row in [m for i, m in enumerate(minutes) if i % stride == 0 or i == len(minutes) - 1]:
        table.add_row(
            *(
                f"{n:,}"
                for n in (
                    row.minute,
                    row.rate,
                    row.notified,
                    row.in_flight,
                    row.succeeded,
                    row.failed,
                    row.timed_out,
                )
            )
        )
    return table


def _span(answer: ForecastResponse) -> str:
    minutes = answer.minutes[-1].minute + 1
    return f"{minutes:,} minutes" if minutes < 180 else f"{minutes / 60:,.1f} hours"


def _ending(answer: ForecastResponse) -> str:
    if answer.abort is not None:
        return f"\n[red]Aborted in minute {answer.abort.minute:,}.[/red] {answer.abort.comment}"
    if answer.outcome == "COMPLETED":
        return f"\n[green]Completed in minute {answer.finished_minute:,}.[/green]"
    if answer.outcome == "WAITING":
        return "\n[yellow]Never completed:[/yellow] some things do not report, and the job has no time-out."
    return "\n[yellow]Cut off:[/yellow] it goes on behind the last minute shown; see --max-minutes."
