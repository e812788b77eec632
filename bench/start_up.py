"""How soon ``thingjobs dev`` is healthy."""

import statistics

from bench.context import Context
from bench.report import Result
from bench.server import start_up_seconds

EMPTY_SECONDS = 1.0
LARGE_SECONDS = 2.0


async def start_up(context: Context) -> list[Result]:
    repeats = context.scale.repeats
    start_up_seconds(context.fresh("first-start"), context.cores)  # compiles the byte code; not counted
    empty = [start_up_seconds(context.fresh("start"), context.cores) for _ in range(repeats)]
    results = [_row("an empty store", empty, EMPTY_SECONDS)]
    loaded = context.loaded()
    large = [start_up_seconds(loaded, context.cores) for _ in range(repeats)]
    return [*results, _row(f"{context.scale.large:,} executions stored", large, LARGE_SECONDS)]


def _row(store: str, seconds: list[float], target: float) -> Result:
    median = statistics.median(seconds)
    return Result(
        "start-up",
        f"start-up with {store}",
        f"healthy after {median:.2f} s (median of {len(seconds)}, worst {max(seconds):.2f})",
        {"seconds": median, "worst_seconds": max(seconds)},
        target=f"≤ {target:.0f} s",
        met=median <= target,
    )
