"""What a client may do and how much of it. Every number is AWS IoT's unless it says otherwise."""

from __future__ import annotations

from msgspec import Struct


class Limits(Struct, frozen=True, gc=False, kw_only=True):
    """Bytes, characters, seconds and counts; one value serves all connections.

    Source: IoT Core endpoints and quotas.
    """

    max_payload: int = 131_072
    max_packet_size: int = 149_504
    """Of a whole packet, announced to MQTT 5 clients. AWS's number, unverified."""
    max_client_id_bytes: int = 128
    max_topic_bytes: int = 256
    max_topic_slashes: int = 7
    """Not counting the three of ``$aws/rules/R/`` and of ``$aws/things/T/``."""
    max_client_token: int = 128
    """Characters, in a request to the Jobs service."""
    max_filters_per_subscribe: int = 8
    max_subscriptions: int = 50
    min_keep_alive: int = 30
    max_keep_alive: int = 1_200
    max_session_expiry: int = 3_600
    """How long a persistent session outlives its connection; MQTT 5 clients may ask for less."""
    connect_timeout: int = 30
    """Ours: from the opened connection to its acceptance."""
    receive_maximum: int = 100
    """Messages at QoS 1 that a client may have unanswered, and that we have unanswered at most."""
    topic_alias_maximum: int = 8
    max_queued: int = 1_000
    """Ours: messages at QoS 1 that wait for a slow or absent client."""
