"""What clients may publish and subscribe to, whoever they are. Every breach is a ProtocolError."""

from __future__ import annotations

from msgspec.structs import replace

from thingjobs.mqtt.limits import Limits
from thingjobs.mqtt.packets import FilterRequest, Publish, Subscribe
from thingjobs.mqtt.reasons import ProtocolError, ReasonCode
from thingjobs.mqtt.topics import SHARED_PREFIX, fits_limits, is_valid_filter


def check_publish(publish: Publish, limits: Limits) -> None:
    if len(publish.payload) > limits.max_payload:
        raise ProtocolError(ReasonCode.PACKET_TOO_LARGE, "The payload is too large")
    if not fits_limits(publish.topic, limits):
        raise ProtocolError(ReasonCode.TOPIC_NAME_INVALID, "The topic is too long or too deep")


def without_alias(publish: Publish, aliases: dict[int, str], limits: Limits) -> Publish:
    """The message with the topic that its alias stands for. A topic together with an alias defines it."""
    if publish.properties.subscription_identifiers:
        raise ProtocolError(ReasonCode.PROTOCOL_ERROR, "A client publishes subscription identifiers")
    alias = publish.properties.topic_alias
    if alias is None:
        return publish
    if alias > limits.topic_alias_maximum:
        raise ProtocolError(ReasonCode.TOPIC_ALIAS_INVALID, "The topic alias is too large")
    if publish.topic:
        aliases[alias] = publish.topic
    elif alias not in aliases:
        raise ProtocolError(ReasonCode.PROTOCOL_ERROR, "The topic alias stands for nothing")
    properties = replace(publish.properties, topic_alias=None)  # it means nothing to other connections
    return replace(publish, topic=aliases[alias], properties=properties)


def grantable(subscribe: Subscribe, limits: Limits) -> tuple[int, ...]:
    """For each filter the QoS that can be granted, or why nobody could be granted it."""
    if len(subscribe.requests) > limits.max_filters_per_subscribe:
        raise ProtocolError(ReasonCode.QUOTA_EXCEEDED, "Too many topic filters in one SUBSCRIBE")
    if subscribe.properties.subscription_identifiers:
        raise ProtocolError(
            ReasonCode.SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED, "Subscription identifiers are not supported"
        )
    return tuple(_grantable(request, limits) for request in subscribe.requests)


def _grantable(request: FilterRequest, limits: Limits) -> int:
    if not fits_limits(request.topic_filter, limits):
        raise ProtocolError(ReasonCode.TOPIC_FILTER_INVALID, "A topic filter is too long or too deep")
    if request.topic_filter.startswith(SHARED_PREFIX):
        return ReasonCode.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED
    if not is_valid_filter(request.topic_filter):
        return ReasonCode.TOPIC_FILTER_INVALID
    return min(request.qos, 1)  # QoS 2 is not spoken here
