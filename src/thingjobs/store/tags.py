"""Tags as rows: what a resource, named by its ARN, is labeled with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from thingjobs.domain.model import ScopeId
from thingjobs.store.sqlite import Database

Tag = tuple[str, str]
"""Key and value."""


class Tags:
    def __init__(self, database: Database) -> None:
        self._db = database

    def list(self, scope: ScopeId, resource: str) -> Sequence[Tag]:
        """The tags of ``resource`` in the order they were first put."""
        return self._db.rows("tags_of_resource", scope=scope, resource=resource)

    def put(self, scope: ScopeId, resource: str, tags: Iterable[Tag]) -> None:
        """Add tags; a key the resource has gets the new value."""
        self._db.run_many(
            "put_tag",
            [{"scope": scope, "resource": resource, "key": key, "value": value} for key, value in tags],
        )

    def replace(self, scope: ScopeId, resource: str, tags: Iterable[Tag]) -> None:
        """Have ``tags`` and no others."""
        self.delete_all(scope, resource)
        self.put(scope, resource, tags)

    def delete(self, scope: ScopeId, resource: str, keys: Sequence[str]) -> None:
        """Take off the tags with ``keys``; keys the resource has not are ignored."""
        self._db.run("delete_tags", scope=scope, resource=resource, keys=self._db.array(keys))

    def delete_all(self, scope: ScopeId, resource: str) -> None:
        self._db.run("delete_all_tags", scope=scope, resource=resource)
