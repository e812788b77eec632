"""SQLite connections, and how they run the named blocks.

Everything that is SQLite's own (pragmas, error messages, arrays as JSON text, files and their lock) is
in this module and in ``migrate``; what stands above sees ``Database`` only.
"""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from thingjobs.domain.errors import ServiceUnavailable
from thingjobs.store.blocks import read_blocks

Value = str | int | float | None
Row = tuple[Any, ...]
"""A row's columns; only its block of SQL knows their types."""

DIALECT = "sqlite"
WRITER_CACHE_KIB = 65_536
READER_CACHE_KIB = 16_384
_ENVIRONMENT_FAILURES = (
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_NOMEM,
)


class DataDirectoryInUse(RuntimeError):
    """Another server has the data directory."""


class StoreUnusable(RuntimeError):
    """The database file cannot be opened: damaged, not a database, or its disk does not let us."""

    def __init__(self, path: Path, cause: Exception) -> None:
        super().__init__(
            f"{path} cannot be used: {cause}. If the disk is in order, the file is damaged: restore a backup,"
            ' as "Backup and restore" in docs/operations.md says.'
        )


class StoreFailed(ServiceUnavailable):
    """The disk or the database file cannot serve: full, read-only, gone."""

    def __init__(self, cause: sqlite3.Error) -> None:
        super().__init__(f"The store cannot serve now: {cause}. Nothing was changed; try again later.")


def environment_failure(error: sqlite3.Error) -> StoreFailed | None:
    """``error`` as the passing trouble of disk and files it is, or None if it is a fault of ours."""
    code = getattr(error, "sqlite_errorcode", None)
    if code is not None and code & 0xFF in _ENVIRONMENT_FAILURES:
        return StoreFailed(error)
    return None


class Database:
    """One connection that runs named blocks; parameters by name, arrays through ``array``."""

    def __init__(self, connection: sqlite3.Connection, blocks: Mapping[str, str]) -> None:
        self.connection = connection
        self._blocks = blocks

    def rows(self, block: str, **parameters: Value) -> list[Row]:
        return self.connection.execute(self._blocks[block], parameters).fetchall()

    def row(self, block: str, **parameters: Value) -> Row | None:
        found: Row | None = self.connection.execute(self._blocks[block], parameters).fetchone()
        return found

    def run(self, block: str, **parameters: Value) -> int:
        """Run a change; the number of rows it touched."""
        return self.connection.execute(self._blocks[block], parameters).rowcount

    def run_many(self, block: str, parameters: Iterable[Mapping[str, Value]]) -> int:
        return self.connection.executemany(self._blocks[block], parameters).rowcount

    def insert(self, block: str, **parameters: Value) -> int:
        """Run an INSERT … RETURNING of one integer key, and give the key."""
        row = self.row(block, **parameters)
        if row is None:
            raise LookupError(f"{block} returned no key")
        return int(row[0])

    @staticmethod
    def array(values: Sequence[object]) -> str:
        """Values for a block to unpack with ``json_each`` (each a scalar or a list of scalars)."""
        return json.dumps(values, separators=(",", ":"), ensure_ascii=False)


def connect(path: Path, *, read_only: bool) -> Database:
    """A connection in autocommit mode: transactions are begun and ended by the caller."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}{'?mode=ro' if read_only else ''}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
        timeout=5.0,
    )
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA temp_store = MEMORY")
    if read_only:
        connection.execute("PRAGMA query_only = ON")
        connection.execute(f"PRAGMA cache_size = -{READER_CACHE_KIB}")
    else:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA cache_size = -{WRITER_CACHE_KIB}")
    return Database(connection, read_blocks(DIALECT))


def lock_directory(directory: Path) -> TextIO:
    """Take the data directory for this process; the lock goes with the process, however it ends.

    Errors: DataDirectoryInUse.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = (directory / "thingjobs.lock").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        owner = file.read().strip()
        file.close()
        raise DataDirectoryInUse(
            f"{directory} is in use by another thingjobs server (process {owner or 'unknown'}). "
            "Stop that one, or give this one another --data directory."
        ) from None
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file
