"""The same work on moto server and MiniStack, as far as they do it, beside ours.

Each runs as it ships, one process on one core. Both peers keep everything in memory, verify no signature and
sync nothing to disk; thingjobs does all three here too.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from importlib.metadata import PackageNotFoundError, version

from bench import api
from bench.context import Context
from bench.cycles import cycle_text, cycle_values, cycle_windows, memory_row
from bench.errors import BenchError
from bench.load import ask_all, connections
from bench.process import HOST, Process
from bench.reads import READERS, execution_reads, job_reads, read_for, read_text
from bench.report import Result, not_measured
from bench.server import Server, free_port
from bench.signing import Credentials, Signer

SCENARIO = "peers"
PEER_CREDENTIALS = Credentials("AKIDEXAMPLE", "no-secret", "us-east-1")
DEVICES = 64
# As many targets as one job may name; moto knows things only, not what is in a group.
TARGETS = 100
JOBS = 5


async def peers(context: Context) -> list[Result]:
    results: list[Result] = []
    for name, start in SERVERS.items():
        try:
            with start(context) as server:
                results += await _measure(context, server, device_plane=name != "moto")
        except BenchError as error:
            results.append(not_measured(SCENARIO, str(error), name))
    return sorted(results, key=lambda result: result.work)


async def _measure(context: Context, server: Server, *, device_plane: bool) -> list[Result]:
    scale = context.scale
    results = await _control_plane(server, scale.peer_seconds)
    for count in scale.peer_things:
        work = f"device cycle over HTTP, {DEVICES} at a time, {count:,} things"
        measured, values = "has no device data plane", dict[str, float]()
        if device_plane:
            things = [f"device-{count}-{number:04d}" for number in range(count)]
            windows = await cycle_windows(server, f"peer-{count}", things, [DEVICES], scale.peer_seconds)
            measured, values = cycle_text(windows[DEVICES]), cycle_values(windows[DEVICES])
        results.append(Result(SCENARIO, work, measured, values, server=server.name))
    return [*results, memory_row(SCENARIO, "memory after this work", server)]


async def _control_plane(server: Server, seconds: float) -> list[Result]:
    """CreateJob on things named one by one, then reading these jobs and their executions."""
    things = [f"target-{number:04d}" for number in range(TARGETS)]
    created = await ask_all(server, [api.create_thing(server, thing) for thing in things])
    arns = [json.loads(answer)["thingArn"] for answer in created]
    jobs = [f"peer-read-{number}" for number in range(JOBS)]
    spent: list[float] = []
    async with connections(server, 1) as (connection,):
        for job in jobs:
            request = api.create_job(server, job, arns)
            before = time.perf_counter()
            await connection.ask(request)
            spent.append((time.perf_counter() - before) * 1000)
    results = [
        Result(
            SCENARIO,
            f"CreateJob on {TARGETS} things",
            f"answer {statistics.median(spent):.1f} ms (worst of {JOBS}: {max(spent):.1f})",
            {"answer_ms": statistics.median(spent), "worst_answer_ms": max(spent)},
            server=server.name,
        )
    ]
    reads = {
        "DescribeJob": job_reads(server, jobs),
        "DescribeJobExecution": execution_reads(server, things, jobs[0]),
    }
    for operation, asked in reads.items():
        window = await read_for(server, asked, seconds)
        work = f"{operation}, {READERS} connections"
        results.append(Result(SCENARIO, work, read_text(window), cycle_values(window), server=server.name))
    return results


def _thingjobs(context: Context) -> AbstractContextManager[Server]:
    return context.serving(context.fresh("peer"))


@contextmanager
def _ministack(context: Context) -> Iterator[Server]:
    port = free_port()
    env = {
        "GATEWAY_PORT": str(port),
        "BIND_HOST": HOST,
        "TMPDIR": str(context.work_dir),
        "IOT_MTLS_ENABLED": "0",  # its MQTT listener would bind all interfaces
    }
    argv = [sys.executable, "-m", "ministack"]
    with _peer(context, "MiniStack", "ministack", argv, port, "/_ministack/ready", env) as server:
        yield server


@contextmanager
def _moto(context: Context) -> Iterator[Server]:
    port = free_port()
    argv = [sys.executable, "-m", "moto.server", "-H", HOST, "-p", str(port)]
    with _peer(context, "moto", "moto", argv, port, "/moto-api/data.json", {}) as server:
        yield server


@contextmanager
def _peer(
    context: Context,
    title: str,
    package: str,
    argv: Sequence[str],
    port: int,
    ready: str,
    env: Mapping[str, str],
) -> Iterator[Server]:
    try:
        name = f"{title} {version(package)}"
    except PackageNotFoundError:
        raise BenchError(f"{package} is not installed; see bench/requirements.txt") from None
    log = context.work_dir / f"{package}.log"
    with Process(argv, log=log, cores=context.cores, env=env) as process:
        process.wait_ready(port, ready)
        yield Server(name, process, port, Signer(f"{HOST}:{port}", PEER_CREDENTIALS))


SERVERS: Mapping[str, Callable[[Context], AbstractContextManager[Server]]] = {
    "thingjobs": _thingjobs,
    "MiniStack": _ministack,
    "moto": _moto,
}
