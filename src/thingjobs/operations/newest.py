"""How things stand with a job: what decisions about comings and goings ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from thingjobs.domain.model import JobKey, Mark, ThingKey
from thingjobs.domain.targeting import Newest, NoExecution
from thingjobs.store.tx import Tx


def newest_of(tx: Tx, job_key: JobKey, things: Sequence[tuple[ThingKey, str]]) -> Mapping[ThingKey, Newest]:
    """The status of each thing's newest execution of the job, or why it has none."""
    found: dict[ThingKey, Newest] = dict(tx.executions.newest(job_key, things))
    if len(found) < len(things):
        all_deleted = tx.marks.marked(job_key, things, Mark.ALL_DELETED)
        for key, _ in things:
            if key not in found:
                found[key] = NoExecution.ALL_DELETED if key in all_deleted else NoExecution.NEVER_GIVEN
    return found
