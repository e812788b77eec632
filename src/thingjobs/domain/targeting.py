"""What the comings and goings of things mean for a job: whether a thing gets it, gets it again, or loses it.

A SNAPSHOT job looks at its targets once, when its rollout begins. A CONTINUOUS job follows them: a thing
that joins a targeted group runs it, each time anew, and one that leaves its last target loses what it has
not started. Being a member is not enough: only a JOIN runs a job again.

Each function decides about one thing and one job. ``newest`` is the status of the thing's newest execution
of the job, or why there is none; an execution of a deleted namesake is not the thing's.

Source: Jobs developer guide, "continuous and snapshot jobs"; the table is observed by others (unverified).
"""

from __future__ import annotations

from enum import Enum, StrEnum
from typing import NamedTuple

from thingjobs.domain.job import OPEN
from thingjobs.domain.model import PENDING, ExecutionStatus, JobStatus, TargetSelection
from thingjobs.domain.windows import Phase


class NoExecution(Enum):
    """Why a thing has no execution of a job."""

    NEVER_GIVEN = "NEVER_GIVEN"
    """It is new to the job, or waits for its turn in the rollout."""
    ALL_DELETED = "ALL_DELETED"
    """It had some, and all were deleted by DeleteJobExecution."""


Newest = ExecutionStatus | NoExecution


class Action(StrEnum):
    """What is done about one thing and one job."""

    NOTHING = "NOTHING"
    QUEUE_NEXT = "QUEUE_NEXT"
    """Queue an execution, numbered after the highest there is, as the first of a new chain of retries."""
    QUEUE_AT_OPENING = "QUEUE_AT_OPENING"
    """Remember the thing until the next window opens and ask ``on_join`` again then, unless it leaves."""
    REMOVE = "REMOVE"
    """Make the pending execution REMOVED."""
    RECORD_REMOVED_ROW = "RECORD_REMOVED_ROW"
    """Store an execution that is REMOVED from the start, version 1, without event or notification."""


class JobMoment(NamedTuple):
    """What decisions need to know of the job."""

    status: JobStatus
    target_selection: TargetSelection
    phase: Phase


def on_turn(newest: Newest) -> Action:
    """A thing is reached by the rollout. One that got the job otherwise loses its turn.

    Of a SNAPSHOT job things keep their turn when they leave; of a CONTINUOUS one the rollout does not meet
    those that left.
    """
    return Action.QUEUE_NEXT if newest is NoExecution.NEVER_GIVEN else Action.NOTHING


def on_join(job: JobMoment, newest: Newest) -> Action:
    """A thing joins a targeted group or one below it; it may be targeted already, by way of another.

    What is pending goes on. Before the first window opens nothing is needed: the rollout will find the
    thing. A thing that joins while it waits for its turn has the job at once.
    """
    if not _is_followed(job) or newest in PENDING:
        return Action.NOTHING
    match job.phase:
        case Phase.OPEN:
            return Action.QUEUE_NEXT
        case Phase.CLOSED:
            return Action.QUEUE_AT_OPENING
        case _:
            return Action.NOTHING


def on_associate(job: JobMoment, newest: Newest, *, targeted_before: bool) -> Action:
    """A group the thing is in becomes a target.

    It counts as a JOIN for a thing that was not targeted at that moment, also if it was earlier and left.
    One that was targeted keeps what it has, but need not wait for its turn any longer.
    """
    if targeted_before and newest is not NoExecution.NEVER_GIVEN:
        return Action.NOTHING
    return on_join(job, newest)


def on_leave(job: JobMoment, newest: Newest, *, still_targeted: bool) -> Action:
    """A thing leaves a targeted group, or the group is deleted; a direct target never leaves.

    ``still_targeted``: by way of another group, or directly. What is in progress may be finished. A thing
    that waits for its turn or for an opening just loses it.
    """
    if not _is_followed(job) or still_targeted:
        return Action.NOTHING
    if newest is ExecutionStatus.QUEUED:
        return Action.REMOVE
    if newest is NoExecution.ALL_DELETED:
        return Action.RECORD_REMOVED_ROW
    return Action.NOTHING


def on_thing_deleted(newest: Newest, *, removes: bool = True) -> Action:
    """A thing is deleted, whatever the job's kind, status and end time.

    ``removes``: the setting that says whether executions of deleted things become REMOVED at all.
    """
    return Action.REMOVE if removes and newest in PENDING else Action.NOTHING


def _is_followed(job: JobMoment) -> bool:
    """Whether comings and goings mean anything to the job."""
    return (
        job.target_selection is TargetSelection.CONTINUOUS
        and job.status in OPEN
        and job.phase is not Phase.ENDED
    )
