"""Packets to bytes. What cannot be written is our own mistake: ValueError, never ProtocolError."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from struct import Struct
from typing import Any

from thingjobs.mqtt import properties as place
from thingjobs.mqtt.fields import (
    write_binary,
    write_byte,
    write_packet_id,
    write_string,
    write_uint16,
    write_varint,
)
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
)
from thingjobs.mqtt.properties import NO_PROPERTIES, Place, Properties, write_properties

_V5 = Version.V5
_uint16 = Struct(">H").pack
_short_head = Struct(">BBH").pack


def encode(packet: Packet, version: Version) -> bytes:
    """Errors: ValueError if a member does not fit into its field."""
    return _WRITERS[type(packet)](packet, version is _V5)


def _publish(packet: Publish, v5: bool) -> bytes:
    topic = packet.topic.encode()
    payload = packet.payload
    qos = packet.qos
    header = 0x30 | packet.dup << 3 | qos << 1 | packet.retain
    tail = b""
    if qos:
        if not 0 < packet.packet_id <= 0xFFFF or qos > 1:
            raise ValueError(f"QoS {qos} with packet identifier {packet.packet_id}")
        tail = _uint16(packet.packet_id)
    elif packet.dup:
        raise ValueError("QoS 0 has no duplicates")
    if v5:
        properties = packet.properties
        tail += b"\0" if properties is NO_PROPERTIES else write_properties(properties, place.PUBLISH)
    topic_length = len(topic)
    length = 2 + topic_length + len(tail) + len(payload)
    if length < 0x80:
        return b"".join((_short_head(header, length, topic_length), topic, tail, payload))
    if topic_length > 0xFFFF:
        raise ValueError("The topic is too long")
    return b"".join((bytes((header,)), write_varint(length), _uint16(topic_length), topic, tail, payload))


def _puback(packet: PubAck, v5: bool) -> bytes:
    if not 0 < packet.packet_id <= 0xFFFF:
        raise ValueError(f"{packet.packet_id} is not a packet identifier")
    if not v5 or (packet.code == 0 and packet.properties is NO_PROPERTIES):
        return _short_head(0x40, 2, packet.packet_id)
    body = _uint16(packet.packet_id) + write_byte(packet.code)
    return _framed(0x40, body + _unless_empty(packet.properties, place.PUBACK))


def _connect(packet: Connect, v5: bool) -> bytes:
    will = packet.will
    flags = packet.clean_start << 1
    payload = write_string(packet.client_id)
    if will is not None:
        flags |= 0x04 | will.qos << 3 | will.retain << 5
        if v5:
            payload += write_properties(will.properties, place.WILL)
        payload += write_string(will.topic) + write_binary(will.payload)
    if packet.username is not None:
        flags |= 0x80
        payload += write_string(packet.username)
    if packet.password is not None:
        flags |= 0x40
        payload += write_binary(packet.password)
    head = write_string("MQTT") + bytes((Version.V5 if v5 else Version.V311, flags))
    head += write_uint16(packet.keep_alive) + _if_v5(packet.properties, place.CONNECT, v5)
    return _framed(0x10, head + payload)


def _connack(packet: ConnAck, v5: bool) -> bytes:
    body = bytes((packet.session_present, packet.code)) + _if_v5(packet.properties, place.CONNACK, v5)
    return _framed(0x20, body)


def _subscribe(packet: Subscribe, v5: bool) -> bytes:
    body = write_packet_id(packet.packet_id) + _if_v5(packet.properties, place.SUBSCRIBE, v5)
    for request in packet.requests:
        options = request.qos
        if v5:
            options |= request.no_local << 2 | request.retain_as_published << 3 | request.retain_handling << 4
        body += write_string(request.topic_filter) + write_byte(options)
    return _framed(0x82, body)


def _suback(packet: SubAck, v5: bool) -> bytes:
    body = write_packet_id(packet.packet_id) + _if_v5(packet.properties, place.SUBACK, v5)
    return _framed(0x90, body + bytes(packet.codes))


def _unsubscribe(packet: Unsubscribe, v5: bool) -> bytes:
    body = write_packet_id(packet.packet_id) + _if_v5(packet.properties, place.UNSUBSCRIBE, v5)
    return _framed(0xA2, body + b"".join(map(write_string, packet.topic_filters)))


def _unsuback(packet: UnsubAck, v5: bool) -> bytes:
    body = write_packet_id(packet.packet_id)
    if v5:
        body += write_properties(packet.properties, place.UNSUBACK) + bytes(packet.codes)
    return _framed(0xB0, body)


def _pingreq(packet: PingReq, v5: bool) -> bytes:
    return b"\xc0\x00"


def _pingresp(packet: PingResp, v5: bool) -> bytes:
    return b"\xd0\x00"


def _disconnect(packet: Disconnect, v5: bool) -> bytes:
    if not v5 or (packet.code == 0 and packet.properties is NO_PROPERTIES):
        return b"\xe0\x00"
    return _framed(0xE0, write_byte(packet.code) + _unless_empty(packet.properties, place.DISCONNECT))


# --- parts --------------------------------------------------------------------------------------


def _framed(header: int, body: bytes) -> bytes:
    return bytes((header,)) + write_varint(len(body)) + body


def _if_v5(properties: Properties, where: Place, v5: bool) -> bytes:
    return write_properties(properties, where) if v5 else b""


def _unless_empty(properties: Properties, where: Place) -> bytes:
    """Properties at the end of a packet may be left out altogether."""
    return b"" if properties is NO_PROPERTIES else write_properties(properties, where)


_WRITERS: Mapping[type[Packet], Callable[[Any, bool], bytes]] = {  # Any: each writes its own type of packet
    Publish: _publish,
    PubAck: _puback,
    PingReq: _pingreq,
    PingResp: _pingresp,
    Connect: _connect,
    ConnAck: _connack,
    Subscribe: _subscribe,
    SubAck: _suback,
    Unsubscribe: _unsubscribe,
    UnsubAck: _unsuback,
    Disconnect: _disconnect,
}
