"""The clients of the broker: who is connected, whose session sleeps, and where a message goes.

Topics belong to a scope: what is published in one is never seen in another. Messages of the service on
reserved topics reach connected clients only; a client that sleeps learns what it missed when it returns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from thingjobs.domain.model import ScopeId
from thingjobs.mqtt.access import Access, Principal
from thingjobs.mqtt.interest import Every, listens_for_events, things_listened_for
from thingjobs.mqtt.packets import Publish, held_bytes
from thingjobs.mqtt.reasons import ReasonCode
from thingjobs.mqtt.session import ServerConnection
from thingjobs.mqtt.session_state import Delivery, SessionState
from thingjobs.mqtt.subscriptions import Subscriptions
from thingjobs.mqtt.topics import has_wildcard, matches
from thingjobs.operations.notifications import Told

MAX_RETAINED = 10_000
MAX_RETAINED_BYTES = 67_108_864
"""Retained messages of one scope, and what they take in memory; the oldest leaves."""


class Line(Protocol):
    """A connected client's way out."""

    core: ServerConnection

    @property
    def principal(self) -> Principal: ...

    def flush(self) -> None:
        """Send what the core has to send."""
        ...

    def evict(self) -> None:
        """End the connection of a client that does not take what it subscribed to."""
        ...

    def fell_behind(self) -> None:
        """End the connection, too, if such a client has acknowledged nothing for long."""
        ...

    def hand_over(self) -> None:
        """End the connection because the client came on another."""
        ...

    def end(self, reason: ReasonCode) -> None:
        """Tell the client why, and close."""
        ...

    def in_hand(self) -> Sequence[asyncio.Future[Any]]:
        """What is being worked on, if anything."""
        ...


class Client:
    """One client id of one scope, connected or asleep."""

    __slots__ = ("expiry", "known", "line", "listening", "lock", "principal", "session")

    def __init__(self, principal: Principal, session: SessionState) -> None:
        self.principal = principal
        self.session = session
        self.line: Line | None = None
        self.lock = asyncio.Lock()  # held while ``listening`` and ``known`` change
        self.listening: set[str | Every] = set()  # things that the store was told it listens for
        self.known: dict[str, Told] = {}  # while asleep: what was last told of each thing
        self.expiry: asyncio.TimerHandle | None = None  # while asleep

    @property
    def scope(self) -> ScopeId:
        return self.principal.scope.id

    def granted_qos(self, topic: str) -> int | None:
        """The best QoS it subscribed to a topic with; None without a subscription."""
        return max(
            (
                granted.qos
                for topic_filter, granted in self.session.subscriptions.items()
                if topic_filter == topic or (has_wildcard(topic_filter) and matches(topic_filter, topic))
            ),
            default=None,
        )

    def things(self) -> frozenset[str | Every]:
        """The things that its subscriptions listen for."""
        targets = map(things_listened_for, self.session.subscriptions)
        return frozenset(target for target in targets if target is not None)

    @property
    def is_asleep(self) -> bool:
        """Whether its session waits for it to return."""
        return self.expiry is not None


class Clients:
    """All clients of this server, their subscriptions and the retained messages."""

    def __init__(self, access: Access, max_queued: int) -> None:
        self._access = access
        self._max_queued = max_queued
        self._by_id: dict[tuple[ScopeId, str], Client] = {}
        self._subscriptions: dict[ScopeId, Subscriptions[Client]] = {}
        self._retained: dict[ScopeId, dict[str, Publish]] = {}
        self._retained_bytes: dict[ScopeId, int] = {}
        self.events_wanted = asyncio.Event()
        """Set when a client has subscribed to events since the start."""

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[Client]:
        return iter(list(self._by_id.values()))

    def find(self, scope: ScopeId, client_id: str) -> Client | None:
        return self._by_id.get((scope, client_id))

    def add(self, client: Client) -> None:
        self._by_id[client.scope, client.session.client_id] = client

    def remove(self, client: Client) -> None:
        """Forget a client, its subscriptions and what waits for it."""
        if self._by_id.get((client.scope, client.session.client_id)) is client:
            del self._by_id[client.scope, client.session.client_id]
        for topic_filter in client.session.subscriptions:
            self.unsubscribe(client, topic_filter)

    def subscribe(self, client: Client, topic_filter: str, qos: int) -> None:
        self._subscriptions.setdefault(client.scope, Subscriptions()).add(client, topic_filter, qos)
        if listens_for_events(topic_filter):
            self.events_wanted.set()

    def unsubscribe(self, client: Client, topic_filter: str) -> None:
        subscriptions = self._subscriptions.get(client.scope)
        if subscriptions is not None:
            subscriptions.remove(client, topic_filter)

    # --- messages -----------------------------------------------------------------------------------

    def announce(self, scope: ScopeId, thing_name: str, topic: str, payload: bytes) -> None:
        """A message of the service about a thing, for whoever is connected and listens.

        One that sleeps learns from its return what it missed. But one that is only just falling asleep
        counts as told until nobody listens for it any more, and one that listens for every thing goes on
        listening: for them the message waits.
        """
        for client, qos in self._subscribers(scope, topic):
            if thing_name in client.known or not self._access.may_receive(client.principal, topic):
                continue
            message = Publish(topic, payload, qos)
            if client.line is not None:
                self.deliver(client, client.line, message)
            elif thing_name in client.listening or Every.THING in client.listening:
                client.session.hold(message, self._max_queued)

    def tell(self, client: Client, topic: str, payload: bytes) -> None:
        """A message that a client missed, if it subscribed to such at QoS 1: QoS 0 waits for nobody."""
        granted = client.granted_qos(topic)
        if granted:
            self._pass_on(client, granted, Publish(topic, payload, 1))

    def broadcast(self, scope: ScopeId, topic: str, payload: bytes) -> None:
        """Any other message of the service, for all that subscribed; QoS 1 waits for those that sleep."""
        message = Publish(topic, payload, 1)
        for client, granted in self._subscribers(scope, topic):
            self._pass_on(client, granted, message)

    def laden(self, scope: ScopeId, topic: str, more_than: float) -> Sequence[Client]:
        """Who is connected and would get a message at QoS 1, while more than that share of what may wait for
        it already does."""
        return [
            client
            for client, granted in self._subscribers(scope, topic)
            if granted
            and client.line is not None
            and client.session.load(self._max_queued) > more_than
            and self._access.may_receive(client.principal, topic)
        ]

    def publish(self, sender: Client, message: Publish) -> None:
        """A client's message, for all that subscribed; QoS 1 waits for those that sleep."""
        if message.retain:
            self._retain(sender.scope, message)
        for client, granted in self._subscribers(sender.scope, message.topic):
            if client is not sender or sender.session.hears_itself(message.topic):
                self._pass_on(client, granted, message)

    def retained(self, client: Client, topic_filter: str, qos: int) -> Iterator[Publish | None]:
        """What is retained on the topics of a new subscription, to be sent when the client has room.

        One step looks at one topic: None if it is not for the client, or no more there when its turn comes.
        """
        retained = self._retained.get(client.scope, {})
        if not has_wildcard(topic_filter):
            topics = [topic_filter] if topic_filter in retained else []
        else:
            topics = list(retained)
        for topic in topics:
            message = retained.get(topic)
            if (
                message is None
                or not matches(topic_filter, topic)
                or not self._access.may_receive(client.principal, topic)
            ):
                yield None
            else:
                yield Publish(
                    topic, message.payload, min(qos, message.qos), True, properties=message.properties
                )

    def _pass_on(self, client: Client, granted: int, message: Publish) -> None:
        if not self._access.may_receive(client.principal, message.topic):
            return
        copy = Publish(
            message.topic,
            message.payload,
            min(message.qos, granted),
            message.retain and _as_published(client, message.topic),
            properties=message.properties,
        )
        if client.line is not None:
            self.deliver(client, client.line, copy)
        else:
            client.session.hold(copy, self._max_queued)

    def _subscribers(self, scope: ScopeId, topic: str) -> Sequence[tuple[Client, int]]:
        subscriptions = self._subscriptions.get(scope)
        return subscriptions.match(topic) if subscriptions is not None else ()

    def deliver(self, client: Client, line: Line, message: Publish) -> None:
        delivery = line.core.deliver(
            message.topic,
            message.payload,
            message.qos,
            retain=message.retain,
            properties=message.properties,
        )
        if delivery is Delivery.SENT:
            line.flush()
        elif delivery is Delivery.OVERFLOW:
            line.evict()
        elif delivery is Delivery.BEHIND:
            line.fell_behind()
        elif delivery is Delivery.CLOSED:  # it is just arriving, or just leaving
            client.session.hold(message, self._max_queued)

    def _retain(self, scope: ScopeId, message: Publish) -> None:
        retained = self._retained.setdefault(scope, {})
        size = self._retained_bytes.get(scope, 0)
        if (before := retained.pop(message.topic, None)) is not None:
            size -= held_bytes(before)
        if message.payload:
            retained[message.topic] = message
            size += held_bytes(message)
            while len(retained) > MAX_RETAINED or size > MAX_RETAINED_BYTES:
                size -= held_bytes(retained.pop(next(iter(retained))))
        self._retained_bytes[scope] = size


def _as_published(client: Client, topic: str) -> bool:
    """Whether a client wants to see that a message was retained (MQTT 5 "retain as published")."""
    return any(
        granted.retain_as_published and matches(topic_filter, topic)
        for topic_filter, granted in client.session.subscriptions.items()
    )
