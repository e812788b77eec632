"""Where a command writes: tables for people, JSON for machines."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import Any

from rich.console import Console

UNBOUNDED = 10_000
"""Columns of an output that is no terminal, so that nothing in it is folded."""


class Output(Console):
    """Standard output; colors, bounds and live views only if it is a terminal."""

    def __init__(self) -> None:
        super().__init__(
            highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else UNBOUNDED
        )

    def on_broken_pipe(self) -> None:
        raise  # rich would exit with 1


def print_json(value: Any, *, indent: int | None = 2) -> None:
    """Print a value as botocore gives it, with instants as ISO 8601 in UTC: ``2026-07-01T22:00:05.125Z``."""
    print(json.dumps(value, indent=indent, ensure_ascii=False, default=_plain), flush=True)


def print_line(value: Any) -> None:
    """Print a value as JSON in one line."""
    print_json(value, indent=None)


def _plain(value: object) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    raise TypeError(f"no form in JSON for {type(value)}")
