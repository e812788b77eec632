"""What happens to very many executions at once: ticks, a cancellation, time-outs."""

import asyncio
import json
import statistics
import time

from bench import api
from bench.context import Context, group_name, thing_name
from bench.errors import BenchError
from bench.fleet import Fleet, register
from bench.load import Connection, connections
from bench.report import Result
from bench.server import Server

TICK_MS = 25
CANCEL_ANSWER_MS = 50
SWEEP_SECONDS = 5
KEPT_RATE = 0.7
DEVICES = 64
DUE_IN_SECONDS = 40
WINDOW_SECONDS = 1.0
LIMIT_SECONDS = 120


async def lifecycle(context: Context) -> list[Result]:
    return [*await _tick_and_cancel(context), await _time_outs(context)]


async def _tick_and_cancel(context: Context) -> list[Result]:
    """On the large store: hand a job out to all of its things, then cancel it."""
    size = context.scale.large
    group = group_name(size)
    data = context.loaded()
    ticks = context.bulk(data, group, queued=size)
    with context.serving(data) as server:
        async with connections(server, 1) as (connection,):
            start = time.perf_counter()
            await connection.ask(api.cancel_job(server, f"{group}-open"))
            answer = (time.perf_counter() - start) * 1000
            swept = await _until(connection, server, f"{group}-open", "numberOfCanceledThings", size)
    return [
        Result(
            "lifecycle",
            f"tick of 1,000 with {size:,} executions stored",
            f"{ticks['tick_ms']:.1f} ms (median; worst {ticks['worst_tick_ms']:.1f})",
            ticks,
            target=f"≤ {TICK_MS} ms",
            met=ticks["tick_ms"] <= TICK_MS,
        ),
        Result(
            "lifecycle",
            f"CancelJob with {size:,} executions queued",
            f"answer {answer:.1f} ms, all canceled after {swept:.1f} s",
            {"answer_ms": answer, "swept_seconds": swept},
            target=f"answer ≤ {CANCEL_ANSWER_MS} ms",
            met=answer <= CANCEL_ANSWER_MS,
        ),
    ]


async def _time_outs(context: Context) -> Result:
    """So many time-outs due at one instant, while other devices go through their cycles."""
    size = context.scale.medium
    group = group_name(size)
    data = context.fresh("due")
    context.load(data, size, group, executions=0)
    due_at = context.bulk(data, group, due=size, due_in=DUE_IN_SECONDS)["due_at"]
    with context.serving(data) as server:
        things = [thing_name("cycle", number) for number in range(context.scale.things)]
        fleet = await register(server, "cycle", things)
        await fleet.top_up()
        undisturbed = (await fleet.window(DEVICES, WINDOW_SECONDS)).per_second
        await fleet.top_up()
        if time.time() > due_at:
            raise BenchError("the time-outs came due before the devices were ready")
        await asyncio.sleep(due_at - time.time())
        rates, seconds = await _cycle_beside(server, fleet, f"{group}-open", size)
    kept = statistics.mean(rates) / undisturbed
    return Result(
        "lifecycle",
        f"{size:,} time-outs due at once, beside device cycles, {DEVICES} at a time",
        f"last one {seconds:.1f} s after the instant; {statistics.mean(rates):,.0f} against"
        f" {undisturbed:,.0f} cycles/s"
        f" undisturbed: {kept:.0%}",
        {"seconds": seconds, "per_second": statistics.mean(rates), "undisturbed_per_second": undisturbed},
        target=f"≤ {SWEEP_SECONDS} s, cycles ≥ {KEPT_RATE:.0%}",
        met=seconds <= SWEEP_SECONDS and kept >= KEPT_RATE,
    )


async def _cycle_beside(server: Server, fleet: Fleet, job: str, count: int) -> tuple[list[float], float]:
    """Cycles per second in windows until ``count`` have timed out; the seconds that took from now."""
    async with connections(server, 1) as (connection,):
        waiting = asyncio.create_task(_until(connection, server, job, "numberOfTimedOutThings", count))
        rates = []
        while not waiting.done() and fleet.ready:
            rates.append((await fleet.window(DEVICES, WINDOW_SECONDS)).per_second)
        return rates, await waiting


async def _until(connection: Connection, server: Server, job: str, counter: str, count: int) -> float:
    """Wait until a counter of a job has reached ``count``; the seconds it took from now."""
    start = time.perf_counter()
    while time.perf_counter() - start < LIMIT_SECONDS:
        answer = json.loads(await connection.ask(api.describe_job(server, job)))
        if answer["job"]["jobProcessDetails"][counter] >= count:
            return time.perf_counter() - start
        await asyncio.sleep(0.05)
    raise BenchError(f"{job}: {counter} did not reach {count:,} in {LIMIT_SECONDS} s")
