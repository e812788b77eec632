"""One client's connection: the socket around the protocol core, and what each of its events does.

Events are worked on one after the other. Most are done at once; a request to the Jobs service, a
subscription and the arrival itself have to wait for the store, and what follows them waits too. So a
device's requests are answered in the order it sent them, and it is told that a message was received
(PUBACK) when what the message asked for is durable.

In one pass of the event loop a connection does a portion of its work. If that is not all, it reads no
more and goes on in the next pass, after all others had theirs: who sends much is slowed, and nobody else.

A client is not sent more than it takes because of what it asked for itself. Its next request is begun, and
the next retained message sent, when it has room. Until then it is read on: the acknowledgements that make
room come behind all that it has sent before.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any, cast

import structlog

from thingjobs.domain.errors import ServiceError, Throttled
from thingjobs.domain.quotas import MQTT_CONNECT, MQTT_PUBLISH
from thingjobs.mqtt import jobs_topic
from thingjobs.mqtt.access import Principal
from thingjobs.mqtt.clients import Client
from thingjobs.mqtt.events import Disconnected, Event, Failed, Subscribed
from thingjobs.mqtt.hub import Hub
from thingjobs.mqtt.packets import Connect, Publish, Unsubscribe, held_bytes
from thingjobs.mqtt.reasons import ReasonCode
from thingjobs.mqtt.session import PORTION, ServerConnection
from thingjobs.mqtt.session_state import Delivery, SessionState
from thingjobs.mqtt.topics import is_reserved
from thingjobs.wire import mqtt_payloads

MAX_UNSENT = 1_048_576
"""Bytes that may wait for a client to read; beyond that it is given up."""
FAREWELL_SECONDS = 10.0
"""For a client to read what was written before its connection was closed."""
MAX_WAITING_EVENTS = 200
"""Events that may wait for the one being worked on before no more is read."""
MAX_WAITING_BYTES = 4_194_304
"""What may wait so, as it is in memory, and all that may wait for the client's acknowledgements."""
MAX_UNACKNOWLEDGED_SECONDS = 10.0
"""For a client that fell behind to acknowledge something."""
PORTIONS_IN_A_ROW = 16
"""After so many a connection rests before each: a loop that is never idle starves the store's thread."""
REST_SECONDS = 0.001
MAX_LOOKED_AT = 100
"""Retained messages in one portion: most of them may not be for the client."""

log = structlog.get_logger()


class Connection(asyncio.Protocol):
    """``principal`` is who the connection belongs to, known from how it was made."""

    __slots__ = (
        "_backlog",
        "_behind_since",
        "_client",
        "_closed",
        "_counted",
        "_hub",
        "_inbox",
        "_is_due",
        "_is_held_up",
        "_is_unread",
        "_loop",
        "_paused",
        "_portions",
        "_principal",
        "_timer",
        "_transport",
        "_waiting_bytes",
        "_waits_for",
        "core",
    )

    def __init__(self, hub: Hub, principal: Principal) -> None:
        self._hub = hub
        self._principal = principal
        self._loop = asyncio.get_running_loop()
        self.core = ServerConnection(hub.limits, self._loop.time())
        self._transport: asyncio.Transport | None = None
        self._client: Client | None = None
        self._inbox: deque[Event] = deque()
        self._waits_for: asyncio.Future[Any] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._paused = False
        self._is_due = False  # the next portion is asked for
        self._portions = 0  # done in a row
        self._backlog: deque[tuple[str, Iterator[Publish | None]]] = deque()  # retained, by filter
        self._is_unread = False  # much that was sent has not been taken
        self._is_held_up = False  # the next event waits until the client has room
        self._counted = 0  # events in the inbox that are in _waiting_bytes, from the first
        self._waiting_bytes = 0
        self._behind_since = 0.0
        self._closed = False

    @property
    def principal(self) -> Principal:
        return self._principal

    # --- the socket -----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._hub.connections.add(self)
        self._hub.statistics.connections += 1
        self._hub.statistics.accepted += 1
        self._watch_deadline()

    def data_received(self, data: bytes) -> None:
        self._take(self.core.receive(data, self._loop.time()))

    def connection_lost(self, exc: Exception | None) -> None:
        self.core.lost()
        self.flush()
        self._pace()

    def flush(self) -> None:
        """Send what the core has to send; close the socket if the core is done."""
        transport = self._transport
        if transport is None:
            return
        data = self.core.bytes_to_send()
        if data:
            transport.write(data)
            if transport.get_write_buffer_size() > MAX_UNSENT:
                self.evict()
        if self.core.is_closed:
            transport.close()
            if not self._inbox and self._waits_for is None:  # what was sent before the end still counts
                self._finish()

    def pause_writing(self) -> None:
        self._is_unread = True

    def resume_writing(self) -> None:
        self._is_unread = False
        if self._backlog:
            self._take(())

    def end(self, reason: ReasonCode) -> None:
        """Tell the client why, and close."""
        self.core.disconnect(reason)
        self.flush()

    def evict(self) -> None:
        """Give up a client that does not read or acknowledge."""
        self._hub.statistics.evicted += 1
        log.info("mqtt_slow_consumer", client_id=self._client and self._client.session.client_id)
        self.core.lost()
        if self._transport is not None:
            self._transport.abort()
        self._finish()

    def fell_behind(self) -> None:
        now = self._loop.time()
        if self._behind_since <= self.core.acknowledged_at:
            self._behind_since = now
        elif now - self._behind_since > MAX_UNACKNOWLEDGED_SECONDS:
            self.evict()

    def in_hand(self) -> Sequence[asyncio.Future[Any]]:
        """What is being worked on, if anything."""
        return () if self._waits_for is None else (self._waits_for,)

    def _watch_deadline(self) -> None:
        deadline = self.core.deadline()
        if deadline is not None:
            self._timer = self._loop.call_at(deadline, self._check_deadline)

    def _check_deadline(self) -> None:
        self._take(self.core.expire(self._loop.time()))
        if not self._closed:
            self._watch_deadline()

    # --- events ---------------------------------------------------------------------------------------

    def _take(self, events: Sequence[Event]) -> None:
        self._inbox.extend(events)
        if self._backlog:
            self._hand_out()
        self._work()
        self.flush()
        self._pace()

    def _work(self) -> None:
        """Work on events until there are none, one has to wait, or a portion is done."""
        self._is_held_up = False
        for _ in range(PORTION):
            if not self._inbox or self._waits_for is not None:
                return
            if self._has_to_wait(self._inbox[0]):
                self._is_held_up = True
                return
            event = self._inbox.popleft()
            if self._counted:
                self._counted -= 1
                self._waiting_bytes -= _held(event)
            _HANDLERS[type(event)](self, event)

    def _has_to_wait(self, event: Event) -> bool:
        """Whether it would be answered with more than the client has room for."""
        if isinstance(event, Subscribed):
            return bool(self._backlog)
        if self.core.has_room or not isinstance(event, Publish) or not is_reserved(event.topic):
            return False
        answers = (jobs_topic.accepted(event.topic), jobs_topic.rejected(event.topic))
        return self._client is not None and any(map(self._client.granted_qos, answers))

    def _hand_out(self) -> None:
        """Send retained messages that new subscriptions asked for, while the client has room."""
        client = self._client
        if client is None or self.core.is_closed:
            self._backlog.clear()
            return
        for _ in range(MAX_LOOKED_AT):
            if not self._can_hand_out():
                return
            topic_filter, retained = self._backlog[0]
            try:
                message = next(retained)
            except StopIteration:
                self._backlog.popleft()
                continue
            if message is not None and topic_filter in client.session.subscriptions:
                self._hub.clients.deliver(client, self, message)

    def _can_hand_out(self) -> bool:
        if not self._backlog or self._is_unread or self.core.is_closed:
            return False
        return self.core.has_room

    def _may_decode(self) -> bool:
        """Whether there is room for more events to wait."""
        if self._waiting_bytes > MAX_WAITING_BYTES:
            return False
        return self._is_held_up or len(self._inbox) <= MAX_WAITING_EVENTS

    def _pace(self) -> None:
        """Go on in the next pass of the loop if more can be done, and read no more until it is."""
        if self._closed or self._transport is None:
            return
        if uncounted := len(self._inbox) - self._counted:
            self._waiting_bytes += sum(map(_held, islice(reversed(self._inbox), uncounted)))
            self._counted = len(self._inbox)
        may_decode = self._may_decode()
        if self._is_held_up and not may_decode:
            self.evict()  # what it would have to acknowledge comes behind more than is kept for it
            return
        is_at_work = bool(self._inbox) and self._waits_for is None and not self._is_held_up
        can_go_on = is_at_work or self._can_hand_out()
        if not can_go_on and not (may_decode and self.core.has_more):
            self._portions = 0
        elif not self._is_due:
            self._is_due = True
            self._portions += 1
            rest = REST_SECONDS if self._portions > PORTIONS_IN_A_ROW else 0
            self._loop.call_later(rest, self._next_portion)
        if self.core.is_closed:
            return
        if can_go_on or not may_decode or self.core.has_more:
            if not self._paused:
                self._paused = True
                self._transport.pause_reading()
        elif self._paused and (self._is_held_up or not self._inbox):
            self._paused = False
            self._transport.resume_reading()

    def _next_portion(self) -> None:
        self._is_due = False
        self._take(self.core.receive(b"", self._loop.time()) if self._may_decode() else ())

    def _wait_for(self, work: Any) -> None:
        task = self._hub.spawn(work)
        self._waits_for = task
        task.add_done_callback(self._went)

    def _went(self, task: asyncio.Future[Any]) -> None:
        if task.cancelled() or task.exception() is not None:
            self.core.disconnect(ReasonCode.UNSPECIFIED_ERROR)  # or it would wait for ever
        self._go_on(task)

    def _go_on(self, _: asyncio.Future[Any]) -> None:
        self._waits_for = None
        self._take(())

    # --- arriving and leaving -------------------------------------------------------------------------

    def _on_connect(self, connect: Connect) -> None:
        self._wait_for(self._arrive(connect))

    async def _arrive(self, connect: Connect) -> None:
        hub, scope = self._hub, self._principal.scope.id
        client_id = connect.client_id or f"auto-{uuid.uuid4()}"
        if not hub.access.may_connect(self._principal, client_id):
            self.core.refuse(ReasonCode.NOT_AUTHORIZED)
            return
        if not self._passes(MQTT_CONNECT, self._principal.scope.account):
            self.core.refuse(ReasonCode.CONNECTION_RATE_EXCEEDED)
            return
        while True:
            present = hub.clients.find(scope, client_id)
            if present is not None and not hub.access.may_take_over(self._principal, present.principal):
                self.core.refuse(ReasonCode.NOT_AUTHORIZED)
                return
            hub.backplane.announce_take_over(scope, client_id)
            if present is None or (present.session.expiry_seconds and not connect.clean_start):
                break
            await hub.forget(present)
        if self._closed:
            return
        client = present or Client(self._principal, SessionState(client_id))
        client.principal = self._principal
        client.line = self
        hub.clients.add(client)
        self._client = client
        missed = await hub.wake_up(client) if present is not None else ()
        events = self.core.accept(client.session, self._loop.time(), session_present=present is not None)
        for notice in missed:
            hub.tell(client, notice)
        self._inbox.extend(events)

    def hand_over(self) -> None:
        """Another connection takes the client over."""
        client, self._client = self._client, None
        if client is not None:
            self._leave(client)  # an arrival at this hub wakes it up again
        self.end(ReasonCode.SESSION_TAKEN_OVER)

    def _on_end(self, event: Disconnected | Failed) -> None:
        if isinstance(event, Failed):
            log.debug("mqtt_failed", reason=event.reason.name, message=event.message)

    def _finish(self) -> None:
        """Once the connection is over: the will, and what becomes of the session."""
        if self._closed:
            return
        self._closed = True
        self._hub.connections.discard(self)
        self._hub.statistics.connections -= 1
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None and self._transport.get_write_buffer_size():
            self._loop.call_later(FAREWELL_SECONDS, self._transport.abort)
        client, self._client = self._client, None
        if client is not None and client.line is self:
            self._leave(client)

    def _leave(self, client: Client) -> None:
        client.line = None
        self._publish_will(client)
        if client.session.expiry_seconds:
            self._hub.fall_asleep(client)
        else:
            self._hub.spawn(self._hub.forget(client))

    def _publish_will(self, client: Client) -> None:
        will = self.core.will
        if will is None or is_reserved(will.topic):
            return
        if self._hub.access.may_publish(client.principal, will.topic):
            message = Publish(will.topic, will.payload, will.qos, will.retain, properties=will.properties)
            self._hub.clients.publish(client, message)

    # --- subscriptions --------------------------------------------------------------------------------

    def _on_subscribed(self, asked: Subscribed) -> None:
        self._wait_for(self._subscribe(asked))

    async def _subscribe(self, asked: Subscribed) -> None:
        client, hub = self._client, self._hub
        if client is None:
            return
        refused = [f for f in asked.to_authorize() if not hub.access.may_subscribe(client.principal, f)]
        had = set(client.session.subscriptions)
        new = [f for f in asked.to_authorize() if f not in had and f not in refused]
        await hub.listen_for(client, new)
        granted = self.core.suback(asked, refused)
        for topic_filter, qos in granted:
            hub.clients.subscribe(client, topic_filter, qos)
        handling = {request.topic_filter: request.retain_handling for request in asked.requests}
        for topic_filter, qos in granted:
            if handling[topic_filter] == 0 or (handling[topic_filter] == 1 and topic_filter not in had):
                self._backlog.append((topic_filter, hub.clients.retained(client, topic_filter, qos)))
        await hub.listen_no_more(client)  # what was asked for and not granted

    def _on_unsubscribe(self, asked: Unsubscribe) -> None:
        self._wait_for(self._unsubscribe(asked))

    async def _unsubscribe(self, asked: Unsubscribe) -> None:
        if self._client is not None:
            for topic_filter in self.core.unsuback(asked):
                self._hub.clients.unsubscribe(self._client, topic_filter)
            await self._hub.listen_no_more(self._client)

    # --- messages -------------------------------------------------------------------------------------

    def _on_publish(self, publish: Publish) -> None:
        client = self._client
        if client is None:
            return
        if not self._hub.access.may_publish(client.principal, publish.topic):
            self.core.refuse_publish(publish)
            return
        if not self._passes(MQTT_PUBLISH, f"{client.scope}/{client.session.client_id}"):
            self.core.disconnect(ReasonCode.MESSAGE_RATE_TOO_HIGH)
            return
        if not is_reserved(publish.topic):
            self._hub.statistics.published += 1
            self._hub.clients.publish(client, publish)
            self.core.acknowledge(publish)
            return
        request = jobs_topic.parse(publish.topic)
        if request is None:
            self.core.acknowledge(publish)  # not for clients to publish: dropped in silence
        else:
            self._ask(client, publish, request)

    def _passes(self, rate: str, counted: str) -> bool:
        """Whether one more is within its rate."""
        try:
            self._hub.throttle.take(counted, rate, device_plane=False)
        except Throttled:
            return False
        return True

    def _ask(self, client: Client, publish: Publish, request: jobs_topic.JobsRequest) -> None:
        """Give a request to the Jobs service; its answer goes to this connection alone."""
        self._hub.statistics.requests += 1
        named = {"thingName": request.thing_name}
        if request.job_id is not None:
            named["jobId"] = request.job_id
        asked = mqtt_payloads.read_request(
            self._hub.operations[request.kind],
            publish.payload,
            named,
            max_client_token=self._hub.limits.max_client_token,
        )
        error = asked.refusal
        if error is None:
            account = client.principal.scope.account
            try:
                self._hub.throttle.take(account, request.kind.value, device_plane=True)
                answer = self._hub.device.submit(client.scope, asked.request)
            except ServiceError as refusal:
                error = refusal
            else:
                self._waits_for = answer
                answer.add_done_callback(partial(self._answered, client, publish, asked.client_token))
                return
        self._reply_rejected(client, publish, error, asked.client_token)

    def _answered(
        self, client: Client, publish: Publish, client_token: str | None, answer: asyncio.Future[Any]
    ) -> None:
        error = cast(Exception | None, answer.exception())
        if error is None:
            payload = mqtt_payloads.accepted(answer.result(), client_token, self._hub.now())
            self._reply(client, publish, jobs_topic.accepted(publish.topic), payload)
        else:
            self._reply_rejected(client, publish, error, client_token)
        self._go_on(answer)

    def _reply_rejected(
        self, client: Client, publish: Publish, error: Exception, client_token: str | None
    ) -> None:
        if not isinstance(error, ServiceError):
            log.error("mqtt_request_failed", topic=publish.topic, exc_info=error)
        payload = mqtt_payloads.rejected(error, client_token, self._hub.now())
        self._reply(client, publish, jobs_topic.rejected(publish.topic), payload)

    def _reply(self, client: Client, publish: Publish, topic: str, payload: bytes) -> None:
        self.core.acknowledge(publish)
        if self._hub.access.may_receive(client.principal, topic):
            delivery = self.core.deliver(topic, payload, client.granted_qos(topic) or 0)
            if delivery is Delivery.OVERFLOW:
                self.evict()
            elif delivery is Delivery.BEHIND:
                self.fell_behind()


def _held(event: Event) -> int:
    """What an event takes in memory while it waits."""
    if isinstance(event, Publish):
        return held_bytes(event)
    return 1_000 + sum(map(len, event.topic_filters)) if isinstance(event, Unsubscribe) else 1_000


_HANDLERS: Mapping[type[Event], Callable[[Connection, Any], None]] = {
    Connect: Connection._on_connect,
    Publish: Connection._on_publish,
    Subscribed: Connection._on_subscribed,
    Unsubscribe: Connection._on_unsubscribe,
    Disconnected: Connection._on_end,
    Failed: Connection._on_end,
}
