"""Who has subscribed to what: an index from topics to subscribers.

Filters are few in form. Ten thousand devices that subscribe to four filters each use four *shapes*: where
the ``+`` are, whether a ``#`` ends them, and how many levels they have. So filters are the keys of one
dictionary, and a topic is looked up as itself and, for each shape in use that fits its number of levels, as
the filter of that shape: the topic with its levels replaced by wildcards. A lookup costs the same however
many subscribers there are. What it may cost at worst, with every possible shape in use, is bounded by the
number of levels, which is limited.

A trie does the same with a node per level: several dictionaries for each device, where this has one entry
per filter. See ``topics`` for the rules of matching.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Generic, TypeVar

from thingjobs.mqtt.topics import RESERVED_SIGN, has_wildcard

Subscriber = TypeVar("Subscriber", bound=Hashable)
_Shape = tuple[int, ...]  # the levels at which + stands


class Subscriptions(Generic[Subscriber]):
    """Subscribers by the filters they subscribed to, each with its granted QoS."""

    def __init__(self) -> None:
        # Most filters have one subscriber, which is kept as the pair that a match answers.
        self._filters: dict[str, tuple[Subscriber, int] | dict[Subscriber, int]] = {}
        self._plus_shapes: dict[int, dict[_Shape, int]] = {}  # by number of levels; counts filters
        self._hash_shapes: dict[int, dict[_Shape, int]] = {}  # by number of levels before the #

    def __len__(self) -> int:
        """How many filters have subscribers."""
        return len(self._filters)

    def add(self, subscriber: Subscriber, topic_filter: str, qos: int) -> None:
        """Subscribe, or change the QoS of a subscription. The filter is valid."""
        entry = self._filters.get(topic_filter)
        if entry is None:
            self._filters[topic_filter] = (subscriber, qos)
            if has_wildcard(topic_filter):
                self._count_shape(topic_filter, 1)
        elif isinstance(entry, dict):
            entry[subscriber] = qos
        elif entry[0] == subscriber:
            self._filters[topic_filter] = (subscriber, qos)
        else:
            self._filters[topic_filter] = {entry[0]: entry[1], subscriber: qos}

    def remove(self, subscriber: Subscriber, topic_filter: str) -> None:
        """End a subscription, if there is one."""
        entry = self._filters.get(topic_filter)
        if entry is None:
            return
        if isinstance(entry, dict):
            entry.pop(subscriber, None)
            if entry:
                return
        elif entry[0] != subscriber:
            return
        del self._filters[topic_filter]
        if has_wildcard(topic_filter):
            self._count_shape(topic_filter, -1)

    def match(self, topic: str) -> Sequence[tuple[Subscriber, int]]:
        """Everyone who is to get a message on ``topic``: once, with the best QoS they were granted."""
        found = []
        if (entry := self._filters.get(topic)) is not None:
            found.append(entry)
        if self._plus_shapes or self._hash_shapes:
            self._match_shapes(topic, found)
        if not found:
            return ()
        if len(found) == 1:
            entry = found[0]
            return list(entry.items()) if isinstance(entry, dict) else (entry,)
        best: dict[Subscriber, int] = {}
        for entry in found:
            for subscriber, qos in entry.items() if isinstance(entry, dict) else (entry,):
                if qos >= best.get(subscriber, 0):
                    best[subscriber] = qos
        return list(best.items())

    def _match_shapes(self, topic: str, found: list[tuple[Subscriber, int] | dict[Subscriber, int]]) -> None:
        levels = topic.split("/")
        filters = self._filters
        reserved = topic.startswith(RESERVED_SIGN)
        for shape in self._plus_shapes.get(len(levels), ()):
            if not (reserved and shape[0] == 0):
                entry = filters.get("/".join(_masked(levels, shape)))
                if entry is not None:
                    found.append(entry)
        for depth, shapes in self._hash_shapes.items():
            if depth >= len(levels) or (reserved and depth == 0):
                continue
            prefix = [*levels[:depth], "#"]
            for shape in shapes:
                if not (reserved and shape and shape[0] == 0):
                    entry = filters.get("/".join(_masked(prefix, shape)))
                    if entry is not None:
                        found.append(entry)

    def _count_shape(self, topic_filter: str, change: int) -> None:
        levels = topic_filter.split("/")
        depths = self._plus_shapes
        if levels[-1] == "#":
            del levels[-1]
            depths = self._hash_shapes
        shape = tuple(position for position, level in enumerate(levels) if level == "+")
        shapes = depths.setdefault(len(levels), {})
        shapes[shape] = shapes.get(shape, 0) + change
        if not shapes[shape]:
            del shapes[shape]
            if not shapes:
                del depths[len(levels)]


def _masked(levels: Sequence[str], shape: _Shape) -> Sequence[str]:
    if not shape:
        return levels
    masked = list(levels)
    for position in shape:
        masked[position] = "+"
    return masked
