"""One probe of the store serves all who ask within a second."""

from __future__ import annotations

import asyncio

from thingjobs.domain.errors import ServiceUnavailable
from thingjobs.http.readiness import Readiness


class Disk:
    """Counts its probes; each waits until ``go`` is set."""

    def __init__(self) -> None:
        self.seconds = 100.0
        self.probes = 0
        self.full = False
        self.go = asyncio.Event()
        self.go.set()

    async def probe(self) -> None:
        self.probes += 1
        await self.go.wait()
        if self.full:
            raise ServiceUnavailable("full")


def test_result_is_shared_for_a_second() -> None:
    async def work() -> None:
        disk = Disk()
        readiness = Readiness(disk.probe, lambda: disk.seconds)
        assert [await readiness.trouble() for _ in range(5)] == [None] * 5
        disk.full = True
        disk.seconds += 0.9
        assert (await readiness.trouble(), disk.probes) == (None, 1)
        disk.seconds += 0.1
        assert [await readiness.trouble() for _ in range(5)] == ["full"] * 5
        assert disk.probes == 2

    asyncio.run(work())


def test_slow_probe_is_waited_for_by_all_and_ended_by_none() -> None:
    async def work() -> None:
        disk = Disk()
        disk.go.clear()
        readiness = Readiness(disk.probe, lambda: disk.seconds)
        first, second, third = (asyncio.create_task(readiness.trouble()) for _ in range(3))
        await asyncio.sleep(0)
        disk.seconds += 60
        fourth = asyncio.create_task(readiness.trouble())
        first.cancel()
        await asyncio.wait([first])
        disk.go.set()
        assert [await task for task in (second, third, fourth)] == [None] * 3
        assert (first.cancelled(), disk.probes) == (True, 1)

    asyncio.run(work())
