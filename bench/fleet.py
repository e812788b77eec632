"""Devices with jobs to do: things in groups, job executions queued for them, and the cycle they run."""

import json
import re
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from bench import api
from bench.errors import BenchError, WrongAnswer
from bench.load import Connection, Window, ask_all, connections, merged, run_for
from bench.server import Server
from bench.signing import DEVICE_PLANE

# A job hands out at most 1,000 executions a minute, so that a bigger group would wait for the clock.
GROUP_SIZE = 1000
# As deep as the queues of real devices: a deeper one would measure the reading of long queues.
DEPTH = 4
MAX_ROUNDS = 12

JOB_ID = re.compile(rb'"jobId": ?"([^"]+)"')
REPORT = b'{"status":"SUCCEEDED"}'


@dataclass
class Fleet:
    """Things, the jobs waiting for each, and the signed requests their devices will send."""

    server: Server
    things: Sequence[str]
    group_arns: dict[str, str]
    prefix: str
    jobs: list[str] = field(default_factory=list)
    pending: dict[str, set[str]] = field(default_factory=dict)
    ready: deque[str] = field(default_factory=deque)
    cycles: int = 0
    _starts: dict[str, bytes] = field(default_factory=dict)
    _reports: dict[tuple[str, str], bytes] = field(default_factory=dict)

    def members(self, group: str) -> Sequence[str]:
        index = list(self.group_arns).index(group)
        return self.things[index * GROUP_SIZE : (index + 1) * GROUP_SIZE]

    async def top_up(self) -> None:
        """Create jobs until ``DEPTH`` executions are pending on every thing; make the requests for them."""
        for group, arn in self.group_arns.items():
            members = self.members(group)
            missing = DEPTH - min(len(self.pending[thing]) for thing in members)
            for _ in range(missing):
                await self._queue(arn, members)
        self.prepare()
        self.ready = deque(thing for thing in self.things if self.pending[thing])

    def prepare(self) -> None:
        """Sign the requests for what is pending."""
        signer = self.server.signer
        self._starts = {
            thing: signer.request("PUT", f"/things/{thing}/jobs/$next", b"{}", service=DEVICE_PLANE)
            for thing in self.things
        }
        self._reports = {
            (thing, job): signer.request("POST", f"/things/{thing}/jobs/{job}", REPORT, service=DEVICE_PLANE)
            for thing, jobs in self.pending.items()
            for job in jobs
        }

    async def cycle(self, connection: Connection) -> bool:
        """One device takes its next job and reports success; false when no thing has a job left.

        A thing is out of ``ready`` while its cycle runs, so that no two connections play the same device.
        """
        if not self.ready:
            return False
        thing = self.ready.popleft()
        answer = await connection.ask(self._starts[thing])
        found = JOB_ID.search(answer)
        if found is None or b'"IN_PROGRESS"' not in answer:
            raise WrongAnswer(f"start-next gave {thing} no execution: {answer[:300]!r}")
        job = found[1].decode()
        reported = await connection.ask(self._reports[(thing, job)])
        if reported.strip() != b"{}":
            raise WrongAnswer(f"report of {job} by {thing}: {reported[:300]!r}")
        self.pending[thing].remove(job)
        if self.pending[thing]:
            self.ready.append(thing)
        self.cycles += 1
        return True

    async def measure(self, devices: int, seconds: float) -> Window:
        """Cycles on ``devices`` connections for ``seconds`` in all, in rounds; refilling is not measured."""
        windows: list[Window] = []
        done = 0.0
        for _ in range(MAX_ROUNDS):
            await self.top_up()
            window = await self.window(devices, seconds - done)
            windows.append(window)
            done += window.seconds
            if done >= seconds * 0.95:
                break
        return merged(windows)

    async def window(self, devices: int, seconds: float) -> Window:
        """Cycles on ``devices`` connections, until there is nothing left to do or ``seconds`` are over."""
        return await run_for(self.server, devices, seconds, self.cycle)

    async def check_counters(self) -> None:
        """The server must have counted exactly the successes that its devices reported."""
        asked = [api.describe_job(self.server, job) for job in self.jobs]
        succeeded = sum(
            json.loads(answer)["job"]["jobProcessDetails"]["numberOfSucceededThings"]
            for answer in await ask_all(self.server, asked)
        )
        if succeeded != self.cycles:
            raise BenchError(f"devices reported {self.cycles} successes, the server counts {succeeded}")

    async def _queue(self, arn: str, members: Sequence[str]) -> None:
        job = f"{self.prefix}-job-{len(self.jobs)}"
        self.jobs.append(job)
        async with connections(self.server, 1) as (connection,):
            await connection.ask(api.create_job(self.server, job, [arn]))
            await api.wait_queued(connection, self.server, job, len(members))
        for thing in members:
            self.pending[thing].add(job)


async def register(server: Server, prefix: str, things: Sequence[str]) -> Fleet:
    """Create ``things`` in groups of ``GROUP_SIZE``. Things that exist already are taken as they are."""
    await ask_all(server, [api.create_thing(server, thing) for thing in things])
    groups = [f"{prefix}-group-{number}" for number in range(-(-len(things) // GROUP_SIZE))]
    created = await ask_all(server, [api.create_thing_group(server, group) for group in groups])
    joins = [
        api.add_thing_to_thing_group(server, thing, groups[number // GROUP_SIZE])
        for number, thing in enumerate(things)
    ]
    await ask_all(server, joins)
    return Fleet(
        server,
        things,
        {group: api.thing_group_arn(answer) for group, answer in zip(groups, created, strict=True)},
        prefix,
        pending={thing: set() for thing in things},
    )
