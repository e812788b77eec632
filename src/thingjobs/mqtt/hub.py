"""What all MQTT connections share, and what happens to clients between connections."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog

from thingjobs.auth.throttle import Throttle
from thingjobs.backplane import Backplane, Receiver
from thingjobs.backplane.local import Local
from thingjobs.domain.effects import Effect, PendingNotice
from thingjobs.domain.model import ScopeId
from thingjobs.mqtt import jobs_topic
from thingjobs.mqtt.access import Access
from thingjobs.mqtt.clients import Client, Clients, Line
from thingjobs.mqtt.interest import Every, things_listened_for
from thingjobs.mqtt.jobs_topic import Kind
from thingjobs.mqtt.limits import Limits
from thingjobs.mqtt.patience import LADEN, until_relieved
from thingjobs.operations.planes import DevicePlane, Notifications
from thingjobs.wire import mqtt_payloads
from thingjobs.wire.operation import Operation, Plane
from thingjobs.wire.rest_json import operation_named
from thingjobs.wire.shape_limits import ShapeLimits

OTHERS_SUBSCRIBE_S = 1.0
"""After the first subscription to events since the start: for its client's next, and for other clients'."""

log = structlog.get_logger()


@dataclass(slots=True)
class Statistics:
    """Totals since the start, and connections now; read by the metrics endpoint."""

    connections: int = 0
    accepted: int = 0
    requests: int = 0
    published: int = 0
    notified: int = 0
    evicted: int = 0


@dataclass
class Hub:
    """Everything a connection needs; ``now`` is the service's clock in milliseconds.

    ``backplane_of`` gives the hub its way to all hubs, which brings it what it says itself as well.

    What the store is told of a client changes under the client's lock, one step at a time: a connection may
    end, and the client return on another, while the store is still being told.
    """

    access: Access
    device: DevicePlane
    notifications: Notifications
    throttle: Throttle
    now: Callable[[], int]
    limits: Limits = field(default_factory=Limits)
    shapes: ShapeLimits = field(default_factory=ShapeLimits)
    backplane_of: Callable[[Receiver], Backplane] = Local

    def __post_init__(self) -> None:
        self.operations: Mapping[Kind, Operation] = {
            kind: self.shapes.applied_to(operation_named(Plane.DEVICE, kind.value)) for kind in Kind
        }
        self.backplane = self.backplane_of(self)
        self.clients = Clients(self.access, self.limits.max_queued)
        self.statistics = Statistics()
        self.connections: set[Line] = set()
        self.tasks: set[asyncio.Task[None]] = set()

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run something that nobody awaits, and keep it until it is done."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("mqtt_task_failed", exc_info=error)

    # --- announcements --------------------------------------------------------------------------------

    def publish(self, effects: Sequence[Effect]) -> None:
        """Tell devices, wherever they are connected, what the effects of a commit owe them."""
        for effect in effects:
            if isinstance(effect, PendingNotice):
                self.statistics.notified += 1
                self.backplane.push(effect)

    def pushed(self, notice: PendingNotice) -> None:
        """Tell the connections here that listen for the thing."""
        for topic, payload in announcements(notice):
            self.clients.announce(notice.scope, notice.thing_name, topic, payload)

    def tell(self, client: Client, notice: PendingNotice) -> None:
        """Tell a client that returned what it missed."""
        for topic, payload in announcements(notice):
            self.clients.tell(client, topic, payload)

    def announce(
        self, scope: ScopeId, topic: str, payload: bytes
    ) -> Callable[[], Coroutine[Any, Any, None]] | None:
        """Publish an event of a job or an execution.

        If somebody who is to get it does not keep up, nobody gets it, and what to wait for is returned.
        """
        laden = self.clients.laden(scope, topic, LADEN)
        if laden:
            return partial(until_relieved, laden, self.limits.max_queued)
        self.clients.broadcast(scope, topic, payload)
        return None

    async def events_wanted(self) -> None:
        """Returns when a client has subscribed to events, and others that came with it have had time to."""
        await self.clients.events_wanted.wait()
        await asyncio.sleep(OTHERS_SUBSCRIBE_S)

    # --- listening for things -------------------------------------------------------------------------
    #
    # What a client should listen for follows from its subscriptions and whether it sleeps. What the store
    # was told is ``client.listening``. Each step below makes the two agree, whatever step came before.

    async def listen_for(self, client: Client, topic_filters: Sequence[str]) -> None:
        """Have a client hear of the things its new filters will listen for.

        Its subscriptions are to be changed at once after this, before anything else is awaited.
        """
        targets = dict.fromkeys(target for each in topic_filters if (target := things_listened_for(each)))
        async with client.lock:
            for target in targets:
                if target not in client.listening and target not in client.known:
                    await self._listen(client, target)

    async def listen_no_more(self, client: Client) -> None:
        """Listen no more for the things that the client no longer has to hear of."""
        async with client.lock:
            while (target := next(iter(client.listening - self._due_to(client)), None)) is not None:
                await self._unlisten(client, target)

    def _due_to(self, client: Client) -> frozenset[str | Every]:
        """What a client has to hear of.

        One that sleeps hears of nothing: what it knows of its things is kept for its return. Of one that
        listens for every thing that would be too much. It goes on listening, and the messages wait in its
        session, which bounds them.
        """
        if self.clients.find(client.scope, client.session.client_id) is not client:
            return frozenset()
        things = client.things()
        return things & {Every.THING} if client.is_asleep else things

    async def _listen(self, client: Client, target: str | Every) -> PendingNotice | None:
        missed = None
        if isinstance(target, Every):
            await self.notifications.listen_to_all(client.scope)
        else:
            missed = await self.notifications.listen((client.scope, target), client.known.get(target))
            client.known.pop(target, None)  # from here on it is told of everything
        client.listening.add(target)
        return missed

    async def _unlisten(self, client: Client, target: str | Every) -> None:
        if isinstance(target, Every):
            await self.notifications.listen_to_all_no_more(client.scope)
        else:
            told = await self.notifications.listen_no_more((client.scope, target))
            if target in client.things():
                client.known[target] = told
        client.listening.discard(target)

    # --- between connections --------------------------------------------------------------------------

    def taken_over(self, scope: ScopeId, client_id: str) -> None:
        """End the connection of a client that has come on another, if it is here."""
        client = self.clients.find(scope, client_id)
        if client is not None and client.line is not None:
            client.line.hand_over()

    async def forget(self, client: Client) -> None:
        """A session ends: nothing of it stays."""
        self.clients.remove(client)
        if client.expiry is not None:
            client.expiry.cancel()
            client.expiry = None
        await self.listen_no_more(client)

    def fall_asleep(self, client: Client) -> asyncio.Task[None]:
        """A client leaves and its session stays. It sleeps at once; the task tells the store."""
        loop = asyncio.get_running_loop()
        client.expiry = loop.call_later(client.session.expiry_seconds, self._expire, client)
        return self.spawn(self.listen_no_more(client))

    def _expire(self, client: Client) -> None:
        self.clients.remove(client)  # at once: from here on nobody returns to it
        self.spawn(self.forget(client))

    async def wake_up(self, client: Client) -> Sequence[PendingNotice]:
        """A client returns to its session: what it missed of its jobs meanwhile.

        It is awake at once, and does not fall asleep any further if it was only just doing so.
        """
        if client.expiry is not None:
            client.expiry.cancel()
            client.expiry = None
        missed = []
        async with client.lock:
            while (target := next(iter(self._due_to(client) - client.listening), None)) is not None:
                missed.append(await self._listen(client, target))
        return [notice for notice in missed if notice is not None]


def announcements(notice: PendingNotice) -> Sequence[tuple[str, bytes]]:
    """Topics and payloads of a notice; the list comes first."""
    messages = []
    if notice.list_changed:
        messages.append((jobs_topic.notify(notice.thing_name), mqtt_payloads.notify(notice)))
    if notice.head_changed:
        messages.append((jobs_topic.notify_next(notice.thing_name), mqtt_payloads.notify_next(notice)))
    return messages
