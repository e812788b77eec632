"""CreateJob on groups of three sizes: how soon it answers, and how soon the first devices have work."""

import statistics
import time

from bench import api
from bench.context import Context, group_name
from bench.cycles import memory_row
from bench.fleet import GROUP_SIZE, register
from bench.load import Connection, connections
from bench.report import Result
from bench.server import Server

ANSWER_MS = 20
QUEUED_SECONDS = 1.0
TARGET = f"answer ≤ {ANSWER_MS} ms, first {GROUP_SIZE:,} queued ≤ {QUEUED_SECONDS:.0f} s"


async def create_job(context: Context) -> list[Result]:
    scale = context.scale
    with context.serving(context.fresh("create")) as server:
        fleet = await register(server, "create", [f"device-{number:05d}" for number in range(GROUP_SIZE)])
        (group,) = fleet.group_arns
        results = [await _creations(server, group, GROUP_SIZE, scale.repeats)]
    with context.serving(context.loaded()) as server:
        for size in (scale.medium, scale.large):
            results.append(await _creations(server, group_name(size), size, scale.repeats))
        results.append(memory_row("create-job", f"memory after CreateJob on {scale.large:,} things", server))
    return results


async def _creations(server: Server, group: str, size: int, repeats: int) -> Result:
    """The median and the worst of some jobs, each canceled before the next so that rollouts do not add up."""
    async with connections(server, 1) as (connection,):
        described = await connection.ask(api.describe_thing_group(server, group))
        arn = api.thing_group_arn(described)
        timed = [
            await timed_creation(connection, server, f"{group}-new-{number}", [arn], min(size, GROUP_SIZE))
            for number in range(repeats)
        ]
    answers = [answer for answer, _ in timed]
    queued = [both for _, both in timed]
    targeted = size >= 1_000_000
    worst_answer, worst_queued = max(answers), max(queued)
    return Result(
        "create-job",
        f"CreateJob on a group of {size:,}",
        f"answer {statistics.median(answers) * 1000:.1f} ms (worst of {repeats}: {worst_answer * 1000:.1f}), "
        f"first {GROUP_SIZE:,} queued after {statistics.median(queued) * 1000:.0f} ms "
        f"(worst {worst_queued * 1000:.0f})",
        {
            "answer_ms": statistics.median(answers) * 1000,
            "worst_answer_ms": worst_answer * 1000,
            "queued_ms": statistics.median(queued) * 1000,
            "worst_queued_ms": worst_queued * 1000,
        },
        target=TARGET if targeted else "",
        met=worst_answer * 1000 <= ANSWER_MS and worst_queued <= QUEUED_SECONDS if targeted else None,
    )


async def timed_creation(
    connection: Connection, server: Server, job: str, targets: list[str], things: int
) -> tuple[float, float]:
    """Seconds from sending CreateJob to its answer, and to ``things`` queued; then the job is canceled."""
    request = api.create_job(server, job, targets)
    start = time.perf_counter()
    await connection.ask(request)
    answered = time.perf_counter() - start
    queued = answered + await api.wait_queued(connection, server, job, things)
    await connection.ask(api.cancel_job(server, job))
    return answered, queued
