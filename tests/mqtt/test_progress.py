"""A client that reads and acknowledges gets all that it asked for; one that does not is given up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from mqtt.scene import Peer, Stage, until
from thingjobs.mqtt.connection import MAX_UNACKNOWLEDGED_SECONDS
from thingjobs.mqtt.limits import Limits
from thingjobs.mqtt.packets import (
    FilterRequest,
    Packet,
    PingReq,
    PingResp,
    PubAck,
    Publish,
    SubAck,
    Subscribe,
    Version,
)

GET = "$aws/things/t/jobs/get"
WINDOW = Limits().receive_maximum


def messages(heard: list[Packet]) -> list[Publish]:
    return [packet for packet in heard if isinstance(packet, Publish)]


async def subscribed(stage: Stage, topic_filter: str, qos: int, version: Version = Version.V311) -> Peer:
    peer = await stage.connected("t", version)
    peer.send(Subscribe(1, (FilterRequest(topic_filter, qos),)))
    await until(lambda: any(isinstance(packet, SubAck) for packet in peer.heard()))
    return peer


@pytest.mark.parametrize("version", Version)
def test_requests_sent_ahead_wait_for_the_acknowledgements_of_answers(version: Version) -> None:
    async def play() -> None:
        stage = Stage()
        peer = await subscribed(stage, GET + "/+", 1, version)
        peer.send(*(Publish(GET, b'{"clientToken":"%d"}' % n) for n in range(5_000)))
        unacknowledged: list[Publish] = []

        def is_held_up() -> bool:
            stage.device.answer()
            unacknowledged.extend(messages(peer.heard()))
            return peer.connection._is_held_up and peer.transport.is_read_from

        await until(is_held_up)
        assert len(unacknowledged) == WINDOW
        assert len(stage.device.asked) == WINDOW
        answers = unacknowledged[:]

        def all_answered() -> bool:
            stage.device.answer()
            if unacknowledged and peer.transport.is_read_from:
                peer.send(*(PubAck(message.packet_id) for message in unacknowledged))
                unacknowledged.clear()
            unacknowledged.extend(heard := messages(peer.heard()))
            answers.extend(heard)
            return len(answers) == 5_000

        await until(all_answered)
        tokens = [b'"clientToken":"%d"' % n for n in range(5_000)]
        assert all(token in answer.payload for token, answer in zip(tokens, answers, strict=True))
        assert stage.hub.statistics.evicted == 0

    asyncio.run(play())


def test_what_needs_no_room_is_done_while_answers_wait() -> None:
    async def play() -> None:
        stage = Stage()
        peer = await subscribed(stage, "a", 1)
        peer.send(*(Publish("a", b"") for _ in range(10)))
        sender = await stage.connected("sender")
        sender.send(*(Publish("a", b"", 1, packet_id=n) for n in range(1, WINDOW + 10)))
        await until(lambda: not peer.connection.core.has_room)
        peer.heard()
        peer.send(Publish(GET, b""), Publish("b", b"", 1, packet_id=7), PingReq())
        heard: list[Packet] = []

        def answered() -> bool:
            stage.device.answer()
            heard.extend(peer.heard())
            return PubAck(7) in heard

        await until(answered)
        assert PingResp() in heard
        assert [message.topic for message in messages(heard)] == [GET + "/accepted"]

    asyncio.run(play())


def test_who_sends_too_much_ahead_without_acknowledging_is_given_up() -> None:
    async def play() -> None:
        stage = Stage()
        peer = await subscribed(stage, GET + "/+", 1)
        payload = b'{"clientToken":"%s"}' % (b"x" * 100_000)

        def given_up() -> bool:
            stage.device.answer()
            if peer.transport.is_read_from:
                peer.send(Publish(GET, payload))
            return peer.transport.is_over

        await until(given_up)
        assert stage.hub.statistics.evicted == 1

    asyncio.run(play())


async def retaining(payload: bytes, count: int) -> Stage:
    stage = Stage()
    sender = await stage.connected("sender")
    sender.send(*(Publish(f"r/{n}", payload, 1, True, n + 1) for n in range(count)))
    sender.send(*(Publish(f"other/{n}", payload, 1, True, n + 1) for n in range(count)))
    await until(lambda: stage.hub.statistics.published == 2 * count)
    return stage


def test_retained_messages_come_as_the_client_acknowledges() -> None:
    async def play() -> None:
        stage = await retaining(b"x", 1_500)
        peer = await stage.connected("t")
        peer.send(Subscribe(1, (FilterRequest("r/#", 1),)), Publish(GET, b""))
        topics: list[str] = []

        def all_came() -> bool:
            stage.device.answer()
            came = [message for message in messages(peer.heard()) if message.retain]
            assert len(came) <= WINDOW
            topics.extend(message.topic for message in came)
            if came:
                peer.send(*(PubAck(message.packet_id) for message in came))
            return len(topics) == 1_500

        await until(all_came)
        assert topics == [f"r/{n}" for n in range(1_500)]
        assert len(stage.device.asked) == 1
        assert stage.hub.statistics.evicted == 0

    asyncio.run(play())


def test_retained_messages_come_as_the_client_reads() -> None:
    async def play() -> None:
        stage = await retaining(b"x" * 10_000, 200)
        peer = await stage.connected("t")
        peer.connection.pause_writing()
        peer.send(Subscribe(1, (FilterRequest("r/#", 0),)))
        for _ in range(50):
            await asyncio.sleep(0)
        assert messages(peer.heard()) == []
        peer.connection.resume_writing()
        came: list[Publish] = []

        def all_came() -> bool:
            came.extend(messages(peer.heard()))
            return len(came) == 200

        await until(all_came)

    asyncio.run(play())


def test_retained_messages_that_wait_are_sent_as_they_are_by_then() -> None:
    async def play() -> None:
        stage = await retaining(b"x", 300)
        peer = await stage.connected("t")
        peer.send(Subscribe(1, (FilterRequest("r/#", 1),)))
        first: list[Publish] = []

        def window_is_full() -> bool:
            first.extend(messages(peer.heard()))
            return len(first) == WINDOW

        await until(window_is_full)
        sender = await stage.connected("another")
        sender.send(Publish("r/250", b"", 0, True))
        peer.send(Subscribe(2, (FilterRequest("r/299", 1),)))  # waits for the first to be handed out
        came: list[Publish] = []
        acknowledged = list(first)

        def all_came() -> bool:
            peer.send(*(PubAck(message.packet_id) for message in acknowledged if message.qos))
            acknowledged.clear()
            acknowledged.extend(heard := messages(peer.heard()))
            came.extend(heard)
            return [message.topic for message in came].count("r/299") == 2

        await until(all_came)
        assert len(came) == 300 - WINDOW - 1 + 2  # one is gone, which was told; and one came twice
        assert [message.topic for message in came if not message.payload] == ["r/250"]

    asyncio.run(play())


async def falling_behind(stage: Stage, step: Callable[[Peer], bool]) -> Peer:
    """A subscriber, and a sender that floods it at QoS 1 until the step says that it is enough."""
    peer = await subscribed(stage, "a", 1)
    sender = await stage.connected("sender")

    def enough() -> bool:
        if sender.transport.is_read_from:
            sender.send(*(Publish("a", b"x", 1, packet_id=n) for n in range(1, 1_001)))
        return step(peer)

    await until(enough)
    return peer


def test_reading_subscriber_of_a_burst_gets_all_of_it() -> None:
    async def play() -> None:
        stage = Stage()
        count = 0

        def many_came(peer: Peer) -> bool:
            nonlocal count
            came = messages(peer.heard())
            count += len(came)
            if came:
                peer.send(*(PubAck(message.packet_id) for message in came))
            return count > 5_000

        await falling_behind(stage, many_came)
        assert stage.hub.statistics.evicted == 0

    asyncio.run(play())


def test_subscriber_that_never_acknowledges_is_given_up_by_what_waits_for_it() -> None:
    async def play() -> None:
        stage = Stage()
        peer = await falling_behind(stage, lambda peer: peer.transport.is_over)
        assert stage.hub.statistics.evicted == 1
        assert len(messages(peer.heard())) == WINDOW

    asyncio.run(play())


def test_subscriber_that_fell_behind_has_some_seconds_to_acknowledge_something() -> None:
    async def play() -> None:
        stage = Stage(Limits(max_queued=10))
        peer = await falling_behind(stage, lambda peer: peer.connection._behind_since > 0)
        connection = peer.connection
        assert not peer.transport.is_over
        since = connection._behind_since
        connection.core.acknowledged_at = since - 100
        connection._behind_since = since - MAX_UNACKNOWLEDGED_SECONDS / 2
        connection.fell_behind()
        assert not peer.transport.is_over
        connection._behind_since = since - MAX_UNACKNOWLEDGED_SECONDS - 1
        peer.send(PubAck(1))
        connection.fell_behind()
        assert not peer.transport.is_over
        connection.core.acknowledged_at = since - 100
        connection._behind_since = since - MAX_UNACKNOWLEDGED_SECONDS - 1
        connection.fell_behind()
        assert peer.transport.is_over
        assert stage.hub.statistics.evicted == 1

    asyncio.run(play())
