"""Whatever is asked in whatever order: counters equal rows, versions only grow, nothing is left half done."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from factories import (
    MINUTE,
    Device,
    a_call,
    a_job,
    add_things,
    arn,
    counted,
    describe,
    group_arn,
    join,
    later,
    leave,
    memory_database,
    rows,
)
from thingjobs.domain import job as job_rules
from thingjobs.domain.errors import ServiceError
from thingjobs.domain.model import TERMINAL
from thingjobs.operations import background, job_executions, jobs, sweep, things
from thingjobs.operations.call import Call
from thingjobs.operations.device import DeviceOperations
from thingjobs.operations.device_documents import DeviceDocuments
from thingjobs.store.tx import Tx
from thingjobs.wire.shapes import iot

THINGS = ["t0", "t1", "t2", "t3"]
GROUPS = ["g0", "g1"]
JOBS = ["j0", "j1", "j2"]

_thing, _group, _job = st.sampled_from(THINGS), st.sampled_from(GROUPS), st.sampled_from(JOBS)
_status = st.sampled_from(["IN_PROGRESS", "SUCCEEDED", "FAILED", "REJECTED"])
_targets = st.lists(st.sampled_from([*THINGS, *GROUPS]), min_size=1, max_size=4)


class Service(RuleBasedStateMachine):
    """Operators, devices and the engine at work on a few things, groups and jobs."""

    def __init__(self) -> None:
        super().__init__()
        self._database = memory_database()
        self.tx = Tx(self._database)
        self.tx.begin()
        self.call: Call = a_call(self.tx)
        self._devices = DeviceOperations(DeviceDocuments())
        self._seen: dict[int, tuple[int, str]] = {}
        for group in GROUPS:
            add_things(self.call, self.tx, *THINGS, group=group)

    def teardown(self) -> None:
        self._database.connection.close()

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """A request that may be refused, and then must have changed nothing, as in the batcher."""
        mark = self.tx.savepoint()
        try:
            yield
        except ServiceError:
            self.tx.rollback_to(mark)
        self.tx.release(mark)

    def _ask(self, operation: Callable[[Call, Tx, Any], object], request: object) -> None:
        with self._asked():
            operation(self.call, self.tx, request)

    def _device(self, thing: str) -> Device:
        return Device(self.tx, self.call, thing, self._devices)

    # --- the registry -----------------------------------------------------------------------------

    @rule(thing=_thing)
    def create_thing(self, thing: str) -> None:
        self._ask(things.create_thing, iot.CreateThingRequest(thing_name=thing))

    @rule(thing=_thing)
    def delete_thing(self, thing: str) -> None:
        self._ask(things.delete_thing, iot.DeleteThingRequest(thing_name=thing))

    @rule(thing=_thing, group=_group)
    def join(self, thing: str, group: str) -> None:
        with self._asked():
            join(self.call, self.tx, thing, group)

    @rule(thing=_thing, group=_group)
    def leave(self, thing: str, group: str) -> None:
        with self._asked():
            leave(self.call, self.tx, thing, group)

    # --- operators --------------------------------------------------------------------------------

    @rule(
        job=_job,
        named=_targets,
        selection=st.sampled_from(["SNAPSHOT", "CONTINUOUS"]),
        per_minute=st.sampled_from([None, 1, 2]),
    )
    def create_job(self, job: str, named: list[str], selection: str, per_minute: int | None) -> None:
        arns = [group_arn(self.call, t) if t in GROUPS else arn(self.call, t) for t in named]
        rate = {} if per_minute is None else {"jobExecutionsRolloutConfig": {"maximumPerMinute": per_minute}}
        with self._asked():
            a_job(self.call, self.tx, job, arns, targetSelection=selection, **rate)

    @rule(job=_job, group=_group)
    def associate(self, job: str, group: str) -> None:
        targets = [group_arn(self.call, group)]
        request = iot.AssociateTargetsWithJobRequest(job_id=job, targets=targets)
        self._ask(jobs.associate_targets_with_job, request)

    @rule(job=_job, force=st.booleans())
    def cancel_job(self, job: str, force: bool) -> None:
        self._ask(jobs.cancel_job, iot.CancelJobRequest(job_id=job, force=force))

    @rule(job=_job, force=st.booleans())
    def delete_job(self, job: str, force: bool) -> None:
        self._ask(jobs.delete_job, iot.DeleteJobRequest(job_id=job, force=force))

    @rule(job=_job, force=st.booleans(), deletes=st.booleans())
    def end_job_but_hold_its_sweep_back(self, job: str, force: bool, deletes: bool) -> None:
        """As if the job had too many executions to be swept at once."""
        found = self.tx.jobs.find(self.call.scope.id, job)
        if found is None:
            return
        now = self.call.now
        with self._asked():
            if deletes:
                after = job_rules.delete(found, force=force, deletions_in_progress=0, now=now)
            else:
                after = job_rules.cancel(found, force=force, reason_code=None, comment=None, now=now)
            self.tx.rollouts.delete_of_job(found.key)
            self.tx.jobs.save(after)

    @rule(thing=_thing, job=_job, force=st.booleans())
    def cancel_execution(self, thing: str, job: str, force: bool) -> None:
        request = iot.CancelJobExecutionRequest(thing_name=thing, job_id=job, force=force)
        self._ask(job_executions.cancel_job_execution, request)

    @rule(thing=_thing, job=_job, force=st.booleans(), number=st.integers(1, 2))
    def delete_execution(self, thing: str, job: str, force: bool, number: int) -> None:
        request = iot.DeleteJobExecutionRequest(
            thing_name=thing, job_id=job, force=force, execution_number=number
        )
        self._ask(job_executions.delete_job_execution, request)

    # --- devices and the engine ---------------------------------------------------------------------

    @rule(thing=_thing)
    def start_next(self, thing: str) -> None:
        with self._asked():
            self._device(thing).start_next()

    @rule(thing=_thing, job=_job, status=_status, version=st.sampled_from([None, None, 1, 2]))
    def report(self, thing: str, job: str, status: str, version: int | None) -> None:
        with self._asked():
            self._device(thing).update(job, status, expected_version=version)

    @rule(minutes=st.sampled_from([0.5, 1, 3]))
    def wind_the_clock(self, minutes: float) -> None:
        self.call = later(self.call, int(minutes * MINUTE))
        for piece in background.due(self.tx, self.call.now):
            if isinstance(piece, background.Tick):
                piece(self.tx, self.call.now)

    @rule(limit=st.integers(1, 3))
    def sweep_a_little(self, limit: int) -> None:
        for key in self.tx.jobs.to_sweep(1, []):
            sweep.some(self.tx, key, limit=limit, now=self.call.now)

    # --- what must always hold ------------------------------------------------------------------------

    @invariant()
    def counters_equal_the_rows(self) -> None:
        for key, job in rows(self.tx, "SELECT key, job_id FROM job"):
            statuses = (
                f"SELECT lower(status), count(*) FROM job_execution WHERE job_key = {key} GROUP BY status"
            )
            assert counted(self.call, self.tx, job) == dict(rows(self.tx, statuses))

    @invariant()
    def no_thing_has_a_job_twice_at_a_time(self) -> None:
        twice = """SELECT 1 FROM job_execution WHERE status IN ('QUEUED', 'IN_PROGRESS')
                   GROUP BY job_key, thing_name HAVING count(*) > 1"""
        assert rows(self.tx, twice) == []

    @invariant()
    def versions_grow_and_what_is_finished_stays(self) -> None:
        now = {id_: (v, s) for id_, v, s in rows(self.tx, "SELECT id, version, status FROM job_execution")}
        for id_, (version, status) in now.items():
            was_version, was_status = self._seen.get(id_, (1, "QUEUED"))
            assert version >= was_version
            if was_status in TERMINAL:
                assert (version, status) == (was_version, was_status)
            elif status not in (was_status, "REMOVED"):
                assert version > was_version
        self._seen = now

    @invariant()
    def jobs_are_complete_exactly_when_nothing_is_left(self) -> None:
        for (job,) in rows(self.tx, "SELECT job_id FROM job"):
            shown = describe(self.call, self.tx, job)
            counts = counted(self.call, self.tx, job)
            left = counts.get("queued", 0) + counts.get("in_progress", 0)
            if shown.status == "COMPLETED":
                assert (left, shown.is_concurrent) == (0, False)
                assert shown.completed_at is not None
            elif shown.status == "IN_PROGRESS" and shown.target_selection == "SNAPSHOT":
                assert left or shown.is_concurrent
            elif shown.status == "CANCELED" and not shown.is_concurrent:
                assert "queued" not in counts

    @invariant()
    def devices_see_what_they_may_report_on(self) -> None:
        for (thing,) in rows(self.tx, "SELECT name FROM thing"):
            in_progress, queued = self._device(thing).pending()
            for job in (*in_progress, *queued):
                assert job is not None
                assert self._device(thing).describe(job) is not None


Service.TestCase.settings = settings(max_examples=80, stateful_step_count=40)
TestService = Service.TestCase
