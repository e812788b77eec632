"""Fills a data directory in the process, where a million API calls would take too long.

Run by the interpreter of the project's own environment, because it imports thingjobs:
``.venv/bin/python -m bench.bulk --help``.
"""

import argparse
import itertools
import json
import statistics
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from thingjobs.auth.keys import DEFAULT_ACCOUNT
from thingjobs.domain.arn import thing_group_arn
from thingjobs.domain.model import ExecutionStatus, JobKey
from thingjobs.operations import jobs, rollout, thing_groups, things
from thingjobs.operations.call import Call, Endpoints
from thingjobs.operations.device import Command, DeviceOperations
from thingjobs.operations.device_documents import DeviceDocuments
from thingjobs.store.migrate import migrate
from thingjobs.store.sqlite import connect, lock_directory
from thingjobs.store.store import FILE_NAME
from thingjobs.store.tx import Tx
from thingjobs.wire.shapes import iot, iot_jobs_data

Report = Literal["IN_PROGRESS", "SUCCEEDED"]

REGION = "us-east-1"
IN_ONE_TRANSACTION = 2_000
REPORTS_IN_ONE_SET = 500
TICK = 60_000
DOCUMENT = '{"operation":"bench"}'


def bulk_open(data_dir: Path, group: str, *, queued: int, due: int, due_in_seconds: int) -> dict[str, float]:
    """Store a job ``{group}-open`` whose executions are open, on a group that ``bulk_load`` made.

    - ``queued``: so many are QUEUED, handed out by ticks of the rollout, which are timed.
    - ``due``: so many are IN_PROGRESS, and their time-out is ``due_in_seconds`` from the end of the loading.

    Gives what was measured: ``tick_ms`` (median) and ``worst_tick_ms``, commits included, and ``due_at``.
    """
    lock = lock_directory(data_dir)
    database = connect(data_dir / FILE_NAME, read_only=False)
    loader = _Loader(Tx(database), group)
    measured = loader.open_job(f"{group}-open", queued or due)
    if due:
        measured["due_at"] = loader.start_all(f"{group}-open", due, due_in_seconds)
    database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.connection.close()
    lock.close()
    return measured


def bulk_load(data_dir: Path, things: int, group: str, executions: int) -> None:
    """Register things in a group and store finished executions on them, with no server running.

    - Things are ``{group}-{number:07d}``, numbers 0 to ``things`` - 1, without type and attributes; all are
      direct members of the static thing group ``group``. Their scope is the one that the credentials of
      ``thingjobs env --data DIR`` sign for, so that API calls made with these see everything.
    - Executions belong to finished snapshot jobs ``{group}-history-{k}``, k = 0, 1, …, targeting ``group``:
      each job takes the things in name order, one SUCCEEDED execution per thing, until ``executions`` are
      stored; a last job that would give more is canceled. So a million executions on a million things are one
      job; on 8,000 things they are 125. Counters agree with the rows.
    - May be called again on the same directory with another ``group``. A missing directory is made.
    - Goes through the project's own operations and store, in sets of some thousands, so that the rows are
      those which the API would have written.
    """
    lock = lock_directory(data_dir)
    database = connect(data_dir / FILE_NAME, read_only=False)
    migrate(database)
    loader = _Loader(Tx(database), group)
    loader.register(things)
    for k in itertools.count():
        if executions <= 0:
            break
        executions -= loader.finish_job(f"{group}-history-{k}", min(executions, things))
    database.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    database.connection.close()
    lock.close()


class _Loader:
    """Calls the operations as the server would, many in each transaction."""

    def __init__(self, tx: Tx, group: str) -> None:
        self._tx = tx
        self._group = group
        self._operations = DeviceOperations(DeviceDocuments())
        with self._transaction():
            self._scope = tx.scopes.get_or_create(DEFAULT_ACCOUNT, REGION)
        # Minutes of rollout are wound through; they end before the present.
        self._now = time.time_ns() // 1_000_000 - 30 * 86_400_000

    def register(self, count: int) -> None:
        tx, group = self._tx, self._group
        with self._transaction():
            thing_groups.create_thing_group(
                self._call(), tx, iot.CreateThingGroupRequest(thing_group_name=group)
            )
        for first in range(0, count, IN_ONE_TRANSACTION):
            with self._transaction():
                call = self._call()
                for number in range(first, min(first + IN_ONE_TRANSACTION, count)):
                    name = self._name(number)
                    things.create_thing(call, tx, iot.CreateThingRequest(thing_name=name))
                    thing_groups.add_thing_to_thing_group(
                        call, tx, iot.AddThingToThingGroupRequest(thing_name=name, thing_group_name=group)
                    )

    def finish_job(self, job_id: str, count: int) -> int:
        """Roll a job out to the group until ``count`` things have succeeded; what is left is canceled."""
        with self._transaction():
            jobs.create_job(
                self._call(),
                self._tx,
                iot.CreateJobRequest(
                    job_id=job_id, targets=[thing_group_arn(self._scope, self._group)], document=DOCUMENT
                ),
            )
            key = self._tx.jobs.key(self._scope.id, job_id)
            assert key is not None
        reported = 0
        while reported < count:
            queued = self._tx.jobs.counters(key)[ExecutionStatus.QUEUED]
            for first in range(reported, min(reported + queued, count), REPORTS_IN_ONE_SET):
                last = min(first + REPORTS_IN_ONE_SET, reported + queued, count)
                self._report(job_id, first, last)
            reported = min(reported + queued, count)
            if reported < count:
                self._tick(key)
        if self._tx.rollouts.of_job(key):
            with self._transaction():
                jobs.cancel_job(self._call(), self._tx, iot.CancelJobRequest(job_id=job_id))
        return reported

    def open_job(self, job_id: str, count: int) -> dict[str, float]:
        """Roll a job out to the first ``count`` things of the group; how long the ticks took."""
        with self._transaction():
            jobs.create_job(
                self._call(),
                self._tx,
                iot.CreateJobRequest(
                    job_id=job_id,
                    targets=[thing_group_arn(self._scope, self._group)],
                    document=DOCUMENT,
                    timeout_config=iot.TimeoutConfig(in_progress_timeout_in_minutes=1),
                ),
            )
            key = self._tx.jobs.key(self._scope.id, job_id)
            assert key is not None
        ticks = []
        while self._tx.jobs.counters(key)[ExecutionStatus.QUEUED] < count:
            start = time.perf_counter()
            self._tick(key)
            ticks.append((time.perf_counter() - start) * 1000)
        return {"tick_ms": statistics.median(ticks or [0]), "worst_tick_ms": max(ticks, default=0)}

    def start_all(self, job_id: str, count: int, due_in_seconds: int) -> float:
        """Have the first ``count`` things start the job, so that all time out at one instant; when, in s."""
        self._now = time.time_ns() // 1_000_000 + (due_in_seconds - 60) * 1000
        for first in range(0, count, REPORTS_IN_ONE_SET):
            self._report(job_id, first, min(first + REPORTS_IN_ONE_SET, count), "IN_PROGRESS")
        return self._now / 1000 + 60

    def _report(self, job_id: str, first: int, last: int, status: Report = "SUCCEEDED") -> None:
        commands = [
            Command(
                self._scope.id,
                iot_jobs_data.UpdateJobExecutionRequest(
                    job_id=job_id, thing_name=self._name(number), status=status
                ),
            )
            for number in range(first, last)
        ]
        with self._transaction():
            answers = self._operations.apply(self._tx, commands, self._now)
        refused = [answer for answer in answers if isinstance(answer, Exception)]
        if refused:
            raise refused[0]

    def _tick(self, key: JobKey) -> None:
        self._now += TICK
        with self._transaction():
            for each in self._tx.rollouts.of_job(key):
                rollout.tick(self._tx, each.key, self._now)

    def _name(self, number: int) -> str:
        return f"{self._group}-{number:07d}"

    def _call(self) -> Call:
        return Call(self._scope, self._now, _new_id, Endpoints("-", "-", "-"))

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._tx.begin()
        yield
        self._tx.commit()
        self._tx.take_effects()


def _new_id() -> str:
    return str(uuid.uuid4())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--things", type=int, default=0, help="register so many, with --executions finished")
    parser.add_argument("--group", required=True)
    parser.add_argument("--executions", type=int, default=0)
    parser.add_argument("--queued", type=int, default=0, help="leave so many executions of one job queued")
    parser.add_argument("--due", type=int, default=0, help="leave so many executions to time out")
    parser.add_argument("--due-in", type=int, default=60, metavar="SECONDS")
    args = parser.parse_args()
    if args.things:
        bulk_load(args.data, args.things, args.group, args.executions)
    if args.queued or args.due:
        measured = bulk_open(
            args.data, args.group, queued=args.queued, due=args.due, due_in_seconds=args.due_in
        )
        print(json.dumps(measured))


if __name__ == "__main__":
    main()
