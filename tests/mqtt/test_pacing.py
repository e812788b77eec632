"""Who sends much at once is served in portions, one in each pass of the loop, and all of it in order."""

from __future__ import annotations

import asyncio

from mqtt.scene import Stage, until
from thingjobs.mqtt.connection import MAX_WAITING_EVENTS
from thingjobs.mqtt.packets import Disconnect, Packet, PingReq, PingResp, PubAck, Publish, Unsubscribe
from thingjobs.mqtt.session import PORTION

GET = "$aws/things/t/jobs/get"


def test_a_pass_of_the_loop_does_one_portion_of_a_flood() -> None:
    async def play() -> None:
        peer = await Stage().connected("flooder")
        peer.send(*[PingReq()] * 10_000)
        answered = len(peer.heard())
        assert answered == PORTION
        while answered < 10_000:
            assert not peer.transport.is_read_from
            await asyncio.sleep(0)
            portion = peer.heard()
            assert set(map(type, portion)) <= {PingResp}
            assert len(portion) <= PORTION
            answered += len(portion)
        await until(lambda: peer.transport.is_read_from)
        assert peer.heard() == []

    asyncio.run(play())


def test_a_client_with_little_to_say_is_served_between_the_portions_of_a_flood() -> None:
    async def play() -> None:
        stage = Stage()
        flooder, healthy = await stage.connected("flooder"), await stage.connected("healthy")
        flooder.send(*(Publish("a/b/c/d/e/f/g/h", b"") for _ in range(5_000)))
        for n in range(1, 20):
            healthy.send(PingReq())
            assert healthy.heard() == [PingResp()]
            await asyncio.sleep(0)
            assert stage.hub.statistics.published <= (n + 1) * PORTION
        await until(lambda: stage.hub.statistics.published == 5_000)

    asyncio.run(play())


def test_what_is_done_in_portions_is_answered_in_order() -> None:
    """Messages, requests that wait for the service, and what the service is not asked for, in one read."""

    async def play() -> None:
        stage = Stage()
        peer = await stage.connected("t")
        said: list[Packet] = []
        for n in range(1, 1_001):
            said.append(Publish(GET if n % 3 == 0 else "a", b"", 1, packet_id=n))
            if n % 7 == 0:
                said.append(Unsubscribe(n, ("a",)))
        peer.send(*said)
        acknowledged: list[int] = []

        def all_acknowledged() -> bool:
            stage.device.answer()
            acknowledged.extend(packet.packet_id for packet in peer.heard() if isinstance(packet, PubAck))
            return len(acknowledged) == 1_000

        await until(all_acknowledged)
        assert acknowledged == list(range(1, 1_001))
        await until(lambda: peer.transport.is_read_from)

    asyncio.run(play())


def test_what_waits_for_the_service_is_bounded_and_the_rest_stays_unread() -> None:
    async def play() -> None:
        stage = Stage()
        peer = await stage.connected("t")
        peer.send(*(Publish(GET, b"") for _ in range(5_000)))
        await asyncio.sleep(0)
        await until(lambda: len(peer.connection._inbox) > MAX_WAITING_EVENTS)
        for _ in range(10):
            await asyncio.sleep(0)
            assert len(peer.connection._inbox) <= MAX_WAITING_EVENTS + PORTION
        assert not peer.transport.is_read_from
        assert stage.device.unanswered == 1
        heard: list[Packet] = []

        def all_answered() -> bool:
            stage.device.answer()
            heard.extend(peer.heard())
            return len(heard) == 5_000

        await until(all_answered)
        assert peer.transport.is_read_from

    asyncio.run(play())


def test_what_was_sent_before_the_farewell_counts_in_portions_too() -> None:
    async def play() -> None:
        stage = Stage()
        peer = await stage.connected("t")
        peer.send(*(Publish("a", b"") for _ in range(1_000)), Disconnect(0))
        await until(lambda: peer.transport.is_over)
        assert stage.hub.statistics.published == 1_000
        await until(lambda: stage.hub.statistics.connections == 0)
        assert peer.heard() == []

    asyncio.run(play())
