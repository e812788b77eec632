"""A connection under rubbish: it answers or ends, it never raises, and the split changes nothing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mqtt.strategies import connects, packets, split, versions
from mqtt.wired import connected
from thingjobs.mqtt.encoder import encode
from thingjobs.mqtt.events import Event, Failed, Subscribed
from thingjobs.mqtt.limits import Limits
from thingjobs.mqtt.packets import Connect, Packet, Publish, Version
from thingjobs.mqtt.reasons import ReasonCode
from thingjobs.mqtt.session import ServerConnection
from thingjobs.mqtt.session_state import SessionState

LIMITS = Limits(max_payload=250, max_packet_size=400, receive_maximum=3, max_subscriptions=3, max_queued=2)


def served(pieces: list[bytes]) -> tuple[list[Event], bytes, bool]:
    """What a gateway that lets everybody do everything sees and sends."""
    connection = ServerConnection(LIMITS, 0.0)
    seen: list[Event] = []
    sent = b""
    for piece in pieces:
        waiting = connection.receive(piece, 1.0)
        while waiting or connection.has_more:
            if not waiting:
                waiting = connection.receive(b"", 1.0)
                continue
            event = waiting.pop(0)
            seen.append(event)
            match event:
                case Connect():
                    session = SessionState(event.client_id or "assigned")
                    waiting += connection.accept(session, 1.0, session_present=False)
                case Publish():
                    connection.acknowledge(event)
                    connection.deliver(event.topic, event.payload, event.qos, properties=event.properties)
                case Subscribed():
                    connection.suback(event)
        sent += connection.bytes_to_send()
    return seen, sent, connection.is_closed


@given(
    versions.flatmap(
        lambda v: st.tuples(
            connects(v).map(lambda c: encode(c, v)), st.lists(packets(v).map(lambda p: encode(p, v)))
        )
    ),
    st.binary(max_size=30),
    st.lists(st.integers(min_value=0), max_size=8),
)
def test_any_conversation_in_any_split(
    said: tuple[bytes, list[bytes]], rubbish: bytes, cuts: list[int]
) -> None:
    connect, more = said
    data = connect + b"".join(more) + rubbish
    # What is answered may depend on what arrives together; what is seen may not.
    seen, _, closed = served([data])
    assert (seen, closed) == served(split(data, cuts))[::2]
    assert (seen, closed) == served([bytes((byte,)) for byte in data])[::2]
    assert closed or not any(isinstance(event, Failed) for event in seen)


@given(st.lists(st.binary(max_size=50), max_size=10))
def test_any_bytes(pieces: list[bytes]) -> None:
    served(pieces)


@given(
    versions,
    st.lists(
        st.tuples(
            st.sampled_from(["receive", "deliver", "expire", "lost", "disconnect"]), st.binary(max_size=20)
        ),
        max_size=12,
    ),
)
def test_calls_in_any_order(version: Version, steps: list[tuple[str, bytes]]) -> None:
    wired = connected(version)
    server = wired.server
    for now, (step, data) in enumerate(steps):
        if step == "receive":
            server.receive(data, now)
        elif step == "deliver":
            server.deliver("a", data, len(data) % 2)
        elif step == "expire":
            server.expire(now)
        elif step == "lost":
            server.lost()
        else:
            server.disconnect(ReasonCode.ADMINISTRATIVE_ACTION)
        assert (server.deadline() is None) is server.is_closed


@given(versions.flatmap(lambda v: st.tuples(st.just(v), st.lists(packets(v)))))
def test_messages_at_qos_1_are_counted_until_answered(case: tuple[Version, list[Packet]]) -> None:
    version, said = case
    wired = connected(version)
    events = wired.send(*said)
    asked = [event for event in events if isinstance(event, Publish) and event.qos]
    assert wired.server.unacknowledged == len(asked)
    if not wired.server.is_closed:
        for publish in asked:
            wired.server.acknowledge(publish)
        assert wired.server.unacknowledged == 0
