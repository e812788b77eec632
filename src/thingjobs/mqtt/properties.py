"""The properties of MQTT 5: one table says what each is called, how it is written and where it may stand.

Source: MQTT 5, section 2.2.2.2 and the property sections of each packet.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from sys import getsizeof
from typing import Any, NamedTuple

from msgspec import Struct
from msgspec.structs import astuple

from thingjobs.mqtt import fields
from thingjobs.mqtt.fields import Reader
from thingjobs.mqtt.reasons import ProtocolError, ReasonCode, malformed


class Properties(Struct, frozen=True, gc=False, repr_omit_defaults=True):
    """What MQTT 5 lets packets say besides; None is not said."""

    payload_format_indicator: int | None = None
    message_expiry_interval: int | None = None
    content_type: str | None = None
    response_topic: str | None = None
    correlation_data: bytes | None = None
    subscription_identifiers: tuple[int, ...] = ()
    session_expiry_interval: int | None = None
    assigned_client_identifier: str | None = None
    server_keep_alive: int | None = None
    authentication_method: str | None = None
    authentication_data: bytes | None = None
    request_problem_information: int | None = None
    will_delay_interval: int | None = None
    request_response_information: int | None = None
    response_information: str | None = None
    server_reference: str | None = None
    reason_string: str | None = None
    receive_maximum: int | None = None
    topic_alias_maximum: int | None = None
    topic_alias: int | None = None
    maximum_qos: int | None = None
    retain_available: int | None = None
    user_properties: tuple[tuple[str, str], ...] = ()
    maximum_packet_size: int | None = None
    wildcard_subscription_available: int | None = None
    subscription_identifier_available: int | None = None
    shared_subscription_available: int | None = None


NO_PROPERTIES = Properties()


def held_bytes(properties: Properties) -> int:
    """What they take in memory, which is many times what they take on the wire if they are many and short."""
    return 0 if properties is NO_PROPERTIES else getsizeof(properties) + _held(astuple(properties))


def _held(values: tuple[Any, ...]) -> int:
    held = getsizeof(values)
    for value in values:
        if isinstance(value, tuple):
            held += _held(value)
        elif value is not None:
            held += getsizeof(value)
    return held


# --- the kinds of value -------------------------------------------------------------------------


class _Kind(NamedTuple):
    read: Reader
    write: Callable[[Any], bytes]  # Any: each kind writes its own type of value


def _read_flag(data: bytes, pos: int, end: int) -> tuple[int, int]:
    value, pos = fields.read_byte(data, pos, end)
    if value > 1:
        raise ProtocolError(ReasonCode.PROTOCOL_ERROR, "A property that is 0 or 1 has another value")
    return value, pos


def _positive(read: Callable[[bytes, int, int], tuple[int, int]], reason: ReasonCode) -> Reader:
    def read_positive(data: bytes, pos: int, end: int) -> tuple[int, int]:
        value, pos = read(data, pos, end)
        if not value:
            raise ProtocolError(reason, "A property that must not be 0 is 0")
        return value, pos

    return read_positive


def _read_pair(data: bytes, pos: int, end: int) -> tuple[tuple[str, str], int]:
    name, pos = fields.read_string(data, pos, end)
    value, pos = fields.read_string(data, pos, end)
    return (name, value), pos


def _write_pair(pair: tuple[str, str]) -> bytes:
    return fields.write_string(pair[0]) + fields.write_string(pair[1])


_P = ReasonCode.PROTOCOL_ERROR
_FLAG = _Kind(_read_flag, fields.write_byte)
_UINT16 = _Kind(fields.read_uint16, fields.write_uint16)
_COUNT16 = _Kind(_positive(fields.read_uint16, _P), fields.write_uint16)
_ALIAS = _Kind(_positive(fields.read_uint16, ReasonCode.TOPIC_ALIAS_INVALID), fields.write_uint16)
_UINT32 = _Kind(fields.read_uint32, fields.write_uint32)
_COUNT32 = _Kind(_positive(fields.read_uint32, _P), fields.write_uint32)
_COUNT = _Kind(_positive(fields.read_varint, _P), fields.write_varint)
_TEXT = _Kind(fields.read_string, fields.write_string)
_BINARY = _Kind(fields.read_binary, fields.write_binary)
_PAIR = _Kind(_read_pair, _write_pair)


# --- the table ----------------------------------------------------------------------------------

_EVERYWHERE = "connect connack publish puback subscribe suback unsubscribe unsuback disconnect will"
_ANSWERS = "connack puback suback unsuback disconnect"

_TABLE: tuple[tuple[int, str, _Kind, str], ...] = (
    (0x01, "payload_format_indicator", _FLAG, "publish will"),
    (0x02, "message_expiry_interval", _UINT32, "publish will"),
    (0x03, "content_type", _TEXT, "publish will"),
    (0x08, "response_topic", _TEXT, "publish will"),
    (0x09, "correlation_data", _BINARY, "publish will"),
    (0x0B, "subscription_identifiers", _COUNT, "publish subscribe"),
    (0x11, "session_expiry_interval", _UINT32, "connect connack disconnect"),
    (0x12, "assigned_client_identifier", _TEXT, "connack"),
    (0x13, "server_keep_alive", _UINT16, "connack"),
    (0x15, "authentication_method", _TEXT, "connect connack"),
    (0x16, "authentication_data", _BINARY, "connect connack"),
    (0x17, "request_problem_information", _FLAG, "connect"),
    (0x18, "will_delay_interval", _UINT32, "will"),
    (0x19, "request_response_information", _FLAG, "connect"),
    (0x1A, "response_information", _TEXT, "connack"),
    (0x1C, "server_reference", _TEXT, "connack disconnect"),
    (0x1F, "reason_string", _TEXT, _ANSWERS),
    (0x21, "receive_maximum", _COUNT16, "connect connack"),
    (0x22, "topic_alias_maximum", _UINT16, "connect connack"),
    (0x23, "topic_alias", _ALIAS, "publish"),
    (0x24, "maximum_qos", _FLAG, "connack"),
    (0x25, "retain_available", _FLAG, "connack"),
    (0x26, "user_properties", _PAIR, _EVERYWHERE),
    (0x27, "maximum_packet_size", _COUNT32, "connect connack"),
    (0x28, "wildcard_subscription_available", _FLAG, "connack"),
    (0x29, "subscription_identifier_available", _FLAG, "connack"),
    (0x2A, "shared_subscription_available", _FLAG, "connack"),
)

_MANY = {
    "publish": {"user_properties", "subscription_identifiers"},
}  # where subscription identifiers may be repeated; user properties may be everywhere
_TUPLES = {"user_properties", "subscription_identifiers"}


class _Property(NamedTuple):
    code: int
    name: str
    read: Reader
    write: Callable[[Any], bytes]
    is_tuple: bool
    repeats: bool


Place = Mapping[int, _Property]
"""The properties that one kind of packet may carry, by their identifiers."""


def _place(packet: str) -> Place:
    repeating = _MANY.get(packet, {"user_properties"})
    return {
        code: _Property(code, name, kind.read, kind.write, name in _TUPLES, name in repeating)
        for code, name, kind, places in _TABLE
        if packet in places.split()
    }


CONNECT = _place("connect")
WILL = _place("will")
CONNACK = _place("connack")
PUBLISH = _place("publish")
PUBACK = _place("puback")
SUBSCRIBE = _place("subscribe")
SUBACK = _place("suback")
UNSUBSCRIBE = _place("unsubscribe")
UNSUBACK = _place("unsuback")
DISCONNECT = _place("disconnect")


MAX_REPETITIONS = 100
"""Ours: of one property in one packet, so that user properties cost no more than their size lets expect."""

# --- bytes --------------------------------------------------------------------------------------


def read_properties(data: bytes, pos: int, end: int, place: Place) -> tuple[Properties, int]:
    """Errors: ProtocolError, malformed for a property that has no place here."""
    length, pos = fields.read_varint(data, pos, end)
    if not length:
        return NO_PROPERTIES, pos
    stop = pos + length
    if stop > end:
        raise malformed("The properties are longer than the packet")
    found: dict[str, Any] = {}  # Any: the members of Properties differ in type
    while pos < stop:
        known = place.get(data[pos])
        if known is None:
            raise malformed(f"Property 0x{data[pos]:02x} has no place in this packet")
        value, pos = known.read(data, pos + 1, stop)
        if known.name not in found:
            found[known.name] = [value] if known.is_tuple else value
        elif known.repeats:
            if len(found[known.name]) == MAX_REPETITIONS:
                raise ProtocolError(ReasonCode.QUOTA_EXCEEDED, f"Too many properties 0x{known.code:02x}")
            found[known.name].append(value)
        else:
            raise ProtocolError(ReasonCode.PROTOCOL_ERROR, f"Property 0x{known.code:02x} is given twice")
    for name in _TUPLES & found.keys():
        found[name] = tuple(found[name])
    return Properties(**found), pos


def write_properties(properties: Properties, place: Place) -> bytes:
    """The length and the properties; those that have no place in the packet are left out."""
    if properties is NO_PROPERTIES:
        return b"\0"
    parts: list[bytes] = []
    for code, name, _, write, is_tuple, _ in place.values():
        value = getattr(properties, name)
        if is_tuple:
            parts.extend(bytes((code,)) + write(each) for each in value)
        elif value is not None:
            parts.append(bytes((code,)) + write(value))
    body = b"".join(parts)
    return fields.write_varint(len(body)) + body
