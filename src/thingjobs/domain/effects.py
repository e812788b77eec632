"""Facts a change leaves behind, published after it is durable and never before."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WorkDue:
    """A rollout has a tick due, or a sweep has begun: the engine should look. Only a hint."""


Effect = WorkDue
