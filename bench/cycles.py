"""The device cycle over HTTP (start-next, then report SUCCEEDED), and how it holds up as the store grows."""

from collections.abc import Sequence
from pathlib import Path

from bench.context import Context, group_name, thing_name
from bench.fleet import register
from bench.load import Window
from bench.report import Result
from bench.server import Server

TARGET_DEVICES = 256
TARGET_PER_SECOND = 1800
TARGET_CPU_US = 500
TARGET = f"≥ {TARGET_PER_SECOND:,} cycles/s, ≤ {TARGET_CPU_US} µs server CPU"
GROWTH_DEVICES = 64
GROWTH_SMALL = 1000
GROWTH_RATIO = 0.7
WARM_UP_SECONDS = 1.0


async def device_cycle(context: Context) -> list[Result]:
    with context.serving(context.fresh("cycle")) as server:
        things = [f"device-{number:05d}" for number in range(context.scale.things)]
        scale = context.scale
        windows = await cycle_windows(server, "cycle", things, scale.devices, scale.window_seconds)
        results = []
        for devices, window in windows.items():
            targeted = devices == TARGET_DEVICES
            met = window.per_second >= TARGET_PER_SECOND and window.server_cpu_us <= TARGET_CPU_US
            results.append(
                Result(
                    "device-cycle",
                    f"device cycle over HTTP, {devices} at a time",
                    cycle_text(window),
                    cycle_values(window),
                    target=TARGET if targeted else "",
                    met=met if targeted else None,
                )
            )
        return [
            *results,
            memory_row("device-cycle", f"memory after cycles of {scale.things:,} things", server),
        ]


async def growth(context: Context) -> list[Result]:
    """The same cycles on a small and on a large store, by devices spread over all the stored things."""
    scale = context.scale
    stored = f"{scale.large:,} executions stored against {GROWTH_SMALL:,}"
    small = context.fresh("small")
    context.load(small, scale.things, group_name(scale.things), GROWTH_SMALL)
    before = await _stored_cycles(context, small, scale.things)
    after = await _stored_cycles(context, context.loaded(), scale.large)
    ratio = after.per_second / before.per_second
    return [
        Result(
            "growth",
            f"device cycle, {GROWTH_DEVICES} at a time, {stored}",
            f"{after.per_second:,.0f} against {before.per_second:,.0f} cycles/s: {ratio:.0%}",
            {"per_second": after.per_second, "small_per_second": before.per_second, "ratio": ratio},
            target=f"≥ {GROWTH_RATIO:.0%}",
            met=ratio >= GROWTH_RATIO,
        )
    ]


async def _stored_cycles(context: Context, data: Path, stored: int) -> Window:
    scale = context.scale
    step = stored // scale.things
    things = [thing_name(group_name(stored), number * step) for number in range(scale.things)]
    with context.serving(data) as server:
        windows = await cycle_windows(server, "growth", things, [GROWTH_DEVICES], scale.window_seconds)
        context.say(f"{stored:,} things stored: {cycle_text(windows[GROWTH_DEVICES])}")
        return windows[GROWTH_DEVICES]


async def cycle_windows(
    server: Server, prefix: str, things: Sequence[str], devices: Sequence[int], seconds: float
) -> dict[int, Window]:
    """Cycles at each number of devices, one after the other; the server's counters must agree."""
    fleet = await register(server, prefix, things)
    await fleet.measure(devices[0], WARM_UP_SECONDS)
    windows = {count: await fleet.measure(count, seconds) for count in devices}
    await fleet.check_counters()
    return windows


def cycle_text(window: Window) -> str:
    return (
        f"{window.per_second:,.0f} cycles/s, {window.server_cpu_us:,.0f} µs server CPU, "
        f"p50 {window.percentile_ms(50):.2f} ms, p99 {window.percentile_ms(99):.2f} ms "
        f"(generator {window.own_share:.0%})"
    )


def cycle_values(window: Window) -> dict[str, float]:
    return {
        "per_second": window.per_second,
        "count": window.count,
        "server_cpu_us": window.server_cpu_us,
        "server_share": window.server_share,
        "p50_ms": window.percentile_ms(50),
        "p99_ms": window.percentile_ms(99),
        "generator_share": window.own_share,
    }


def memory_row(scenario: str, work: str, server: Server) -> Result:
    rss, peak = server.process.rss_mb(), server.process.peak_rss_mb()
    measured = f"{rss:,.0f} MB resident, peak {peak:,.0f} MB"
    return Result(scenario, work, measured, {"rss_mb": rss, "peak_rss_mb": peak}, server=server.name)
