"""The schema, and the way to it."""

from __future__ import annotations

import re
import sqlite3
from importlib import resources

import pytest

from factories import memory_database
from thingjobs.store.blocks import read_blocks
from thingjobs.store.migrate import SchemaTooNew, migrate, migrations, schema_version
from thingjobs.store.sqlite import DIALECT, Database


def schema_of(connection: sqlite3.Connection) -> dict[str, str]:
    """Every table and index, with white space and comments folded."""
    rows = connection.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL").fetchall()
    return {name: _folded(sql) for name, sql in rows}


def _folded(sql: str) -> str:
    words = " ".join(line for line in sql.splitlines() if not line.strip().startswith("--")).split()
    # SQLite writes an added column behind the last with spaces of its own.
    return re.sub(r" ?([(),]) ?", r"\1", " ".join(words))


def test_the_migrations_reach_the_schema() -> None:
    declared = sqlite3.connect(":memory:")
    declared.executescript((resources.files("thingjobs.store") / "schema.sqlite.sql").read_text())
    assert schema_of(memory_database().connection) == schema_of(declared)


def test_migrations_are_numbered_from_one_without_a_gap() -> None:
    numbers = [number for number, _ in migrations()]
    assert numbers == list(range(1, len(numbers) + 1))


def test_migrating_again_changes_nothing() -> None:
    database = memory_database()
    before = schema_of(database.connection)
    assert migrate(database) == schema_version(database)
    assert schema_of(database.connection) == before


def test_data_of_a_newer_program_is_refused_and_left_alone() -> None:
    database = memory_database()
    database.connection.execute("UPDATE meta SET value = '999' WHERE name = 'schema_version'")
    with pytest.raises(SchemaTooNew, match="schema version 999"):
        migrate(database)
    assert schema_version(database) == 999


def test_a_migration_that_fails_leaves_nothing_behind() -> None:
    database = Database(sqlite3.connect(":memory:", isolation_level=None), read_blocks(DIALECT))
    broken = [(1, "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT);\nCREATE TABLE meta (name TEXT);")]
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        migrate(database, broken)
    assert schema_of(database.connection) == {}


def test_every_block_of_sql_is_understood_by_the_database() -> None:
    """A misspelled column shows here, not when the block is first used."""
    database = memory_database()
    for name, sql in read_blocks(DIALECT).items():
        parameters = dict.fromkeys(_parameters(sql))
        try:
            database.connection.execute(f"EXPLAIN {sql}", parameters)
        except sqlite3.Error as error:
            pytest.fail(f"{name}: {error}")


def _parameters(sql: str) -> list[str]:
    words = sql.replace("(", " ").replace(")", " ").replace(",", " ").replace("+", " ").split()
    return [word.strip(";")[1:] for word in words if word.startswith(":")]
