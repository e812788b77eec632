"""The moments in which a client falls asleep or wakes up: nothing is lost in them, and nothing told twice."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

import pytest

from thingjobs.auth.throttle import Throttle
from thingjobs.domain.effects import PendingNotice
from thingjobs.domain.model import Scope, ScopeId
from thingjobs.mqtt.access import ByRole, Principal
from thingjobs.mqtt.clients import Client
from thingjobs.mqtt.hub import Hub
from thingjobs.mqtt.packets import FilterRequest
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
        self.may_answer = asyncio.Event()

    async def listen(self, thing: ThingName, known: Told | None = None) -> PendingNotice | None:
        self.listeners[thing[1]] = self.listeners.get(thing[1], 0) + 1
        await self.may_answer.wait()
        return None

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
        self.client.session.subscriptions[topic] = FilterRequest(topic, 1)
        self.hub.clients.subscribe(self.client, topic, 1)
        await self.hub.listen_for(self.client, topic)

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
        work = asyncio.create_task(scene.hub.fall_asleep(scene.client))
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
        asked = asyncio.create_task(hub.listen_for(client, OTHER_TOPIC))
        await until_it_waits(scene, asked)
        left = asyncio.create_task(hub.fall_asleep(client) if persistent else hub.forget(client))
        notifications.may_answer.set()
        await asked
        await left
        await hub.listen_for(client, OTHER_TOPIC)
        await hub.listen_no_more(client, OTHER_TOPIC)
        await hub.listen_no_more(client, OTHER_TOPIC)
        assert notifications.listeners == {"t": 1, "other": 1}
        if persistent:
            await hub.wake_up(client)
            assert notifications.listeners == {"t": 2, "other": 1}

    played(act)


def test_task_that_fails_is_logged_and_let_go(caplog: pytest.LogCaptureFixture) -> None:
    async def act(scene: Scene) -> None:
        async def fail() -> None:
            raise RuntimeError("on purpose")

        task = scene.hub.spawn(fail())
        await asyncio.wait([task])
        assert scene.hub.tasks == set()

    played(act)
