"""Rollouts under way as rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from thingjobs.domain.model import JobKey
from thingjobs.domain.rollout import Cursor, Rollout
from thingjobs.store.sqlite import Database


class Rollouts:
    def __init__(self, database: Database) -> None:
        self._db = database

    def insert(
        self,
        job_key: JobKey,
        *,
        position: int,
        end_position: int,
        snapshot_seq: int | None,
        limited: bool,
        now: int,
    ) -> int:
        """Begin a walk over the job's targets ``position`` .. ``end_position`` - 1; its key."""
        return self._db.insert(
            "insert_rollout",
            job_key=job_key,
            position=position,
            end_position=end_position,
            snapshot_seq=snapshot_seq,
            limited=int(limited),
            now=now,
        )

    def find(self, key: int) -> Rollout | None:
        row = self._db.row("rollout_by_key", key=key)
        return _rollout(row) if row else None

    def of_job(self, job_key: JobKey) -> Sequence[Rollout]:
        return [_rollout(row) for row in self._db.rows("rollouts_of_job", job_key=job_key)]

    def due(self, now: int, limit: int) -> Sequence[int]:
        return [key for (key,) in self._db.rows("rollouts_due", now=now, limit=limit)]

    def next_tick_at(self, now: int) -> int | None:
        """When the first tick after ``now`` is due."""
        row = self._db.row("next_tick_at", now=now)
        return row[0] if row else None

    def save(self, rollout: Rollout) -> None:
        self._db.run(
            "save_rollout",
            key=rollout.key,
            position=rollout.cursor.position,
            depth=rollout.cursor.depth,
            group_name=rollout.cursor.group_name,
            after_thing=rollout.cursor.after_thing,
            next_tick_at=rollout.next_tick_at,
            notified=rollout.notified,
        )

    def delete(self, key: int) -> None:
        self._db.run("delete_rollout", key=key)

    def delete_of_job(self, job_key: JobKey) -> None:
        self._db.run("delete_rollouts_of_job", job_key=job_key)


def _rollout(row: tuple[Any, ...]) -> Rollout:
    key, job_key, end_position, snapshot_seq, limited, position, depth, group_name, after_thing = row[:9]
    return Rollout(
        key=key,
        job_key=job_key,
        end_position=end_position,
        snapshot_seq=snapshot_seq,
        limited=bool(limited),
        cursor=Cursor(position, depth, group_name, after_thing),
        started_at=row[9],
        next_tick_at=row[10],
        notified=row[11],
    )
