"""Where the handing out of a job stands. How fast it goes is in ``rollout_rate``."""

from __future__ import annotations

from dataclasses import dataclass

from thingjobs.domain.model import JobKey
from thingjobs.domain.rollout_rate import Minute

NEVER = 2**62
"""When a rollout that is paused has its next tick."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a rollout stands: the target it is at and, inside a group, the last thing handed out.

    ``position`` counts the job's targets. A group is walked breadth first: ``depth`` and
    ``group_name`` name the group reached, ``after_thing`` the last thing of it ('' before the first).
    """

    position: int
    depth: int = 0
    group_name: str = ""
    after_thing: str = ""


@dataclass(frozen=True, slots=True)
class Rollout:
    """One walk over a job's targets ``cursor.position`` .. ``end_position`` - 1.

    ``snapshot_seq``: memberships count as they were at this sequence number; None follows the group.
    ``limited``: at the configured rate; targets associated later are handed out without one.
    """

    key: int
    job_key: JobKey
    end_position: int
    snapshot_seq: int | None
    limited: bool
    cursor: Cursor
    started_at: int
    next_tick_at: int
    notified: int
    minute: Minute | None = None
