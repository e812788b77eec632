"""An open connection: publishing, subscribing, and being sent messages."""

from __future__ import annotations

import pytest

from mqtt.wired import LIMITS, TOPIC, Wired, a_publish, connected, failed
from thingjobs.mqtt.encoder import encode
from thingjobs.mqtt.events import Subscribed
from thingjobs.mqtt.limits import Limits
from thingjobs.mqtt.packets import (
    Disconnect,
    FilterRequest,
    PubAck,
    Publish,
    SubAck,
    Subscribe,
    UnsubAck,
    Unsubscribe,
    Version,
)
from thingjobs.mqtt.properties import Properties
from thingjobs.mqtt.reasons import ReasonCode
from thingjobs.mqtt.session import Delivery
from thingjobs.mqtt.session_state import MAX_QUEUED_BYTES, SessionState

V311, V5 = Version.V311, Version.V5


# --- the client publishes ---------------------------------------------------------------------------


@pytest.mark.parametrize("version", Version)
def test_a_message_at_qos_1_is_acknowledged_when_the_gateway_says_so(version: Version) -> None:
    wired = connected(version)
    (event,) = wired.send(a_publish())
    assert event == a_publish()
    assert wired.heard() == []
    wired.server.acknowledge(a_publish())
    assert wired.heard() == [PubAck(7)]


def test_a_message_at_qos_0_is_not() -> None:
    wired = connected()
    (event,) = wired.send(a_publish(qos=0))
    assert event == a_publish(qos=0)
    wired.server.acknowledge(a_publish(qos=0))
    assert wired.heard() == []


def test_an_unauthorized_message_ends_the_connection_in_311() -> None:
    """spec: device-plane 8.1; likewise wherever no acknowledgement can carry the refusal"""
    for version, qos in ((V311, 0), (V311, 1), (V5, 0)):
        wired = connected(version)
        wired.send(a_publish(qos=qos))
        wired.server.refuse_publish(a_publish(qos=qos))
        assert wired.server.is_closed
        assert wired.heard() == ([Disconnect(ReasonCode.NOT_AUTHORIZED)] if version is V5 else [])


def test_an_unauthorized_message_is_refused_in_5() -> None:
    wired = connected(V5)
    wired.send(a_publish())
    wired.server.refuse_publish(a_publish())
    assert not wired.server.is_closed
    assert wired.heard() == [PubAck(7, ReasonCode.NOT_AUTHORIZED)]


@pytest.mark.parametrize("version", Version)
@pytest.mark.parametrize(
    ("publish", "reason"),
    [
        (a_publish(payload=b"x" * 131_073), ReasonCode.PACKET_TOO_LARGE),
        (a_publish(payload=b"x" * 150_000), ReasonCode.PACKET_TOO_LARGE),
        (a_publish("x" * 257), ReasonCode.TOPIC_NAME_INVALID),
        (a_publish("é" * 129), ReasonCode.TOPIC_NAME_INVALID),
        (a_publish("a/b/c/d/e/f/g/h/i"), ReasonCode.TOPIC_NAME_INVALID),
    ],
)
def test_messages_beyond_the_limits_end_the_connection(
    version: Version, publish: Publish, reason: ReasonCode
) -> None:
    wired = connected(version)
    assert failed(wired, wired.send(publish)) is reason
    heard = wired.heard()
    assert [packet.code for packet in heard if isinstance(packet, Disconnect)] == (
        [reason] if version is V5 else []
    )


@pytest.mark.parametrize("version", Version)
def test_messages_at_the_limits_do_not(version: Version) -> None:
    wired = connected(version)
    for publish in (
        a_publish("é" * 128, b"x" * 131_072),
        a_publish("a/b/c/d/e/f/g/h"),
        a_publish("$aws/rules/r/a/b/c/d/e/f/g/h", qos=0),
    ):
        assert wired.send(publish) == [publish]


@pytest.mark.parametrize(("version", "heard"), [(V311, []), (V5, [ReasonCode.QOS_NOT_SUPPORTED])])
def test_qos_2_ends_the_connection(version: Version, heard: list[int]) -> None:
    wired = connected(version)
    data = bytearray(encode(a_publish(), version))
    data[0] = 0x34
    assert failed(wired, wired.send_bytes(bytes(data))) is ReasonCode.QOS_NOT_SUPPORTED
    assert [packet.code for packet in wired.heard() if isinstance(packet, Disconnect)] == heard


def test_what_came_before_a_mistake_still_counts() -> None:
    wired = connected()
    events = wired.send_bytes(encode(a_publish(), V311) + b"\x00\x00")
    assert events[0] == a_publish()
    assert failed(wired, events) is ReasonCode.MALFORMED_PACKET


def test_retain_dup_and_the_properties_of_5_are_passed_on() -> None:
    said = Properties(
        payload_format_indicator=1,
        message_expiry_interval=60,
        content_type="application/json",
        response_topic="answers/t1",
        correlation_data=b"\x00\x01",
        user_properties=(("a", "1"), ("a", "2")),
    )
    publish = Publish("a/b", b"{}", 1, True, 9, True, said)
    assert connected(V5).send(publish) == [publish]


def test_unanswered_messages_are_limited_in_5() -> None:
    wired = connected(V5, Limits(receive_maximum=2))
    wired.send(a_publish(packet_id=1), a_publish(packet_id=2), a_publish(qos=0))
    assert wired.server.unacknowledged == 2
    wired.server.acknowledge(a_publish(packet_id=1))
    assert wired.server.unacknowledged == 1
    assert wired.send(a_publish(packet_id=3)) == [a_publish(packet_id=3)]
    assert failed(wired, wired.send(a_publish(packet_id=4))) is ReasonCode.RECEIVE_MAXIMUM_EXCEEDED


def test_unanswered_messages_are_counted_and_not_limited_in_311() -> None:
    wired = connected(V311, Limits(receive_maximum=2))
    assert len(wired.send(*(a_publish(packet_id=each) for each in (1, 2, 3)))) == 3
    assert wired.server.unacknowledged == 3
    for each in (1, 2):
        wired.server.acknowledge(a_publish(packet_id=each))
    assert wired.server.unacknowledged == 1


# --- topic aliases ----------------------------------------------------------------------------------


def aliased(topic: str, alias: int) -> Publish:
    return Publish(topic, b"{}", properties=Properties(topic_alias=alias, content_type="c"))


def test_an_alias_stands_for_the_topic_it_was_given_last() -> None:
    wired = connected(V5)
    events = wired.send(
        aliased("a", 1), aliased("b", 8), aliased("", 1), aliased("", 8), aliased("c", 1), aliased("", 1)
    )
    assert [event.topic for event in events if isinstance(event, Publish)] == ["a", "b", "a", "b", "c", "c"]
    assert {event.properties for event in events if isinstance(event, Publish)} == {
        Properties(content_type="c")
    }


@pytest.mark.parametrize(
    ("publish", "reason"),
    [
        (aliased("a", 9), ReasonCode.TOPIC_ALIAS_INVALID),
        (aliased("", 2), ReasonCode.PROTOCOL_ERROR),
        (
            Publish("a", b"", properties=Properties(subscription_identifiers=(1,))),
            ReasonCode.PROTOCOL_ERROR,
        ),
    ],
)
def test_aliases_that_are_refused(publish: Publish, reason: ReasonCode) -> None:
    wired = connected(V5)
    wired.send(aliased("a", 1))
    assert failed(wired, wired.send(publish)) is reason


def test_aliases_end_with_their_connection() -> None:
    first = connected(V5)
    first.send(aliased("a", 1))
    second = Wired(V5)
    second.connect(first.session, clean_start=False)
    assert failed(second, second.send(aliased("", 1))) is ReasonCode.PROTOCOL_ERROR


# --- subscriptions ----------------------------------------------------------------------------------


@pytest.mark.parametrize("version", Version)
def test_subscriptions_are_granted_at_most_at_qos_1(version: Version) -> None:
    wired = connected(version)
    (asked,) = wired.send(Subscribe(9, tuple(FilterRequest(f"f{qos}", qos) for qos in (0, 1, 2))))
    assert isinstance(asked, Subscribed)
    assert wired.heard() == []
    assert wired.server.suback(asked) == [("f0", 0), ("f1", 1), ("f2", 1)]
    assert wired.heard() == [SubAck(9, (0, 1, 1))]
    assert {name: granted.qos for name, granted in wired.session.subscriptions.items()} == {
        "f0": 0,
        "f1": 1,
        "f2": 1,
    }


@pytest.mark.parametrize(
    ("version", "codes"),
    [
        (V311, (0x80, 1, 0x80, 0x80)),
        (
            V5,
            (
                ReasonCode.TOPIC_FILTER_INVALID,
                1,
                ReasonCode.NOT_AUTHORIZED,
                ReasonCode.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED,
            ),
        ),
    ],
)
def test_filters_are_refused_one_by_one(version: Version, codes: tuple[int, ...]) -> None:
    wired = connected(version)
    filters = ("a#", "fine", "$aws/things/other/#", "$share/group/a")
    (asked,) = wired.send(Subscribe(1, tuple(FilterRequest(each, 1) for each in filters)))
    assert isinstance(asked, Subscribed)
    assert asked.to_authorize() == ["fine", "$aws/things/other/#"]
    assert wired.server.suback(asked, refused={"$aws/things/other/#"}) == [("fine", 1)]
    assert wired.heard() == [SubAck(1, codes)]
    assert list(wired.session.subscriptions) == ["fine"]


@pytest.mark.parametrize("version", Version)
@pytest.mark.parametrize(
    ("filters", "reason"),
    [
        ([f"f{each}" for each in range(9)], ReasonCode.QUOTA_EXCEEDED),
        (["f" * 257], ReasonCode.TOPIC_FILTER_INVALID),
        (["a/b/c/d/e/f/g/h/#"], ReasonCode.TOPIC_FILTER_INVALID),
    ],
)
def test_subscribing_beyond_the_limits_ends_the_connection(
    version: Version, filters: list[str], reason: ReasonCode
) -> None:
    """spec: quotas 5"""
    wired = connected(version)
    events = wired.send(Subscribe(1, tuple(FilterRequest(each) for each in filters)))
    assert failed(wired, events) is reason


def test_eight_filters_in_one_packet_are_allowed() -> None:
    assert connected().subscribe(*(f"f{each}" for each in range(8))) == (1,) * 8


@pytest.mark.parametrize(("version", "code"), [(V311, 0x80), (V5, ReasonCode.QUOTA_EXCEEDED)])
def test_a_connection_has_fifty_subscriptions(version: Version, code: int) -> None:
    wired = connected(version)
    for each in range(50):
        assert wired.subscribe(f"f{each}") == (1,)
    assert wired.subscribe("one more", "f3") == (code, 1)
    wired.server.unsuback(Unsubscribe(2, ("f7",)))
    wired.heard()
    assert wired.subscribe("one more") == (1,)


def test_subscription_identifiers_are_refused() -> None:
    wired = connected(V5)
    asked = Subscribe(1, (FilterRequest("a"),), Properties(subscription_identifiers=(5,)))
    assert failed(wired, wired.send(asked)) is ReasonCode.SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED


@pytest.mark.parametrize(("version", "codes"), [(V311, ()), (V5, (0, 0x11))])
def test_unsubscribing_ends_what_there_is(version: Version, codes: tuple[int, ...]) -> None:
    wired = connected(version)
    wired.subscribe("a", "b")
    asked = Unsubscribe(4, ("a", "unknown"))
    assert wired.send(asked) == [asked]
    assert wired.heard() == []
    assert wired.server.unsuback(asked) == ["a"]
    assert wired.heard() == [UnsubAck(4, codes)]
    assert list(wired.session.subscriptions) == ["b"]
    wired.server.lost()
    assert wired.server.unsuback(asked) == []


def test_subscribing_and_unsubscribing_take_effect_in_the_order_of_answers() -> None:
    wired = connected()
    subscribe, unsubscribe = wired.send(Subscribe(1, (FilterRequest("a"),)), Unsubscribe(2, ("a",)))
    assert isinstance(subscribe, Subscribed)
    assert isinstance(unsubscribe, Unsubscribe)
    wired.server.suback(subscribe)
    assert wired.server.unsuback(unsubscribe) == ["a"]
    assert wired.heard() == [SubAck(1, (0,)), UnsubAck(2)]


def test_no_local_keeps_a_clients_own_messages_away() -> None:
    wired = connected(V5)
    (asked,) = wired.send(Subscribe(1, (FilterRequest("a/+", 1, no_local=True), FilterRequest("b"))))
    assert isinstance(asked, Subscribed)
    wired.server.suback(asked)
    assert not wired.session.hears_itself("a/x")
    assert wired.session.hears_itself("b")


# --- messages for the client ------------------------------------------------------------------------


@pytest.mark.parametrize("version", Version)
def test_messages_are_delivered_at_the_qos_asked_for(version: Version) -> None:
    wired = connected(version)
    assert wired.server.deliver(TOPIC, b"0", 0) is Delivery.SENT
    assert wired.server.deliver(TOPIC, b"1", 1, retain=True) is Delivery.SENT
    assert wired.heard() == [Publish(TOPIC, b"0"), Publish(TOPIC, b"1", 1, True, 1)]


def test_properties_reach_clients_of_5_only() -> None:
    said = Properties(content_type="c", correlation_data=b"1")
    new, old = connected(V5), connected(V311)
    for wired in (new, old):
        wired.server.deliver("a", b"1", 0, properties=said)
    assert new.heard() == [Publish("a", b"1", properties=said)]
    assert old.heard() == [Publish("a", b"1")]


def test_packet_ids_go_round_and_skip_what_is_in_flight() -> None:
    wired = connected(V311, Limits(receive_maximum=3, max_queued=5))
    wired.server.deliver("a", b"stuck", 1)
    (stuck,) = wired.heard()
    assert isinstance(stuck, Publish)
    seen = []
    for _ in range(65_536):
        wired.server.deliver("a", b"", 1)
        (message,) = wired.heard()
        assert isinstance(message, Publish)
        seen.append(message.packet_id)
        wired.send(PubAck(message.packet_id))
    assert stuck.packet_id == 1
    assert seen == [*range(2, 65_536), 2, 3]


def window(size: int, queued: int = 1000) -> Wired:
    """A client that takes this many messages at a time."""
    wired = Wired(V5, Limits(max_queued=queued))
    wired.connect(properties=Properties(receive_maximum=size))
    return wired


def payloads(wired: Wired) -> list[bytes]:
    return [packet.payload for packet in wired.heard() if isinstance(packet, Publish)]


def test_messages_wait_until_the_client_has_room() -> None:
    wired = window(2)
    said = [wired.server.deliver("a", b"%d" % each, 1) for each in range(5)]
    assert said == [Delivery.SENT, Delivery.SENT, Delivery.QUEUED, Delivery.QUEUED, Delivery.QUEUED]
    assert payloads(wired) == [b"0", b"1"]
    assert wired.server.deliver("a", b"at qos 0", 0) is Delivery.SENT
    assert payloads(wired) == [b"at qos 0"]
    wired.send(PubAck(2))
    assert payloads(wired) == [b"2"]
    wired.send(PubAck(1), PubAck(3))
    assert payloads(wired) == [b"3", b"4"]
    wired.send(PubAck(4), PubAck(5), PubAck(5), PubAck(999))
    assert wired.session.in_flight == {}
    assert wired.server.deliver("a", b"5", 1) is Delivery.SENT


def test_a_refused_message_makes_room_too() -> None:
    wired = window(1)
    wired.server.deliver("a", b"0", 1)
    wired.server.deliver("a", b"1", 1)
    wired.send(PubAck(1, ReasonCode.QUOTA_EXCEEDED))
    assert payloads(wired) == [b"0", b"1"]


def test_the_window_is_never_larger_than_ours() -> None:
    wired = Wired(V5)
    wired.connect(properties=Properties(receive_maximum=65_535))
    for _ in range(LIMITS.receive_maximum):
        assert wired.server.deliver("a", b"", 1) is Delivery.SENT
    assert wired.server.deliver("a", b"", 1) is Delivery.QUEUED


def test_a_slow_consumer_overflows() -> None:
    wired = window(1, queued=2)
    said = [wired.server.deliver("a", b"%d" % each, 1) for each in range(4)]
    assert said[2:] == [Delivery.QUEUED, Delivery.BEHIND]
    wired.send(PubAck(1), PubAck(2), PubAck(3))
    assert payloads(wired) == [b"0", b"1", b"2", b"3"]
    large = b"x" * 131_072
    said = [wired.server.deliver("a", large, 1) for _ in range(MAX_QUEUED_BYTES // len(large) + 2)]
    assert said[2] is Delivery.BEHIND
    assert said[-1] is Delivery.OVERFLOW


def test_what_was_acknowledged_last_is_known() -> None:
    wired = window(1)
    wired.server.deliver("a", b"0", 1)
    wired.now = 5.0
    wired.send(PubAck(9))
    assert wired.server.acknowledged_at == 0.0, "it acknowledges nothing that was sent"
    assert not wired.server.has_room
    wired.send(PubAck(1))
    assert wired.server.acknowledged_at == 5.0
    assert wired.server.has_room


def test_what_is_too_large_for_the_client_is_dropped() -> None:
    wired = Wired(V5)
    wired.connect(properties=Properties(maximum_packet_size=100, receive_maximum=1))
    assert wired.server.deliver("a", b"x" * 100, 0) is Delivery.TOO_LARGE
    assert wired.server.deliver("a", b"x" * 100, 1) is Delivery.TOO_LARGE
    assert wired.session.in_flight == {}
    for payload in (b"1", b"x" * 100, b"2"):
        wired.server.deliver("a", payload, 1)
    assert payloads(wired) == [b"1"]
    wired.send(PubAck(min(wired.session.in_flight)))
    assert payloads(wired) == [b"2"]


# --- sessions that outlive their connection ---------------------------------------------------------


def resumed(session: SessionState, window: int = 100) -> Wired:
    wired = Wired(V5)
    wired.connect(
        session,
        clean_start=False,
        properties=Properties(receive_maximum=window, session_expiry_interval=60),
    )
    return wired


def test_unacknowledged_messages_are_sent_again_as_duplicates_before_what_waited() -> None:
    wired = window(2)
    for each in range(3):
        wired.server.deliver("a", b"%d" % each, 1)
    wired.send(PubAck(2))
    wired.server.lost()
    session = wired.session
    assert session.hold(Publish("a", b"while away", 1), 1000)
    assert not session.hold(Publish("a", b"qos 0", 0), 1000)

    again = resumed(session)
    assert again.heard() == [
        Publish("a", b"0", 1, packet_id=1, dup=True),
        Publish("a", b"2", 1, packet_id=3, dup=True),
        Publish("a", b"while away", 1, packet_id=4),
    ]
    again.send(PubAck(1), PubAck(3), PubAck(4))
    assert session.in_flight == {}
    assert session.queued == 0


def test_a_smaller_window_after_a_reconnect_is_kept() -> None:
    wired = window(3)
    for each in range(4):
        wired.server.deliver("a", b"%d" % each, 1)
    wired.server.lost()
    again = resumed(wired.session, window=1)
    order = []
    for _ in range(4):
        (message,) = again.heard()
        assert isinstance(message, Publish)
        order.append((message.payload, message.dup, message.packet_id))
        again.send(PubAck(message.packet_id))
    assert order == [(b"0", True, 1), (b"1", True, 2), (b"2", True, 3), (b"3", False, 4)]


def test_what_waits_for_an_absent_client_is_bounded() -> None:
    session = SessionState("t1", 3600)
    held = [session.hold(Publish("a", b"", 1), 3) for _ in range(5)]
    assert held == [True, True, True, False, False]


def test_a_take_over_hands_the_session_on() -> None:
    """spec: case 175"""
    old = connected(V5)
    old.subscribe("a")
    old.server.deliver("a", b"1", 1)
    old.heard()
    old.server.disconnect(ReasonCode.SESSION_TAKEN_OVER)
    new = resumed(old.session)
    assert old.heard() == [Disconnect(ReasonCode.SESSION_TAKEN_OVER)]
    assert payloads(new) == [b"1"]
    assert list(new.session.subscriptions) == ["a"]
    assert old.send(PubAck(1)) == []
    assert list(new.session.in_flight) == [1]
    assert old.server.deliver("a", b"2", 1) is Delivery.CLOSED
    assert new.server.deliver("a", b"2", 1) is Delivery.SENT
