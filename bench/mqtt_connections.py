"""Connected devices: how fast they connect, how little they cost, and how soon they are told of a job."""

import asyncio
import statistics
import time

from bench import api
from bench.context import Context, group_name, thing_name
from bench.cycles import cycle_values
from bench.fleet import GROUP_SIZE
from bench.load import Connection, Window, at_most, connections, run_on
from bench.mqtt import NOTIFICATIONS, REPLIES, Device, connect_all, connected
from bench.process import open_files
from bench.report import Result
from bench.server import Server

TOLD_MS = 150
TOLD_SECONDS = 20.0
IDLE_KB = 12
FOUR_TOPICS = (*NOTIFICATIONS, *REPLIES)
STORM_AT_ONCE = 128
WARM_UP = 200
SETTLE_SECONDS = 1.0
SPARE_FILES = 1000


async def notify(context: Context) -> list[Result]:
    """CreateJob until the last of the first thousand devices was told, out of a thousand and of many."""
    results = []
    for connected_devices in (GROUP_SIZE, context.scale.connected):
        group = group_name(connected_devices)
        data = context.fresh("notify")
        context.load(data, connected_devices, group, executions=0)
        things = [thing_name(group, number) for number in range(connected_devices)]
        with context.serving_mqtt(data) as server:
            async with connected(server, things, FOUR_TOPICS) as devices:
                results.append(await _told(server, group, devices, context.scale.repeats))
    return results


async def _told(server: Server, group: str, devices: list[Device], repeats: int) -> Result:
    after_answer, after_sending, answers = [], [], []
    async with connections(server, 1) as (connection,):
        arn = api.thing_group_arn(await connection.ask(api.describe_thing_group(server, group)))
        for number in range(repeats + 1):
            sent, answered, told = await _job_told(server, connection, f"{group}-job-{number}", arn, devices)
            if number:  # the first one warms up
                after_answer.append((told - answered) / 1e6)
                after_sending.append((told - sent) / 1e6)
                answers.append((answered - sent) / 1e6)
    worst = max(after_answer)
    return Result(
        "notify",
        f"CreateJob until {GROUP_SIZE:,} of {len(devices):,} connected devices are told",
        f"last one told {statistics.median(after_answer):.0f} ms after the answer (worst of {repeats}: "
        f"{worst:.0f}), {statistics.median(after_sending):.0f} ms after sending",
        {
            "after_answer_ms": statistics.median(after_answer),
            "worst_after_answer_ms": worst,
            "after_sending_ms": statistics.median(after_sending),
            "worst_after_sending_ms": max(after_sending),
            "answer_ms": statistics.median(answers),
        },
        target=f"≤ {TOLD_MS} ms after the answer",
        met=worst <= TOLD_MS,
    )


async def _job_told(
    server: Server, connection: Connection, job: str, arn: str, devices: list[Device]
) -> tuple[int, int, int]:
    """When CreateJob was sent and answered and the last device told; then the job is canceled."""
    told, untold = asyncio.Event(), asyncio.Event()
    heard: list[int] = []
    named = f'"jobId":"{job}"'.encode()

    def on_notice(device: Device, payload: bytes) -> None:
        if named in payload:
            heard.append(device.notified_at)
            if len(heard) == GROUP_SIZE:
                told.set()
        elif b'"execution"' not in payload:
            emptied.append(device.thing)
            if len(emptied) == GROUP_SIZE:
                untold.set()

    emptied: list[str] = []
    for device in devices:
        device.on_notice = on_notice
    create = api.create_job(server, job, [arn])
    async with at_most(TOLD_SECONDS):
        sent = time.perf_counter_ns()
        await connection.ask(create)
        answered = time.perf_counter_ns()
        await told.wait()
        await connection.ask(api.cancel_job(server, job))
        await untold.wait()
    return sent, answered, heard[GROUP_SIZE - 1]


async def connect_storm(context: Context) -> list[Result]:
    """Devices that come all at once, and subscribe before they wait for work."""
    count = min(context.scale.connected, open_files() - SPARE_FILES)
    group = group_name(count)
    data = context.fresh("storm")
    context.load(data, count, group, executions=0)
    results = []
    with context.serving_mqtt(data) as server:
        for topics, work in (
            ((), "TCP connection and CONNECT"),
            (FOUR_TOPICS, f"the same and {len(FOUR_TOPICS)} subscriptions"),
        ):
            devices = [Device(thing_name(group, number)) for number in range(count)]
            window = await _storm(server, devices, topics)
            results.append(
                Result(
                    "connect-storm",
                    f"{count:,} devices connect, {STORM_AT_ONCE} at a time: {work}",
                    f"{window.per_second:,.0f} connects/s, {window.server_cpu_us:,.0f} µs server CPU, "
                    f"p99 {window.percentile_ms(99):.1f} ms (generator {window.own_share:.0%})",
                    cycle_values(window),
                )
            )
            for device in devices:
                device.close()
            await asyncio.sleep(SETTLE_SECONDS)
    return results


async def _storm(server: Server, devices: list[Device], topics: tuple[str, ...]) -> Window:
    remaining = iter(devices)

    async def step(_: int) -> bool:
        device = next(remaining, None)
        if device is None:
            return False
        await device.connect(server)
        if topics:
            await device.subscribe(topics)
        return True

    return await run_on(server, range(STORM_AT_ONCE), 60, step)


async def idle(context: Context) -> list[Result]:
    """What a connected device that waits for work costs in memory."""
    count = min(context.scale.connected, open_files() - SPARE_FILES)
    group = group_name(count)
    data = context.fresh("idle")
    context.load(data, count, group, executions=0)
    things = [thing_name(group, number) for number in range(count)]
    with context.serving_mqtt(data) as server:
        async with connected(server, things[:WARM_UP], FOUR_TOPICS):
            pass
        await asyncio.sleep(SETTLE_SECONDS)
        before = server.process.rss_mb()
        devices = [Device(thing) for thing in things]
        await connect_all(server, devices, FOUR_TOPICS)
        await asyncio.sleep(SETTLE_SECONDS)
        after = server.process.rss_mb()
        lost = sum(device.ended for device in devices)
        for device in devices:
            device.close()
    each = (after - before) * 1024 / count
    return [
        Result(
            "idle",
            f"{count:,} devices connected, {len(FOUR_TOPICS)} subscriptions at QoS 1 each",
            f"{each:.1f} KB each: {before:.0f} MB before, {after:.0f} MB with them",
            {"kb_each": each, "before_mb": before, "after_mb": after, "lost": lost},
            target=f"≤ {IDLE_KB} KB each",
            met=each <= IDLE_KB and not lost,
        )
    ]
