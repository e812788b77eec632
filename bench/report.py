"""Results, and the table they are shown in."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

HEADER = ("Work", "Server", "Measured", "Target", "Met")
# The end of an error tells most.
WHY_LENGTH = 160


@dataclass(frozen=True)
class Result:
    """One row: what was done by which server, what came out, and what we ask of ourselves."""

    scenario: str
    work: str
    measured: str
    values: Mapping[str, float] = field(default_factory=dict)
    target: str = ""
    met: bool | None = None
    server: str = "thingjobs"
    failed: bool = False

    def cells(self) -> tuple[str, ...]:
        met = "" if self.met is None else ("yes" if self.met else "NO")
        return (self.work, self.server, self.measured, self.target, met)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def not_measured(scenario: str, why: str, server: str = "thingjobs") -> Result:
    """The row of a scenario that could not be finished."""
    return Result(scenario, scenario, f"not measured: {why[-WHY_LENGTH:]}", server=server, failed=True)


def text_table(results: Sequence[Result]) -> str:
    rows = [HEADER, *(result.cells() for result in results)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:]])


def markdown(results: Sequence[Result], machine: Mapping[str, str], command: str) -> str:
    """The page section for docs/performance.md."""
    facts = [f"| {name} | {value} |" for name, value in machine.items()]
    return "\n".join(
        [
            f"Measured with `{command}`.",
            "",
            "| Machine | |",
            "|---|---|",
            *facts,
            "",
            f"| {' | '.join(HEADER)} |",
            f"|{'---|' * len(HEADER)}",
            *_markdown_rows(results),
            "",
        ]
    )


def _markdown_rows(results: Iterable[Result]) -> list[str]:
    return [
        "| " + " | ".join(cell.replace("|", "\\|") for cell in result.cells()) + " |" for result in results
    ]
