"""Two hubs joined by a backplane, as two processes would be: each hears of the other's devices."""

from __future__ import annotations

import asyncio
from typing import cast

from mqtt.pretended import PretendedTransport
from thingjobs.auth.throttle import Throttle
from thingjobs.backplane import Receiver
from thingjobs.domain.effects import PendingNotice
from thingjobs.domain.model import Scope, ScopeId
from thingjobs.mqtt.access import ByRole, Principal
from thingjobs.mqtt.connection import Connection
from thingjobs.mqtt.encoder import encode
from thingjobs.mqtt.hub import Hub
from thingjobs.mqtt.packets import ConnAck, Connect, FilterRequest, SubAck, Subscribe, Version
from thingjobs.operations.notifications import NOTHING, Told
from thingjobs.operations.planes import DevicePlane, Notifications
from thingjobs.store.executions import ThingName

SCOPE = Scope(ScopeId(1), "123456789012", "us-east-1")
TOPIC = "$aws/things/t/jobs/notify"
NOTICE = PendingNotice(SCOPE.id, "t", 0, True, False, (), None)
CLIENT_ID = "c"


class Quiet(Notifications):
    """Nothing happens meanwhile."""

    def __init__(self) -> None:
        pass

    async def listen(self, thing: ThingName, known: Told | None = None) -> PendingNotice | None:
        return None

    async def listen_no_more(self, thing: ThingName) -> Told:
        return NOTHING


class Joined:
    """Brings everything at once to every hub that was made with ``of``."""

    def __init__(self) -> None:
        self.hubs: list[Receiver] = []

    def of(self, hub: Receiver) -> End:
        self.hubs.append(hub)
        return End(self, hub)


class End:
    def __init__(self, joined: Joined, hub: Receiver) -> None:
        self._joined = joined
        self._hub = hub

    def push(self, notice: PendingNotice) -> None:
        for hub in self._joined.hubs:
            hub.pushed(notice)

    def announce_take_over(self, scope: ScopeId, client_id: str) -> None:
        for hub in self._joined.hubs:
            hub.taken_over(scope, client_id)


def two_hubs() -> tuple[Hub, Hub]:
    joined, no_device = Joined(), cast(DevicePlane, None)  # nothing is asked for here
    throttle = Throttle(None, lambda: 0.0)
    one, other = (
        Hub(ByRole(), no_device, Quiet(), throttle, lambda: 0, backplane_of=joined.of) for _ in range(2)
    )
    return one, other


async def subscribed(hub: Hub) -> PretendedTransport:
    """A connection whose client listens for the thing."""
    made, transport = Connection(hub, Principal(SCOPE, "anonymous")), PretendedTransport()
    made.connection_made(transport)
    made.data_received(encode(Connect(CLIENT_ID, Version.V311, True, 60), Version.V311))
    await settled(hub)
    made.data_received(encode(Subscribe(1, (FilterRequest(TOPIC, 1),)), Version.V311))
    await settled(hub)
    answers = ConnAck(), SubAck(1, (1,))
    assert transport.written == b"".join(encode(answer, Version.V311) for answer in answers)
    return transport


async def settled(hub: Hub) -> None:
    while hub.tasks:
        await asyncio.sleep(0)


def test_commit_at_one_hub_is_told_to_a_device_at_another() -> None:
    async def play() -> None:
        one, other = two_hubs()
        device = await subscribed(other)
        one.publish([NOTICE])
        assert device.written.count(TOPIC.encode()) == 1

    asyncio.run(play())


def test_client_that_arrives_at_one_hub_leaves_the_other() -> None:
    async def play() -> None:
        one, other = two_hubs()
        first = await subscribed(one)
        second = await subscribed(other)
        await settled(one)
        assert (first.is_over, second.is_over) == (True, False)
        assert one.clients.find(SCOPE.id, CLIENT_ID) is None
        one.publish([NOTICE])
        assert second.written.count(TOPIC.encode()) == 1

    asyncio.run(play())
