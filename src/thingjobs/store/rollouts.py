"""Rollouts under way as rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from thingjobs.domain.model import JobKey, ScopeId
from thingjobs.domain.rollout import NEVER, Cursor, Rollout
from thingjobs.domain.rollout_rate import Minute
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

    def due(self, now: int, limit: int, left_out: Sequence[int]) -> Sequence[tuple[int, int]]:
        """Keys of rollouts that have a tick due, but for ``left_out``, and since when."""
        rows = self._db.rows("rollouts_due", now=now, limit=limit, left_out=self._db.array(left_out))
        return [(key, at) for key, at in rows]

    def next_tick_at(self, now: int) -> int | None:
        """When the first tick after ``now`` is due."""
        row = self._db.row("next_tick_at", now=now, never=NEVER)
        return row[0] if row else None

    def count_jobs(self, scope: ScopeId) -> int:
        """Jobs of a scope that are rolling out, or whose executions are still being canceled."""
        row = self._db.row("count_concurrent_jobs", scope=scope)
        return int(row[0]) if row else 0

    def save(self, rollout: Rollout) -> None:
        self._db.run(
            "save_rollout",
            key=rollout.key,
            position=rollout.cursor.position,
            depth=rollout.cursor.depth,
            group_name=rollout.cursor.group_name,
            after_thing=rollout.cursor.after_thing,
            started_at=rollout.started_at,
            next_tick_at=rollout.next_tick_at,
            notified=rollout.notified,
            minute_at=rollout.minute and rollout.minute.tick_at,
            minute_rate=rollout.minute.rate if rollout.minute else 0,
            minute_handed_out=rollout.minute.handed_out if rollout.minute else 0,
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
        minute=None if row[12] is None else Minute(row[12], row[13], row[14]),
    )
