"""Jobs that start, end, open and close by the clock."""

from __future__ import annotations

from dataclasses import replace

from thingjobs.domain.effects import VisibilityChanged, WorkDue
from thingjobs.domain.job import OPEN, cancel
from thingjobs.domain.model import Job, JobKey, Mark
from thingjobs.domain.quotas import DEFAULT_QUOTAS, Quotas
from thingjobs.domain.schedule import Phase
from thingjobs.domain.windows import HIDDEN, STATUS_IN, next_boundary, phase_at, sweep_at_end
from thingjobs.operations import following, rollout, sweep
from thingjobs.operations.completion import complete_if_done
from thingjobs.store.tx import Tx

JOINS_AT_ONCE = 1_000
RETRY_START_MS = 60_000
NO_ROOM = "The limit of concurrent jobs was reached when a maintenance window opened."


def step(
    tx: Tx,
    job_key: JobKey,
    *,
    spread: bool,
    quotas: Quotas = DEFAULT_QUOTAS,
    now: int,
) -> None:
    """Bring a job to what its schedule says now. Looking more often than needed changes nothing.

    A job for which there is no room when it is to roll out is canceled if a window opens for it (J6), and
    else tried again each minute.
    """
    job = tx.jobs.find_by_key(job_key)
    if job is None or job.next_schedule_at is None or job.next_schedule_at > now:
        return
    if job.status not in OPEN:
        tx.jobs.save(replace(job, next_schedule_at=None))
        return
    after = _next_phase(job, now)
    boundary = next_boundary(job.config.scheduling, now)
    if _would_roll_out(tx, job, after) and tx.rollouts.count_jobs(job.scope) >= quotas.concurrent_jobs:
        if job.config.scheduling is not None and job.config.scheduling.maintenance_windows:
            sweep.begin(tx, cancel(job, force=False, reason_code=None, comment=NO_ROOM, now=now), now)
        else:
            tx.jobs.look_again(job_key, now + RETRY_START_MS)
        return
    if after is not job.phase:
        was = job
        job = replace(
            job, phase=after, status=STATUS_IN[after], last_updated_at=now, next_schedule_at=boundary
        )
        tx.jobs.save(job)
        _change(tx, was, job, spread=spread, per_minute=quotas.rollout_per_minute, now=now)
    if after is Phase.OPEN and not following.some_join_at_opening(tx, job, limit=JOINS_AT_ONCE, now=now):
        boundary = now  # there are more: look again at once
    if after is not Phase.ENDED:
        tx.jobs.look_again(job_key, boundary)
    tx.record(WorkDue())


def _would_roll_out(tx: Tx, job: Job, after: Phase) -> bool:
    """Whether going to ``after`` begins or resumes a rollout."""
    if after is not Phase.OPEN or job.phase is Phase.OPEN:
        return False
    return job.phase is Phase.WAITING or bool(tx.rollouts.of_job(job.key))


def _next_phase(job: Job, now: int) -> Phase:
    """A job that was never open goes on waiting, even if a window came and went while nobody looked."""
    after = phase_at(job.config.scheduling, now)
    return Phase.WAITING if job.phase is Phase.WAITING and after is Phase.CLOSED else after


def _change(tx: Tx, was: Job, job: Job, *, spread: bool, per_minute: int, now: int) -> None:
    if was.phase is not Phase.WAITING and (was.phase in HIDDEN) != (job.phase in HIDDEN):
        tx.record(VisibilityChanged(job.scope))
    match job.phase:
        case Phase.OPEN if was.phase is Phase.WAITING:
            end_position = len(tx.jobs.targets(job.key))
            rollout.begin(
                tx,
                job,
                position=0,
                end_position=end_position,
                limited=True,
                spread=spread,
                per_minute=per_minute,
                now=now,
            )
        case Phase.OPEN:
            rollout.resume(tx, job.key, spread=spread, per_minute=per_minute, now=now)
        case Phase.CLOSED:
            rollout.pause(tx, job.key)
        case Phase.SPENT:
            tx.rollouts.delete_of_job(job.key)
        case Phase.ENDED:
            _end(tx, job, now)
        case Phase.WAITING:
            raise AssertionError("nothing goes back to waiting")


def _end(tx: Tx, job: Job, now: int) -> None:
    """Hand out nothing any more, do to executions what was asked for, and complete what is done."""
    assert job.config.scheduling is not None
    tx.rollouts.delete_of_job(job.key)
    tx.marks.clear(job.key, Mark.JOINS_AT_OPENING)
    sweeping = sweep_at_end(job.config.scheduling)
    if sweeping is None:
        complete_if_done(tx, job.key, now)
    else:
        sweep.begin(tx, replace(job, sweep=sweeping), now)
