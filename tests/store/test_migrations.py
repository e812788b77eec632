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


def test_data_of_the_first_version_goes_on_where_it_was() -> None:
    """Deadlines are found, schedules looked at as soon as the program runs."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    database = Database(connection, read_blocks(DIALECT))
    migrate(database, migrations()[:1])
    connection.execute("INSERT INTO scope VALUES (1, '123456789012', 'us-east-1')")
    schedule = (
        '{"start_time":"2027-01-01T10:00","end_time":null,"end_behavior":null,"maintenance_windows":[%s]}'
    )
    windows = schedule % '{"start_time":"cron(0 2 ? * SUN *)","duration_in_minutes":60}'
    ending = (
        '{"start_time":null,"end_time":"2027-01-01T10:00","end_behavior":"CANCEL","maintenance_windows":[]}'
    )
    for key, (status, config) in enumerate(
        [("IN_PROGRESS", None), ("SCHEDULED", windows), ("IN_PROGRESS", ending), ("COMPLETED", ending)], 1
    ):
        connection.execute(
            "INSERT INTO job (key, scope, job_id, status, target_selection, scheduling_config,"
            " force_canceled, created_at, last_updated_at)"
            " VALUES (?, 1, 'j' || ?, ?, 'CONTINUOUS', ?, 0, 5, 5)",
            (key, key, status, config),
        )
    for number, (status, deadline, step) in enumerate(
        [("IN_PROGRESS", 7, 6), ("IN_PROGRESS", None, 9), ("IN_PROGRESS", None, None), ("QUEUED", 8, 8)], 1
    ):
        connection.execute(
            "INSERT INTO job_execution (job_key, thing_key, thing_name, execution_number, status, version,"
            " retry_attempt, force_canceled, queued_at, last_updated_at, in_progress_deadline_at,"
            " step_deadline_at) VALUES (1, ?, 't' || ?, 1, ?, 1, 0, 0, 5, 5, ?, ?)",
            (number, number, status, deadline, step),
        )
    migrate(database)
    assert connection.execute("SELECT deadline_at FROM job_execution ORDER BY id").fetchall() == [
        (6,),
        (9,),
        (None,),
        (None,),
    ]
    jobs = connection.execute(
        "SELECT phase, has_windows, end_at, next_schedule_at FROM job ORDER BY key"
    ).fetchall()
    assert jobs == [
        ("OPEN", 0, None, None),
        ("WAITING", 1, None, 5),
        ("OPEN", 0, 1_798_797_600_000, 5),
        ("OPEN", 0, 1_798_797_600_000, None),
    ]


def test_time_outs_of_jobs_are_kept_and_may_be_longer() -> None:
    connection = sqlite3.connect(":memory:", isolation_level=None)
    database = Database(connection, read_blocks(DIALECT))
    migrate(database, migrations()[:2])
    connection.execute("INSERT INTO scope VALUES (1, '123456789012', 'us-east-1')")
    connection.executemany(
        "INSERT INTO job (scope, job_id, status, target_selection, in_progress_timeout_minutes,"
        " force_canceled, created_at, last_updated_at)"
        " VALUES (1, ?, 'IN_PROGRESS', 'SNAPSHOT', ?, 0, 5, 5)",
        [("with", 10_080), ("without", None)],
    )
    migrate(database)
    found = connection.execute("SELECT in_progress_timeout_minutes FROM job ORDER BY key").fetchall()
    assert found == [(10_080,), (None,)]
    connection.execute("UPDATE job SET in_progress_timeout_minutes = 20000")
    with pytest.raises(sqlite3.IntegrityError, match="CHECK"):
        connection.execute("UPDATE job SET in_progress_timeout_minutes = 0")
