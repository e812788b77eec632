"""Jobs that are complete: nothing is pending and nothing will be handed out any more."""

from __future__ import annotations

from dataclasses import replace

from thingjobs.domain.consequence import JobStanding, is_complete
from thingjobs.domain.events import JobOperation
from thingjobs.domain.model import Counters, JobFacts, JobKey, JobStatus
from thingjobs.operations.events import Telling
from thingjobs.store.tx import Tx


def complete_if_done(tx: Tx, job_key: JobKey, now: int) -> None:
    """Complete a job after its rollout, its schedule or a sweep came to an end, if that was all."""
    job = tx.jobs.facts([job_key])[job_key]
    counters = tx.jobs.counters(job_key)
    if is_complete(standing(job, now), counters):
        tx.jobs.complete([job_key], now)
        telling = Telling(tx, now)
        tell_completed(tx, telling, job, counters, now)
        telling.save()


def standing(job: JobFacts, now: int) -> JobStanding:
    return JobStanding(job.status, job.target_selection, job.rolling_out, has_ended(job, now))


def has_ended(job: JobFacts, now: int) -> bool:
    """Whether the job's end time has come, seen or not."""
    return job.end_at is not None and job.end_at <= now


def tell_completed(tx: Tx, telling: Telling, job: JobFacts, counters: Counters, now: int) -> None:
    if telling.wants_job(job.scope):
        stored = tx.jobs.get(job.job_key)
        complete = replace(stored, status=JobStatus.COMPLETED, completed_at=now, last_updated_at=now)
        telling.job(complete, JobOperation.COMPLETED, dict(counters))
