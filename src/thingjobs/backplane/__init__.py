"""What gateways tell each other: that a thing's device is owed a notice, and that a client came to another.

Everything said here is a hint and may be lost. The database says what a device has to do, and a device is
told the difference when it returns. Requests never cross the backplane, and nobody waits for an answer.
"""

from __future__ import annotations

from typing import Protocol

from thingjobs.domain.effects import PendingNotice
from thingjobs.domain.model import ScopeId


class Backplane(Protocol):
    """A gateway's way to all gateways, itself among them.

    Both are called on the event loop, do not block, and raise nothing that a caller could answer.
    """

    def push(self, notice: PendingNotice) -> None:
        """Bring a notice to the connections that listen for its thing, wherever they are."""
        ...

    def announce_take_over(self, scope: ScopeId, client_id: str) -> None:
        """Say that a client is arriving here, before its connection is entered.

        This gateway itself has heard of it when the call returns, and must not hear of it again: it would end
        the connection that just came.
        """
        ...


class Receiver(Protocol):
    """A gateway, as the backplane sees it."""

    def pushed(self, notice: PendingNotice) -> None:
        """Tell the connections of this gateway that listen for the thing."""
        ...

    def taken_over(self, scope: ScopeId, client_id: str) -> None:
        """End the connection of a client that has come on another, if it is here."""
        ...
