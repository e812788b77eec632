"""Facts a change leaves behind, published after it is durable and never before."""

from __future__ import annotations

from typing import NamedTuple

from thingjobs.domain.model import JobExecution, JobFacts, ScopeId


class WorkDue(NamedTuple):
    """Something is due, or will be sooner than was known: the engine should look. Only a hint."""


class EventsWaiting(NamedTuple):
    """Events are in the outbox. Only a hint."""


class PendingChanged(NamedTuple):
    """The pending lists of these things may have changed."""

    scope: ScopeId
    thing_names: tuple[str, ...]


class VisibilityChanged(NamedTuple):
    """Some job's pending executions were hidden from all devices of the scope, or shown to them."""

    scope: ScopeId


class Listed(NamedTuple):
    """A pending execution with what a notification tells of its job."""

    execution: JobExecution
    job: JobFacts


class PendingNotice(NamedTuple):
    """What a listening device is owed after a change.

    ``pending``: the new list (its first ten) if the list is another; ``head_changed``: whether its first
    element is. ``document`` is the first one's job document in device spelling.
    """

    scope: ScopeId
    thing_name: str
    at: int
    list_changed: bool
    head_changed: bool
    pending: tuple[Listed, ...]
    document: str | None


Effect = WorkDue | EventsWaiting | PendingChanged | VisibilityChanged | PendingNotice
