"""Which events a scope wants, and those that wait to be published, as rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from thingjobs.domain.events import Event
from thingjobs.domain.model import ScopeId
from thingjobs.store.sqlite import Database


class Configurations(NamedTuple):
    """``enabled`` holds the types that were ever configured; the instants are None if none was."""

    enabled: Mapping[str, bool]
    created_at: int | None
    last_modified_at: int | None


class WaitingEvent(NamedTuple):
    id: int
    scope: ScopeId
    topic: str
    payload: bytes


class Events:
    def __init__(self, database: Database) -> None:
        self._db = database

    def configurations(self, scope: ScopeId) -> Configurations:
        rows = self._db.rows("event_configurations", scope=scope)
        return Configurations(
            {event_type: bool(enabled) for event_type, enabled, _, _ in rows},
            min((created_at for _, _, created_at, _ in rows), default=None),
            max((modified_at for _, _, _, modified_at in rows), default=None),
        )

    def configure(self, scope: ScopeId, event_type: str, *, enabled: bool, now: int) -> None:
        self._db.run(
            "save_event_configuration", scope=scope, event_type=event_type, enabled=int(enabled), now=now
        )

    def add(self, events: Iterable[tuple[ScopeId, Event]]) -> None:
        """Have events published, in this order, once the transaction is durable."""
        self._db.run_many(
            "insert_event",
            [
                {"scope": scope, "topic": topic, "payload": msgspec.json.encode(payload).decode()}
                for scope, (topic, payload) in events
            ],
        )

    def waiting(self, limit: int) -> Sequence[WaitingEvent]:
        rows = self._db.rows("waiting_events", limit=limit)
        return [WaitingEvent(id_, scope, topic, payload.encode()) for id_, scope, topic, payload in rows]

    def published(self, last_id: int) -> None:
        """Forget the waiting events up to ``last_id``."""
        self._db.run("delete_events", id=last_id)
