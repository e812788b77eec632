"""Thing types as rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from thingjobs.domain.model import ScopeId, ThingType
from thingjobs.store.sqlite import Database


class ThingTypes:
    def __init__(self, database: Database) -> None:
        self._db = database

    def find(self, scope: ScopeId, name: str) -> ThingType | None:
        row = self._db.row("thing_type_by_name", scope=scope, name=name)
        return _thing_type(row) if row else None

    def insert(self, scope: ScopeId, thing_type: ThingType) -> None:
        self._db.run(
            "insert_thing_type",
            scope=scope,
            name=thing_type.name,
            thing_type_id=thing_type.thing_type_id,
            description=thing_type.description,
            searchable_attributes=self._db.array(thing_type.searchable_attributes),
            created_at=thing_type.created_at,
            deprecated_at=thing_type.deprecated_at,
        )

    def save(self, scope: ScopeId, thing_type: ThingType) -> None:
        self._db.run(
            "save_thing_type",
            scope=scope,
            name=thing_type.name,
            description=thing_type.description,
            searchable_attributes=self._db.array(thing_type.searchable_attributes),
            deprecated_at=thing_type.deprecated_at,
        )

    def delete(self, scope: ScopeId, name: str) -> None:
        self._db.run("delete_thing_type", scope=scope, name=name)

    def is_in_use(self, scope: ScopeId, name: str) -> bool:
        return self._db.row("thing_type_in_use", scope=scope, name=name) is not None

    def page(self, scope: ScopeId, *, after: str, limit: int) -> Sequence[ThingType]:
        """Thing types by name, after ``after`` ('' before the first)."""
        rows = self._db.rows("thing_types_page", scope=scope, after=after, limit=limit)
        return [_thing_type(row) for row in rows]


_NAMES = msgspec.json.Decoder(tuple[str, ...])


def _thing_type(row: tuple[Any, ...]) -> ThingType:
    name, thing_type_id, description, searchable_attributes, created_at, deprecated_at = row
    return ThingType(
        name, thing_type_id, description, _NAMES.decode(searchable_attributes), created_at, deprecated_at
    )
