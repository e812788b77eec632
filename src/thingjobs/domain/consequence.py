"""What the end of an execution means for its job and its thing, in the one order that holds everywhere.

    end → counters → is a retry due? → is the job complete? → if not: is it aborted? → if not: the retry

So a report that finishes the job completes it, whatever its abort criteria say, and an abort stops the
retry of the very report that met the criteria. Each end is decided with the counters as they are right
after it: a set of ends is decided one after the other.

Source: the order of completion and abort is observed by others (unverified); the place of the retry is
inferred from the guide's advice to stop retries by abort criteria.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from thingjobs.domain.abort import criterion_met
from thingjobs.domain.job import OPEN
from thingjobs.domain.model import PENDING, AbortCriterion, Counters, JobStatus, TargetSelection
from thingjobs.domain.retry import Chain


class JobStanding(NamedTuple):
    """How far a job is.

    ``rolling_out``: not all things had their turn yet. ``ended``: its end time has passed.
    """

    status: JobStatus
    target_selection: TargetSelection
    rolling_out: bool
    ended: bool


class Consequence(NamedTuple):
    """At most one of the three is set. ``aborts``: the criterion that cancels the job, without force."""

    completes: bool = False
    aborts: AbortCriterion | None = None
    retry: Chain | None = None


_NOTHING = Consequence()


def is_complete(job: JobStanding, counters: Counters) -> bool:
    """Whether nothing is pending and nothing will be handed out any more.

    A CONTINUOUS job is complete only after its end time. So is a job that never started: until then it
    waits for its start.

    Source: Jobs developer guide, "job states".
    """
    if job.status not in OPEN or any(counters.get(status, 0) for status in PENDING):
        return False
    handed_out = (
        job.status is JobStatus.IN_PROGRESS
        and job.target_selection is TargetSelection.SNAPSHOT
        and not job.rolling_out
    )
    return job.ended or handed_out


def consequence(
    job: JobStanding,
    counters: Counters,
    *,
    criteria: Sequence[AbortCriterion] | None,
    retry: Chain | None,
) -> Consequence:
    """What follows from the end, or the deletion, of an execution.

    ``counters`` hold it already. ``criteria``: the job's abort criteria if this is an occasion to look at
    them (``abort.EVALUATED_AFTER``, or a deletion), else None. ``retry``: the retry that is due for it
    (``retry.may_retry`` and ``next_attempt``). Completion is asked for also when a rollout ends and at the
    end time, with ``is_complete``.
    """
    if job.status not in OPEN:
        return _NOTHING
    if retry is None and is_complete(job, counters):
        return Consequence(completes=True)
    met = criterion_met(criteria, counters) if criteria else None
    if met is not None:
        return Consequence(aborts=met)
    return _NOTHING if retry is None else Consequence(retry=retry)
