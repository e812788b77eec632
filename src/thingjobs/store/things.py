"""Things as rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from thingjobs.domain.model import ScopeId, Thing, ThingKey
from thingjobs.store.sqlite import Database


class Things:
    def __init__(self, database: Database) -> None:
        self._db = database

    def find(self, scope: ScopeId, name: str) -> Thing | None:
        row = self._db.row("thing_by_name", scope=scope, name=name)
        return _thing(row) if row else None

    def keys(self, scope: ScopeId, names: Iterable[str]) -> dict[str, ThingKey]:
        """The keys of those of ``names`` that exist."""
        return dict(self._db.rows("thing_keys", scope=scope, names=self._db.array(list(names))))

    def insert(
        self,
        scope: ScopeId,
        name: str,
        *,
        thing_id: str,
        type_name: str | None,
        attributes: Mapping[str, str],
    ) -> ThingKey:
        """Store a new thing at version 1; its key."""
        key = self._db.insert(
            "insert_thing",
            scope=scope,
            name=name,
            thing_id=thing_id,
            type_name=type_name,
            attributes=msgspec.json.encode(attributes).decode(),
            version=1,
        )
        return ThingKey(key)

    def save(self, thing: Thing, *, was: int) -> None:
        """Store a changed thing; it must still be at version ``was``."""
        saved = self._db.run(
            "save_thing",
            key=thing.key,
            type_name=thing.type_name,
            attributes=msgspec.json.encode(thing.attributes).decode(),
            version=thing.version,
            was=was,
        )
        if saved != 1:
            raise RuntimeError(f"thing {thing.name} changed under a decision")

    def delete(self, key: ThingKey) -> None:
        self._db.run("delete_thing", key=key)

    def page(self, scope: ScopeId, *, type_name: str | None, after: str, limit: int) -> Sequence[Thing]:
        """Things by name, all or of one type, after ``after`` ('' before the first)."""
        if type_name is None:
            rows = self._db.rows("things_page", scope=scope, after=after, limit=limit)
        else:
            rows = self._db.rows(
                "things_page_by_type", scope=scope, type_name=type_name, after=after, limit=limit
            )
        return [_thing(row) for row in rows]


_ATTRIBUTES = msgspec.json.Decoder(dict[str, str])


def _thing(row: tuple[Any, ...]) -> Thing:
    key, name, thing_id, type_name, attributes, version = row
    return Thing(key, name, thing_id, type_name, _ATTRIBUTES.decode(attributes), version)
