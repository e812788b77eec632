"""Bring a database to the schema this program knows: numbered files, forward only."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Sequence
from importlib import resources

from thingjobs.store.sqlite import DIALECT, Database

_FILE_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")


class SchemaTooNew(RuntimeError):
    """The data was written by a newer program."""


def migrations() -> Sequence[tuple[int, str]]:
    """Number and text of every migration, in order."""
    folder = resources.files("thingjobs.store") / "migrations" / DIALECT
    found = []
    for file in folder.iterdir():
        match = _FILE_NAME.fullmatch(file.name)
        if match:
            found.append((int(match[1]), file.read_text(encoding="utf-8")))
    return sorted(found)


def schema_version(database: Database) -> int:
    """The number of the last migration done; 0 for an empty database."""
    known = database.connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'meta'").fetchone()
    if known is None:
        return 0
    row = database.connection.execute("SELECT value FROM meta WHERE name = 'schema_version'").fetchone()
    return int(row[0])


def migrate(database: Database, steps: Sequence[tuple[int, str]] | None = None) -> int:
    """Run what is missing, each migration in a transaction of its own; the version reached.

    ``steps``: the program's own migrations if none are given.
    Errors: SchemaTooNew, with nothing changed.
    """
    steps = migrations() if steps is None else steps
    version = schema_version(database)
    if version > steps[-1][0]:
        raise SchemaTooNew(
            f"The data has schema version {version}; this program knows {steps[-1][0]}. "
            "Use the newer program, or a backup from before the upgrade."
        )
    connection = database.connection
    for number, text in steps:
        if number <= version:
            continue
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in _statements(text):
                connection.execute(statement)
            connection.execute(
                "INSERT INTO meta (name, value) VALUES ('schema_version', ?)"
                " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (str(number),),
            )
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
        version = number
    return version


def _statements(script: str) -> Sequence[str]:
    statements = []
    current = ""
    for line in script.splitlines(keepends=True):
        current += line
        if sqlite3.complete_statement(current):
            statements.append(current)
            current = ""
    return statements
