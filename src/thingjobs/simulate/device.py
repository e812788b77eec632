"""One virtual device, from its first connection to the end of the simulation.

A device connects and asks for its next job. With a job it works, reports progress and the outcome, and asks
again; without one it waits for ``notify-next``. When its connection ends, on purpose or not, it connects
again after a while and asks for its next job, which is the one it was working on: what it has reported says
where to go on. A final report that was not answered is sent again first, so that none is lost. It names its
execution by number: if the first copy had arrived, the refusal of the second shows the status that it set,
and a retry that has begun meanwhile is not touched. A device that reboots goes on in the same way, but begins
its job anew: it does not go by what it reported before.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from enum import Enum
from itertools import count
from random import Random

import msgspec

from thingjobs.simulate import messages
from thingjobs.simulate.client import ANSWER_SECONDS, Client, ConnectionLost
from thingjobs.simulate.control_plane import Notice
from thingjobs.simulate.messages import Execution, Message, Request
from thingjobs.simulate.options import Options
from thingjobs.simulate.plan import Plan, plan
from thingjobs.simulate.tally import Tally

SHORTEST_BACK_OFF, LONGEST_BACK_OFF = 0.2, 30.0
SAME_CLOCK_SECONDS = 2
"""If the server's time is further off than this, no times are taken between its clock and ours."""
_STEP = "step"
_THROTTLED = "RequestThrottled"


class Activity(Enum):
    """What a device is doing."""

    OFFLINE = "offline"
    IDLE = "waiting for work"
    WORKING = "working"


class ThingMissing(Exception):
    """A device has no thing on the server, so the simulation makes no sense."""


class Refused(Exception):
    """The server rejected a request."""

    def __init__(self, answer: Message) -> None:
        super().__init__(answer.code)
        self.answer = answer


class Device:
    """``arrivals`` bounds how many devices connect at once; ``changed`` hears what this one is doing."""

    def __init__(
        self,
        name: str,
        options: Options,
        tally: Tally,
        arrivals: asyncio.Semaphore,
        changed: Callable[[Activity, Activity], None],
    ) -> None:
        self.name = name
        self.activity = Activity.OFFLINE
        self._options = options
        self._tally = tally
        self._arrivals = arrivals
        self._changed = changed
        self._client: Client | None = None
        self._woken = asyncio.Event()
        self._asked: dict[str, asyncio.Future[Message]] = {}
        self._last_token = 0
        self._dropped: set[tuple[str, int]] = set()  # job executions during which it dropped already
        self._rebooted: set[tuple[str, int]] = set()  # and during which it rebooted
        self._starts_over = False  # after a reboot
        self._unanswered: tuple[str, int, Request] | None = None  # job, execution number and final report
        self._back_off = Random(name)  # noqa: S311  # spreads devices out, nothing else

    async def run(self) -> None:
        """Live until canceled. Errors: ThingMissing."""
        attempts = 0
        while True:
            away = 0.0
            try:
                await self._arrive()
                attempts = 0
                away = await self._work_on_jobs()
            except ConnectionLost:
                self._tally.losses += 1
                away = self._back_off_seconds(attempts)
                attempts += 1
            except asyncio.CancelledError:
                if self._client is not None:
                    self._client.disconnect()
                raise
            finally:
                self._enter(Activity.OFFLINE)
                if self._client is not None:
                    self._client.abort()
            await asyncio.sleep(away)

    # --- work -------------------------------------------------------------------------------------------

    async def _arrive(self) -> None:
        async with self._arrivals:
            client = self._client = Client(self._options.keep_alive, self._on_message, self._on_lost)
            await client.connect(self._options.mqtt_host, self._options.mqtt_port, self.name)
            await client.subscribe(messages.to_subscribe(self.name))
        self._tally.connects += 1

    async def _work_on_jobs(self) -> float:
        """Do jobs until the device is to be away; for how many seconds. Errors: ConnectionLost."""
        if self._unanswered is not None:
            await self._report_again()
        while True:
            self._woken.clear()
            answer = await self._ask_next()
            if answer.execution is None:
                self._enter(Activity.IDLE)
                await self._woken.wait()
                if self._client is None or self._client.is_lost:
                    raise ConnectionLost
                continue
            self._enter(Activity.WORKING)
            away = await self._work_on(answer.execution)
            if away is not None:
                return away

    async def _work_on(self, execution: Execution) -> float | None:
        """Do one job; how long to be away if the connection is to end now, else None."""
        progress = self._options.progress
        fate = plan(self._options, self.name, execution.job_id, execution.execution_number)
        this = (execution.job_id, execution.execution_number)
        drop_after = fate.drop_after if this not in self._dropped else None
        reboot_after = fate.reboot_after if this not in self._rebooted else None
        done = _steps_done(execution.status_details)
        if done or this in self._dropped | self._rebooted:
            self._tally.resumed += 1
        else:
            self._tally.started += 1
        if self._starts_over:
            self._starts_over, done = False, 0
        if fate.outcome != "REJECTED":
            for step in range(done, progress + 1):
                if drop_after == step:
                    return self._drop(this, fate)
                if reboot_after == step:
                    return self._reboot(this, fate)
                await self._pass_time(fate.work_seconds / (progress + 1))
                if step < progress and not await self._report_progress(execution, step + 1):
                    return None
        report = Request("", fate.outcome, execution.execution_number, _details_of(fate.outcome))
        self._unanswered = (execution.job_id, execution.execution_number, report)
        if drop_after is not None:
            self._send(messages.update(self.name, execution.job_id), report)
            await asyncio.sleep(0)  # so that it leaves; its answer will not arrive
            return self._drop(this, fate)
        await self._report_again()
        return None

    def _drop(self, this: tuple[str, int], fate: Plan) -> float:
        self._dropped.add(this)
        self._tally.drops += 1
        return fate.offline_seconds

    def _reboot(self, this: tuple[str, int], fate: Plan) -> float:
        self._rebooted.add(this)
        self._starts_over = True
        self._tally.reboots += 1
        return fate.reboot_seconds

    async def _report_progress(self, execution: Execution, step: int) -> bool:
        """Whether the job is still ours to do."""
        details = {_STEP: f"{step} of {self._options.progress}"}
        report = Request("", "IN_PROGRESS", execution.execution_number, details)
        try:
            await self._ask(messages.update(self.name, execution.job_id), report)
        except Refused as refused:
            self._settle(refused.answer)
            return False
        return True

    async def _report_again(self) -> None:
        """Send the final report, for the first time or once more, until it is answered."""
        assert self._unanswered is not None
        job_id, execution_number, report = self._unanswered
        try:
            await self._ask(messages.update(self.name, job_id), report)
        except Refused as refused:
            self._settle(refused.answer)
        else:
            self._tally.outcomes[report.status] += 1
        self._unanswered = None
        self._dropped.discard((job_id, execution_number))
        self._rebooted.discard((job_id, execution_number))
        self._changed(self.activity, self.activity)

    def _settle(self, refusal: Message) -> None:
        """A report was refused: the job is over, by an earlier copy of the report or by someone else."""
        if refusal.execution_state is not None:
            self._tally.outcomes[refusal.execution_state.status] += 1
        elif refusal.code == "ResourceNotFound":
            self._tally.outcomes["DELETED"] += 1
        else:
            self._tally.errors[refusal.code] += 1

    async def _ask_next(self) -> Message:
        try:
            return await self._ask(messages.start_next(self.name), Request(""))
        except Refused as refused:
            if refused.answer.code == "ResourceNotFound":
                raise ThingMissing(
                    f"There is no thing {self.name} on the server; --create makes what is missing."
                ) from None
            self._tally.errors[refused.answer.code] += 1
            self._client_or_lost().abort()
            raise ConnectionLost from None

    async def _pass_time(self, seconds: float) -> None:
        """Work. Errors: ConnectionLost, as soon as it happens."""
        client = self._client_or_lost()
        try:
            async with asyncio.timeout(seconds):
                await client.lost.wait()
        except TimeoutError:
            return
        raise ConnectionLost

    # --- requests and answers -----------------------------------------------------------------------------

    async def _ask(self, topic: str, request: Request) -> Message:
        """Send a request and give its answer; again, if it was one too many for now.

        Errors: Refused; ConnectionLost, also for no answer.
        """
        for attempt in count():
            answer = await self._ask_once(topic, request)
            if answer.code != _THROTTLED:
                break
            self._tally.throttled += 1
            await self._pass_time(self._back_off_seconds(attempt))
        if answer.code:
            raise Refused(answer)
        return answer

    async def _ask_once(self, topic: str, request: Request) -> Message:
        begun = time.perf_counter()
        answer: asyncio.Future[Message] = asyncio.get_running_loop().create_future()
        token = self._send(topic, request)
        self._asked[token] = answer
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                message = await answer
        except TimeoutError:
            self._tally.errors["NoAnswer"] += 1
            self._client_or_lost().abort()
            raise ConnectionLost from None
        finally:
            self._asked.pop(token, None)
        self._tally.answer_seconds.append(time.perf_counter() - begun)
        return message

    def _send(self, topic: str, request: Request) -> str:
        self._last_token += 1
        token = f"{self.name}-{self._last_token}"
        self._tally.requests += 1
        request = msgspec.structs.replace(request, client_token=token)
        self._client_or_lost().publish(topic, messages.write(request))
        return token

    def _back_off_seconds(self, attempts: int) -> float:
        longest = min(SHORTEST_BACK_OFF * 2 ** min(attempts, 16), LONGEST_BACK_OFF)
        return self._back_off.uniform(longest / 2, longest)

    def _client_or_lost(self) -> Client:
        if self._client is None:
            raise ConnectionLost
        return self._client

    def _on_message(self, topic: str, payload: bytes) -> None:
        message = messages.read(payload)
        if not topic.endswith("/notify-next"):
            answer = self._asked.get(message.client_token)
            if answer is not None and not answer.done():
                answer.set_result(message)
        elif message.execution is not None:
            self._note_notice(message.timestamp, message.execution)
            self._woken.set()

    def _note_notice(self, server_now: int, execution: Execution) -> None:
        """Time the news of a job, unless it is old: of one that waited for the device."""
        now = time.time()
        if self.activity is Activity.IDLE and abs(now - server_now) <= SAME_CLOCK_SECONDS:
            self._tally.note(Notice(self.name, execution.job_id, execution.execution_number, now))

    def _on_lost(self) -> None:
        for answer in self._asked.values():
            if not answer.done():
                answer.set_exception(ConnectionLost())
        self._woken.set()

    def _enter(self, activity: Activity) -> None:
        before, self.activity = self.activity, activity
        self._changed(before, activity)


def _steps_done(details: Mapping[str, str]) -> int:
    """How far a job has come, as its device last reported."""
    done, _, _ = details.get(_STEP, "").partition(" of ")
    return int(done) if done.isdecimal() else 0


def _details_of(outcome: str) -> dict[str, str]:
    """What the final report says; empty to take back what progress had said."""
    return {} if outcome == "SUCCEEDED" else {"reason": "simulated"}
