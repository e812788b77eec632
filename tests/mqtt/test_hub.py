"""The moments in which a client falls asleep or wakes up: nothing is lost in them, and nothing told twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

import pytest

from mqtt.pretended import PretendedTransport
from thingjobs.auth.throttle import Throttle
from thingjobs.domain.effects import PendingNotice
from thingjobs.domain.model import Scope, ScopeId
from thingjobs.mqtt.access import ByRole, Principal
from thingjobs.mqtt.clients import Client
from thingjobs.mqtt.connection import Connection
from thingjobs.mqtt.encoder import encode
from thingjobs.mqtt.hub import Hub
from thingjobs.mqtt.packets import ConnAck, Connect, FilterRequest, Subscribe, Version
from thingjobs.mqtt.session_state import SessionState
from thingjobs.operations.notifications import NOTHING, Told
from thingjobs.operations.planes import DevicePlane, Notifications
from thingjobs.store.executions import ThingName

SCOPE = Scope(ScopeId(1), "123456789012", "us-east-1")
TOPIC = "$aws/things/t/jobs/notify"
OTHER_TOPIC = "$aws/things/other/jobs/notify"


class HeldNotifications(Notifications):
    """Counts who listens, and answers only when told to."""

    def __init__(self) -> None:
        self.listeners: dict[str, int] = {}
        self.missed: PendingNotice | None = None
        self.failure: Exception | None = None
        self.may_answer = asyncio.Event()

    async def listen(self, thing: ThingName, known: Told | None = None) -> PendingNotice | None:
        if self.failure is not None:
            raise self.failure
        self.listeners[thing[1]] = self.listeners.get(thing[1], 0) + 1
        await self.may_answer.wait()
        missed, self.missed = self.missed, None
        return missed

    async def listen_no_more(self, thing: ThingName) -> Told:
        self.listeners[thing[1]] -= 1
        await self.may_answer.wait()
        return NOTHING


class Scene:
    """A hub with one client that subscribed to a thing's list and has just lost its connection."""

    def __init__(self) -> None:
        self.notifications = HeldNotifications()
        no_device = cast(DevicePlane, None)  # nothing is asked for here
        self.hub = Hub(ByRole(), no_device, self.notifications, Throttle(None, lambda: 0.0), lambda: 0)
        self.client = Client(Principal(SCOPE, "anonymous"), SessionState("c", 3600))
        self.hub.clients.add(self.client)

    async def subscribed(self, topic: str) -> None:
        await self.hub.listen_for(self.client, [topic])
        self.client.session.subscriptions[topic] = FilterRequest(topic, 1)
        self.hub.clients.subscribe(self.client, topic, 1)

    def announced(self) -> int:
        """Announce something; how many announcements wait for the client now."""
        self.hub.clients.announce(SCOPE.id, "t", TOPIC, b"{}")
        return self.client.session.queued


def played(act: Callable[[Scene], Awaitable[None]]) -> None:
    async def play() -> None:
        scene = Scene()
        scene.notifications.may_answer.set()
        await scene.subscribed(TOPIC)
        await act(scene)
        await scene.hub.forget(scene.client)

    asyncio.run(play())


async def until_it_waits(scene: Scene, work: asyncio.Task[None]) -> None:
    """Let ``work`` come as far as the store's answer."""
    for _ in range(5):
        await asyncio.sleep(0)  # one turn of the loop
    assert not work.done()


def test_change_while_a_client_falls_asleep_waits_for_it() -> None:
    async def act(scene: Scene) -> None:
        scene.notifications.may_answer.clear()
        assert scene.announced() == 1  # the connection is gone, and that is all
        work = scene.hub.fall_asleep(scene.client)
        await until_it_waits(scene, work)
        assert scene.announced() == 2  # what it knows is not yet settled
        scene.notifications.may_answer.set()
        await work
        assert scene.announced() == 2  # from here on its return will show
        assert scene.client.known == {"t": NOTHING}

    played(act)


def test_change_while_a_client_wakes_up_is_told_once() -> None:
    async def act(scene: Scene) -> None:
        await scene.hub.fall_asleep(scene.client)
        scene.notifications.may_answer.clear()
        work = asyncio.create_task(_wake_up(scene))
        await until_it_waits(scene, work)
        assert scene.announced() == 0  # it is in what the store answers
        scene.notifications.may_answer.set()
        await work
        assert scene.announced() == 1  # it is not
        assert scene.notifications.listeners == {"t": 1}

    played(act)


async def _wake_up(scene: Scene) -> None:
    await scene.hub.wake_up(scene.client)


@pytest.mark.parametrize("persistent", [False, True])
def test_subscription_that_comes_too_late_leaves_nothing_behind(persistent: bool) -> None:
    """The connection ends while the store is told of a subscription, which is then taken back."""

    async def act(scene: Scene) -> None:
        hub, client, notifications = scene.hub, scene.client, scene.notifications
        notifications.listeners = {"t": 2, "other": 1}  # somebody else listens too
        notifications.may_answer.clear()
        asked = asyncio.create_task(hub.listen_for(client, [OTHER_TOPIC]))
        await until_it_waits(scene, asked)
        left = hub.fall_asleep(client) if persistent else asyncio.create_task(hub.forget(client))
        notifications.may_answer.set()
        await asked
        await left
        await hub.listen_for(client, [OTHER_TOPIC, OTHER_TOPIC])
        await hub.listen_no_more(client)
        await hub.listen_no_more(client)
        assert notifications.listeners == {"t": 1, "other": 1}
        if persistent:
            await hub.wake_up(client)
            assert notifications.listeners == {"t": 2, "other": 1}

    played(act)


def connection(scene: Scene, connect: Connect) -> tuple[Connection, PretendedTransport]:
    """A connection on which CONNECT was just sent."""
    made, transport = Connection(scene.hub, scene.client.principal), PretendedTransport()
    made.connection_made(transport)
    made.data_received(encode(connect, connect.version))
    return made, transport


async def until(claim: Callable[[], object]) -> None:
    for _ in range(100):
        if claim():
            return
        await asyncio.sleep(0)  # one turn of the loop
    raise AssertionError("it did not come to that")


@pytest.mark.parametrize("taken_over", [False, True])
def test_what_a_client_missed_survives_a_connection_that_ends_too_soon(taken_over: bool) -> None:
    async def act(scene: Scene) -> None:
        await scene.hub.fall_asleep(scene.client)
        scene.notifications.may_answer.clear()
        scene.notifications.missed = PendingNotice(SCOPE.id, "t", 0, True, False, (), None)
        again = Connect("c", Version.V311, False, 60)
        first, _ = connection(scene, again)
        await until(lambda: scene.notifications.listeners == {"t": 1})
        if taken_over:
            second, transport = connection(scene, again)
            await until(lambda: scene.client.line is second)
        else:
            first.connection_lost(None)
        scene.notifications.may_answer.set()
        if taken_over:
            await until(lambda: TOPIC.encode() in transport.written)
            assert transport.written.count(TOPIC.encode()) == 1
            second.connection_lost(None)
        await until(lambda: scene.client.is_asleep and not scene.hub.tasks)
        assert scene.client.session.queued + len(scene.client.session.in_flight) == 1

    played(act)


def test_failure_inside_ends_the_connection() -> None:
    """Else the client would wait for an answer for ever."""

    async def act(scene: Scene) -> None:
        made, transport = connection(scene, Connect("another", Version.V311, True, 60))
        await until(lambda: transport.written)
        scene.notifications.failure = RuntimeError("on purpose")
        asked = Subscribe(1, (FilterRequest(OTHER_TOPIC, 1),))
        made.data_received(encode(asked, Version.V311))
        await until(lambda: transport.is_over)
        assert transport.written == encode(ConnAck(), Version.V311)
        await until(lambda: not scene.hub.tasks)

    played(act)
