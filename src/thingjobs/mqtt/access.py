"""Who may do what over MQTT: asked on connect, publish, subscribe and delivery, and nowhere else."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from thingjobs.domain.model import Scope
from thingjobs.mqtt import jobs_topic
from thingjobs.mqtt.jobs_topic import Kind


class Principal(NamedTuple):
    """Who a connection belongs to: a scope, its access key's id, and whether it may only look."""

    scope: Scope
    name: str
    read_only: bool = False


class Access(Protocol):
    """The rules of one server; a principal comes from how its connection was made."""

    def may_connect(self, principal: Principal, client_id: str) -> bool: ...

    def may_take_over(self, principal: Principal, owner: Principal) -> bool:
        """Whether it may be the client that ``owner`` is, with its session."""
        ...

    def may_publish(self, principal: Principal, topic: str) -> bool: ...

    def may_subscribe(self, principal: Principal, topic_filter: str) -> bool: ...

    def may_receive(self, principal: Principal, topic: str) -> bool: ...


_LOOKING = (Kind.GET_PENDING, Kind.DESCRIBE)


class ByRole:
    """All that a principal's role allows: one that may only look asks about jobs, and changes nothing."""

    def may_connect(self, principal: Principal, client_id: str) -> bool:
        return True

    def may_take_over(self, principal: Principal, owner: Principal) -> bool:
        return principal.name == owner.name or not principal.read_only

    def may_publish(self, principal: Principal, topic: str) -> bool:
        if not principal.read_only:
            return True
        request = jobs_topic.parse(topic)
        return request is not None and request.kind in _LOOKING

    def may_subscribe(self, principal: Principal, topic_filter: str) -> bool:
        return True

    def may_receive(self, principal: Principal, topic: str) -> bool:
        return True
