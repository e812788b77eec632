"""Packets that can be written, and every one of them, for property tests."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from thingjobs.mqtt import properties as place
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
from thingjobs.mqtt.properties import NO_PROPERTIES, Place, Properties
from thingjobs.mqtt.reasons import ReasonCode

versions = st.sampled_from(Version)
texts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
topics = st.text(st.characters(exclude_characters="\0+#", exclude_categories=["Cs"]), min_size=1, max_size=40)
payloads = st.binary(max_size=300)
packet_ids = st.integers(1, 0xFFFF)
_uint16, _uint32, _flag = st.integers(0, 0xFFFF), st.integers(0, 0xFFFFFFFF), st.integers(0, 1)
_codes = st.sampled_from(sorted({int(code) for code in ReasonCode}))

_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "message_expiry_interval": _uint32,
    "response_topic": topics,
    "correlation_data": payloads,
    "subscription_identifiers": st.tuples(st.integers(1, 268_435_455)),
    "session_expiry_interval": _uint32,
    "server_keep_alive": _uint16,
    "authentication_data": payloads,
    "will_delay_interval": _uint32,
    "receive_maximum": st.integers(1, 0xFFFF),
    "topic_alias_maximum": _uint16,
    "topic_alias": st.integers(1, 0xFFFF),
    "user_properties": st.lists(st.tuples(texts, texts), max_size=3).map(tuple),
    "maximum_packet_size": st.integers(1, 0xFFFFFFFF),
}
_FLAGS = ("payload_format", "request_", "maximum_qos", "_available")


def _values(name: str) -> st.SearchStrategy[Any]:
    if any(part in name for part in _FLAGS):
        return _flag
    return _VALUES.get(name, texts)


def properties(where: Place) -> st.SearchStrategy[Properties]:
    """Any properties that the packet may carry."""
    optional = {each.name: _values(each.name) for each in where.values()}
    if where is place.CONNECT:
        optional.pop("authentication_data")  # it needs a method, see below
    return st.fixed_dictionaries({}, optional=optional).map(
        lambda given: Properties(**given) if given else NO_PROPERTIES
    )


def _some(version: Version, where: Place) -> st.SearchStrategy[Properties]:
    return properties(where) if version is Version.V5 else st.just(NO_PROPERTIES)


def publishes(version: Version) -> st.SearchStrategy[Publish]:
    said = _some(version, place.PUBLISH)
    return st.one_of(
        st.builds(Publish, topics, payloads, st.just(0), st.booleans(), properties=said),
        st.builds(Publish, topics, payloads, st.just(1), st.booleans(), packet_ids, st.booleans(), said),
    )


def connects(version: Version) -> st.SearchStrategy[Connect]:
    wills = st.builds(Will, topics, payloads, st.integers(0, 2), st.booleans(), _some(version, place.WILL))
    names = st.one_of(
        st.tuples(st.none(), st.none()),
        st.tuples(texts, st.none() | payloads),
        *([st.tuples(st.none(), payloads)] if version is Version.V5 else []),
    )
    return st.builds(
        lambda client_id, clean, keep_alive, name, will, said: Connect(
            client_id, version, clean, keep_alive, name[0], name[1], will, said
        ),
        texts,
        st.booleans(),
        _uint16,
        names,
        st.none() | wills,
        _some(version, place.CONNECT),
    )


def packets(version: Version) -> st.SearchStrategy[Packet]:
    """Any packet but CONNECT."""
    v5 = version is Version.V5
    flags = st.booleans() if v5 else st.just(False)
    requests = st.builds(
        FilterRequest, texts, st.integers(0, 2), flags, flags, st.integers(0, 2) if v5 else st.just(0)
    )
    code = _codes if v5 else st.just(0)
    codes = st.lists(_codes, min_size=1, max_size=5).map(tuple)
    filters = st.lists(texts, min_size=1, max_size=5).map(tuple)
    return st.one_of(
        publishes(version),
        st.builds(ConnAck, st.booleans(), code, _some(version, place.CONNACK)),
        st.builds(PubAck, packet_ids, code, _some(version, place.PUBACK)),
        st.builds(
            Subscribe,
            packet_ids,
            st.lists(requests, min_size=1, max_size=5).map(tuple),
            _some(version, place.SUBSCRIBE),
        ),
        st.builds(SubAck, packet_ids, codes, _some(version, place.SUBACK)),
        st.builds(Unsubscribe, packet_ids, filters, _some(version, place.UNSUBSCRIBE)),
        st.builds(UnsubAck, packet_ids, codes if v5 else st.just(()), _some(version, place.UNSUBACK)),
        st.just(PingReq()),
        st.just(PingResp()),
        st.builds(Disconnect, code, _some(version, place.DISCONNECT)),
    )


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    """The data in pieces, cut at these places as far as they lie inside."""
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[start:end] for start, end in pairwise(places)]
