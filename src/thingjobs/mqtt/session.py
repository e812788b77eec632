"""The server's side of one MQTT connection, without I/O and without a clock.

Theory of operation
-------------------
Bytes go into ``receive`` and events come out; the gateway acts on them and answers by calling methods; what
is to be sent waits in ``bytes_to_send``. Whatever the gateway has called, it goes on like this:

    transport.write(connection.bytes_to_send())
    if connection.is_closed:  close the socket once all is written, publish ``connection.will`` if there is
                              one, keep or drop ``connection.session``
    else:                     wake up at ``connection.deadline()`` and call ``connection.expire(now)``

A connection is in one of four states, and ``_ACCEPTS`` says which packets each takes:

    AWAITING_CONNECT ──CONNECT──▶ DECIDING ──accept()──▶ OPEN
            │                        │ refuse()           │ DISCONNECT, disconnect()
            └────────────────────────┴────────────────────┴──▶ CLOSED
                any ProtocolError, a deadline, lost()

A client may send on without waiting for CONNACK. What arrives while DECIDING stays undecoded; ``accept``
gives its events.

A client may send more at once than is good for all others. Each call decodes a portion and no more; while
``has_more``, the gateway calls ``receive(b"")`` for the next when it has done something else, and reads no
more from the client meanwhile.

The client's mistakes never raise out of ``receive``. Every rule, here and in the decoder, raises
ProtocolError, and one place turns that into what the version in use can say (CONNACK, DISCONNECT or
nothing), a closed connection and a ``Failed`` event. Mistakes of ours do raise: RuntimeError for a call that
the state does not allow. But once CLOSED every call is ignored, because answers may be on their way when a
connection ends.

Messages at QoS 1 may be unanswered up to a limit, both ways. Ours wait in the session. A client that has too
many breaks MQTT 5; in 3.1.1 it is free to, and how much of it is read is the gateway's to bound.

What belongs to the client and not to the connection is in ``SessionState``. To take a client over: disconnect
its old connection, and accept the new one with the old one's session.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from enum import Enum
from typing import Any

from msgspec.structs import replace

from thingjobs.mqtt.decoder import Decoder
from thingjobs.mqtt.encoder import encode
from thingjobs.mqtt.events import Disconnected, Event, Failed, Subscribed
from thingjobs.mqtt.limits import Limits
from thingjobs.mqtt.negotiation import Terms, announcement, negotiate
from thingjobs.mqtt.packets import (
    ConnAck,
    Connect,
    Disconnect,
    Packet,
    PingReq,
    PingResp,
    PubAck,
    Publish,
    SubAck,
    Subscribe,
    UnsubAck,
    Unsubscribe,
    Version,
    Will,
)
from thingjobs.mqtt.properties import NO_PROPERTIES, Properties
from thingjobs.mqtt.reasons import FAILURE, RETURN_CODES, ProtocolError, ReasonCode
from thingjobs.mqtt.rules import check_publish, grantable, without_alias
from thingjobs.mqtt.session_state import Delivery, SessionState

__all__ = ["Delivery", "ServerConnection", "State"]

PORTION = 16
"""Packets that one call decodes: a fraction of a millisecond's work."""
_V5 = Version.V5
_PING_RESPONSE = encode(PingResp(), Version.V311)


class State(Enum):
    AWAITING_CONNECT = "awaiting CONNECT"
    DECIDING = "deciding"
    OPEN = "open"
    CLOSED = "closed"


class ServerConnection:
    """One connection, from its first byte to its last.

    ``now`` is in seconds, on a clock that never goes back.
    """

    __slots__ = (
        "_accepts",
        "_aliases",
        "_connect",
        "_decoder",
        "_heard_at",
        "_out",
        "_patience",
        "_peer_max_packet_size",
        "_state",
        "_version",
        "_window",
        "acknowledged_at",
        "limits",
        "session",
        "unacknowledged",
        "will",
    )

    def __init__(self, limits: Limits, now: float) -> None:
        self.limits = limits
        self.session: SessionState | None = None  # from accept() on
        self.will: Will | None = None  # what is owed to subscribers when the connection is closed
        self.unacknowledged = 0  # messages of the client at QoS 1 that await acknowledge()
        self.acknowledged_at = now  # when the client last acknowledged a message of ours
        self._decoder = Decoder(limits.max_packet_size)
        self._out: list[bytes] = []
        self._version = Version.V311
        self._connect: tuple[Connect, Terms] | None = None  # while DECIDING
        self._heard_at = now
        self._patience = float(limits.connect_timeout)
        self._window = limits.receive_maximum
        self._peer_max_packet_size: int | None = None
        self._aliases: dict[int, str] | None = None
        self._enter(State.AWAITING_CONNECT)

    # --- bytes and time -----------------------------------------------------------------------------

    @property
    def state(self) -> State:
        return self._state

    @property
    def version(self) -> Version:
        return self._version

    @property
    def is_closed(self) -> bool:
        return self._state is State.CLOSED

    @property
    def has_more(self) -> bool:
        """Whether packets have arrived that could be decoded now."""
        return bool(self._accepts) and self._decoder.has_more

    @property
    def has_room(self) -> bool:
        """Whether a message at QoS 1 would be sent at once, and not wait for an acknowledgement."""
        session = self.session
        if self._state is not State.OPEN or session is None:
            return True  # nothing is sent any more
        return len(session.in_flight) < self._window and not session.queued

    def receive(self, data: bytes, now: float) -> list[Event]:
        """Take what has arrived, and give the next portion of events.

        Never raises; if something is wrong with what has arrived, the last event of all says so.
        """
        events: list[Event] = []
        if self._state is State.DECIDING and self._decoder.buffered > self.limits.max_packet_size:
            self._fail(_IMPATIENT, events)
        elif self._state is not State.CLOSED:
            if data:
                self._decoder.feed(data)
            self._read(now, events)
        return events

    def bytes_to_send(self) -> bytes:
        """Take what is to be sent."""
        out = self._out
        if not out:
            return b""
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        return data

    def deadline(self) -> float | None:
        """When to call ``expire``, unless something arrives before."""
        return None if self._state is State.CLOSED else self._heard_at + self._patience

    def expire(self, now: float) -> list[Event]:
        """Close the connection if its deadline has passed."""
        events: list[Event] = []
        if self._state is not State.CLOSED and now >= self._heard_at + self._patience:
            self._fail(_OVERDUE[self._state], events)
        return events

    def lost(self) -> None:
        """The network connection is gone."""
        self._enter(State.CLOSED)

    # --- what the gateway decides -------------------------------------------------------------------

    def accept(self, session: SessionState, now: float, *, session_present: bool) -> list[Event]:
        """Let the client in, with its present session or a new one. The events are of what it sent since."""
        if self._state is State.CLOSED:
            return []
        connect, terms = self._take_decision()
        session.expiry_seconds = terms.session_expiry
        session.send_again()
        self.session = session
        self.will = connect.will
        self._heard_at = self.acknowledged_at = now
        self._patience = 1.5 * terms.keep_alive
        self._enter(State.OPEN)
        said = announcement(connect, terms, self.limits, session.client_id)
        self._send(ConnAck(session_present, ReasonCode.SUCCESS, said))
        self._send_waiting(session)
        events: list[Event] = []
        self._read(now, events)
        return events

    def refuse(self, reason: ReasonCode, message: str = "") -> None:
        """Do not let the client in."""
        if self._state is not State.CLOSED:
            self._take_decision()
            self._send_refusal(reason, message)
            self._enter(State.CLOSED)

    def acknowledge(self, publish: Publish, code: ReasonCode = ReasonCode.SUCCESS) -> None:
        """The message is in good hands: tell the client, if it asked to be told."""
        if publish.qos and self._state is State.OPEN:
            self.unacknowledged -= 1
            self._send(PubAck(publish.packet_id, code))

    def refuse_publish(self, publish: Publish, reason: ReasonCode = ReasonCode.NOT_AUTHORIZED) -> None:
        """The client may not publish this. Where no answer can say so, the connection ends."""
        if publish.qos and self._version is _V5:
            self.acknowledge(publish, reason)
        else:
            self.disconnect(reason)

    def suback(self, asked: Subscribed, refused: Collection[str] = ()) -> list[tuple[str, int]]:
        """Grant all that can be granted but ``refused``. Gives the granted filters with their QoS."""
        if self._state is not State.OPEN or self.session is None:
            return []
        subscriptions, granted, codes = self.session.subscriptions, [], []
        for request, code in zip(asked.requests, asked.codes, strict=True):
            topic_filter = request.topic_filter
            if code < FAILURE and topic_filter in refused:
                code = ReasonCode.NOT_AUTHORIZED
            is_new = topic_filter not in subscriptions
            if code < FAILURE and is_new and len(subscriptions) >= self.limits.max_subscriptions:
                code = ReasonCode.QUOTA_EXCEEDED
            if code < FAILURE:
                granted.append((topic_filter, code))
                subscriptions[topic_filter] = request if request.qos == code else replace(request, qos=code)
            codes.append(code if self._version is _V5 else min(code, FAILURE))
        self._send(SubAck(asked.packet_id, tuple(codes)))
        return granted

    def unsuback(self, asked: Unsubscribe) -> list[str]:
        """End subscriptions, in the order in which the gateway takes events. Gives those that existed."""
        if self._state is not State.OPEN or self.session is None:
            return []
        subscriptions, ended, codes = self.session.subscriptions, [], []
        for topic_filter in asked.topic_filters:
            if subscriptions.pop(topic_filter, None) is not None:
                ended.append(topic_filter)
                codes.append(ReasonCode.SUCCESS)
            else:
                codes.append(ReasonCode.NO_SUBSCRIPTION_EXISTED)
        self._send(UnsubAck(asked.packet_id, tuple(codes)))
        return ended

    def deliver(
        self,
        topic: str,
        payload: bytes,
        qos: int,
        *,
        retain: bool = False,
        properties: Properties = NO_PROPERTIES,
    ) -> Delivery:
        """Send a message, or keep it until the client has room. ``qos`` is at most what was granted."""
        session = self.session
        if self._state is not State.OPEN or session is None:
            return Delivery.CLOSED
        if not qos:
            message = Publish(topic, payload, 0, retain, 0, False, properties)
            return Delivery.SENT if self._send(message) else Delivery.TOO_LARGE
        if session.queued or len(session.in_flight) >= self._window:
            message = Publish(topic, payload, 1, retain, 0, False, properties)
            if not session.hold(message):
                return Delivery.OVERFLOW
            return Delivery.QUEUED if session.queued <= self.limits.max_queued else Delivery.BEHIND
        message = Publish(topic, payload, 1, retain, session.new_packet_id(), False, properties)
        return Delivery.SENT if self._send_in_flight(session, message) else Delivery.TOO_LARGE

    def disconnect(self, reason: ReasonCode, message: str = "") -> None:
        """End the connection, telling the client why if there is a way to."""
        if self._state is State.OPEN:
            self._send_farewell(reason, message)
        elif self._state is not State.CLOSED:
            self._send_refusal(reason, message)
        self._enter(State.CLOSED)

    # --- packets of the client ----------------------------------------------------------------------

    def _read(self, now: float, events: list[Event]) -> None:
        decoder = self._decoder
        try:
            for _ in range(PORTION):
                packet = decoder.next_packet() if self._accepts else None
                if packet is None:
                    return
                self._heard_at = now
                handler = self._accepts.get(type(packet))
                if handler is None:
                    raise ProtocolError(
                        ReasonCode.PROTOCOL_ERROR, f"{type(packet).__name__} is not for clients to send"
                    )
                handler(self, packet, events)
        except ProtocolError as error:
            self._fail(error, events)

    def _on_connect(self, connect: Connect, events: list[Event]) -> None:
        self._version = connect.version
        self._peer_max_packet_size = connect.properties.maximum_packet_size  # for a refusal, too
        terms = negotiate(connect, self.limits)
        self._window = terms.receive_maximum
        self._connect = connect, terms
        self._enter(State.DECIDING)
        events.append(connect)

    def _on_publish(self, publish: Publish, events: list[Event]) -> None:
        if publish.properties is not NO_PROPERTIES:
            if self._aliases is None:
                self._aliases = {}
            publish = without_alias(publish, self._aliases, self.limits)
        check_publish(publish, self.limits)
        if publish.qos:
            if self._version is _V5 and self.unacknowledged >= self.limits.receive_maximum:
                raise ProtocolError(ReasonCode.RECEIVE_MAXIMUM_EXCEEDED, "Too many unanswered messages")
            self.unacknowledged += 1
        events.append(publish)

    def _on_puback(self, puback: PubAck, events: list[Event]) -> None:
        session = self._open_session()
        if session.in_flight.pop(puback.packet_id, None) is not None:  # a refusal is an answer too
            self.acknowledged_at = self._heard_at
        if session.queued:
            self._send_waiting(session)

    def _on_subscribe(self, subscribe: Subscribe, events: list[Event]) -> None:
        codes = grantable(subscribe, self.limits)
        events.append(Subscribed(subscribe.packet_id, subscribe.requests, codes))

    def _on_unsubscribe(self, unsubscribe: Unsubscribe, events: list[Event]) -> None:
        events.append(unsubscribe)

    def _on_pingreq(self, pingreq: PingReq, events: list[Event]) -> None:
        self._out.append(_PING_RESPONSE)

    def _on_disconnect(self, disconnect: Disconnect, events: list[Event]) -> None:
        session = self._open_session()
        expiry = disconnect.properties.session_expiry_interval
        if expiry is not None:
            if expiry and not session.expiry_seconds:
                raise ProtocolError(ReasonCode.PROTOCOL_ERROR, "A session that was not to be kept cannot be")
            session.expiry_seconds = min(expiry, self.limits.max_session_expiry)
        if disconnect.code == ReasonCode.SUCCESS:
            self.will = None
        self._enter(State.CLOSED)
        events.append(Disconnected(disconnect.code))

    # --- inside -------------------------------------------------------------------------------------

    def _enter(self, state: State) -> None:
        self._state = state
        self._accepts = _ACCEPTS[state]

    def _take_decision(self) -> tuple[Connect, Terms]:
        if self._connect is None:
            raise RuntimeError(f"Nothing is to be decided, the connection is {self._state.value}")
        decided, self._connect = self._connect, None
        return decided

    def _open_session(self) -> SessionState:
        assert self.session is not None
        return self.session

    def _fail(self, error: ProtocolError, events: list[Event]) -> None:
        self.disconnect(error.reason, error.message)
        events.append(Failed(error.reason, error.message))

    def _send(self, packet: Packet) -> bool:
        """False if the client does not take packets of that size; then nothing is sent."""
        data = encode(packet, self._version)
        if self._peer_max_packet_size is not None and len(data) > self._peer_max_packet_size:
            return False
        self._out.append(data)
        return True

    def _send_in_flight(self, session: SessionState, message: Publish) -> bool:
        if not self._send(message):
            return False
        session.in_flight[message.packet_id] = message
        return True

    def _send_waiting(self, session: SessionState) -> None:
        while len(session.in_flight) < self._window and (message := session.next_to_send()) is not None:
            self._send_in_flight(session, message)

    def _send_refusal(self, reason: ReasonCode, message: str) -> None:
        version = self._decoder.version
        if version is None:  # the client has not said enough to be answered
            return
        self._version = version
        if version is _V5:
            self._send_explained(ConnAck(False, reason), message)
        elif reason in RETURN_CODES:
            self._send(ConnAck(False, RETURN_CODES[reason]))

    def _send_farewell(self, reason: ReasonCode, message: str) -> None:
        if self._version is _V5:  # the server of 3.1.1 has no DISCONNECT
            self._send_explained(Disconnect(reason), message)

    def _send_explained(self, packet: ConnAck | Disconnect, message: str) -> None:
        """Say why in words too, if the client takes a packet of that size."""
        if not message or not self._send(replace(packet, properties=Properties(reason_string=message))):
            self._send(packet)


_Handler = Callable[[ServerConnection, Any, list[Event]], None]  # Any: each takes its own type of packet

_ACCEPTS: Mapping[State, Mapping[type[Packet], _Handler]] = {
    State.AWAITING_CONNECT: {Connect: ServerConnection._on_connect},
    State.DECIDING: {},
    State.OPEN: {
        Publish: ServerConnection._on_publish,
        PubAck: ServerConnection._on_puback,
        Subscribe: ServerConnection._on_subscribe,
        Unsubscribe: ServerConnection._on_unsubscribe,
        PingReq: ServerConnection._on_pingreq,
        Disconnect: ServerConnection._on_disconnect,
    },
    State.CLOSED: {},
}

_OVERDUE: Mapping[State, ProtocolError] = {
    State.AWAITING_CONNECT: ProtocolError(ReasonCode.MAXIMUM_CONNECT_TIME, "No CONNECT has come"),
    State.DECIDING: ProtocolError(ReasonCode.SERVER_BUSY, "The connection could not be decided in time"),
    State.OPEN: ProtocolError(ReasonCode.KEEP_ALIVE_TIMEOUT, "The client was silent for too long"),
}
_IMPATIENT = ProtocolError(ReasonCode.QUOTA_EXCEEDED, "Too much was sent before CONNACK")
