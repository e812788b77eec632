"""The codec: what is written can be read, in any split, and rubbish is refused in one way only."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from mqtt.strategies import connects, packets, publishes, split, versions
from thingjobs.mqtt.decoder import MAX_FILTERS, Decoder
from thingjobs.mqtt.encoder import encode
from thingjobs.mqtt.packets import (
    Connect,
    FilterRequest,
    Packet,
    PubAck,
    Publish,
    Subscribe,
    UnsubAck,
    Unsubscribe,
    Version,
)
from thingjobs.mqtt.properties import MAX_REPETITIONS, Properties
from thingjobs.mqtt.reasons import ProtocolError, ReasonCode

V311, V5 = Version.V311, Version.V5
MAX = 150_000


def taken(decoder: Decoder) -> Iterator[Packet]:
    while (packet := decoder.next_packet()) is not None:
        yield packet


def read(data: bytes, version: Version | None) -> list[Packet]:
    decoder = Decoder(MAX, version)
    decoder.feed(data)
    return list(taken(decoder))


def outcome(pieces: list[bytes], version: Version | None, max_packet_size: int = MAX) -> list[object]:
    """What a decoder says to data in these pieces: packets, and the refusal if there is one."""
    decoder = Decoder(max_packet_size, version)
    said: list[object] = []
    try:
        for piece in pieces:
            decoder.feed(piece)
            said.extend(taken(decoder))
            assert decoder.buffered < max_packet_size
    except ProtocolError as error:
        said.append((error.reason, error.message))
    return said


def refusal(data: bytes, version: Version | None) -> ReasonCode:
    with pytest.raises(ProtocolError) as refused:
        read(data, version)
    return refused.value.reason


# --- round trips ------------------------------------------------------------------------------------


@given(versions.flatmap(lambda v: st.tuples(st.just(v), st.lists(packets(v), max_size=4))))
def test_packets_come_back_as_they_were_written(case: tuple[Version, list[Packet]]) -> None:
    version, written = case
    assert read(b"".join(encode(packet, version) for packet in written), version) == written


@given(versions.flatmap(connects))
def test_connect_comes_back_and_gives_the_version(connect: Connect) -> None:
    decoder = Decoder(MAX)
    decoder.feed(encode(connect, connect.version))
    assert decoder.next_packet() == connect
    assert decoder.version is connect.version


@given(
    versions.flatmap(
        lambda v: st.tuples(
            st.just(v), connects(v), st.lists(st.one_of(packets(v), publishes(v)), max_size=6)
        )
    ),
    st.lists(st.integers(min_value=0), max_size=8),
)
def test_the_split_does_not_matter(case: tuple[Version, Connect, list[Packet]], cuts: list[int]) -> None:
    version, connect, more = case
    data = b"".join(encode(packet, version) for packet in [connect, *more])
    whole = outcome([data], None)
    assert outcome(split(data, cuts), None) == whole == [connect, *more]
    assert outcome([bytes((byte,)) for byte in data], None) == whole


@pytest.mark.parametrize("size", [0, 1, 100, 127, 128, 16_383, 16_384, 131_072])
@pytest.mark.parametrize("version", Version)
def test_payloads_of_every_length_class(version: Version, size: int) -> None:
    publish = Publish("a/b", b"x" * size, 1, False, 7)
    assert read(encode(publish, version), version) == [publish]


# --- rubbish ----------------------------------------------------------------------------------------


@given(
    st.binary(max_size=400),
    st.sampled_from([None, V311, V5]),
    st.lists(st.integers(min_value=0), max_size=8),
)
def test_any_bytes_give_packets_or_one_refusal(data: bytes, version: Version | None, cuts: list[int]) -> None:
    assert outcome(split(data, cuts), version, 300) == outcome([data], version, 300)


@given(
    versions.flatmap(lambda v: st.tuples(st.just(v), st.one_of(packets(v), connects(v)))),
    st.integers(min_value=0),
    st.integers(0, 255),
    st.lists(st.integers(min_value=0), max_size=4),
)
def test_a_packet_with_one_wrong_byte_gives_packets_or_one_refusal(
    case: tuple[Version, Packet], position: int, byte: int, cuts: list[int]
) -> None:
    version, packet = case
    data = bytearray(encode(packet, version))
    data[position % len(data)] = byte
    start = None if isinstance(packet, Connect) else version
    assert outcome(split(bytes(data), cuts), start) == outcome([bytes(data)], start)


@given(versions.flatmap(lambda v: st.tuples(st.just(v), packets(v))), st.integers(min_value=0))
def test_nothing_is_given_out_before_its_last_byte(case: tuple[Version, Packet], cut: int) -> None:
    version, packet = case
    data = encode(packet, version)
    assert outcome([data[: cut % len(data)]], version) == []


def test_packets_before_a_malformed_one_are_not_lost() -> None:
    publish = Publish("a", b"1")
    decoder = Decoder(MAX, V311)
    decoder.feed(encode(publish, V311) + b"\x00\x00" + encode(publish, V311))
    assert decoder.next_packet() == publish
    for _ in range(2):
        with pytest.raises(ProtocolError):
            decoder.next_packet()
    decoder.feed(encode(publish, V311))
    with pytest.raises(ProtocolError):
        decoder.next_packet()
    assert decoder.buffered == 0


REFUSED_BY_BOTH = [
    ("type 0", "00 00"),
    ("flags of CONNACK", "21 02 00 00"),
    ("flags of PUBACK", "41 02 00 01"),
    ("flags of SUBSCRIBE", "80 06 00 01 00 01 61 00"),
    ("flags of UNSUBSCRIBE", "a0 05 00 01 00 01 61"),
    ("flags of PINGREQ", "c1 00"),
    ("flags of DISCONNECT", "e1 00"),
    ("QoS 3", "36 07 00 01 61 00 01 00 00"),
    ("DUP at QoS 0", "38 04 00 01 61 00"),
    ("remaining length of five bytes", "30 80 80 80 80 01"),
    ("no topic", "30 00"),
    ("half a topic length", "30 01 00"),
    ("topic longer than the packet", "30 04 00 09 61 61"),
    ("topic not UTF-8", "30 04 00 01 ff 00"),
    ("topic with a surrogate", "30 06 00 03 ed a0 80 00"),
    ("topic with U+0000", "30 05 00 02 61 00 00"),
    ("packet id 0", "32 06 00 01 61 00 00 00"),
    ("no packet id", "32 04 00 01 61 00"),
    ("PUBACK of id 0", "40 02 00 00"),
    ("PUBACK without id", "40 01 00"),
    ("SUBSCRIBE with id 0", "82 07 00 00 00 00 01 61 00"),
    ("PINGREQ with a body", "c0 01 00"),
    ("flags inside CONNACK", "20 02 02 00"),
    ("CONNACK without a code", "20 01 00"),
    ("SUBACK without codes", "90 02 00 01"),
    ("a filter longer than the packet", "a2 05 00 01 00 09 61"),
]


@pytest.mark.parametrize("version", Version)
@pytest.mark.parametrize(("what", "data"), REFUSED_BY_BOTH)
def test_malformed_packets(version: Version, what: str, data: str) -> None:
    assert refusal(bytes.fromhex(data), version) is ReasonCode.MALFORMED_PACKET, what


@pytest.mark.parametrize(
    ("version", "what", "data", "reason"),
    [
        (V311, "empty topic", "30 02 00 00", ReasonCode.TOPIC_NAME_INVALID),
        (V311, "topic with +", "30 05 00 03 61 2f 2b", ReasonCode.TOPIC_NAME_INVALID),
        (V5, "topic with #", "30 06 00 03 61 2f 23 00", ReasonCode.TOPIC_NAME_INVALID),
        (V311, "QoS 2", "34 05 00 01 61 00 01", ReasonCode.QOS_NOT_SUPPORTED),
        (V5, "QoS 2", "3c 06 00 01 61 00 01 00", ReasonCode.QOS_NOT_SUPPORTED),
        (V5, "PUBREC", "50 02 00 01", ReasonCode.QOS_NOT_SUPPORTED),
        (V311, "PUBREL", "62 02 00 01", ReasonCode.QOS_NOT_SUPPORTED),
        (V311, "PUBCOMP", "70 02 00 01", ReasonCode.QOS_NOT_SUPPORTED),
        (V5, "AUTH", "f0 00", ReasonCode.PROTOCOL_ERROR),
        (V311, "AUTH", "f0 00", ReasonCode.PROTOCOL_ERROR),
        (V311, "second CONNECT", "10 0d 00 04 4d 51 54 54 04 02 00 3c 00 01 61", ReasonCode.PROTOCOL_ERROR),
        (V311, "no filters", "82 02 00 01", ReasonCode.PROTOCOL_ERROR),
        (V5, "no filters", "82 03 00 01 00", ReasonCode.PROTOCOL_ERROR),
        (V5, "no filters", "a2 03 00 01 00", ReasonCode.PROTOCOL_ERROR),
        (V311, "subscription QoS 3", "82 06 00 01 00 01 61 03", ReasonCode.MALFORMED_PACKET),
        (V311, "no local in 3.1.1", "82 06 00 01 00 01 61 04", ReasonCode.MALFORMED_PACKET),
        (V5, "retain handling 3", "82 07 00 01 00 00 01 61 30", ReasonCode.MALFORMED_PACKET),
        (V5, "reserved option", "82 07 00 01 00 00 01 61 40", ReasonCode.MALFORMED_PACKET),
        (V311, "PUBACK with a reason", "40 03 00 01 00", ReasonCode.MALFORMED_PACKET),
        (V5, "unknown reason", "40 03 00 01 77", ReasonCode.MALFORMED_PACKET),
        (V311, "DISCONNECT with a reason", "e0 01 00", ReasonCode.MALFORMED_PACKET),
        (V5, "length longer than it needs to be", "c0 80 00", ReasonCode.MALFORMED_PACKET),
        (V5, "neither topic nor alias", "30 03 00 00 00", ReasonCode.PROTOCOL_ERROR),
        (V5, "alias 0", "30 06 00 00 03 23 00 00", ReasonCode.TOPIC_ALIAS_INVALID),
        (V5, "unknown property", "30 06 00 01 61 02 7f 00", ReasonCode.MALFORMED_PACKET),
        (V5, "property of another packet", "30 09 00 01 61 05 11 00 00 00 01", ReasonCode.MALFORMED_PACKET),
        (V5, "property twice", "30 08 00 01 61 04 01 00 01 00", ReasonCode.PROTOCOL_ERROR),
        (V5, "payload format 2", "30 06 00 01 61 02 01 02", ReasonCode.PROTOCOL_ERROR),
        (V5, "property cut off", "30 06 00 01 61 02 02 00", ReasonCode.MALFORMED_PACKET),
        (V5, "properties longer than the packet", "30 05 00 01 61 09 01", ReasonCode.MALFORMED_PACKET),
        (
            V5,
            "response topic with a wildcard",
            "30 08 00 01 61 04 08 00 01 23",
            ReasonCode.TOPIC_NAME_INVALID,
        ),
        (V5, "no property length", "82 02 00 01", ReasonCode.MALFORMED_PACKET),
        (V5, "property length cut off", "82 03 00 01 80", ReasonCode.MALFORMED_PACKET),
        (V5, "padded property length", "30 05 00 01 61 80 00", ReasonCode.MALFORMED_PACKET),
        (V5, "endless property length", "30 08 00 01 61 80 80 80 80 01", ReasonCode.MALFORMED_PACKET),
        (V5, "U+0000 in a property", "30 08 00 01 61 04 03 00 01 00", ReasonCode.MALFORMED_PACKET),
        (V5, "half a length in a property", "30 06 00 01 61 02 09 00", ReasonCode.MALFORMED_PACKET),
        (V311, "U+0000 in a filter", "82 06 00 01 00 01 00 00", ReasonCode.MALFORMED_PACKET),
        (V311, "a filter without options", "82 05 00 01 00 01 61", ReasonCode.MALFORMED_PACKET),
        (V5, "subscription id 0", "82 09 00 01 02 0b 00 00 01 61 00", ReasonCode.PROTOCOL_ERROR),
        (V5, "two ids", "82 0b 00 01 04 0b 01 0b 02 00 01 61 00", ReasonCode.PROTOCOL_ERROR),
    ],
)
def test_what_only_one_version_refuses_or_refuses_otherwise(
    version: Version, what: str, data: str, reason: ReasonCode
) -> None:
    assert refusal(bytes.fromhex(data), version) is reason, what


def connect_bytes(
    name: str = "MQTT",
    level: int = 4,
    flags: int = 2,
    rest: str = "00 3c 00 01 61",
) -> bytes:
    body = len(name).to_bytes(2, "big") + name.encode() + bytes((level, flags)) + bytes.fromhex(rest)
    return bytes((0x10, len(body))) + body


@pytest.mark.parametrize(
    ("what", "data", "reason"),
    [
        ("not CONNECT", bytes.fromhex("c0 00"), ReasonCode.PROTOCOL_ERROR),
        ("HTTP", b"GET / HTTP/1.1\r\n", ReasonCode.MALFORMED_PACKET),
        ("TLS", bytes.fromhex("16 03 01 02 00 01"), ReasonCode.MALFORMED_PACKET),
        ("flags of CONNECT", b"\x11" + connect_bytes()[1:], ReasonCode.MALFORMED_PACKET),
        ("another protocol", connect_bytes("MQQT"), ReasonCode.MALFORMED_PACKET),
        ("level 3", connect_bytes(level=3), ReasonCode.UNSUPPORTED_PROTOCOL_VERSION),
        ("level 6", connect_bytes(level=6), ReasonCode.UNSUPPORTED_PROTOCOL_VERSION),
        ("MQTT 3.1", connect_bytes("MQIsdp", 3), ReasonCode.UNSUPPORTED_PROTOCOL_VERSION),
        ("reserved flag", connect_bytes(flags=3), ReasonCode.MALFORMED_PACKET),
        ("will QoS without a will", connect_bytes(flags=0x0A), ReasonCode.MALFORMED_PACKET),
        ("will retain without a will", connect_bytes(flags=0x22), ReasonCode.MALFORMED_PACKET),
        (
            "will QoS 3",
            connect_bytes(flags=0x1E, rest="003c 0001 61 0001 61 0000"),
            ReasonCode.MALFORMED_PACKET,
        ),
        (
            "will topic with #",
            connect_bytes(flags=0x06, rest="003c 0001 61 0001 23 0000"),
            ReasonCode.TOPIC_NAME_INVALID,
        ),
        (
            "empty will topic",
            connect_bytes(flags=0x06, rest="003c 0001 61 0000 0000"),
            ReasonCode.TOPIC_NAME_INVALID,
        ),
        (
            "password without a user name",
            connect_bytes(flags=0x42, rest="003c 0001 61 0001 61"),
            ReasonCode.MALFORMED_PACKET,
        ),
        ("more than it says", connect_bytes(rest="003c 0001 61 00"), ReasonCode.MALFORMED_PACKET),
        ("less than it says", connect_bytes(rest="003c 0002 61"), ReasonCode.MALFORMED_PACKET),
        (
            "authentication data alone",
            connect_bytes(level=5, rest="003c 04 16 0001 61 0001 61"),
            ReasonCode.PROTOCOL_ERROR,
        ),
        (
            "receive maximum 0",
            connect_bytes(level=5, rest="003c 03 21 0000 0001 61"),
            ReasonCode.PROTOCOL_ERROR,
        ),
    ],
)
def test_a_connection_that_begins_wrongly(what: str, data: bytes, reason: ReasonCode) -> None:
    assert refusal(data, None) is reason, what


def test_a_padded_remaining_length_is_taken_from_old_clients() -> None:
    publish = encode(Publish("a", b"1"), V311)
    padded = publish[:1] + bytes((publish[1] | 0x80, 0)) + publish[2:]
    assert read(padded, V311) == [Publish("a", b"1")]


def test_a_property_that_may_repeat_keeps_its_order() -> None:
    said = Properties(user_properties=(("a", "1"), ("b", "2"), ("a", "3")), subscription_identifiers=(5, 200))
    publish = Publish("t", b"", properties=said)
    assert read(encode(publish, V5), V5) == [publish]


@pytest.mark.parametrize("packet", [Unsubscribe(1, ("a",)), Subscribe(1, (FilterRequest("a"),))])
@pytest.mark.parametrize("version", Version)
def test_topic_filters_of_one_packet_are_bounded(version: Version, packet: Packet) -> None:
    def with_filters(count: int) -> bytes:
        name = "topic_filters" if isinstance(packet, Unsubscribe) else "requests"
        return encode(replace(packet, **{name: getattr(packet, name) * count}), version)

    assert len(read(with_filters(MAX_FILTERS), version)) == 1
    assert refusal(with_filters(MAX_FILTERS + 1), version) is ReasonCode.QUOTA_EXCEEDED


def test_repetitions_of_one_property_are_bounded() -> None:
    def with_properties(count: int) -> bytes:
        return encode(Publish("a", b"", properties=Properties(user_properties=(("", ""),) * count)), V5)

    assert len(read(with_properties(MAX_REPETITIONS), V5)) == 1
    assert refusal(with_properties(MAX_REPETITIONS + 1), V5) is ReasonCode.QUOTA_EXCEEDED


# --- size -------------------------------------------------------------------------------------------


def test_the_largest_packet_passes_and_one_more_byte_does_not() -> None:
    data = encode(Publish("a", b"x" * 200), V311)
    assert len(outcome([data], V311, len(data))) == 1
    assert outcome([data[:3]], V311, len(data) - 1) == [
        (ReasonCode.PACKET_TOO_LARGE, f"A packet of {len(data)} bytes is too large")
    ]


def test_one_byte_at_a_time_keeps_one_copy_of_a_packet() -> None:
    """Not a copy per byte, and nothing once the packet has been given out."""
    publish = Publish("a", b"x" * 100_000)
    *pieces, last = (bytes((byte,)) for byte in encode(publish, V311))
    decoder = Decoder(MAX, V311)
    tracemalloc.start()
    try:
        for piece in pieces:
            decoder.feed(piece)
            assert decoder.next_packet() is None
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 250_000
    decoder.feed(last)
    assert decoder.next_packet() == publish
    assert decoder.next_packet() is None
    assert decoder.buffered == 0


def test_a_stream_that_never_pauses_between_packets_does_not_grow() -> None:
    data = encode(Publish("a", b"x" * 50), V311) * 400
    decoder = Decoder(MAX, V311)
    given_out = 0
    for start in range(0, len(data), 7):
        decoder.feed(data[start : start + 7])
        given_out += len(list(taken(decoder)))
        assert decoder.buffered < 64
    assert given_out == 400


# --- our own mistakes -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "packet",
    [
        Publish("a", b"", 1, packet_id=0),
        Publish("a", b"", 2, packet_id=1),
        Publish("a", b"", 0, dup=True),
        Publish("a" * 70_000, b""),
        PubAck(0),
        PubAck(70_000),
        Subscribe(0, ()),
        Unsubscribe(1, ("a\0b",)),
        UnsubAck(65_536),
        Connect("x" * 65_536),
        Connect("a", keep_alive=65_536),
        Connect("a", properties=Properties(session_expiry_interval=-1)),
        Subscribe(1, (), Properties(subscription_identifiers=(268_435_456,))),
        Publish("a", b"", properties=Properties(topic_alias=65_536)),
    ],
)
def test_what_cannot_be_written_is_an_error_of_ours(packet: Packet) -> None:
    with pytest.raises(ValueError):
        encode(packet, V5)


def test_a_connect_does_not_show_its_secrets() -> None:
    shown = repr(Connect("t1", username="user token", password=b"pass word"))
    assert "t1" in shown
    assert "token" not in shown
    assert "word" not in shown
