"""The device cycle over MQTT at QoS 1 both ways, alone and beside connections that mean no good."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, fields
from typing import Any, cast

from bench.context import Context
from bench.cycles import WARM_UP_SECONDS, cycle_text, cycle_values, memory_row
from bench.errors import BenchError, WrongAnswer
from bench.fleet import GROUP_SIZE, JOB_ID, REPORT, Fleet, register
from bench.load import Window, merged, run_on
from bench.mqtt import NOTIFICATIONS, REPLIES, Device, connected, publish_packet
from bench.process import open_files
from bench.report import Result
from bench.server import Server

TARGET_DEVICES = 256
TARGET_PER_SECOND = 3000
TARGET_CPU_US = 300
TARGET = f"≥ {TARGET_PER_SECOND:,} cycles/s, ≤ {TARGET_CPU_US} µs server CPU"
ABUSED_DEVICES = 64
ABUSED_THINGS = 2 * GROUP_SIZE
SPARE_FILES = 1000
SETTLE_SECONDS = 1.0
OPENING_AT_ONCE = 256
GARBAGE_PER_SECOND = 100
GARBAGE_SECONDS = 5.0


@dataclass
class MqttFleet(Fleet):
    """Things that are all connected; some of them at a time have something to do."""

    devices: dict[str, Device] = field(default_factory=dict)
    _packets: dict[tuple[str, str], tuple[bytes, bytes]] = field(default_factory=dict)

    def prepare(self) -> None:
        for thing in self.things:
            if (thing, "") not in self._packets:
                self._packets[thing, ""] = _request(f"$aws/things/{thing}/jobs/start-next", b"{}", 1)
            for job in self.pending[thing]:
                if (thing, job) not in self._packets:
                    topic = f"$aws/things/{thing}/jobs/{job}/update"
                    self._packets[thing, job] = _request(topic, REPORT, 2)

    async def window(self, devices: int, seconds: float) -> Window:
        return await run_on(self.server, range(devices), seconds, self.mqtt_cycle)

    async def mqtt_cycle(self, _: int) -> bool:
        """As the cycle over HTTP."""
        if not self.ready:
            return False
        thing = self.ready.popleft()
        device = self.devices[thing]
        answer = await device.exchange(*self._packets[thing, ""])
        found = JOB_ID.search(answer)
        if found is None or b'"IN_PROGRESS"' not in answer:
            raise WrongAnswer(f"start-next gave {thing} no execution: {answer[:300]!r}")
        job = found[1].decode()
        reported = await device.exchange(*self._packets.pop((thing, job)))
        if not reported.startswith(b'{"timestamp":'):
            raise WrongAnswer(f"report of {job} by {thing}: {reported[:300]!r}")
        self.pending[thing].remove(job)
        if self.pending[thing]:
            self.ready.append(thing)
        self.cycles += 1
        return True


def _request(topic: str, payload: bytes, packet_id: int) -> tuple[bytes, bytes]:
    """The packet, and the topic its answer must come on."""
    return publish_packet(topic, payload, packet_id), f"{topic}/accepted".encode()


@asynccontextmanager
async def mqtt_fleet(server: Server, prefix: str, things: Sequence[str]) -> AsyncIterator[MqttFleet]:
    """Things with their devices connected and subscribed to the answers they will get."""
    fleet = await register(server, prefix, things)
    async with connected(server, things, REPLIES) as devices:
        inherited: dict[str, Any] = {each.name: getattr(fleet, each.name) for each in fields(fleet)}
        yield MqttFleet(**inherited, devices={device.thing: device for device in devices})


async def mqtt_cycle(context: Context) -> list[Result]:
    scale = context.scale
    things = [f"device-{number:05d}" for number in range(scale.things)]
    results = []
    with context.serving_mqtt(context.fresh("mqtt-cycle")) as server:
        async with mqtt_fleet(server, "cycle", things) as fleet:
            await fleet.measure(16, WARM_UP_SECONDS)
            for count in scale.mqtt_devices:
                window = await fleet.measure(count, scale.window_seconds)
                results.append(_row(f"device cycle over MQTT, {count} at a time", window, count))
            for device in fleet.devices.values():
                await device.subscribe(NOTIFICATIONS)
            window = await fleet.measure(TARGET_DEVICES, scale.window_seconds)
            work = f"device cycle over MQTT, {TARGET_DEVICES} at a time, listening to notifications too"
            results.append(_row(work, window, 0))
            await fleet.check_counters()
            work = f"memory with {scale.things:,} devices connected"
            results.append(memory_row("mqtt-cycle", work, server))
    return results


def _row(work: str, window: Window, count: int) -> Result:
    targeted = count == TARGET_DEVICES
    met = window.per_second >= TARGET_PER_SECOND and window.server_cpu_us <= TARGET_CPU_US
    return Result(
        "mqtt-cycle",
        work,
        cycle_text(window),
        cycle_values(window),
        target=TARGET if targeted else "",
        met=met if targeted else None,
    )


# --- abuse ----------------------------------------------------------------------------------------


async def mqtt_abuse(context: Context) -> list[Result]:
    """Healthy cycles while others are connected and say nothing, or rubbish; and before and after that."""
    scale = context.scale
    silent = min(scale.connected, open_files() - ABUSED_THINGS - SPARE_FILES)
    things = [f"device-{number:05d}" for number in range(ABUSED_THINGS)]
    with context.serving_mqtt(context.fresh("mqtt-abuse")) as server:
        async with mqtt_fleet(server, "abuse", things) as fleet:
            await fleet.measure(ABUSED_DEVICES, WARM_UP_SECONDS)
            before = await fleet.measure(ABUSED_DEVICES, scale.window_seconds / 2)
            await fleet.top_up()
            async with _silent(server, silent) as strangers, _garbage(server) as rejected:
                abused = await fleet.measure(ABUSED_DEVICES, scale.window_seconds)
                left = sum(not stranger.ended for stranger in strangers)
            await asyncio.sleep(SETTLE_SECONDS)
            after = await fleet.measure(ABUSED_DEVICES, scale.window_seconds / 2)
            await fleet.check_counters()
    if not rejected[0]:
        raise BenchError("no garbage was sent")
    calm = merged([before, after])
    ratio = abused.per_second / calm.per_second
    work = f"device cycle over MQTT, {ABUSED_DEVICES} at a time"
    beside = f"beside {silent:,} silent connections and {GARBAGE_PER_SECOND} of rubbish per second"
    return [
        Result("mqtt-abuse", f"{work}, undisturbed", cycle_text(calm), cycle_values(calm)),
        Result(
            "mqtt-abuse",
            f"{work}, {beside}",
            f"{cycle_text(abused)}: {ratio:.0%} of undisturbed",
            {**cycle_values(abused), "ratio": ratio, "silent_at_end": left, "rubbish": rejected[0]},
        ),
    ]


class _Stranger(asyncio.Protocol):
    """A connection that never says who it is."""

    def __init__(self) -> None:
        self.ended = False
        self.over = asyncio.Event()
        self.transport: asyncio.Transport | None = None

    async def arrive(self, server: Server) -> None:
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self, server.host, server.mqtt_port)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True
        self.over.set()


@asynccontextmanager
async def _silent(server: Server, count: int) -> AsyncIterator[list[_Stranger]]:
    strangers = [_Stranger() for _ in range(count)]
    remaining = iter(strangers)

    async def worker() -> None:
        for stranger in remaining:
            await stranger.arrive(server)

    try:
        await asyncio.gather(*(worker() for _ in range(OPENING_AT_ONCE)))
        yield strangers
    finally:
        for stranger in strangers:
            if stranger.transport is not None:
                stranger.transport.abort()


@asynccontextmanager
async def _garbage(server: Server) -> AsyncIterator[list[int]]:
    """Connections that send what is not MQTT, each of which the server must end; their number so far."""
    dice = random.Random(1)
    rejected = [0]

    async def send() -> None:
        while True:
            stranger = _Stranger()
            await stranger.arrive(server)
            assert stranger.transport is not None
            stranger.transport.write(b"\xff" + dice.randbytes(500))
            async with asyncio.timeout(GARBAGE_SECONDS):
                await stranger.over.wait()
            rejected[0] += 1
            await asyncio.sleep(10 / GARBAGE_PER_SECOND)

    senders = [asyncio.create_task(send()) for _ in range(10)]
    try:
        yield rejected
        for sender in senders:
            if sender.done():
                raise BenchError(f"rubbish was not refused: {sender.exception()!r}")
    finally:
        for sender in senders:
            sender.cancel()
        await asyncio.gather(*senders, return_exceptions=True)
