"""The control packets of MQTT 3.1.1 and 5 as values.

Both versions share one set: what a version does not carry keeps its default. There is no PUBREC, PUBREL,
PUBCOMP or AUTH, because this server neither speaks QoS 2 nor re-authenticates; the decoder refuses them.
"""

from __future__ import annotations

from enum import IntEnum
from sys import getsizeof

from msgspec import Struct

from thingjobs.mqtt import properties
from thingjobs.mqtt.properties import NO_PROPERTIES, Properties


class Version(IntEnum):
    """The protocol level, as CONNECT gives it."""

    V311 = 4
    V5 = 5


class Will(Struct, frozen=True, gc=False, repr_omit_defaults=True):
    """What to publish when the connection ends without a farewell."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    properties: Properties = NO_PROPERTIES


class Connect(Struct, frozen=True, gc=False, repr_omit_defaults=True):
    """A client introduces itself. ``clean_start`` is the clean session flag of 3.1.1."""

    client_id: str
    version: Version = Version.V311
    clean_start: bool = True
    keep_alive: int = 0
    username: str | None = None
    password: bytes | None = None
    will: Will | None = None
    properties: Properties = NO_PROPERTIES

    def __repr__(self) -> str:  # names and passwords are tokens of custom authorizers: not for logs
        return f"Connect(client_id={self.client_id!r}, version={self.version!r}, …)"


class ConnAck(Struct, frozen=True, gc=False, repr_omit_defaults=True):
    """``code`` is a ReasonCode in MQTT 5, a ReturnCode in 3.1.1."""

    session_present: bool = False
    code: int = 0
    properties: Properties = NO_PROPERTIES


class Publish(Struct, frozen=True, gc=False, repr_omit_defaults=True):
    """A message. ``packet_id`` is 0 at QoS 0; an empty topic stands for a topic alias."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    packet_id: int = 0
    dup: bool = False
    properties: Properties = NO_PROPERTIES


def held_bytes(message: Publish) -> int:
    """What a message takes in memory."""
    held = getsizeof(message) + getsizeof(message.topic) + getsizeof(message.payload)
    return held + properties.held_bytes(message.properties)


class PubAck(Struct, frozen=True, gc=False, repr_omit_defaults=True):
    packet_id: int
    code: int = 0
    properties: Properties = NO_PROPERTIES


class FilterRequest(Struct, frozen=True, gc=False, repr_omit_defaults=True):
    """One line of a SUBSCRIBE."""

    topic_filter: str
    qos: int = 0
    no_local: bool = False
    retain_as_published: bool = False
    retain_handling: int = 0


class Subscribe(Struct, frozen=True, gc=False, repr_omit_defaults=True):
    packet_id: int
    requests: tuple[FilterRequest, ...]
    properties: Properties = NO_PROPERTIES


class SubAck(Struct, frozen=True, gc=False, repr_omit_defaults=True):
    """A granted QoS or a failure for each requested filter, in order."""

    packet_id: int
    codes: tuple[int, ...]
    properties: Properties = NO_PROPERTIES


class Unsubscribe(Struct, frozen=True, gc=False, repr_omit_defaults=True):
    packet_id: int
    topic_filters: tuple[str, ...]
    properties: Properties = NO_PROPERTIES


class UnsubAck(Struct, frozen=True, gc=False, repr_omit_defaults=True):
    """``codes`` are empty in 3.1.1."""

    packet_id: int
    codes: tuple[int, ...] = ()
    properties: Properties = NO_PROPERTIES


class PingReq(Struct, frozen=True, gc=False, repr_omit_defaults=True):
    pass


class PingResp(Struct, frozen=True, gc=False, repr_omit_defaults=True):
    pass


class Disconnect(Struct, frozen=True, gc=False, repr_omit_defaults=True):
    code: int = 0
    properties: Properties = NO_PROPERTIES


Packet = (
    Connect
    | ConnAck
    | Publish
    | PubAck
    | Subscribe
    | SubAck
    | Unsubscribe
    | UnsubAck
    | PingReq
    | PingResp
    | Disconnect
)
