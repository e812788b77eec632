"""Accounts and regions, and what the server remembers about itself."""

from __future__ import annotations

from thingjobs.domain.model import Scope, ScopeId
from thingjobs.store.sqlite import Database


class Scopes:
    def __init__(self, database: Database) -> None:
        self._db = database

    def find(self, account: str, region: str) -> Scope | None:
        row = self._db.row("scope_by_name", account=account, region=region)
        return Scope(ScopeId(row[0]), account, region) if row else None

    def get_or_create(self, account: str, region: str) -> Scope:
        self._db.run("create_scope", account=account, region=region)
        scope = self.find(account, region)
        assert scope is not None
        return scope

    def get(self, scope_id: ScopeId) -> Scope:
        row = self._db.row("scope_by_id", id=scope_id)
        assert row is not None
        return Scope(ScopeId(row[0]), row[1], row[2])

    def remember(self, name: str, value: str) -> None:
        """Keep a fact about this server, such as where its manual clock stands."""
        self._db.run("save_meta", name=name, value=value)

    def recall(self, name: str) -> str | None:
        row = self._db.row("meta_by_name", name=name)
        return str(row[0]) if row else None
