"""The first packets of a connection: who is let in, on what terms, and how a refusal is said."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from mqtt.wired import LIMITS, TOPIC, Wired, a_publish, connected, failed
from thingjobs.mqtt.encoder import encode
from thingjobs.mqtt.events import Disconnected, Failed
from thingjobs.mqtt.limits import Limits
from thingjobs.mqtt.packets import (
    ConnAck,
    Connect,
    Disconnect,
    Packet,
    PingReq,
    PingResp,
    SubAck,
    Version,
    Will,
)
from thingjobs.mqtt.properties import NO_PROPERTIES, Properties
from thingjobs.mqtt.reasons import ReasonCode
from thingjobs.mqtt.session import Delivery, State
from thingjobs.mqtt.session_state import SessionState

V311, V5 = Version.V311, Version.V5


def refused(asked: Connect, version: Version | None = None) -> tuple[ReasonCode, list[Packet]]:
    """Why the core itself refuses a CONNECT, and what the client hears."""
    wired = Wired(version or asked.version)
    return failed(wired, wired.send(asked)), [_without_words(packet) for packet in wired.heard()]


def _without_words(packet: Packet) -> Packet:
    return ConnAck(packet.session_present, packet.code) if isinstance(packet, ConnAck) else packet


# --- being let in -----------------------------------------------------------------------------------


@pytest.mark.parametrize("version", Version)
def test_a_connection_is_accepted_and_can_be_used(version: Version) -> None:
    wired = Wired(version)
    states = [wired.server.state]
    assert wired.send(Connect("t1", version)) == [Connect("t1", version)]
    states.append(wired.server.state)
    assert wired.heard() == []
    wired.server.accept(SessionState("t1"), 0.0, session_present=False)
    states.append(wired.server.state)
    (answer,) = wired.heard()
    assert isinstance(answer, ConnAck)
    assert (answer.session_present, answer.code) == (False, 0)
    assert wired.server.version is version
    assert states == [State.AWAITING_CONNECT, State.DECIDING, State.OPEN]
    wired.send(PingReq())
    assert wired.heard() == [PingResp()]


def test_mqtt_5_clients_are_told_of_the_limits() -> None:
    wired = Wired(V5)
    assert wired.connect(keep_alive=60).properties == Properties(
        receive_maximum=100,
        maximum_qos=1,
        maximum_packet_size=149_504,
        topic_alias_maximum=8,
        subscription_identifier_available=0,
        shared_subscription_available=0,
    )


def test_mqtt_311_clients_are_told_nothing() -> None:
    wired = Wired(V311)
    wired.send(Connect("t1"))
    wired.server.accept(SessionState("t1"), 0.0, session_present=False)
    assert wired.server.bytes_to_send() == bytes.fromhex("20020000")


def test_session_present_is_said() -> None:
    wired = Wired(V311)
    assert wired.connect(SessionState("t1"), clean_start=False).session_present


@pytest.mark.parametrize("version", Version)
def test_what_is_sent_without_waiting_for_the_answer_is_not_lost(version: Version) -> None:
    wired = Wired(version)
    (asked,) = wired.send(Connect("t1", version), PingReq(), a_publish())
    assert isinstance(asked, Connect)
    assert wired.send(a_publish(packet_id=8), Disconnect()) == []
    events = wired.server.accept(SessionState("t1"), 0.0, session_present=False)
    assert events == [a_publish(), a_publish(packet_id=8), Disconnected(0)]
    assert [type(packet) for packet in wired.heard()] == [ConnAck, PingResp]


def test_what_is_sent_without_waiting_is_bounded() -> None:
    wired = Wired(V5)
    wired.send(Connect("t1", V5))
    flood = encode(a_publish(payload=b"x" * 60_000), V5)
    for _ in range(3):
        assert wired.send_bytes(flood) == []
    assert failed(wired, wired.send_bytes(flood)) is ReasonCode.QUOTA_EXCEEDED
    (answer,) = wired.heard()
    assert isinstance(answer, ConnAck)
    assert answer.code == ReasonCode.QUOTA_EXCEEDED


# --- client ids -------------------------------------------------------------------------------------


def test_an_empty_client_id_is_assigned_one_in_mqtt_5() -> None:
    assert Wired(V5).connect(client_id="").properties.assigned_client_identifier == "assigned"
    assert Wired(V5).connect(client_id="mine").properties.assigned_client_identifier is None


@pytest.mark.parametrize(("version", "code"), [(V311, 2), (V5, ReasonCode.CLIENT_IDENTIFIER_NOT_VALID)])
@pytest.mark.parametrize(("client_id", "clean_start"), [("", False), ("x" * 129, True), ("é" * 65, True)])
def test_client_ids_that_are_refused(version: Version, code: int, client_id: str, clean_start: bool) -> None:
    reason, heard = refused(Connect(client_id, version, clean_start))
    assert reason is ReasonCode.CLIENT_IDENTIFIER_NOT_VALID
    assert heard == [ConnAck(False, code)]


@pytest.mark.parametrize("client_id", ["x", "x" * 128, "é" * 64, "a/b c"])
def test_client_ids_that_are_taken(client_id: str) -> None:
    assert Wired(V311).connect(client_id=client_id).code == 0


# --- refusals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (ReasonCode.NOT_AUTHORIZED, 7),
        (ReasonCode.BAD_USER_NAME_OR_PASSWORD, 4),
        (ReasonCode.SERVER_BUSY, 3),
        (ReasonCode.CONNECTION_RATE_EXCEEDED, 3),
        (ReasonCode.BANNED, None),
    ],
)
def test_the_gateway_refuses(reason: ReasonCode, code: int | None) -> None:
    """spec: device-plane 8.1, "CONNACK for unauthorised"."""
    old = Wired(V311)
    old.send(Connect("t1"))
    old.server.refuse(reason)
    assert old.heard() == ([] if code is None else [ConnAck(False, code)])
    assert old.server.is_closed

    new = Wired(V5)
    new.send(Connect("t1", V5))
    new.server.refuse(reason, "no")
    assert new.heard() == [ConnAck(False, reason, Properties(reason_string="no"))]
    assert new.server.is_closed


def test_a_refused_client_leaves_no_will() -> None:
    wired = Wired(V311)
    wired.send(Connect("t1", will=Will("w", b"gone")))
    wired.server.refuse(ReasonCode.NOT_AUTHORIZED)
    assert wired.server.will is None


@pytest.mark.parametrize(
    ("level", "name", "answer"),
    [
        (3, b"\x00\x04MQTT", "20020001"),
        (3, b"\x00\x06MQIsdp", "20020001"),
        (6, b"\x00\x04MQTT", "2003008400"),
        (4, b"\x00\x04mqtt", ""),
    ],
)
def test_other_protocols_are_told_in_the_form_they_may_know(level: int, name: bytes, answer: str) -> None:
    wired = Wired()
    body = name + bytes((level, 2, 0, 60, 0, 1)) + b"a"
    (event,) = wired.send_bytes(bytes((0x10, len(body))) + body)
    assert isinstance(event, Failed)
    said = wired.server.bytes_to_send()
    if level == 6:  # with words
        assert said[3:4] == b"\x84"
        assert said[:1] == b"\x20"
    else:
        assert said == bytes.fromhex(answer)


@pytest.mark.parametrize("first", [PingReq(), a_publish(), Disconnect()])
def test_the_first_packet_must_be_connect(first: Packet) -> None:
    wired = Wired()
    assert failed(wired, wired.send(first)) is ReasonCode.PROTOCOL_ERROR
    assert wired.heard() == []


@pytest.mark.parametrize(("version", "heard"), [(V311, 0), (V5, 1)])
def test_a_second_connect_ends_the_connection(version: Version, heard: int) -> None:
    wired = connected(version)
    assert failed(wired, wired.send(Connect("t1", version))) is ReasonCode.PROTOCOL_ERROR
    assert len(wired.heard()) == heard


@pytest.mark.parametrize(
    ("will", "reason"),
    [
        (Will("w", b"", qos=2), ReasonCode.QOS_NOT_SUPPORTED),
        (Will("w" * 257, b""), ReasonCode.TOPIC_NAME_INVALID),
        (Will("a/b/c/d/e/f/g/h/i", b""), ReasonCode.TOPIC_NAME_INVALID),
    ],  # its payload cannot be too large: the field has a length of two bytes
)
def test_wills_that_are_refused(will: Will, reason: ReasonCode) -> None:
    """spec: device-plane 8.1, QoS 2; 3.1.1 has no code to say so."""
    assert refused(Connect("t1", V5, will=will)) == (reason, [ConnAck(False, reason)])
    assert refused(Connect("t1", V311, will=will)) == (reason, [])


def test_enhanced_authentication_is_refused() -> None:
    asked = Connect("t1", V5, properties=Properties(authentication_method="SCRAM"))
    reason = ReasonCode.BAD_AUTHENTICATION_METHOD
    assert refused(asked) == (reason, [ConnAck(False, reason)])


def test_a_malformed_connect_is_answered_in_mqtt_5_only() -> None:
    bad = bytes.fromhex("100e 0004 4d515454 05 03 003c 00 0001 61")
    new = Wired(V5)
    assert failed(new, new.send_bytes(bad)) is ReasonCode.MALFORMED_PACKET
    assert [packet.code for packet in new.heard() if isinstance(packet, ConnAck)] == [0x81]
    old = Wired()
    assert failed(old, old.send_bytes(bad.replace(b"\x05\x03", b"\x04\x03"))) is ReasonCode.MALFORMED_PACKET
    assert old.heard() == []


# --- time -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", Version)
@pytest.mark.parametrize(
    ("asked", "given"),
    [(0, 1200), (1, 30), (29, 30), (30, 30), (60, 60), (1200, 1200), (1201, 1200), (65_535, 1200)],
)
def test_keep_alive_is_clamped(version: Version, asked: int, given: int) -> None:
    """spec: quotas 5; a client of MQTT 5 is told if it differs"""
    wired = Wired(version)
    answer = wired.connect(keep_alive=asked)
    assert wired.server.deadline() == 1.5 * given
    if version is V5:
        assert answer.properties.server_keep_alive == (None if asked == given else given)
    assert wired.server.expire(1.5 * given - 0.001) == []
    (event,) = wired.server.expire(1.5 * given)
    assert isinstance(event, Failed)
    assert event.reason is ReasonCode.KEEP_ALIVE_TIMEOUT
    assert wired.server.is_closed
    assert wired.server.deadline() is None
    assert wired.server.expire(9e9) == []
    assert [type(packet) for packet in wired.heard()] == ([Disconnect] if version is V5 else [])


def test_every_packet_is_a_sign_of_life() -> None:
    wired = connected()
    wired.now = 50.0
    wired.send(PingReq())
    assert wired.server.deadline() == 50.0 + 90.0


def test_half_a_packet_is_none() -> None:
    wired = connected()
    wired.now = 50.0
    assert wired.send_bytes(b"\xc0") == []
    assert wired.server.deadline() == 90.0


def test_a_connection_that_says_nothing_is_closed_without_a_word() -> None:
    wired = Wired(V5, now=100.0)
    assert wired.server.deadline() == 100.0 + LIMITS.connect_timeout
    wired.now = 120.0
    wired.send_bytes(b"\x10")
    assert wired.server.deadline() == 100.0 + LIMITS.connect_timeout
    (event,) = wired.server.expire(130.0)
    assert isinstance(event, Failed)
    assert event.reason is ReasonCode.MAXIMUM_CONNECT_TIME
    assert wired.heard() == []


@pytest.mark.parametrize(("version", "code"), [(V311, 3), (V5, ReasonCode.SERVER_BUSY)])
def test_a_decision_that_does_not_come_is_a_refusal(version: Version, code: int) -> None:
    wired = Wired(version)
    wired.send(Connect("t1", version))
    (event,) = wired.server.expire(LIMITS.connect_timeout)
    assert isinstance(event, Failed)
    assert [packet.code for packet in wired.heard() if isinstance(packet, ConnAck)] == [code]
    assert wired.server.accept(SessionState("t1"), 31.0, session_present=False) == []
    assert wired.server.session is None


# --- how long a session is kept ---------------------------------------------------------------------


@pytest.mark.parametrize(("clean", "kept"), [(True, 0), (False, 3600)])
def test_session_expiry_in_311(clean: bool, kept: int) -> None:
    wired = Wired(V311)
    wired.connect(clean_start=clean)
    assert wired.session.expiry_seconds == kept


@pytest.mark.parametrize(
    ("asked", "kept", "told"),
    [
        (None, 0, None),
        (0, 0, None),
        (60, 60, None),
        (3600, 3600, None),
        (3601, 3600, 3600),
        (0xFFFFFFFF, 3600, 3600),
    ],
)
@pytest.mark.parametrize("clean", [True, False])
def test_session_expiry_in_5(asked: int | None, kept: int, told: int | None, clean: bool) -> None:
    wired = Wired(V5)
    answer = wired.connect(clean_start=clean, properties=Properties(session_expiry_interval=asked))
    assert wired.session.expiry_seconds == kept
    assert answer.properties.session_expiry_interval == told


# --- the end ----------------------------------------------------------------------------------------

WILL = Will("w", b"gone", 1)


def test_a_farewell_takes_the_will_back() -> None:
    for version in Version:
        wired = Wired(version)
        wired.connect(will=WILL)
        assert wired.server.will == WILL
        assert wired.send(Disconnect()) == [Disconnected(0)]
        assert wired.server.is_closed
        assert wired.server.will is None


@pytest.mark.parametrize("code", [ReasonCode.DISCONNECT_WITH_WILL, ReasonCode.UNSPECIFIED_ERROR])
def test_a_farewell_with_another_reason_does_not(code: ReasonCode) -> None:
    wired = Wired(V5)
    wired.connect(will=WILL)
    assert wired.send(Disconnect(code)) == [Disconnected(code)]
    assert wired.server.will == WILL


ENDS: Mapping[str, Callable[[Wired], object]] = {
    "lost": lambda wired: wired.server.lost(),
    "silent": lambda wired: wired.server.expire(9e9),
    "taken over": lambda wired: wired.server.disconnect(ReasonCode.SESSION_TAKEN_OVER),
    "mistaken": lambda wired: wired.send_bytes(b"\x00\x00"),
}


@pytest.mark.parametrize("end", ENDS)
def test_every_other_end_leaves_the_will_to_be_published(end: str) -> None:
    wired = Wired(V311)
    wired.connect(will=WILL)
    ENDS[end](wired)
    assert wired.server.is_closed
    assert wired.server.will == WILL


def test_a_farewell_may_change_how_long_the_session_is_kept() -> None:
    wired = Wired(V5)
    wired.connect(properties=Properties(session_expiry_interval=100))
    session = wired.session
    wired.send(Disconnect(0, Properties(session_expiry_interval=9999)))
    assert session.expiry_seconds == 3600


def test_a_farewell_cannot_keep_a_session_that_was_to_end() -> None:
    wired = connected(V5)
    events = wired.send(Disconnect(0, Properties(session_expiry_interval=5)))
    assert failed(wired, events) is ReasonCode.PROTOCOL_ERROR


@pytest.mark.parametrize("version", Version)
def test_the_server_says_why_it_leaves_if_it_can(version: Version) -> None:
    wired = connected(version)
    wired.server.disconnect(ReasonCode.SESSION_TAKEN_OVER, "Connected elsewhere")
    said = Disconnect(0x8E, Properties(reason_string="Connected elsewhere"))
    assert wired.heard() == ([said] if version is V5 else [])


def test_words_are_left_out_where_they_do_not_fit() -> None:
    wired = Wired(V5)
    wired.connect(properties=Properties(maximum_packet_size=60))
    wired.server.disconnect(ReasonCode.SERVER_SHUTTING_DOWN, "x" * 100)
    assert wired.heard() == [Disconnect(ReasonCode.SERVER_SHUTTING_DOWN)]


def test_after_the_end_nothing_happens_any_more() -> None:
    wired = connected(V5)
    server = wired.server
    server.lost()
    assert wired.send(PingReq()) == []
    assert wired.send_bytes(b"\x00") == []
    server.acknowledge(a_publish())
    server.refuse_publish(a_publish())
    server.refuse(ReasonCode.BANNED)
    server.disconnect(ReasonCode.BANNED)
    assert server.accept(SessionState("x"), 0.0, session_present=False) == []
    assert server.deliver(TOPIC, b"", 1) is Delivery.CLOSED
    assert server.bytes_to_send() == b""


def test_a_decision_without_a_question_is_our_mistake() -> None:
    for wired in (Wired(), connected()):
        with pytest.raises(RuntimeError):
            wired.server.accept(SessionState("x"), 0.0, session_present=False)
        with pytest.raises(RuntimeError):
            wired.server.refuse(ReasonCode.BANNED)


@pytest.mark.parametrize("version", Version)
@pytest.mark.parametrize("packet", [ConnAck(), SubAck(1, (0,)), PingResp()])
def test_what_only_servers_send_ends_the_connection(version: Version, packet: Packet) -> None:
    wired = connected(version)
    assert failed(wired, wired.send(packet)) is ReasonCode.PROTOCOL_ERROR


def test_a_smaller_limit_is_announced_and_kept() -> None:
    wired = Wired(V5, Limits(max_keep_alive=40, topic_alias_maximum=0, receive_maximum=1))
    said = wired.connect(keep_alive=60).properties
    assert (said.server_keep_alive, said.topic_alias_maximum, said.receive_maximum) == (40, 0, 1)
    assert said is not NO_PROPERTIES
