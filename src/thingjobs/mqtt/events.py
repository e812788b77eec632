"""What a connection tells the gateway. A packet that needs no more said is its own event."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from thingjobs.mqtt.packets import Connect, FilterRequest, Publish, Unsubscribe
from thingjobs.mqtt.reasons import FAILURE, ReasonCode


class Subscribed(Struct, frozen=True, gc=False):
    """The client asks for subscriptions; to be answered with ``suback``.

    ``codes`` has the QoS to grant for each request, or why nobody could be granted it.
    """

    packet_id: int
    requests: tuple[FilterRequest, ...]
    codes: tuple[int, ...]

    def to_authorize(self) -> Sequence[str]:
        """The filters that will be granted unless this client may not have them."""
        return [r.topic_filter for r, code in zip(self.requests, self.codes, strict=True) if code < FAILURE]


class Disconnected(Struct, frozen=True, gc=False):
    """The client took its leave. ``code`` is 0, or a reason of MQTT 5."""

    code: int


class Failed(Struct, frozen=True, gc=False):
    """The connection ended by the client's mistake or silence; it has been told, if there is a way to."""

    reason: ReasonCode
    message: str


Event = Connect | Publish | Subscribed | Unsubscribe | Disconnected | Failed
