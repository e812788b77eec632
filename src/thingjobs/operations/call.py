"""Who asks, when, and in which scope: all the ambient state an operation has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from thingjobs.domain.model import Scope
from thingjobs.domain.quotas import DEFAULT_QUOTAS, Quotas
from thingjobs.operations.storage import NoStorage, Storage


@dataclass(frozen=True, slots=True)
class Endpoints:
    """What DescribeEndpoint answers: host names, with a port where it is not the usual one."""

    device: str
    jobs: str
    credentials: str


@dataclass(frozen=True, slots=True)
class Call:
    """``now``: milliseconds; ``new_id`` gives a new UUID text.

    ``spread``: a minute's batch of a rollout may be handed out in parts, because the clock goes by itself.
    ``sources``: the document sources read for this call, by URL.
    """

    scope: Scope
    now: int
    new_id: Callable[[], str]
    endpoints: Endpoints
    quotas: Quotas = DEFAULT_QUOTAS
    spread: bool = False
    storage: Storage = field(default_factory=NoStorage)
    sources: Mapping[str, str] = field(default_factory=dict)
