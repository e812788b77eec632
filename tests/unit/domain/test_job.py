"""The life of a job: what may be done to it in which status, and when it is complete."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from thingjobs.domain import job as rules
from thingjobs.domain.errors import InvalidRequest, InvalidStateTransition, LimitExceeded
from thingjobs.domain.model import GroupKey, Job, JobStatus, Sweep, Target, TargetSelection
from thingjobs.domain.quotas import DEFAULT_QUOTAS
from values import NOW, a_job

OPEN = {JobStatus.SCHEDULED, JobStatus.IN_PROGRESS}
CLOSED = set(JobStatus) - OPEN


def targets(first: int, count: int) -> list[Target]:
    return [Target(f"arn-{n}", None, GroupKey(n)) for n in range(first, first + count)]


def canceled(job: Job, *, force: bool = False, reason: str | None = None, comment: str | None = None) -> Job:
    return rules.cancel(job, force=force, reason_code=reason, comment=comment, now=NOW)


@pytest.mark.parametrize("status", JobStatus)
def test_only_open_jobs_are_updated_or_canceled(status: JobStatus) -> None:
    """case 41, case 55; spec: lifecycle 1"""
    job = a_job(status=status)
    if status in OPEN:
        rules.check_updatable(job)
        canceled(job)
        return
    with pytest.raises(InvalidRequest, match=f"Job j1 in status {status} cannot be updated."):
        rules.check_updatable(job)
    with pytest.raises(InvalidRequest, match=f"Job j1 in status {status} cannot be canceled."):
        canceled(job)


@pytest.mark.parametrize("force", [False, True])
def test_canceled_job_is_swept_and_remembers_why(force: bool) -> None:
    """case 52, case 53; spec: lifecycle 1 J9"""
    before = a_job(reason_code="OLD", comment="old")
    after = canceled(before, force=force, reason="NEW")
    assert after == replace(
        before,
        status=JobStatus.CANCELED,
        force_canceled=force,
        reason_code="NEW",
        comment="old",
        last_updated_at=NOW,
        sweep=Sweep.FORCE_CANCEL if force else Sweep.CANCEL,
    )


@pytest.mark.parametrize(("status", "force"), list(product(JobStatus, (False, True))))
def test_delete_of_each_status(status: JobStatus, force: bool) -> None:
    """case 56; spec: lifecycle 1 J11, J12"""
    job = a_job(status=status)
    if status is JobStatus.DELETION_IN_PROGRESS or (status in OPEN and not force):
        with pytest.raises(InvalidStateTransition):
            rules.delete(job, force=force, deletions_in_progress=0, now=NOW)
        return
    after = rules.delete(job, force=force, deletions_in_progress=9, now=NOW)
    assert (after.status, after.sweep) == (JobStatus.DELETION_IN_PROGRESS, Sweep.DELETE)
    with pytest.raises(LimitExceeded):
        rules.delete(job, force=force, deletions_in_progress=10, now=NOW)


@pytest.mark.parametrize(("status", "selection"), list(product(JobStatus, TargetSelection)))
def test_targets_are_added_to_continuous_jobs_in_progress(
    status: JobStatus, selection: TargetSelection
) -> None:
    """case 59"""
    job = a_job(status=status, target_selection=selection)
    allowed = (status, selection) == (JobStatus.IN_PROGRESS, TargetSelection.CONTINUOUS)
    if not allowed:
        with pytest.raises(InvalidRequest):
            rules.associate(job, [], targets(0, 1), comment=None, now=NOW)
        return
    after, new = rules.associate(job, targets(0, 2), targets(1, 2), comment="more", now=NOW)
    assert new == targets(2, 1)
    assert (after.comment, after.last_updated_at) == ("more", NOW)
    again, none = rules.associate(after, targets(0, 3), targets(0, 3), comment=None, now=NOW)
    assert (again.comment, none) == ("more", [])


@pytest.mark.parametrize(("present", "asked", "fits"), [(99, 1, True), (99, 2, False), (100, 1, False)])
def test_job_has_a_hundred_targets_at_most(present: int, asked: int, fits: bool) -> None:
    """case 60"""
    job = a_job(target_selection=TargetSelection.CONTINUOUS)
    arguments = (job, targets(0, present), targets(present, asked))
    if fits:
        assert len(rules.associate(*arguments, comment=None, now=NOW)[1]) == asked
    else:
        with pytest.raises(LimitExceeded):
            rules.associate(*arguments, comment=None, now=NOW)


@pytest.mark.parametrize(
    ("status", "rolling_out", "sweep"), list(product(JobStatus, (False, True), (None, *Sweep)))
)
def test_job_is_concurrent_while_executions_are_handed_out_or_canceled(
    status: JobStatus, rolling_out: bool, sweep: Sweep | None
) -> None:
    """case 137; spec: lifecycle 11"""
    handing_out = rolling_out and status is not JobStatus.SCHEDULED
    canceling = sweep in (Sweep.CANCEL, Sweep.FORCE_CANCEL)
    concurrent = rules.is_concurrent(status, rolling_out=rolling_out, sweep=sweep)
    assert concurrent is (handing_out or canceling)


DAY = 86_400_000


@pytest.mark.parametrize(("status", "days"), list(product(JobStatus, (729, 730))))
def test_finished_jobs_are_kept_for_two_years(status: JobStatus, days: int) -> None:
    """case 166; spec: lifecycle 13"""
    finished = status in {JobStatus.COMPLETED, JobStatus.CANCELED}
    job = a_job(status=status)
    assert rules.is_retired(job, DEFAULT_QUOTAS, job.last_updated_at + days * DAY) is (
        finished and days == 730
    )


def test_job_that_is_still_swept_is_not_retired() -> None:
    job = a_job(status=JobStatus.CANCELED, sweep=Sweep.CANCEL)
    assert not rules.is_retired(job, DEFAULT_QUOTAS, job.last_updated_at + 731 * DAY)
