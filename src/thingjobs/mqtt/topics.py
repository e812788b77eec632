"""Topic names and topic filters: what is valid, and what matches what.

Three rules differ from the MQTT standard, or sharpen it, as AWS IoT documents them:
- ``#`` does not match the parent level: ``sport/#`` matches ``sport/tennis`` but not ``sport``;
- a topic whose first level begins with ``$`` is matched only by filters that spell out that first level, so
  ``#`` and ``+/things/…`` see nothing of ``$aws/things/…``;
- a topic or filter has at most 256 bytes and 7 slashes, unless ``Limits`` say otherwise. The three slashes
  of ``$aws/rules/R/`` and of ``$aws/things/T/`` are not counted, so that under ``$aws/things/T/`` seven more
  are left.

Source: IoT Core developer guide, "MQTT topics" and "message broker limits". The guide excepts the prefix of
``$aws/rules`` only; our exception for ``$aws/things`` is unverified, and no reserved topic needs it.
"""

from __future__ import annotations

from thingjobs.mqtt.limits import Limits

UNCOUNTED_PREFIXES = ("$aws/rules/", "$aws/things/")
UNCOUNTED_SLASHES = 3
SHARED_PREFIX = "$share/"
RESERVED_SIGN = "$"


def is_reserved(topic: str) -> bool:
    """Whether a topic is the service's own, and no client's to use as it likes."""
    return topic.startswith(RESERVED_SIGN)


def fits_limits(topic: str, limits: Limits) -> bool:
    """Whether a topic name or filter is short and shallow enough."""
    most = limits.max_topic_bytes
    if len(topic) > most or (not topic.isascii() and len(topic.encode()) > most):
        return False
    slashes = topic.count("/")
    if slashes > limits.max_topic_slashes and topic.startswith(UNCOUNTED_PREFIXES):
        slashes -= UNCOUNTED_SLASHES
    return slashes <= limits.max_topic_slashes


def has_wildcard(topic: str) -> bool:
    return "+" in topic or "#" in topic


def is_valid_filter(topic_filter: str) -> bool:
    """Whether wildcards stand where they may: each alone on its level, ``#`` on the last only."""
    if not topic_filter:
        return False
    if not has_wildcard(topic_filter):
        return True
    levels = topic_filter.split("/")
    last = len(levels) - 1
    return all(
        level == "+" or (level == "#" and position == last) or not has_wildcard(level)
        for position, level in enumerate(levels)
    )


def matches(topic_filter: str, topic: str) -> bool:
    """Whether a message on ``topic`` belongs to a subscription to ``topic_filter`` (both valid)."""
    if topic.startswith(RESERVED_SIGN) and topic_filter.startswith(("+", "#")):
        return False
    wanted, levels = topic_filter.split("/"), topic.split("/")
    if wanted[-1] == "#":
        del wanted[-1]
        if len(levels) <= len(wanted):
            return False
    elif len(levels) != len(wanted):
        return False
    return all(want in ("+", level) for want, level in zip(wanted, levels, strict=False))
