"""Bytes to packets, in any split.

The decoder keeps what has arrived and gives packets one by one, so that those before a malformed one are
not lost with it, and so that a connection may stop taking packets while one of them is being decided.
Input that is not MQTT, or not the MQTT of this server, raises ProtocolError and nothing else.

The first byte of a packet is its type and flags together; one table of 256 entries finds the function that
reads the rest, and what has no entry has reserved flags.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Sized
from typing import NoReturn

from thingjobs.mqtt import properties as place
from thingjobs.mqtt.fields import (
    read_binary,
    read_byte,
    read_packet_id,
    read_string,
    read_uint16,
)
from thingjobs.mqtt.packets import (
    ConnAck,
    Connect,
    Disconnect,
    FilterRequest,
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
from thingjobs.mqtt.properties import NO_PROPERTIES, read_properties
from thingjobs.mqtt.reasons import ProtocolError, ReasonCode, malformed

SMALLEST_PACKET = 2
MAX_FILTERS = 1_000
"""Ours: topic filters of one packet, so that what a packet costs is bounded and not only its size."""
_CONNECT_HEADER = 0x10
_V5 = Version.V5
_REASONS = frozenset(int(code) for code in ReasonCode)


class Decoder:
    """Reads one side of a connection.

    Without a version it expects CONNECT, and takes the version from it. ``max_packet_size`` counts whole
    packets; nothing larger is ever kept.
    """

    __slots__ = ("_broken", "_data", "_need", "_pos", "max_packet_size", "version")

    def __init__(self, max_packet_size: int, version: Version | None = None) -> None:
        self.max_packet_size = max_packet_size
        self.version = version
        self._data: bytes | bytearray = b""
        self._pos = 0  # where the next packet starts
        self._need = SMALLEST_PACKET  # how many of its bytes must be there before it is worth a look
        self._broken: ProtocolError | None = None

    @property
    def buffered(self) -> int:
        """Bytes that have arrived and are not yet given out as packets."""
        return len(self._data) - self._pos

    @property
    def has_more(self) -> bool:
        """Whether ``next_packet`` is worth a call before more arrives."""
        return self._broken is not None or len(self._data) - self._pos >= self._need

    def feed(self, data: bytes) -> None:
        """Take what has arrived. Costs no more than its own length, whatever waits here already."""
        if self._broken is not None:
            return
        kept = self._data
        if len(kept) == self._pos:
            self._data = data
        else:
            if not isinstance(kept, bytearray):
                kept = self._data = bytearray(memoryview(kept)[self._pos :])
            kept += data
        self._pos = 0

    def next_packet(self) -> Packet | None:
        """The next packet, None until more arrives. Errors: ProtocolError, from then on always the same."""
        data, pos = self._data, self._pos
        if len(data) - pos < self._need:
            if self._broken is not None:
                raise self._broken
            if len(data) == pos:
                self._data = b""  # or a connection at rest would keep its last packet alive
                self._pos = 0
            return None
        try:
            return self._read(data, pos)
        except ProtocolError as error:
            self._broken = error
            self._data, self._pos = b"", 0
            raise

    def _read(self, data: bytes | bytearray, pos: int) -> Packet | None:
        header = data[pos]
        read = _READERS[header]
        if read is None:
            raise malformed(f"No packet begins with 0x{header:02x}")
        version = self.version
        if version is None and header != _CONNECT_HEADER:
            raise ProtocolError(ReasonCode.PROTOCOL_ERROR, "The first packet is not CONNECT")
        length = data[pos + 1]
        start = pos + 2
        if length >= 0x80:
            length &= 0x7F
            for shift in (7, 14, 21):
                if start == len(data):
                    self._need = start + 1 - pos
                    return None
                byte = data[start]
                start += 1
                length |= (byte & 0x7F) << shift
                if byte < 0x80:
                    if not byte and version is _V5:  # 3.1.1 does not ask for the shortest form
                        raise malformed("The remaining length is longer than it needs to be")
                    break
            else:
                raise malformed("The remaining length has more than four bytes")
        end = start + length
        if end - pos > self.max_packet_size:
            raise ProtocolError(ReasonCode.PACKET_TOO_LARGE, f"A packet of {end - pos} bytes is too large")
        if end > len(data):
            self._need = end - pos
            return None
        if isinstance(data, bytearray):  # what is kept is whole now; values must not share it
            data = self._data = bytes(data)
        self._pos = end
        self._need = SMALLEST_PACKET
        if version is None:
            return self._read_connect(data, start, end)
        return read(header, data, start, end, version is _V5)

    def _read_connect(self, data: bytes, pos: int, end: int) -> Connect:
        """Note the version before reading on: it decides how a refusal is said."""
        name, pos = read_string(data, pos, end)
        level, pos = read_byte(data, pos, end)
        if name == "MQTT" and level in (4, 5):
            self.version = Version(level)
            return _connect(data, pos, end, self.version)
        if name == "MQTT" or (name, level) == ("MQIsdp", 3):
            self.version = Version.V5 if level > Version.V5 else Version.V311
            raise ProtocolError(
                ReasonCode.UNSUPPORTED_PROTOCOL_VERSION, f"Protocol level {level} is not supported"
            )
        raise malformed("The protocol name is not MQTT")


# --- PUBLISH, the hot path ----------------------------------------------------------------------


def _publish(header: int, data: bytes, pos: int, end: int, v5: bool) -> Publish:
    start = pos + 2
    if start > end:
        raise malformed("A PUBLISH without a topic")
    pos = start + (data[pos] << 8 | data[pos + 1])
    if pos > end:
        raise malformed("A topic is longer than its packet")
    try:
        topic = data[start:pos].decode()
    except UnicodeDecodeError:
        raise malformed("A topic is not valid UTF-8") from None
    if "+" in topic or "#" in topic or "\0" in topic:
        raise _bad_topic(topic)
    packet_id = 0
    if header & 0x06:
        if pos + 2 > end:
            raise malformed("A PUBLISH at QoS 1 without a packet identifier")
        packet_id = data[pos] << 8 | data[pos + 1]
        if not packet_id:
            raise malformed("A packet identifier is zero")
        pos += 2
    if not v5:
        if not topic:
            raise ProtocolError(ReasonCode.TOPIC_NAME_INVALID, "A topic is empty")
        return Publish(
            topic, data[pos:end], header >> 1 & 3, header & 1 == 1, packet_id, header & 8 == 8, NO_PROPERTIES
        )
    if pos < end and not data[pos]:
        properties, pos = NO_PROPERTIES, pos + 1
    else:
        properties, pos = read_properties(data, pos, end, place.PUBLISH)
    if not topic and properties.topic_alias is None:
        raise ProtocolError(ReasonCode.PROTOCOL_ERROR, "A PUBLISH has neither a topic nor a topic alias")
    if properties.response_topic is not None:
        _check_topic(properties.response_topic)
    return Publish(
        topic, data[pos:end], header >> 1 & 3, header & 1 == 1, packet_id, header & 8 == 8, properties
    )


def _bad_topic(topic: str) -> ProtocolError:
    if "\0" in topic:
        return malformed("A topic contains U+0000")
    return ProtocolError(ReasonCode.TOPIC_NAME_INVALID, "A topic name contains a wildcard")


def _check_topic(topic: str) -> None:
    if not topic:
        raise ProtocolError(ReasonCode.TOPIC_NAME_INVALID, "A topic is empty")
    if "+" in topic or "#" in topic:
        raise _bad_topic(topic)


# --- connecting ---------------------------------------------------------------------------------


def _connect(data: bytes, pos: int, end: int, version: Version) -> Connect:
    flags, pos = read_byte(data, pos, end)
    has_will, will_qos, will_retain = flags & 0x04, flags >> 3 & 3, bool(flags & 0x20)
    if flags & 0x01:
        raise malformed("A reserved flag of CONNECT is set")
    if will_qos == 3 or (not has_will and (will_qos or will_retain)):
        raise malformed("The will flags of CONNECT contradict each other")
    if version is Version.V311 and flags & 0xC0 == 0x40:
        raise malformed("A password without a user name")
    keep_alive, pos = read_uint16(data, pos, end)
    properties = NO_PROPERTIES
    if version is _V5:
        properties, pos = read_properties(data, pos, end, place.CONNECT)
    if properties.authentication_data is not None and properties.authentication_method is None:
        raise ProtocolError(ReasonCode.PROTOCOL_ERROR, "Authentication data without a method")
    client_id, pos = read_string(data, pos, end)
    will = username = password = None
    if has_will:
        will_properties = NO_PROPERTIES
        if version is _V5:
            will_properties, pos = read_properties(data, pos, end, place.WILL)
        topic, pos = read_string(data, pos, end)
        payload, pos = read_binary(data, pos, end)
        _check_topic(topic)
        will = Will(topic, payload, will_qos, will_retain, will_properties)
    if flags & 0x80:
        username, pos = read_string(data, pos, end)
    if flags & 0x40:
        password, pos = read_binary(data, pos, end)
    _check_over(pos, end)
    return Connect(client_id, version, bool(flags & 0x02), keep_alive, username, password, will, properties)


def _second_connect(header: int, data: bytes, pos: int, end: int, v5: bool) -> NoReturn:
    raise ProtocolError(ReasonCode.PROTOCOL_ERROR, "A second CONNECT")


def _connack(header: int, data: bytes, pos: int, end: int, v5: bool) -> ConnAck:
    flags, pos = read_byte(data, pos, end)
    if flags > 1:
        raise malformed("A reserved flag of CONNACK is set")
    code, pos = _code(data, pos, end) if v5 else read_byte(data, pos, end)
    properties, pos = read_properties(data, pos, end, place.CONNACK) if v5 else (NO_PROPERTIES, pos)
    _check_over(pos, end)
    return ConnAck(flags == 1, code, properties)


def _disconnect(header: int, data: bytes, pos: int, end: int, v5: bool) -> Disconnect:
    code, properties = 0, NO_PROPERTIES
    if v5 and pos < end:
        code, pos = _code(data, pos, end)
        if pos < end:
            properties, pos = read_properties(data, pos, end, place.DISCONNECT)
    _check_over(pos, end)
    return Disconnect(code, properties)


# --- acknowledging, subscribing -----------------------------------------------------------------


def _puback(header: int, data: bytes, pos: int, end: int, v5: bool) -> PubAck:
    packet_id, pos = read_packet_id(data, pos, end)
    code, properties = 0, NO_PROPERTIES
    if v5 and pos < end:
        code, pos = _code(data, pos, end)
        if pos < end:
            properties, pos = read_properties(data, pos, end, place.PUBACK)
    _check_over(pos, end)
    return PubAck(packet_id, code, properties)


def _subscribe(header: int, data: bytes, pos: int, end: int, v5: bool) -> Subscribe:
    packet_id, pos = read_packet_id(data, pos, end)
    properties = NO_PROPERTIES
    if v5:
        properties, pos = read_properties(data, pos, end, place.SUBSCRIBE)
    requests: list[FilterRequest] = []
    while pos < end:
        _check_count(requests)
        topic_filter, pos = read_string(data, pos, end)
        options, pos = read_byte(data, pos, end)
        qos, retain_handling = options & 3, options >> 4 & 3
        if qos == 3 or options & (0xC0 if v5 else 0xFC) or retain_handling == 3:
            raise malformed("Subscription options use reserved values")
        requests.append(
            FilterRequest(topic_filter, qos, bool(options & 4), bool(options & 8), retain_handling)
        )
    if not requests:
        raise ProtocolError(ReasonCode.PROTOCOL_ERROR, "A SUBSCRIBE without a topic filter")
    return Subscribe(packet_id, tuple(requests), properties)


def _suback(header: int, data: bytes, pos: int, end: int, v5: bool) -> SubAck:
    packet_id, pos = read_packet_id(data, pos, end)
    properties = NO_PROPERTIES
    if v5:
        properties, pos = read_properties(data, pos, end, place.SUBACK)
    return SubAck(packet_id, _codes(data, pos, end), properties)


def _unsubscribe(header: int, data: bytes, pos: int, end: int, v5: bool) -> Unsubscribe:
    packet_id, pos = read_packet_id(data, pos, end)
    properties = NO_PROPERTIES
    if v5:
        properties, pos = read_properties(data, pos, end, place.UNSUBSCRIBE)
    topic_filters: list[str] = []
    while pos < end:
        _check_count(topic_filters)
        topic_filter, pos = read_string(data, pos, end)
        topic_filters.append(topic_filter)
    if not topic_filters:
        raise ProtocolError(ReasonCode.PROTOCOL_ERROR, "An UNSUBSCRIBE without a topic filter")
    return Unsubscribe(packet_id, tuple(topic_filters), properties)


def _unsuback(header: int, data: bytes, pos: int, end: int, v5: bool) -> UnsubAck:
    packet_id, pos = read_packet_id(data, pos, end)
    if not v5:
        _check_over(pos, end)
        return UnsubAck(packet_id)
    properties, pos = read_properties(data, pos, end, place.UNSUBACK)
    return UnsubAck(packet_id, _codes(data, pos, end), properties)


# --- the rest -----------------------------------------------------------------------------------

_PING_REQUEST = PingReq()
_PING_RESPONSE = PingResp()


def _pingreq(header: int, data: bytes, pos: int, end: int, v5: bool) -> PingReq:
    _check_over(pos, end)
    return _PING_REQUEST


def _pingresp(header: int, data: bytes, pos: int, end: int, v5: bool) -> PingResp:
    _check_over(pos, end)
    return _PING_RESPONSE


def _qos_2(header: int, data: bytes, pos: int, end: int, v5: bool) -> NoReturn:
    raise ProtocolError(ReasonCode.QOS_NOT_SUPPORTED, "QoS 2 is not supported")


def _auth(header: int, data: bytes, pos: int, end: int, v5: bool) -> NoReturn:
    raise ProtocolError(ReasonCode.PROTOCOL_ERROR, "AUTH without an authentication method")


def _code(data: bytes, pos: int, end: int) -> tuple[int, int]:
    code, pos = read_byte(data, pos, end)
    if code not in _REASONS:
        raise malformed(f"Reason code 0x{code:02x} is unknown")
    return code, pos


def _codes(data: bytes, pos: int, end: int) -> tuple[int, ...]:
    codes = tuple(data[pos:end])
    if not codes or not _REASONS.issuperset(codes):
        raise malformed("Reason codes are missing or unknown")
    return codes


def _check_count(filters: Sized) -> None:
    if len(filters) == MAX_FILTERS:
        raise ProtocolError(ReasonCode.QUOTA_EXCEEDED, "Too many topic filters in one packet")


def _check_over(pos: int, end: int) -> None:
    if pos != end:
        raise malformed("A packet is longer than its contents")


_Reader = Callable[[int, bytes, int, int, bool], Packet]


def _readers() -> Sequence[_Reader | None]:
    table: list[_Reader | None] = [None] * 256
    table[_CONNECT_HEADER] = _second_connect  # the first one is read by the decoder itself
    table[0x20] = _connack
    for header in (0x30, 0x31, 0x32, 0x33, 0x3A, 0x3B):  # QoS 0 has no DUP
        table[header] = _publish
    for header in (0x34, 0x35, 0x3C, 0x3D):
        table[header] = _qos_2
    table[0x40] = _puback
    for header in (0x50, 0x62, 0x70):  # PUBREC, PUBREL, PUBCOMP
        table[header] = _qos_2
    table[0x82] = _subscribe
    table[0x90] = _suback
    table[0xA2] = _unsubscribe
    table[0xB0] = _unsuback
    table[0xC0] = _pingreq
    table[0xD0] = _pingresp
    table[0xE0] = _disconnect
    table[0xF0] = _auth
    return tuple(table)


_READERS = _readers()
