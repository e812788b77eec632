"""How MQTT writes integers, strings and binary data.

A reader takes ``(data, pos, end)`` and gives the value and the position after it. It never looks at
``end`` or beyond, and raises ProtocolError if the value would.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct

from thingjobs.mqtt.reasons import malformed

Reader = Callable[[bytes, int, int], tuple[object, int]]

LARGEST_VARINT = 268_435_455
_uint16 = Struct(">H").pack
_uint32 = Struct(">I").pack


# --- reading ------------------------------------------------------------------------------------


def read_byte(data: bytes, pos: int, end: int) -> tuple[int, int]:
    if pos >= end:
        raise malformed("The packet ends inside a byte field")
    return data[pos], pos + 1


def read_uint16(data: bytes, pos: int, end: int) -> tuple[int, int]:
    if pos + 2 > end:
        raise malformed("The packet ends inside a two-byte integer")
    return data[pos] << 8 | data[pos + 1], pos + 2


def read_uint32(data: bytes, pos: int, end: int) -> tuple[int, int]:
    if pos + 4 > end:
        raise malformed("The packet ends inside a four-byte integer")
    return int.from_bytes(data[pos : pos + 4], "big"), pos + 4


def read_varint(data: bytes, pos: int, end: int) -> tuple[int, int]:
    """A variable byte integer in its shortest form."""
    value = 0
    for shift in (0, 7, 14, 21):
        if pos >= end:
            raise malformed("The packet ends inside a variable byte integer")
        byte = data[pos]
        pos += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if not byte and shift:
                raise malformed("A variable byte integer is longer than it needs to be")
            return value, pos
    raise malformed("A variable byte integer has more than four bytes")


def read_string(data: bytes, pos: int, end: int) -> tuple[str, int]:
    """UTF-8 without U+0000; surrogates are refused by Python's decoder."""
    raw, pos = read_binary(data, pos, end)
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        raise malformed("A string is not valid UTF-8") from None
    if "\0" in text:
        raise malformed("A string contains U+0000")
    return text, pos


def read_binary(data: bytes, pos: int, end: int) -> tuple[bytes, int]:
    start = pos + 2
    if start > end:
        raise malformed("The packet ends inside a length")
    stop = start + (data[pos] << 8 | data[pos + 1])
    if stop > end:
        raise malformed("A string or binary field is longer than the packet")
    return data[start:stop], stop


def read_packet_id(data: bytes, pos: int, end: int) -> tuple[int, int]:
    packet_id, pos = read_uint16(data, pos, end)
    if not packet_id:
        raise malformed("A packet identifier is zero")
    return packet_id, pos


# --- writing ------------------------------------------------------------------------------------
# What does not fit is our own mistake: ValueError.


def write_byte(value: int) -> bytes:
    return bytes((value,))


def write_uint16(value: int) -> bytes:
    if not 0 <= value <= 0xFFFF:
        raise ValueError(f"{value} does not fit into two bytes")
    return _uint16(value)


def write_uint32(value: int) -> bytes:
    if not 0 <= value <= 0xFFFFFFFF:
        raise ValueError(f"{value} does not fit into four bytes")
    return _uint32(value)


def write_varint(value: int) -> bytes:
    if 0 <= value < 0x80:
        return bytes((value,))
    if not 0 <= value <= LARGEST_VARINT:
        raise ValueError(f"{value} does not fit into a variable byte integer")
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def write_string(value: str) -> bytes:
    if "\0" in value:
        raise ValueError("MQTT strings cannot contain U+0000")
    return write_binary(value.encode())


def write_binary(value: bytes) -> bytes:
    return write_uint16(len(value)) + value


def write_packet_id(value: int) -> bytes:
    if not 0 < value <= 0xFFFF:
        raise ValueError(f"{value} is not a packet identifier")
    return _uint16(value)
