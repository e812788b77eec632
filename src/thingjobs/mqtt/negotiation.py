"""What client and server agree on when they connect: a pure function of CONNECT and our limits."""

from __future__ import annotations

from msgspec import Struct

from thingjobs.mqtt.limits import Limits
from thingjobs.mqtt.packets import Connect, Version, Will
from thingjobs.mqtt.properties import NO_PROPERTIES, Properties
from thingjobs.mqtt.reasons import ProtocolError, ReasonCode
from thingjobs.mqtt.topics import fits_limits

DEFAULT_RECEIVE_MAXIMUM = 65_535  # MQTT 5, 3.1.2.11.3


class Terms(Struct, frozen=True, gc=False):
    """Seconds and counts that hold for one connection."""

    keep_alive: int
    session_expiry: int
    receive_maximum: int
    """Messages at QoS 1 that we may have unanswered."""


def negotiate(connect: Connect, limits: Limits) -> Terms:
    """Errors: ProtocolError if the client cannot be let in, whoever it is."""
    _check_client_id(connect, limits)
    if connect.will is not None:
        _check_will(connect.will, limits)
    asked = connect.properties
    if asked.authentication_method is not None:
        raise ProtocolError(ReasonCode.BAD_AUTHENTICATION_METHOD, "Enhanced authentication is not supported")
    if connect.version is Version.V5:
        session_expiry = asked.session_expiry_interval or 0
    else:
        session_expiry = 0 if connect.clean_start else limits.max_session_expiry
    return Terms(
        keep_alive=_clamped_keep_alive(connect.keep_alive, limits),
        session_expiry=min(session_expiry, limits.max_session_expiry),
        receive_maximum=min(asked.receive_maximum or DEFAULT_RECEIVE_MAXIMUM, limits.receive_maximum),
    )


def announcement(connect: Connect, terms: Terms, limits: Limits, client_id: str) -> Properties:
    """What CONNACK says in MQTT 5: our limits, and where we depart from what was asked for."""
    if connect.version is not Version.V5:
        return NO_PROPERTIES
    asked_expiry = connect.properties.session_expiry_interval or 0
    return Properties(
        session_expiry_interval=terms.session_expiry if terms.session_expiry != asked_expiry else None,
        receive_maximum=limits.receive_maximum,
        maximum_qos=1,
        maximum_packet_size=limits.max_packet_size,
        assigned_client_identifier=None if connect.client_id else client_id,
        topic_alias_maximum=limits.topic_alias_maximum,
        subscription_identifier_available=0,
        shared_subscription_available=0,
        server_keep_alive=terms.keep_alive if terms.keep_alive != connect.keep_alive else None,
    )


def _clamped_keep_alive(seconds: int, limits: Limits) -> int:
    """0 asks for no supervision at all, which nobody gets."""
    if not seconds:
        return limits.max_keep_alive
    return min(max(seconds, limits.min_keep_alive), limits.max_keep_alive)


def _check_client_id(connect: Connect, limits: Limits) -> None:
    if not connect.client_id and not connect.clean_start:
        raise ProtocolError(
            ReasonCode.CLIENT_IDENTIFIER_NOT_VALID, "A session cannot be kept without a client id"
        )
    if len(connect.client_id.encode()) > limits.max_client_id_bytes:
        raise ProtocolError(ReasonCode.CLIENT_IDENTIFIER_NOT_VALID, "The client id is too long")


def _check_will(will: Will, limits: Limits) -> None:
    if will.qos > 1:
        raise ProtocolError(ReasonCode.QOS_NOT_SUPPORTED, "QoS 2 is not supported")
    if not fits_limits(will.topic, limits):
        raise ProtocolError(ReasonCode.TOPIC_NAME_INVALID, "The will's topic is too long or too deep")
