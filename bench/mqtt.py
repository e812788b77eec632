"""A lean MQTT 3.1.1 client: packets made before they are sent, and only what devices need of the protocol."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import cast

from bench.errors import WrongAnswer
from bench.load import CONNECT_SECONDS, at_most, together
from bench.server import Server

KEEP_ALIVE = 1200
CONNACK, PUBLISH_QOS_0, PUBLISH_QOS_1, PUBACK, SUBACK = 0x20, 0x30, 0x32, 0x40, 0x90
CONNECTING_AT_ONCE = 128
REPLIES = ("start-next/+", "+/update/+")
NOTIFICATIONS = ("notify", "notify-next")


class Device(asyncio.Protocol):
    """One connection of one thing. Messages at QoS 1 are acknowledged as soon as they come.

    Anything that was not asked for and is no notification voids the measurement.
    """

    __slots__ = (
        "_buffer",
        "_expected",
        "_failure",
        "_transport",
        "_waiting",
        "ended",
        "notified_at",
        "on_notice",
        "thing",
    )

    def __init__(self, thing: str) -> None:
        self.thing = thing
        self.ended = False
        self.notified_at = 0
        self.on_notice: Callable[[Device, bytes], None] | None = None
        self._buffer = b""
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[bytes] | None = None
        self._expected = b""  # the topic of the answer that is to come
        self._failure = ""

    # --- what it does ---------------------------------------------------------------------------------

    async def connect(self, server: Server) -> None:
        loop = asyncio.get_running_loop()
        async with at_most(CONNECT_SECONDS):
            await loop.create_connection(lambda: self, server.host, server.mqtt_port)
            answer = await self._send(connect_packet(self.thing))
        if answer != bytes((CONNACK, 2, 0, 0)):
            raise WrongAnswer(f"{self.thing} was not let in: {answer!r}")

    async def subscribe(self, topics: Sequence[str]) -> None:
        filters = [f"$aws/things/{self.thing}/jobs/{topic}" for topic in topics]
        async with at_most(CONNECT_SECONDS):
            answer = await self._send(subscribe_packet(filters))
        if answer[4:] != b"\1" * len(topics):
            raise WrongAnswer(f"{self.thing} was refused its subscriptions: {answer!r}")

    def exchange(self, request: bytes, expected: bytes) -> asyncio.Future[bytes]:
        """Publish, and give the payload that comes on the ``expected`` topic after the acknowledgement."""
        self._expected = expected
        return self._send(request)

    def close(self) -> None:
        self.ended = True
        if self._transport is not None:
            self._transport.abort()

    def _send(self, packet: bytes) -> asyncio.Future[bytes]:
        assert self._transport is not None
        if self._failure:
            raise WrongAnswer(self._failure)
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(packet)
        return self._waiting

    # --- the socket -----------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ended:
            self.ended = True
            self._fail(f"{self.thing} lost its connection: {exc}")

    def data_received(self, data: bytes) -> None:
        if self._buffer:
            data = self._buffer + data
            self._buffer = b""
        pos, size = 0, len(data)
        while pos < size:
            start, length, shift = pos + 1, 0, 0
            while start < size:
                byte = data[start]
                start += 1
                length |= (byte & 0x7F) << shift
                shift += 7
                if byte < 0x80:
                    break
            else:
                break
            end = start + length
            if end > size:
                break
            if data[pos] == PUBLISH_QOS_1:
                self._on_message(data, start, end)
            elif data[pos] == PUBACK:
                self._on_acknowledged()
            else:
                self._answer(data[pos:end])
            pos = end
        self._buffer = data[pos:]

    def _on_message(self, data: bytes, pos: int, end: int) -> None:
        topic_end = pos + 2 + (data[pos] << 8 | data[pos + 1])
        topic = data[pos + 2 : topic_end]
        assert self._transport is not None
        self._transport.write(b"\x40\x02" + data[topic_end : topic_end + 2])
        payload = data[topic_end + 2 : end]
        if topic == self._expected:
            self._expected = b""
            self._answer(payload)
        elif topic.endswith((b"/notify-next", b"/notify")):
            if topic.endswith(b"t") and self.on_notice is not None:
                self.notified_at = time.perf_counter_ns()
                self.on_notice(self, payload)
        else:
            self._fail(f"{self.thing} got {topic!r} and not {self._expected!r}: {payload[:300]!r}")

    def _on_acknowledged(self) -> None:
        """The answer is still to come, and must: so nothing is done."""
        if not self._expected:
            self._fail(f"{self.thing} was answered before its request was acknowledged")

    def _answer(self, answer: bytes) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(answer)

    def _fail(self, why: str) -> None:
        """Void what is waited for now, or else what is done next."""
        self._failure = why
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(WrongAnswer(why))


@asynccontextmanager
async def connected(
    server: Server, things: Sequence[str], topics: Sequence[str]
) -> AsyncIterator[list[Device]]:
    """A device for each thing, subscribed to ``topics`` of its jobs; gone at the end."""
    devices = [Device(thing) for thing in things]
    try:
        await connect_all(server, devices, topics)
        yield devices
    finally:
        for device in devices:
            device.close()


async def connect_all(server: Server, devices: Iterable[Device], topics: Sequence[str]) -> None:
    remaining = iter(devices)

    async def worker() -> None:
        for device in remaining:
            await device.connect(server)
            if topics:
                await device.subscribe(topics)

    await together(worker() for _ in range(CONNECTING_AT_ONCE))


# --- packets --------------------------------------------------------------------------------------


def connect_packet(client_id: str) -> bytes:
    clean_session = 2
    head = _text("MQTT") + bytes((4, clean_session)) + KEEP_ALIVE.to_bytes(2)
    return _framed(0x10, head + _text(client_id))


def subscribe_packet(filters: Sequence[str]) -> bytes:
    body = b"".join(_text(topic_filter) + b"\1" for topic_filter in filters)
    return _framed(0x82, b"\0\1" + body)


def publish_packet(topic: str, payload: bytes, packet_id: int) -> bytes:
    return _framed(PUBLISH_QOS_1, _text(topic) + packet_id.to_bytes(2) + payload)


def _framed(header: int, body: bytes) -> bytes:
    length, size = len(body), b""
    while length > 0x7F:
        size += bytes((length & 0x7F | 0x80,))
        length >>= 7
    return bytes((header,)) + size + bytes((length,)) + body


def _text(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(2) + data
