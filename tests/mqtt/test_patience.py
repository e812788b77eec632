"""Events wait for subscribers that are slow to take them, and not for long for those that take nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, cast

import pytest

from thingjobs.auth.throttle import Throttle
from thingjobs.domain.model import Scope, ScopeId
from thingjobs.mqtt import patience
from thingjobs.mqtt.access import ByRole, Principal
from thingjobs.mqtt.clients import Client
from thingjobs.mqtt.connection import Connection
from thingjobs.mqtt.decoder import Decoder
from thingjobs.mqtt.encoder import encode
from thingjobs.mqtt.hub import Hub
from thingjobs.mqtt.limits import Limits
from thingjobs.mqtt.packets import Connect, FilterRequest, PubAck, Publish, Subscribe, Version
from thingjobs.operations.planes import DevicePlane, Notifications

SCOPE = Scope(ScopeId(1), "123456789012", "us-east-1")
EVENTS = "$aws/events/#"
TOPIC = "$aws/events/job/j/completed"
LIMITS = Limits(receive_maximum=2, max_queued=8)
UNTIL_LADEN = 2 + 5
"""In flight, and in the queue: more than half of it."""


class Subscriber(asyncio.Transport):
    """A client of the hub that acknowledges what it is told to."""

    def __init__(self, hub: Hub, client_id: str) -> None:
        super().__init__()
        self.heard: list[Publish] = []
        self.is_over = False
        self._decoder = Decoder(1_000_000, Version.V311)
        self._acknowledged = 0
        self._connection = Connection(hub, Principal(SCOPE, "anonymous"))
        self._connection.connection_made(self)
        self._hub = hub
        self.client_id = client_id

    async def arrive(self, qos: int, *, persistent: bool = False) -> Client:
        self.send(Connect(self.client_id, Version.V311, not persistent, 60))
        self.send(Subscribe(1, (FilterRequest(EVENTS, qos),)))
        client = None
        while client is None or client.granted_qos(TOPIC) is None or self._hub.tasks:
            await asyncio.sleep(0)  # one turn of the loop
            client = self._hub.clients.find(SCOPE.id, self.client_id)
        return client

    def send(self, packet: Any) -> None:
        self._connection.data_received(encode(packet, Version.V311))

    def acknowledge(self, count: int) -> None:
        """Acknowledge messages in their order, and with them those that come upon it."""
        for _ in range(count):
            self.send(PubAck(self.heard[self._acknowledged].packet_id))
            self._acknowledged += 1

    def leave(self) -> None:
        self._connection.connection_lost(None)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._decoder.feed(bytes(data))
        while (packet := self._decoder.next_packet()) is not None:
            if isinstance(packet, Publish):
                self.heard.append(packet)

    def get_write_buffer_size(self) -> int:
        return 0

    def close(self) -> None:
        self.is_over = True

    def abort(self) -> None:
        self.is_over = True


def a_hub() -> Hub:
    no_device = cast(DevicePlane, None)  # nothing is asked for here
    no_notices = cast(Notifications, None)
    return Hub(ByRole(), no_device, no_notices, Throttle(None, lambda: 0.0), lambda: 0, LIMITS)


def played(act: Callable[[Hub], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(asyncio.wait_for(act(a_hub()), 30))


def announced(hub: Hub, most: int) -> tuple[int, Callable[[], Awaitable[None]] | None]:
    """Announce up to ``most`` events; how many were published, and what the next waits for."""
    for count in range(most):
        held_up = hub.announce(SCOPE.id, TOPIC, b"{}")
        if held_up is not None:
            return count, held_up
    return most, None


def test_event_waits_for_a_subscriber_that_takes_what_it_has() -> None:
    """Nobody gets it before; then everybody does."""

    async def act(hub: Hub) -> None:
        slow, fast = Subscriber(hub, "slow"), Subscriber(hub, "fast")
        await slow.arrive(qos=1)
        await fast.arrive(qos=0)
        count, held_up = announced(hub, 100)
        assert count == len(fast.heard) == UNTIL_LADEN
        assert held_up is not None
        waiting = asyncio.ensure_future(held_up())
        slow.acknowledge(2)
        await asyncio.sleep(0)  # one turn of the loop
        assert not waiting.done()
        slow.acknowledge(2)
        await waiting
        assert announced(hub, 1) == (1, None)
        assert not slow.is_over

    played(act)


def test_subscriber_at_qos_0_is_never_waited_for() -> None:
    async def act(hub: Hub) -> None:
        subscriber = Subscriber(hub, "c")
        await subscriber.arrive(qos=0)
        assert announced(hub, 100) == (100, None)
        assert len(subscriber.heard) == 100

    played(act)


def test_session_that_sleeps_is_not_waited_for() -> None:
    """Its queue is full at last, and what comes then is lost for it, as any message."""

    async def act(hub: Hub) -> None:
        subscriber = Subscriber(hub, "c")
        client = await subscriber.arrive(qos=1, persistent=True)
        subscriber.leave()
        assert announced(hub, 100) == (100, None)
        assert client.session.queued == LIMITS.max_queued
        await hub.forget(client)

    played(act)


def test_wait_ends_when_the_subscriber_leaves() -> None:
    async def act(hub: Hub) -> None:
        subscriber = Subscriber(hub, "c")
        await subscriber.arrive(qos=1)
        _, held_up = announced(hub, 100)
        assert held_up is not None
        subscriber.leave()
        await held_up()
        assert announced(hub, 1) == (1, None)
        assert hub.statistics.evicted == 0

    played(act)


def test_subscriber_that_acknowledges_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "STANDSTILL_S", 0.0)

    async def act(hub: Hub) -> None:
        deaf, other = Subscriber(hub, "deaf"), Subscriber(hub, "other")
        await deaf.arrive(qos=1)
        await other.arrive(qos=1)
        _, held_up = announced(hub, 100)
        assert held_up is not None
        other.acknowledge(UNTIL_LADEN)
        await held_up()
        assert (deaf.is_over, other.is_over, hub.statistics.evicted) == (True, False, 1)

    played(act)


def test_subscriber_that_takes_too_little_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """However often it acknowledges something, it does not keep the others waiting for ever."""
    monkeypatch.setattr(patience, "PATIENCE_S", 0.05)

    async def act(hub: Hub) -> None:
        slow = Subscriber(hub, "slow")
        await slow.arrive(qos=1)
        _, held_up = announced(hub, 100)
        assert held_up is not None
        slow.acknowledge(1)
        await held_up()
        assert slow.is_over

    played(act)
