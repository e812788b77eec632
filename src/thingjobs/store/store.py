"""The embedded store: one data directory, one writer, a few readers."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from thingjobs.domain.effects import Effect
from thingjobs.domain.model import Scope
from thingjobs.store.batcher import Batcher, Follower, Item, Readers, SetOperation, Statistics
from thingjobs.store.migrate import migrate
from thingjobs.store.sqlite import Database, StoreUnusable, connect, lock_directory
from thingjobs.store.tx import Tx

T = TypeVar("T")

FILE_NAME = "thingjobs.db"


class Store:
    """Runs functions of a transaction; each is answered when what it did is durable.

    Made, used and closed on the event loop's thread.
    """

    def __init__(
        self,
        directory: Path,
        *,
        now: Callable[[], int],
        readers: int,
        publish: Callable[[Sequence[Effect]], None],
        follower: Follower,
    ) -> None:
        """Open or create the data directory.

        Errors: DataDirectoryInUse, SchemaTooNew, StoreUnusable, OSError.
        """
        self._lock = lock_directory(directory)
        path = directory / FILE_NAME
        self._databases: list[Database] = []
        try:
            path.touch(mode=0o600)
            os.chmod(path, 0o600)
            writing = self._connected(path, read_only=False)
            self.schema_version = migrate(writing)
            reading = [self._connected(path, read_only=True) for _ in range(readers)]
        except BaseException as error:
            self._let_go()
            if isinstance(error, sqlite3.Error):
                raise StoreUnusable(path, error) from error
            raise
        loop = asyncio.get_running_loop()
        self._writer = Batcher(Tx(writing), now, loop, publish, follower)
        self._readers = Readers([Tx(database) for database in reading], now, loop)
        self._scopes: dict[tuple[str, str], Scope] = {}

    def write(self, run: Callable[[Tx, int], T]) -> asyncio.Future[T]:
        """Run ``run(tx, now)`` with whatever else waits. Errors: ServiceUnavailable, and what it raises."""
        return self._writer.submit(run)

    def write_item(self, operation: SetOperation[Item], item: Item) -> asyncio.Future[Any]:
        """Have a set operation decide ``item`` with all others of the same batch."""
        return self._writer.submit_item(operation, item)

    def read(self, run: Callable[[Tx, int], T]) -> asyncio.Future[T]:
        """Run ``run(tx, now)`` on a snapshot that holds all that was answered before."""
        return self._readers.submit(run)

    async def scope(self, account: str, region: str) -> Scope:
        """The scope of an account and region, made when first asked for."""
        scope = self._scopes.get((account, region))
        if scope is None:
            scope = await self.write(lambda tx, now: tx.scopes.get_or_create(account, region))
            self._scopes[account, region] = scope
        return scope

    async def probe(self) -> None:
        """Write something, to learn whether the disk takes it. Errors: ServiceUnavailable."""
        await self.write(lambda tx, now: tx.scopes.remember("probed_at", str(now)))

    @property
    def statistics(self) -> tuple[Statistics, Statistics]:
        """Of the writer and of the readers."""
        return self._writer.statistics, self._readers.statistics

    def close(self) -> None:
        """Finish what was accepted and let go of the data directory."""
        self._writer.stop()
        self._readers.stop()
        self._let_go()

    def _connected(self, path: Path, *, read_only: bool) -> Database:
        database = connect(path, read_only=read_only)
        self._databases.append(database)
        return database

    def _let_go(self) -> None:
        for database in reversed(self._databases):  # the writer last: only it can tidy up the WAL
            database.connection.close()
        self._lock.close()
