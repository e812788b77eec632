"""An MQTT 3.1.1 client of one device: our own codec, turned around."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from thingjobs.mqtt.decoder import Decoder
from thingjobs.mqtt.encoder import encode
from thingjobs.mqtt.packets import (
    ConnAck,
    Connect,
    Disconnect,
    FilterRequest,
    PingReq,
    PingResp,
    PubAck,
    Publish,
    SubAck,
    Subscribe,
    Version,
)
from thingjobs.mqtt.reasons import FAILURE, ProtocolError

ANSWER_SECONDS = 30.0
"""How long the server may take to answer anything before the connection is given up."""
_MAX_PACKET = 1_048_576
_VERSION = Version.V311
_LAST_PACKET_ID = 0xFFFF
_CONNECTING = 0  # in place of a packet identifier: CONNACK has none


class ConnectionLost(Exception):
    """The connection is gone, or could not be made."""


class Client(asyncio.Protocol):
    """One connection, QoS 1 both ways. ``on_message`` gets topics and payloads, ``on_lost`` the end."""

    def __init__(
        self, keep_alive: int, on_message: Callable[[str, bytes], None], on_lost: Callable[[], None]
    ) -> None:
        self._keep_alive = keep_alive
        self._on_message = on_message
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._decoder = Decoder(_MAX_PACKET, _VERSION)
        self._transport: asyncio.Transport | None = None
        self._waiting: dict[int, asyncio.Future[ConnAck | SubAck | PubAck]] = {}
        self._last_packet_id = 0
        self._timer: asyncio.TimerHandle | None = None
        self._unanswered_ping = False
        self.lost = asyncio.Event()

    @property
    def is_lost(self) -> bool:
        return self.lost.is_set()

    # --- what a device does ---------------------------------------------------------------------------

    async def connect(self, host: str, port: int, client_id: str) -> None:
        """Errors: ConnectionLost, whatever the reason."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                self._transport, _ = await self._loop.create_connection(lambda: self, host, port)
        except OSError as error:
            raise ConnectionLost(error.strerror or str(error)) from None
        hello = Connect(client_id, _VERSION, clean_start=True, keep_alive=self._keep_alive)
        answer = await self._ask(_CONNECTING, encode(hello, _VERSION))
        if not isinstance(answer, ConnAck) or answer.code:
            self.abort()
            raise ConnectionLost(f"the server refused {client_id}: {answer}")
        self._timer = self._loop.call_later(self._keep_alive / 2, self._ping)

    async def subscribe(self, topic_filters: Sequence[str]) -> None:
        """Errors: ConnectionLost, also if a filter is refused."""
        packet_id = self._new_packet_id()
        requests = tuple(FilterRequest(topic_filter, 1) for topic_filter in topic_filters)
        answer = await self._ask(packet_id, encode(Subscribe(packet_id, requests), _VERSION))
        if not isinstance(answer, SubAck) or max(answer.codes) >= FAILURE:
            self.abort()
            raise ConnectionLost(f"the server refused subscriptions: {answer}")

    def publish(self, topic: str, payload: bytes) -> None:
        """Send a message. That it came is for the answer on another topic to say. Errors: ConnectionLost."""
        packet_id = self._new_packet_id()
        self._write(encode(Publish(topic, payload, 1, packet_id=packet_id), _VERSION))

    def disconnect(self) -> None:
        """Take leave as MQTT wants it."""
        transport, self._transport = self._transport, None
        if transport is not None and not self.is_lost:
            transport.write(encode(Disconnect(), _VERSION))
            transport.close()

    def abort(self) -> None:
        """Drop the connection as a failing power supply would."""
        if self._transport is not None:
            self._transport.abort()
        self._lose("dropped")

    # --- the socket -----------------------------------------------------------------------------------

    def data_received(self, data: bytes) -> None:
        self._decoder.feed(data)
        try:
            while not self.is_lost and (packet := self._decoder.next_packet()) is not None:
                match packet:
                    case Publish():
                        if packet.qos:
                            self._write(encode(PubAck(packet.packet_id), _VERSION))
                        self._on_message(packet.topic, packet.payload)
                    case PubAck() | SubAck():
                        self._answered(packet.packet_id, packet)
                    case ConnAck():
                        self._answered(_CONNECTING, packet)
                    case PingResp():
                        self._unanswered_ping = False
                    case _:
                        self.abort()
        except ProtocolError:
            self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose(str(exc or "closed by the server"))

    def _lose(self, why: str) -> None:
        if self.is_lost:
            return
        self.lost.set()
        if self._timer is not None:
            self._timer.cancel()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(ConnectionLost(why))
        self._waiting.clear()
        self._on_lost()

    # --- inside ---------------------------------------------------------------------------------------

    async def _ask(self, packet_id: int, data: bytes) -> ConnAck | SubAck | PubAck:
        answer: asyncio.Future[ConnAck | SubAck | PubAck] = self._loop.create_future()
        self._waiting[packet_id] = answer
        self._write(data)
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return await answer
        except TimeoutError:
            self.abort()
            raise ConnectionLost("the server did not answer") from None

    def _answered(self, packet_id: int, packet: ConnAck | SubAck | PubAck) -> None:
        answer = self._waiting.pop(packet_id, None)
        if answer is not None and not answer.done():
            answer.set_result(packet)

    def _write(self, data: bytes) -> None:
        if self.is_lost or self._transport is None:
            raise ConnectionLost("closed")
        self._transport.write(data)

    def _ping(self) -> None:
        if self._unanswered_ping:
            self.abort()
            return
        self._unanswered_ping = True
        self._write(encode(PingReq(), _VERSION))
        self._timer = self._loop.call_later(self._keep_alive / 2, self._ping)

    def _new_packet_id(self) -> int:
        self._last_packet_id = self._last_packet_id % _LAST_PACKET_ID + 1
        return self._last_packet_id
