"""Connections on pretended transports, a hub behind them, and a Jobs service that answers when told to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

from thingjobs.auth.throttle import Throttle
from thingjobs.domain.model import Scope, ScopeId
from thingjobs.mqtt.access import ByRole, Principal
from thingjobs.mqtt.connection import Connection
from thingjobs.mqtt.decoder import Decoder
from thingjobs.mqtt.encoder import encode
from thingjobs.mqtt.hub import Hub
from thingjobs.mqtt.limits import Limits
from thingjobs.mqtt.packets import ConnAck, Connect, Packet, Version
from thingjobs.operations.planes import DevicePlane, Notifications
from thingjobs.wire.shapes import iot_jobs_data

PRINCIPAL = Principal(Scope(ScopeId(1), "123456789012", "us-east-1"), "anonymous")


class AskedDevicePlane:
    """Keeps the requests; each is answered with an empty list when ``answer`` is called, in order."""

    def __init__(self) -> None:
        self.asked: list[asyncio.Future[Any]] = []

    def submit(self, scope: ScopeId, request: object) -> asyncio.Future[Any]:
        self.asked.append(asyncio.get_running_loop().create_future())
        return self.asked[-1]

    @property
    def unanswered(self) -> int:
        return sum(not each.done() for each in self.asked)

    def answer(self) -> None:
        for each in self.asked:
            if not each.done():
                each.set_result(iot_jobs_data.GetPendingJobExecutionsResponse())


class PretendedTransport(asyncio.Transport):
    """What a client sees of its connection, and whether it is read from."""

    def __init__(self, version: Version) -> None:
        super().__init__()
        self.is_read_from = True
        self.is_over = False
        self._decoder = Decoder(10_000_000, version)

    def heard(self) -> list[Packet]:
        """What was sent to the client since the last time."""
        heard: list[Packet] = []
        while (packet := self._decoder.next_packet()) is not None:
            heard.append(packet)
        return heard

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._decoder.feed(bytes(data))

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        self.is_read_from = False

    def resume_reading(self) -> None:
        self.is_read_from = True

    def close(self) -> None:
        self.is_over = True

    def abort(self) -> None:
        self.is_over = True


class Peer:
    """A client that was let in. ``send`` is what one read from its socket brings."""

    def __init__(self, hub: Hub, version: Version) -> None:
        self.version = version
        self.transport = PretendedTransport(version)
        self.connection = Connection(hub, PRINCIPAL)
        self.connection.connection_made(self.transport)

    def send(self, *packets: Packet) -> None:
        self.connection.data_received(b"".join(encode(packet, self.version) for packet in packets))

    def heard(self) -> list[Packet]:
        return self.transport.heard()


class Stage:
    def __init__(self, limits: Limits | None = None) -> None:
        self.device = AskedDevicePlane()
        self.hub = Hub(
            ByRole(),
            cast(DevicePlane, self.device),
            cast(Notifications, None),  # nobody listens for things here
            Throttle(None, lambda: 0.0),
            lambda: 0,
            limits or Limits(),
        )

    async def connected(self, client_id: str, version: Version = Version.V311) -> Peer:
        peer = Peer(self.hub, version)
        peer.send(Connect(client_id, version, True, 60))
        heard: list[Packet] = []

        def is_let_in() -> bool:
            heard.extend(peer.heard())
            return bool(heard)

        await until(is_let_in)
        assert isinstance(heard[0], ConnAck)
        return peer


async def until(claim: Callable[[], object], passes: int = 1_000_000) -> None:
    """Let the loop turn until the claim holds."""
    for _ in range(passes):
        if claim():
            return
        await asyncio.sleep(0)
    raise AssertionError("it did not come to that")
