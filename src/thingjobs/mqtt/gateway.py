"""The MQTT server: its listeners, and its end."""

from __future__ import annotations

import asyncio
import socket

from thingjobs.mqtt.access import Principal
from thingjobs.mqtt.connection import Connection
from thingjobs.mqtt.hub import Hub
from thingjobs.mqtt.reasons import ReasonCode

FAREWELL_SECONDS = 5.0
"""How long requests in hand may take to be answered when the server stops."""


class Gateway:
    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self._servers: list[asyncio.Server] = []

    async def listen(self, listener: socket.socket, principal: Principal) -> None:
        """Accept plaintext connections, each of which is ``principal``."""
        loop = asyncio.get_running_loop()
        server = await loop.create_server(
            lambda: Connection(self.hub, principal), sock=listener, backlog=4096
        )
        self._servers.append(server)

    async def close(self) -> None:
        """Take no more connections, finish the requests in hand, and bid all clients farewell."""
        for server in self._servers:
            server.close()
        hub = self.hub
        busy = [work for connection in hub.connections for work in connection.in_hand()]
        if busy:
            await asyncio.wait(busy, timeout=FAREWELL_SECONDS)
        for connection in list(hub.connections):
            connection.end(ReasonCode.SERVER_SHUTTING_DOWN)
        if hub.tasks:
            await asyncio.wait(hub.tasks, timeout=FAREWELL_SECONDS)
