"""All virtual devices of a simulation, from the first that connects to the summary."""

from __future__ import annotations

import asyncio
import resource
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from thingjobs.simulate.client import Client, ConnectionLost
from thingjobs.simulate.control_plane import notice_seconds
from thingjobs.simulate.device import Activity, Device, ThingMissing
from thingjobs.simulate.options import Options, Until
from thingjobs.simulate.tally import Tally, milliseconds

ARRIVING_AT_ONCE = 64
_SPARE_FILES = 64


class CannotConnect(Exception):
    """There is no server, or it wants none of our devices."""


class Fleet:
    """Devices that run as long as ``run`` does."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.tally = Tally()
        self.doing: Counter[Activity] = Counter()
        self._stirred = asyncio.Event()
        arrivals = asyncio.Semaphore(ARRIVING_AT_ONCE)
        self.devices: Sequence[Device] = [
            Device(name, options, self.tally, arrivals, self._changed) for name in options.thing_names()
        ]
        self.doing[Activity.OFFLINE] = len(self.devices)
        self._began = time.monotonic()
        self._ended: float | None = None

    @property
    def seconds(self) -> float:
        """How long it has been running, or ran."""
        return (self._ended or time.monotonic()) - self._began

    async def run(self, until: Until, interrupted: asyncio.Event) -> None:
        """Let all devices work until the end. Errors: CannotConnect, ThingMissing."""
        self._began = time.monotonic()
        _allow_open_files(len(self.devices) + _SPARE_FILES)
        await self._try_to_connect()
        living = asyncio.ensure_future(self._live())
        waits: list[asyncio.Future[Any]] = [
            living,
            asyncio.ensure_future(self._until(until)),
            asyncio.ensure_future(interrupted.wait()),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._ended = time.monotonic()
            for wait in waits:
                wait.cancel()
            await asyncio.wait(waits)
        if not living.cancelled():
            await living

    async def summary(self) -> dict[str, Any]:
        """What happened, as ``--json`` prints it. Seconds, or milliseconds where the name says so."""
        tally, seconds = self.tally, self.seconds
        noticed = await notice_seconds(self.options.endpoint_url, tally.notices)
        return {
            "devices": len(self.devices),
            "seconds": round(seconds, 3),
            "started": tally.started,
            "resumed": tally.resumed,
            "finished": tally.finished,
            "outcomes": dict(sorted(tally.outcomes.items())),
            "finished_per_second": round(tally.finished / seconds, 2) if seconds else 0.0,
            "requests": tally.requests,
            "throttled": tally.throttled,
            "requests_per_second": round(tally.requests / seconds, 2) if seconds else 0.0,
            "connects": tally.connects,
            "reconnects": max(0, tally.connects - len(self.devices)),
            "drops": tally.drops,
            "reboots": tally.reboots,
            "losses": tally.losses,
            "errors": dict(sorted(tally.errors.items())),
            "request_to_answer_ms": milliseconds(tally.answer_seconds),
            "queued_to_notified_ms": milliseconds(noticed),
        }

    async def _live(self) -> None:
        try:
            async with asyncio.TaskGroup() as lives:
                for device in self.devices:
                    lives.create_task(device.run())
        except* ThingMissing as missing:
            raise missing.exceptions[0] from None

    async def _try_to_connect(self) -> None:
        """One connection before all others, so that a wrong port is said at once."""
        options = self.options
        client = Client(options.keep_alive, lambda topic, payload: None, lambda: None)
        try:
            await client.connect(options.mqtt_host, options.mqtt_port, options.thing_names()[0])
        except ConnectionLost as error:
            where = f"{options.mqtt_host} port {options.mqtt_port}"
            raise CannotConnect(f"Cannot connect to MQTT on {where}: {error}.") from None
        client.disconnect()

    # --- the end --------------------------------------------------------------------------------------

    def _changed(self, before: Activity, after: Activity) -> None:
        self.doing[before] -= 1
        self.doing[after] += 1
        self._stirred.set()

    async def _until(self, until: Until) -> None:
        if until.what == "duration":
            await asyncio.sleep(until.amount)
        elif until.what == "jobs":
            while self.tally.finished < until.amount:
                await self._stir()
        elif until.what == "idle":
            await self._idle()
        else:
            await asyncio.Event().wait()

    async def _idle(self) -> None:
        """Until all devices have had nothing to do for a while."""
        while True:
            if self.doing[Activity.IDLE] < len(self.devices):
                await self._stir()
                continue
            try:
                async with asyncio.timeout(self.options.quiet_seconds):
                    await self._stir()
            except TimeoutError:
                return

    async def _stir(self) -> None:
        self._stirred.clear()
        await self._stirred.wait()


def _allow_open_files(count: int) -> None:
    """Raise the limit on open files as far as it must and may be. Errors: CannotConnect if it may not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        if hard != resource.RLIM_INFINITY and hard < count:
            raise CannotConnect(f"{count} open files are needed and {hard} are allowed (ulimit -n).")
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


__all__ = ["CannotConnect", "Fleet", "ThingMissing"]
