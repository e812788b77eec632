"""How fast a job is handed out.

Source: Jobs developer guide, "job rollout configurations"; the default rate is the documented maximum.
"""

from __future__ import annotations

from dataclasses import dataclass

from thingjobs.domain.model import GroupKey, JobKey, RolloutConfig

DEFAULT_PER_MINUTE = 1000
TICK = 60_000


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


@dataclass(frozen=True, slots=True)
class GroupAt:
    """A group met on the walk over a target."""

    key: GroupKey
    depth: int
    name: str


def batch_size(config: RolloutConfig | None, *, limited: bool) -> int:
    """Things that may be told of the job in one tick."""
    if not limited or config is None:
        return DEFAULT_PER_MINUTE
    return config.maximum_per_minute


def following_tick(rollout: Rollout, now: int) -> int:
    """The instant of the next tick: whole minutes from the start, always after ``now``.

    Ticks missed while the server was down are not made up for: quota unused is lost.
    """
    if not rollout.limited:
        return now
    return rollout.started_at + ((now - rollout.started_at) // TICK + 1) * TICK
