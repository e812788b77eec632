"""MQTT over WebSocket: the same connections, their bytes carried in binary messages."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from thingjobs.mqtt.access import Principal
from thingjobs.mqtt.connection import Connection
from thingjobs.mqtt.hub import Hub

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

SUBPROTOCOL = "mqtt"
_NORMAL, _UNSUPPORTED_DATA = 1000, 1003
_LOW_WATER, _HIGH_WATER = 16_384, 65_536
"""Bytes that wait for the client; beyond the second the connection is told, and again at the first."""


class MqttWebSocket:
    """An ASGI application for the path ``/mqtt``."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def serve(self, scope: Message, receive: Receive, send: Send, principal: Principal) -> None:
        """Carry one connection, which is ``principal``, from its opening to its end."""
        await receive()  # websocket.connect
        offered = scope.get("subprotocols", ())
        await send(
            {"type": "websocket.accept", "subprotocol": SUBPROTOCOL if SUBPROTOCOL in offered else None}
        )
        connection = Connection(self._hub, principal)
        transport = _Transport(send, connection)
        connection.connection_made(transport)
        sender = asyncio.create_task(transport.send_all())
        receiver = asyncio.create_task(_receive_all(receive, connection, transport))
        aborted = asyncio.create_task(transport.aborted.wait())
        tasks = (sender, receiver, aborted)
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            connection.connection_lost(None)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def _receive_all(receive: Receive, connection: Connection, transport: _Transport) -> None:
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return
        data = message.get("bytes")
        if data is None:
            transport.end(_UNSUPPORTED_DATA)  # MQTT is binary
            return
        connection.data_received(data)
        await asyncio.sleep(0)  # messages that are here already would come without a pass of the loop
        await transport.reading.wait()


class _Transport(asyncio.Transport):
    """What a connection sees of its WebSocket."""

    def __init__(self, send: Send, connection: Connection) -> None:
        super().__init__()
        self.reading = asyncio.Event()
        self.reading.set()
        self.aborted = asyncio.Event()
        self._send = send
        self._unsent: list[bytes] = []
        self._size = 0
        self._wake = asyncio.Event()
        self._close_code: int | None = None
        self._connection = connection
        self._is_full = False

    async def send_all(self) -> None:
        """Send what is written until the transport is closed and nothing is left."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            unsent, self._unsent = self._unsent, []
            for data in unsent:
                await self._send({"type": "websocket.send", "bytes": data})
                self._size -= len(data)
                if self._is_full and self._size <= _LOW_WATER:
                    self._is_full = False
                    self._connection.resume_writing()
            if self._close_code is not None and not self._unsent:
                await self._send({"type": "websocket.close", "code": self._close_code})
                return

    def end(self, code: int) -> None:
        if self._close_code is None:
            self._close_code = code
        self._wake.set()

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._unsent.append(bytes(data))
        self._size += len(data)
        self._wake.set()
        if not self._is_full and self._size > _HIGH_WATER:
            self._is_full = True
            self._connection.pause_writing()

    def get_write_buffer_size(self) -> int:
        return self._size

    def close(self) -> None:
        self.end(_NORMAL)

    def abort(self) -> None:
        """End it without waiting for the client to read anything."""
        self.aborted.set()

    def pause_reading(self) -> None:
        self.reading.clear()

    def resume_reading(self) -> None:
        self.reading.set()
