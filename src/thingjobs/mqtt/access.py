"""Who may do what over MQTT: asked on connect, publish, subscribe and delivery, and nowhere else."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from thingjobs.domain.model import Scope


class Principal(NamedTuple):
    """Who a connection belongs to: a scope, a name for the logs, and whether it may only listen."""

    scope: Scope
    name: str
    read_only: bool = False


class Access(Protocol):
    """The rules of one server; a principal comes from how its connection was made."""

    def may_connect(self, principal: Principal, client_id: str) -> bool: ...

    def may_publish(self, principal: Principal, topic: str) -> bool: ...

    def may_subscribe(self, principal: Principal, topic_filter: str) -> bool: ...

    def may_receive(self, principal: Principal, topic: str) -> bool: ...


class ByRole:
    """All that a principal's role allows: one that may only listen publishes nothing."""

    def may_connect(self, principal: Principal, client_id: str) -> bool:
        return True

    def may_publish(self, principal: Principal, topic: str) -> bool:
        return not principal.read_only

    def may_subscribe(self, principal: Principal, topic_filter: str) -> bool:
        return True

    def may_receive(self, principal: Principal, topic: str) -> bool:
        return True
