"""Whatever happens to jobs, in whatever order: what must hold, holds."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec import convert

from factories import group_arn, rows
from thingjobs.domain import deadline
from thingjobs.domain.errors import ServiceError
from thingjobs.domain.model import TERMINAL, JobKey
from thingjobs.operations import background, endings, following, jobs, rollout, thing_groups, things, timeouts
from thingjobs.operations.device import Command, DeviceOperations, Request
from thingjobs.operations.device_documents import DeviceDocuments
from thingjobs.store.tx import Tx
from thingjobs.wire.shapes import iot, iot_jobs_data
from world import World, abort, retry

THINGS = ["t0", "t1", "t2", "t3"]
GROUPS = ["g0", "g1", "g2"]
PARENT = {"g2": "g0"}
JOBS = ["j0", "j1", "j2"]
_thing, _group, _job = st.sampled_from(THINGS), st.sampled_from(GROUPS), st.sampled_from(JOBS)
_status = st.sampled_from(["IN_PROGRESS", "SUCCEEDED", "FAILED", "FAILED", "REJECTED"])

RETRIES = [None, retry(FAILED=1), retry(ALL=2), retry(FAILED=1, TIMED_OUT=1)]
ABORTS = [None, abort(("FAILED", 50, 2)), abort(("ALL", 40, 3), ("FAILED", 100, 1))]
RATES = [None, {"maximumPerMinute": 1}, {"maximumPerMinute": 2}]


PIECES = [(rollout, "LOOKED_AT_ONCE"), (following, "LEFT_AT_ONCE"), (background, "LEAVE_SIZE")]
PIECES += [(timeouts, "TIMED_OUT_AT_ONCE")]


class Lifecycle(RuleBasedStateMachine):
    """Operators, devices, the registry and the clock; the service keeps nothing outside of its store.

    What is done in pieces is done in pieces of one or two.
    """

    def __init__(self) -> None:
        super().__init__()
        self._pieces = [patch.object(module, name, 2) for module, name in PIECES]
        for each in self._pieces:
            each.start()
        self._folder = TemporaryDirectory()
        self.world = World(path=f"{self._folder.name}/world.db")
        self.world.enable_events("JOB", "JOB_EXECUTION")
        for group in GROUPS:
            self._make_group(group)
        self.world.things(*THINGS, group="g0")
        self._seen: dict[int, tuple[int, str]] = {}
        self._over: dict[str, str] = {}
        self._told: set[tuple[str, str, int]] = set()
        self._told_jobs: dict[str, set[str]] = {}
        self._deleted = 0

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """A request that may be refused, and then must have changed nothing, as in the batcher."""
        mark = self.world.tx.savepoint()
        try:
            yield
        except ServiceError:
            self.world.tx.rollback_to(mark)
        self.world.tx.release(mark)

    # --- the registry -----------------------------------------------------------------------------

    @rule(thing=_thing)
    def make_thing(self, thing: str) -> None:
        with self._asked():
            self.world.things(thing)

    @rule(thing=_thing)
    def delete_thing(self, thing: str) -> None:
        request = iot.DeleteThingRequest(thing_name=thing)
        things.delete_thing(self.world.call, self.world.tx, request)

    @rule(thing=_thing, group=_group)
    def join(self, thing: str, group: str) -> None:
        with self._asked():
            self.world.join(thing, group)

    @rule(thing=_thing, group=_group)
    def leave(self, thing: str, group: str) -> None:
        with self._asked():
            self.world.leave(thing, group)

    @rule(group=_group)
    def make_group_anew(self, group: str) -> None:
        request = iot.DeleteThingGroupRequest(thing_group_name=group)
        with self._asked():
            thing_groups.delete_thing_group(self.world.call, self.world.tx, request)
            self._make_group(group)

    def _make_group(self, group: str) -> None:
        request = iot.CreateThingGroupRequest(thing_group_name=group, parent_group_name=PARENT.get(group))
        thing_groups.create_thing_group(self.world.call, self.world.tx, request)

    # --- operators --------------------------------------------------------------------------------

    @rule(
        job=_job,
        named=st.lists(st.sampled_from([*THINGS, *GROUPS]), min_size=1, max_size=3),
        continuous=st.booleans(),
        retries=st.sampled_from(RETRIES),
        aborts=st.sampled_from(ABORTS),
        rate=st.sampled_from(RATES),
        minutes=st.sampled_from([None, 1, 5]),
        schedule=st.sampled_from(["none", "start", "soon", "end", "cancel", "force", "window"]),
    )
    def create_job(
        self,
        job: str,
        named: list[str],
        continuous: bool,
        retries: dict[str, Any] | None,
        aborts: dict[str, Any] | None,
        rate: dict[str, Any] | None,
        minutes: int | None,
        schedule: str,
    ) -> None:
        members = {
            "targetSelection": "CONTINUOUS" if continuous else "SNAPSHOT",
            "jobExecutionsRetryConfig": retries,
            "abortConfig": aborts,
            "jobExecutionsRolloutConfig": rate,
            "timeoutConfig": None if minutes is None else {"inProgressTimeoutInMinutes": minutes},
            "schedulingConfig": self._schedule(schedule),
        }
        given = {name: value for name, value in members.items() if value is not None}
        with self._asked():
            self.world.job(job, *named, **given)
            self._over.pop(job, None)

    def _schedule(self, kind: str) -> dict[str, Any] | None:
        start = {"startTime": self.world.at(32)}
        end = {"endTime": self.world.at(64)}
        window = {"startTime": "cron(*/20 * * * ? *)", "durationInMinutes": 10}
        return {
            "none": None,
            "start": start,
            "soon": {"endTime": self.world.at(31), "endBehavior": "CANCEL"},
            "end": end,
            "cancel": {**start, **end, "endBehavior": "CANCEL"},
            "force": {**end, "endBehavior": "FORCE_CANCEL"},
            "window": {**start, "endTime": self.world.at(150), "maintenanceWindows": [window]},
        }[kind]

    @rule(job=_job, force=st.booleans())
    def cancel_job(self, job: str, force: bool) -> None:
        with self._asked():
            self.world.cancel(job, force=force)

    @rule(job=_job, group=_group)
    def associate(self, job: str, group: str) -> None:
        request = iot.AssociateTargetsWithJobRequest(job_id=job, targets=[group_arn(self.world.call, group)])
        with self._asked():
            jobs.associate_targets_with_job(self.world.call, self.world.tx, request)

    @rule(
        job=_job,
        rate=st.sampled_from(RATES[1:]),
        aborts=st.sampled_from(ABORTS[1:]),
        minutes=st.sampled_from([1, 5]),
    )
    def update_job(self, job: str, rate: dict[str, Any], aborts: dict[str, Any], minutes: int) -> None:
        members = {
            "jobId": job,
            "jobExecutionsRolloutConfig": rate,
            "abortConfig": aborts,
            "timeoutConfig": {"inProgressTimeoutInMinutes": minutes},
        }
        with self._asked():
            jobs.update_job(self.world.call, self.world.tx, convert(members, iot.UpdateJobRequest))

    @rule(job=_job)
    def delete_job(self, job: str) -> None:
        with self._asked():
            self.world.delete(job)

    @rule(thing=_thing, job=_job, force=st.booleans())
    def cancel_execution(self, thing: str, job: str, force: bool) -> None:
        with self._asked():
            self.world.cancel_execution(thing, job, force=force)

    @rule(thing=_thing, job=_job, number=st.integers(1, 2), force=st.booleans())
    def delete_execution(self, thing: str, job: str, number: int, force: bool) -> None:
        with self._asked():
            self.world.delete_execution(thing, job, number, force=force)
            self._deleted += 1

    # --- devices and the clock ----------------------------------------------------------------------

    @rule(thing=_thing, step=st.sampled_from([None, 1]))
    def start_next(self, thing: str, step: int | None) -> None:
        with self._asked():
            self.world.device(thing).start_next(step_timeout_in_minutes=step)

    @rule(
        thing=_thing,
        job=_job,
        status=_status,
    )
    def report(self, thing: str, job: str, status: str) -> None:
        with self._asked():
            self.world.report(job, status, thing)

    @rule(minutes=st.sampled_from([0.5, 1, 7, 31]))
    def wind(self, minutes: float) -> None:
        self.world.wind(minutes)

    @rule(minutes=st.sampled_from([0.5, 2, 40]))
    def nobody_looks(self, minutes: float) -> None:
        """A server that is down, or late; when it is back it does what was due."""
        self.world.skip(minutes)

    @rule()
    def restart(self) -> None:
        """The server is killed and comes back: it has nothing but its store."""
        self.world.restart()

    @rule()
    def work_off(self) -> None:
        self.world.work_off()

    # --- what must always hold ------------------------------------------------------------------------

    @invariant()
    def counters_equal_the_rows(self) -> None:
        tx = self.world.tx
        for key, job in rows(tx, "SELECT key, job_id FROM job"):
            found = rows(
                tx, f"SELECT lower(status), count(*) FROM job_execution WHERE job_key = {key} GROUP BY status"
            )
            assert self.world.counted(job) == dict(found)

    @invariant()
    def versions_grow_and_what_is_finished_stays(self) -> None:
        found = rows(self.world.tx, "SELECT id, version, status FROM job_execution")
        now = {id_: (version, status) for id_, version, status in found}
        for id_, (version, status) in now.items():
            was_version, was_status = self._seen.get(id_, (1, "QUEUED"))
            assert version >= was_version
            if was_status in TERMINAL:
                assert (version, status) == (was_version, was_status)
        self._seen = now

    @invariant()
    def no_job_is_open_again(self) -> None:
        for job, status in rows(self.world.tx, "SELECT job_id, status FROM job"):
            if job in self._over:
                assert status == self._over[job]
            elif status in ("COMPLETED", "CANCELED"):
                self._over[job] = status

    @invariant()
    def job_is_complete_exactly_when_nothing_is_left(self) -> None:
        for job in [job for (job,) in rows(self.world.tx, "SELECT job_id FROM job")]:
            shown = self.world.shown(job)
            counts = self.world.counted(job)
            left = counts.get("queued", 0) + counts.get("in_progress", 0)
            if shown.status == "COMPLETED":
                assert (left, shown.is_concurrent) == (0, False)
                assert shown.reason_code is None
            elif shown.status == "IN_PROGRESS" and shown.target_selection == "SNAPSHOT":
                assert left or shown.is_concurrent

    @invariant()
    def a_thing_has_one_pending_execution_of_a_job_at_most(self) -> None:
        assert not rows(
            self.world.tx,
            "SELECT job_key, thing_key FROM job_execution WHERE status IN ('QUEUED', 'IN_PROGRESS')"
            " GROUP BY job_key, thing_key HAVING count(*) > 1",
        )

    @invariant()
    def a_finished_job_has_nothing_to_hand_out(self) -> None:
        assert not rows(
            self.world.tx,
            "SELECT 1 FROM rollout r JOIN job j ON j.key = r.job_key"
            " WHERE j.status IN ('COMPLETED', 'CANCELED', 'DELETION_IN_PROGRESS')",
        )

    @invariant()
    def job_is_aborted_only_when_a_criterion_is_met(self) -> None:
        tx = self.world.tx
        for key, comment in rows(tx, "SELECT key, comment FROM job WHERE reason_code = 'ABORT_CANCEL'"):
            criteria = tx.jobs.get(key).config.abort
            assert criteria
            assert any(f"failure type {each.failure_type} " in comment for each in criteria)
        for (key,) in rows(tx, "SELECT key FROM job WHERE status = 'CANCELED' AND abort_config IS NOT NULL"):
            job = tx.jobs.get(key)
            if job.reason_code == "ABORT_CANCEL":
                executed = int(str(job.comment).split("Total completed executions: ")[1].split(",")[0])
                failed = int(str(job.comment).rsplit(" ", 1)[1])
                kind = str(job.comment).split("failure type ")[1].split(" ")[0]
                (rule_,) = [each for each in job.config.abort or () if each.failure_type == kind]
                assert executed >= rule_.min_number_of_executed_things
                assert failed * 10_000 >= rule_.threshold_bp * executed
                assert executed <= self._finished(key) + self._deleted
                assert failed <= self._finished(key, kind) + self._deleted

    def _finished(self, job_key: int, kind: str = "") -> int:
        """A job's executions that are finished now; of those that failed as ``kind`` says if it does."""
        failures = {"": "", "ALL": "AND status IN ('FAILED', 'REJECTED', 'TIMED_OUT')"}
        of_kind = failures.get(kind, f"AND status = '{kind}'")
        ((count,),) = rows(
            self.world.tx,
            f"SELECT count(*) FROM job_execution WHERE job_key = {job_key}"
            f" AND status NOT IN ('QUEUED', 'IN_PROGRESS') {of_kind}",
        )
        return int(count)

    @invariant()
    def rate_is_never_exceeded(self) -> None:
        """Of snapshot jobs, whose first attempts all come from the rollout."""
        found = rows(
            self.world.tx,
            """SELECT json_extract(j.rollout_config, '$.maximum_per_minute'), count(*)
               FROM job j JOIN job_execution e ON e.job_key = j.key
               WHERE j.target_selection = 'SNAPSHOT' AND j.rollout_config IS NOT NULL AND e.retry_attempt = 0
               GROUP BY j.key, e.queued_at""",
        )
        assert all(count <= rate for rate, count in found)

    @invariant()
    def deadlines_and_schedules_are_those_of_open_work(self) -> None:
        assert not rows(
            self.world.tx,
            "SELECT 1 FROM job_execution WHERE deadline_at IS NOT NULL AND status <> 'IN_PROGRESS'",
        )
        assert not rows(
            self.world.tx,
            "SELECT 1 FROM job WHERE next_schedule_at NOT NULL AND status IN ('COMPLETED', 'CANCELED')",
        )

    @invariant()
    def every_end_is_told_once(self) -> None:
        """A deleted execution's number may be used again, and so may a deleted job's id."""
        for topic, payload in self.world.events():
            _, job, operation = topic.split("/")
            if payload["eventType"] == "JOB":
                assert operation not in self._told_jobs.setdefault(job, set())
                self._told_jobs[job].add(operation)
                if operation == "deleted":
                    del self._told_jobs[job]
                    self._told = {told for told in self._told if told[0] != job}
                continue
            told = (job, payload["thingArn"], payload["executionNumber"])
            if operation == "deleted":
                self._told.discard(told)
            else:
                assert told not in self._told
                assert "completed" not in self._told_jobs.get(job, ())
                self._told.add(told)
        for job, status in rows(self.world.tx, "SELECT job_id, status FROM job"):
            assert (status == "COMPLETED") is ("completed" in self._told_jobs.get(job, ()))

    @invariant()
    def devices_see_what_they_may_report_on(self) -> None:
        for (thing,) in rows(self.world.tx, "SELECT name FROM thing"):
            for job in self.world.pending(thing):
                assert job is not None
                assert self.world.device(thing).describe(job) is not None

    def teardown(self) -> None:
        """In the end everything comes to rest."""
        try:
            self._comes_to_rest()
        finally:
            for each in self._pieces:
                each.stop()

    def _comes_to_rest(self) -> None:
        self.world.wind(24 * 60)
        assert rows(self.world.tx, "SELECT 1 FROM rollout") == []
        assert rows(self.world.tx, "SELECT 1 FROM job WHERE sweep IS NOT NULL") == []
        assert rows(self.world.tx, "SELECT 1 FROM job WHERE status = 'SCHEDULED'") == []
        self.counters_equal_the_rows()
        self.job_is_complete_exactly_when_nothing_is_left()
        self.world.close()
        self._folder.cleanup()


Lifecycle.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestLifecycle = Lifecycle.TestCase


# --- one batch or many --------------------------------------------------------------------------------

_update = st.builds(
    iot_jobs_data.UpdateJobExecutionRequest,
    thing_name=_thing,
    job_id=_job,
    status=_status,
    execution_number=st.sampled_from([None, None, None, 1, 2]),
    expected_version=st.sampled_from([None, None, None, 1, 2]),
    include_job_execution_state=st.just(True),
)
_start = st.builds(iot_jobs_data.StartNextPendingJobExecutionRequest, thing_name=_thing)
_get = st.builds(iot_jobs_data.GetPendingJobExecutionsRequest, thing_name=_thing)
_describe = st.builds(
    iot_jobs_data.DescribeJobExecutionRequest, thing_name=_thing, job_id=st.sampled_from([*JOBS, "$next"])
)


def _busy_world() -> World:
    world = World()
    world.things(*THINGS, group="g0")
    configs = [
        {"jobExecutionsRetryConfig": retry(FAILED=1, TIMED_OUT=1), "abortConfig": abort(("FAILED", 60, 4))},
        {"abortConfig": abort(("ALL", 50, 2)), "timeoutConfig": {"inProgressTimeoutInMinutes": 1}},
        {"jobExecutionsRetryConfig": retry(ALL=2), "timeoutConfig": {"inProgressTimeoutInMinutes": 1}},
    ]
    for job, config in zip(JOBS, configs, strict=True):
        world.job(job, "g0", **config)
    return world


def _state(world: World) -> list[tuple[Any, ...]]:
    executions = rows(
        world.tx,
        """SELECT job_key, thing_name, execution_number, status, version, retry_attempt, failed_retries,
                  force_canceled, started_at, deadline_at FROM job_execution ORDER BY 1, 2, 3""",
    )
    jobs = rows(world.tx, "SELECT job_id, status, reason_code, comment, completed_at FROM job ORDER BY 1")
    return executions + jobs + rows(world.tx, "SELECT * FROM job_counters ORDER BY 1")


@settings(max_examples=150)
@given(st.lists(st.one_of(_update, _update, _start, _get, _describe), max_size=14))
def test_requests_of_one_batch_are_decided_as_if_each_had_its_own(requests: list[Request]) -> None:
    answers, states = [], []
    for together in (True, False):
        world = _busy_world()
        commands = [Command(world.call.scope.id, request) for request in requests]
        operations = DeviceOperations(DeviceDocuments())
        batches = [commands] if together else [[command] for command in commands]
        given_answers = [a for batch in batches for a in operations.apply(world.tx, batch, world.now)]
        answers.append([_comparable(answer) for answer in given_answers])
        states.append(_state(world))
    assert answers[0] == answers[1]
    assert states[0] == states[1]


def _comparable(answer: object) -> object:
    if isinstance(answer, ServiceError):
        return type(answer), answer.message, getattr(answer, "state", None)
    return answer


# --- time-outs as a set, or each alone ----------------------------------------------------------------


@settings(max_examples=150)
@given(
    reports=st.lists(
        st.sampled_from(["SUCCEEDED", "FAILED", "IN_PROGRESS", "IN_PROGRESS", None]), max_size=9
    ),
    aborts=st.sampled_from(
        [*ABORTS, abort(("TIMED_OUT", 30, 2)), abort(("FAILED", 20, 5), ("TIMED_OUT", 100, 1))]
    ),
    retries=st.sampled_from([*RETRIES, retry(TIMED_OUT=2)]),
    continuous=st.booleans(),
    ends=st.sampled_from([None, "STOP_ROLLOUT", "CANCEL", "FORCE_CANCEL"]),
    canceled=st.sampled_from([None, False, False, True]),
    gone=st.sets(st.integers(0, 8), max_size=3),
    at_once=st.sampled_from([1, 2, 1_000]),
)
def test_time_outs_as_a_set_are_as_each_alone(
    reports: list[str | None],
    aborts: dict[str, Any] | None,
    retries: dict[str, Any] | None,
    continuous: bool,
    ends: str | None,
    canceled: bool | None,
    gone: set[int],
    at_once: int,
) -> None:
    members = {
        "targetSelection": "CONTINUOUS" if continuous else "SNAPSHOT",
        "jobExecutionsRetryConfig": retries,
        "abortConfig": aborts,
        "timeoutConfig": {"inProgressTimeoutInMinutes": 60},
    }
    config = {name: value for name, value in members.items() if value is not None}
    found = []
    for time_out_some in (_each_alone, timeouts.time_out_some):
        world = World()
        world.enable_events("JOB", "JOB_EXECUTION")
        names = [f"t{n}" for n in range(len(reports) + 1)]
        world.things(*names, group="g0")
        if ends is not None:
            config["schedulingConfig"] = {"endTime": world.at(60), "endBehavior": ends}
        world.job("j0", "g0", **config)
        for name, status in zip(names, reports, strict=False):
            if status is not None and "j0" in world.pending(name):
                world.report("j0", status, name)
        for number in gone & set(range(len(names))):
            world.leave(names[number], "g0")
        if canceled is not None and world.status("j0") == "IN_PROGRESS":
            world.cancel("j0", force=canceled)
        world.skip(60)
        (job,) = rows(world.tx, "SELECT key FROM job")
        with patch.object(timeouts, "TIMED_OUT_AT_ONCE", at_once):
            while not time_out_some(world.tx, job[0], world.now):
                pass
        told = sorted((topic, payload.get("thingArn", "")) for topic, payload in world.events())
        found.append((_state(world), told))
    assert found[0] == found[1]


def _each_alone(tx: Tx, job_key: JobKey, now: int) -> bool:
    overdue = tx.executions.overdue(job_key, now, 1)
    endings.end(tx, [(before, deadline.time_out(before, now=now)) for before in overdue], now)
    return not overdue
