"""Who is followed by which continuous job, and what is remembered of a thing and a job, as rows."""

from __future__ import annotations

from collections.abc import Sequence

from thingjobs.domain.model import GroupKey, JobKey, Mark, ThingKey
from thingjobs.store.sqlite import Database

Things = Sequence[tuple[ThingKey, str]]
"""Things by key and name."""

ALL_TARGETS = 2**31


class Marks:
    def __init__(self, database: Database) -> None:
        self._db = database

    def put(self, job_key: JobKey, things: Things, mark: Mark) -> None:
        self._db.run_many("insert_mark", [self._one(job_key, key, mark) for key, _ in things])

    def take(self, job_key: JobKey, things: Things, mark: Mark) -> None:
        """Forget a mark of things that may have it."""
        self._db.run_many("delete_mark", [self._one(job_key, key, mark) for key, _ in things])

    def clear(self, job_key: JobKey, mark: Mark) -> None:
        self._db.run("delete_marks", job_key=job_key, mark=mark.value)

    def marked(self, job_key: JobKey, things: Things, mark: Mark) -> set[ThingKey]:
        """Those of ``things`` that have the mark."""
        members = self._db.array(things)
        rows = self._db.rows("marked_things", job_key=job_key, members=members, mark=mark.value)
        return {ThingKey(key) for (key,) in rows}

    def some(self, job_key: JobKey, mark: Mark, limit: int) -> Sequence[tuple[ThingKey, str | None]]:
        """Some things that have the mark, with their names; None for one that is deleted."""
        rows = self._db.rows("marks_page", job_key=job_key, mark=mark.value, limit=limit)
        return [(ThingKey(key), name) for key, name in rows]

    # --- who is followed --------------------------------------------------------------------------

    def followers(self, group: GroupKey) -> Sequence[JobKey]:
        """The open continuous jobs that follow a group, in order of their creation."""
        return [JobKey(key) for (key,) in self._db.rows("followers_of_group", group=group)]

    def targeted(self, job_key: JobKey, things: Things, *, before: int = ALL_TARGETS) -> set[ThingKey]:
        """Those of ``things`` that a job targets by one of its first ``before`` targets."""
        members = self._db.array(things)
        rows = self._db.rows("targeted_things", job_key=job_key, members=members, before=before)
        return {ThingKey(key) for (key,) in rows}

    @staticmethod
    def _one(job_key: JobKey, thing_key: ThingKey, mark: Mark) -> dict[str, int | str]:
        return {"job_key": job_key, "thing_key": thing_key, "mark": mark.value}
