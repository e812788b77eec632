"""A client and the server's core, wired back to back in memory: no port, no thread, no sleep."""

from __future__ import annotations

from thingjobs.mqtt.decoder import Decoder
from thingjobs.mqtt.encoder import encode
from thingjobs.mqtt.events import Event, Failed, Subscribed
from thingjobs.mqtt.limits import Limits
from thingjobs.mqtt.packets import (
    ConnAck,
    Connect,
    FilterRequest,
    Packet,
    Publish,
    SubAck,
    Subscribe,
    Version,
    Will,
)
from thingjobs.mqtt.properties import NO_PROPERTIES, Properties
from thingjobs.mqtt.reasons import ReasonCode
from thingjobs.mqtt.session import ServerConnection, State
from thingjobs.mqtt.session_state import SessionState

LIMITS = Limits()
TOPIC = "$aws/things/t1/jobs/get"


class Wired:
    """One connection, seen from both ends. Time stands still unless ``now`` is set."""

    def __init__(self, version: Version = Version.V311, limits: Limits = LIMITS, now: float = 0.0) -> None:
        self.version = version
        self.now = now
        self.server = ServerConnection(limits, now)
        self._reads = Decoder(1_000_000, version)

    def send(self, *packets: Packet) -> list[Event]:
        """The client sends packets; what the server makes of them."""
        return self.send_bytes(b"".join(encode(packet, self.version) for packet in packets))

    def send_bytes(self, data: bytes) -> list[Event]:
        events = self.server.receive(data, self.now)
        while self.server.has_more:
            events += self.server.receive(b"", self.now)
        return events

    def heard(self) -> list[Packet]:
        """What the client has been sent since the last time."""
        self._reads.feed(self.server.bytes_to_send())
        heard: list[Packet] = []
        while (packet := self._reads.next_packet()) is not None:
            heard.append(packet)
        return heard

    # --- what most cases begin with -----------------------------------------------------------------

    def connect(
        self,
        session: SessionState | None = None,
        *,
        client_id: str = "t1",
        clean_start: bool = True,
        keep_alive: int = 60,
        will: Will | None = None,
        properties: Properties = NO_PROPERTIES,
    ) -> ConnAck:
        """Connect and be accepted, with a present session if one is given; the CONNACK."""
        asked = Connect(client_id, self.version, clean_start, keep_alive, will=will, properties=properties)
        assert self.send(asked) == [asked]
        present = session is not None
        self.server.accept(
            session or SessionState(client_id or "assigned"), self.now, session_present=present
        )
        first = self._next_heard()
        assert isinstance(first, ConnAck)
        return first

    def subscribe(self, *topic_filters: str, qos: int = 1, refused: tuple[str, ...] = ()) -> tuple[int, ...]:
        """Subscribe and be answered; the codes."""
        (asked,) = self.send(Subscribe(1, tuple(FilterRequest(each, qos) for each in topic_filters)))
        assert isinstance(asked, Subscribed)
        self.server.suback(asked, refused)
        (answer,) = self.heard()
        assert isinstance(answer, SubAck)
        return answer.codes

    @property
    def session(self) -> SessionState:
        assert self.server.session is not None
        return self.server.session

    def _next_heard(self) -> Packet | None:
        """One packet; those behind it stay for ``heard``."""
        self._reads.feed(self.server.bytes_to_send())
        return self._reads.next_packet()


def connected(version: Version = Version.V311, limits: Limits = LIMITS) -> Wired:
    wired = Wired(version, limits)
    wired.connect()
    return wired


def a_publish(
    topic: str = TOPIC,
    payload: bytes = b"{}",
    qos: int = 1,
    packet_id: int = 7,
    properties: Properties = NO_PROPERTIES,
) -> Publish:
    return Publish(topic, payload, qos, False, packet_id if qos else 0, False, properties)


def failed(wired: Wired, events: list[Event]) -> ReasonCode:
    """The reason for which the connection has just ended."""
    assert wired.server.state is State.CLOSED
    last = events[-1]
    assert isinstance(last, Failed)
    return last.reason
