"""What outlives a connection: a client's subscriptions, and the messages it has not yet acknowledged.

The gateway keeps a SessionState by client id for as long as its ``expiry_seconds`` say, hands it to the next
connection of that client, and tells it of messages that arrive while there is none. At any moment at most one
connection uses it: one that has been closed never touches it again.
"""

from __future__ import annotations

from collections import deque
from enum import Enum

from msgspec.structs import replace

from thingjobs.mqtt.packets import FilterRequest, Publish, held_bytes
from thingjobs.mqtt.topics import matches

_LAST_PACKET_ID = 0xFFFF

MAX_QUEUED_BYTES = 4_194_304
"""Ours: what may wait for one slow or absent client, as it is in memory, so that sleepers do not fill it."""


class Delivery(Enum):
    """What became of a message for the client."""

    SENT = "sent"
    QUEUED = "queued"
    """It waits for the client's acknowledgements."""
    BEHIND = "behind"
    """It waits, and so do more than ``max_queued``: good if the client goes on acknowledging."""
    OVERFLOW = "overflow"
    """Dropped: too many bytes wait already, the client is a slow consumer."""
    TOO_LARGE = "too large"
    """Dropped: the client does not take packets of this size."""
    CLOSED = "closed"


class SessionState:
    """One client's session. Idle, it is as small as its subscriptions."""

    __slots__ = (
        "_last_packet_id",
        "_queue",
        "_queued_bytes",
        "client_id",
        "expiry_seconds",
        "in_flight",
        "subscriptions",
    )

    def __init__(self, client_id: str, expiry_seconds: int = 0) -> None:
        self.client_id = client_id
        self.expiry_seconds = expiry_seconds  # 0: it ends with its connection
        self.subscriptions: dict[str, FilterRequest] = {}  # as granted
        self.in_flight: dict[int, Publish] = {}  # sent and not acknowledged, in the order of sending
        self._queue: deque[Publish] | None = None  # made when first needed: a deque is large
        self._queued_bytes = 0  # held by the messages in it
        self._last_packet_id = 0

    @property
    def queued(self) -> int:
        """Messages that wait to be sent."""
        return len(self._queue) if self._queue else 0

    def load(self, max_queued: int) -> float:
        """How much waits to be sent, as a share of what may: from 0 to 1."""
        return max(self.queued / max_queued, self._queued_bytes / MAX_QUEUED_BYTES)

    @property
    def last_sent(self) -> int:
        """The packet identifier last sent and not acknowledged, or 0. While messages wait, it changes with
        each acknowledgement, for then the next is sent."""
        return next(reversed(self.in_flight), 0)

    def hold(self, message: Publish, max_queued: int | None = None) -> bool:
        """Keep a message until it can be sent; False if it is lost.

        For messages at QoS 1 whose client is away or slow. QoS 0 does not wait for anybody.
        """
        if not message.qos or (max_queued is not None and self.queued >= max_queued):
            return False
        size = held_bytes(message)
        if self._queued_bytes + size > MAX_QUEUED_BYTES:
            return False
        if self._queue is None:
            self._queue = deque()
        self._queue.append(message)
        self._queued_bytes += size
        return True

    def send_again(self) -> None:
        """Begin a new connection: what was sent and not acknowledged comes first again, as duplicates."""
        if self.in_flight:
            unacknowledged = (replace(message, dup=True) for message in self.in_flight.values())
            self._queue = deque((*unacknowledged, *(self._queue or ())))
            self._queued_bytes = sum(map(held_bytes, self._queue))
            self.in_flight = {}

    def next_to_send(self) -> Publish | None:
        """Take the first message that waits, numbered."""
        if not self._queue:
            return None
        message = self._queue.popleft()
        self._queued_bytes -= held_bytes(message)
        if not self._queue:
            self._queue = None
        return message if message.packet_id else replace(message, packet_id=self.new_packet_id())

    def new_packet_id(self) -> int:
        """A packet identifier that is not in flight.

        Messages that are to be sent again keep theirs and stand before all others, so whoever needs a new
        one finds them in flight already.
        """
        packet_id = self._last_packet_id
        while True:
            packet_id = packet_id % _LAST_PACKET_ID + 1
            if packet_id not in self.in_flight:
                self._last_packet_id = packet_id
                return packet_id

    def hears_itself(self, topic: str) -> bool:
        """Whether a message from this client is to come back to it (MQTT 5 "no local")."""
        return any(
            not granted.no_local and matches(topic_filter, topic)
            for topic_filter, granted in self.subscriptions.items()
        )
