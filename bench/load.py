"""A lean load generator: raw HTTP/1.1 over asyncio, one request in flight per connection.

It counts an answer only if its status is 200 and the work's own check accepts the body; anything
else raises, and the whole measurement is void.
"""

import asyncio
import gc
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from bench.errors import BenchError, WrongAnswer
from bench.server import Server

T = TypeVar("T")

CONNECT_SECONDS = 10.0
# What a window may take beyond its length: the last answers of slow servers.
GRACE_SECONDS = 60.0
CONTENT_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*(\d+)", re.IGNORECASE)
CONNECTION_CLOSE = re.compile(rb"\r\nconnection:[ \t]*close", re.IGNORECASE)


class Connection:
    """One client. Its TCP connection is opened again when the server has closed it after an answer."""

    def __init__(self, host: str, port: int) -> None:
        self._host = host
        self._port = port
        self._stream: _Stream | None = None

    async def open(self) -> None:
        loop = asyncio.get_running_loop()
        async with at_most(CONNECT_SECONDS):
            _, self._stream = await loop.create_connection(_Stream, self._host, self._port)

    async def ask(self, request: bytes) -> bytes:
        """Send one request and give the body of its 200 answer; raise on any other."""
        if self._stream is None or self._stream.ended:
            await self.open()
        assert self._stream is not None
        answer = await self._stream.exchange(request)
        body = answer.index(b"\r\n\r\n") + 4
        if answer[9:12] != b"200":
            asked = request[: request.index(b"\r\n")].decode()
            raise WrongAnswer(f"{asked}: {answer[9:12].decode()} {answer[body:][:300]!r}")
        return answer[body:]

    def close(self) -> None:
        if self._stream is not None:
            self._stream.end()


class _Stream(asyncio.Protocol):
    """One TCP connection: bytes of a request out, bytes of a whole answer in."""

    def __init__(self) -> None:
        self.ended = False
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._waiting: asyncio.Future[bytes] | None = None

    def exchange(self, request: bytes) -> asyncio.Future[bytes]:
        assert self._transport is not None
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return self._waiting

    def end(self) -> None:
        self.ended = True
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        head = buffer.find(b"\r\n\r\n")
        length = CONTENT_LENGTH.search(buffer, 0, head) if head >= 0 else None
        if head >= 0 and length is None:
            self._fail("an answer without Content-Length")
        elif length is None or len(buffer) < head + 4 + int(length[1]):
            self._buffer = buffer
        else:
            self._buffer = b""
            if CONNECTION_CLOSE.search(buffer, 0, head):
                self.end()
            if self._waiting is not None and not self._waiting.done():
                self._waiting.set_result(buffer)

    def connection_lost(self, exc: Exception | None) -> None:
        self.ended = True
        self._fail(f"connection closed before the answer: {exc}")

    def _fail(self, why: str) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(WrongAnswer(why))


@dataclass(frozen=True)
class Window:
    """One stretch of measured work: how much was done, how long each piece took, what it cost."""

    seconds: float
    latencies_ns: Sequence[int]
    server_cpu: float
    own_cpu: float

    @property
    def count(self) -> int:
        return len(self.latencies_ns)

    @property
    def per_second(self) -> float:
        return self.count / self.seconds

    @property
    def server_cpu_us(self) -> float:
        return self.server_cpu * 1e6 / self.count

    @property
    def server_share(self) -> float:
        return self.server_cpu / self.seconds

    @property
    def own_share(self) -> float:
        return self.own_cpu / self.seconds

    def percentile_ms(self, percent: float) -> float:
        return percentile(self.latencies_ns, percent) / 1e6


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile of ``values``, which must not be empty."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def merged(windows: Sequence[Window]) -> Window:
    """Several stretches of the same work as one."""
    return Window(
        seconds=sum(window.seconds for window in windows),
        latencies_ns=[latency for window in windows for latency in window.latencies_ns],
        server_cpu=sum(window.server_cpu for window in windows),
        own_cpu=sum(window.own_cpu for window in windows),
    )


@asynccontextmanager
async def connections(server: Server, count: int) -> AsyncIterator[list[Connection]]:
    """``count`` open connections, closed at the end."""
    opened = [Connection(server.host, server.port) for _ in range(count)]
    try:
        for connection in opened:
            await connection.open()
        yield opened
    finally:
        for connection in opened:
            connection.close()


async def run_for(
    server: Server, count: int, seconds: float, step: Callable[[Connection], Awaitable[bool]]
) -> Window:
    """Repeat ``step`` on ``count`` connections for ``seconds``, or until it answers that no work is left."""
    async with connections(server, count) as opened:
        return await run_on(server, opened, seconds, step)


async def run_on(
    server: Server, clients: Sequence[T], seconds: float, step: Callable[[T], Awaitable[bool]]
) -> Window:
    """The same with clients that are there already."""
    latencies: list[int] = []

    async def worker(client: T, end: int) -> None:
        while (before := time.perf_counter_ns()) < end:
            if not await step(client):
                return
            latencies.append(time.perf_counter_ns() - before)

    async with at_most(seconds + GRACE_SECONDS):
        gc.collect()
        gc.disable()
        try:
            server_before, own_before = server.cpu_seconds(), time.process_time()
            start = time.perf_counter_ns()
            end = start + int(seconds * 1e9)
            await together(worker(client, end) for client in clients)
            elapsed = (time.perf_counter_ns() - start) / 1e9
            own_cpu, server_cpu = time.process_time() - own_before, server.cpu_seconds() - server_before
        finally:
            gc.enable()
    if not latencies:
        raise BenchError("no work was done in the window")
    return Window(elapsed, latencies, server_cpu, own_cpu)


async def ask_all(
    server: Server, requests: Sequence[bytes], count: int = 16, limit_seconds: float = 240
) -> list[bytes]:
    """The answers to ``requests``, in order, asked over ``count`` connections; set-up work, not measured."""
    answers = [b""] * len(requests)
    numbers = iter(range(len(requests)))

    async def worker(connection: Connection) -> None:
        for number in numbers:
            answers[number] = await connection.ask(requests[number])

    async with connections(server, min(count, len(requests))) as opened, at_most(limit_seconds):
        await together(worker(connection) for connection in opened)
    return answers


@asynccontextmanager
async def at_most(seconds: float) -> AsyncIterator[None]:
    """Void what takes longer than ``seconds``."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError:
        raise BenchError(f"not finished in {seconds:.0f} s") from None


async def together(workers: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run coroutines side by side; the first error stops them all and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            for worker in workers:
                group.create_task(worker)
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from None


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run ``main`` on uvloop where it is installed."""
    try:
        import uvloop
    except ImportError:
        return asyncio.run(main)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)
