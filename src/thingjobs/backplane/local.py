"""The backplane of a single process, whose only gateway is told by a function call."""

from __future__ import annotations

from thingjobs.backplane import Receiver
from thingjobs.domain.effects import PendingNotice
from thingjobs.domain.model import ScopeId


class Local:
    def __init__(self, gateway: Receiver) -> None:
        self._gateway = gateway

    def push(self, notice: PendingNotice) -> None:
        self._gateway.pushed(notice)

    def announce_take_over(self, scope: ScopeId, client_id: str) -> None:
        self._gateway.taken_over(scope, client_id)
