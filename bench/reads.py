"""Reading: DescribeJob, DescribeJobExecution, and the lists to their last page."""

import itertools
import json
import time
from collections.abc import Sequence

from bench import api
from bench.context import Context, group_name
from bench.cycles import cycle_values, memory_row
from bench.errors import BenchError, WrongAnswer
from bench.fleet import GROUP_SIZE, register
from bench.load import Connection, Window, ask_all, connections, percentile, run_for
from bench.report import Result
from bench.server import Server

READERS = 16
TARGET_PER_SECOND = 3500
TARGET_P99_MS = 20
PAGE = 250


async def describe(context: Context) -> list[Result]:
    with context.serving(context.fresh("describe")) as server:
        things = [f"device-{number:05d}" for number in range(GROUP_SIZE)]
        fleet = await register(server, "describe", things)
        await fleet.top_up()
        reads = {
            "DescribeJob": job_reads(server, fleet.jobs),
            "DescribeJobExecution": execution_reads(server, things, fleet.jobs[0]),
        }
        results = []
        for operation, asked in reads.items():
            window = await read_for(server, asked, context.scale.window_seconds)
            met = window.per_second >= TARGET_PER_SECOND and window.percentile_ms(99) <= TARGET_P99_MS
            results.append(
                Result(
                    "describe",
                    f"{operation}, {READERS} connections",
                    read_text(window),
                    cycle_values(window),
                    target=f"≥ {TARGET_PER_SECOND:,} req/s, p99 ≤ {TARGET_P99_MS} ms",
                    met=met,
                )
            )
        return results


async def listing(context: Context) -> list[Result]:
    """Every page of the three long lists, asked one after the other as a paginator does."""
    scale = context.scale
    group = group_name(scale.large)
    lists = [
        ("ListThingsInThingGroup", f"/thing-groups/{group}/things", "things", scale.large),
        ("ListThings", "/things", "things", scale.large + scale.medium),
        ("ListJobExecutionsForJob", f"/jobs/{group}-history-0/things", "executionSummaries", scale.large),
    ]
    with context.serving(context.loaded()) as server:
        results = [await _all_pages(server, *described) for described in lists]
        return [*results, memory_row("listing", f"memory after listing {scale.large:,} things", server)]


def job_reads(server: Server, jobs: Sequence[str]) -> list[tuple[bytes, bytes]]:
    """Signed DescribeJob requests, each with what its answer must contain."""
    return [(api.describe_job(server, job), f'"{job}"'.encode()) for job in jobs]


def execution_reads(server: Server, things: Sequence[str], job: str) -> list[tuple[bytes, bytes]]:
    """The same for DescribeJobExecution of the control plane."""
    return [(api.describe_job_execution(server, thing, job), f':thing/{thing}"'.encode()) for thing in things]


async def read_for(server: Server, reads: Sequence[tuple[bytes, bytes]], seconds: float) -> Window:
    await ask_all(server, [request for request, _ in reads])
    endless = itertools.cycle(reads)

    async def step(connection: Connection) -> bool:
        request, expected = next(endless)
        answer = await connection.ask(request)
        if expected not in answer:
            raise WrongAnswer(f"{expected!r} is not in {answer[:300]!r}")
        return True

    return await run_for(server, READERS, seconds, step)


def read_text(window: Window) -> str:
    return (
        f"{window.per_second:,.0f} req/s, {window.server_cpu_us:,.0f} µs server CPU, "
        f"p50 {window.percentile_ms(50):.2f} ms, p99 {window.percentile_ms(99):.2f} ms"
    )


async def _all_pages(server: Server, operation: str, path: str, member: str, expected: int) -> Result:
    spent: list[float] = []
    items = 0
    token: str | None = None
    async with connections(server, 1) as (connection,):
        for _ in range(expected // PAGE + 2):
            query = [("maxResults", str(PAGE)), *([("nextToken", token)] if token else [])]
            request = server.signer.request("GET", path, query=query)
            before = time.perf_counter()
            answer = await connection.ask(request)
            spent.append(time.perf_counter() - before)
            page = json.loads(answer)
            items += len(page[member])
            token = page.get("nextToken")
            if not token:
                break
    if items != expected:
        raise BenchError(f"{operation}: {items:,} items on {len(spent)} pages, {expected:,} are stored")
    pages_per_second = len(spent) / sum(spent)
    p99_ms = percentile(spent, 99) * 1000
    return Result(
        "listing",
        f"{operation}, all pages of {expected:,}",
        f"{pages_per_second:,.0f} pages/s of {PAGE}, p99 {p99_ms:.1f} ms",
        {"pages_per_second": pages_per_second, "p99_ms": p99_ms, "items": items},
    )
