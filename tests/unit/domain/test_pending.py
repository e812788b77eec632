"""The pending list: what a device is told to work on, and in which order."""

from __future__ import annotations

from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingjobs.domain import pending
from thingjobs.domain.model import PENDING, ExecutionStatus, JobExecution, JobStatus, Sweep
from thingjobs.domain.schedule import Phase
from values import an_execution, facts

QUEUED, IN_PROGRESS = ExecutionStatus.QUEUED, ExecutionStatus.IN_PROGRESS

HIDDEN = {
    (JobStatus.SCHEDULED, QUEUED),
    (JobStatus.SCHEDULED, IN_PROGRESS),
    (JobStatus.DELETION_IN_PROGRESS, QUEUED),
    (JobStatus.DELETION_IN_PROGRESS, IN_PROGRESS),
}


@pytest.mark.parametrize(("job_status", "status"), list(product(JobStatus, sorted(PENDING))))
def test_which_jobs_a_device_sees(job_status: JobStatus, status: ExecutionStatus) -> None:
    """spec: device-plane 6.1"""
    seen = pending.is_visible(an_execution(status), facts(status=job_status))
    assert seen is ((job_status, status) not in HIDDEN)


@pytest.mark.parametrize(
    ("sweep", "visible"),
    [(Sweep.CANCEL, [IN_PROGRESS]), (Sweep.FORCE_CANCEL, []), (None, [IN_PROGRESS])],
)
def test_what_a_cancel_is_about_to_reach_is_gone_for_the_device(
    sweep: Sweep | None, visible: list[ExecutionStatus]
) -> None:
    """spec: ruling 2; a cancel that is done leaves nothing QUEUED"""
    job = facts(status=JobStatus.CANCELED, sweep=sweep)
    statuses = sorted(PENDING) if sweep else [IN_PROGRESS]
    assert [status for status in statuses if pending.is_visible(an_execution(status), job)] == visible


def test_jobs_of_a_namespace_are_not_listed() -> None:
    """spec: device-plane 9"""
    assert not pending.is_visible(an_execution(), facts(namespace_id="ns"))


def test_running_before_queued_then_the_oldest_then_creation() -> None:
    """case 112; spec: device-plane 6.1"""
    rows = [
        (1, QUEUED, 30),
        (2, QUEUED, 10),
        (3, IN_PROGRESS, 20),
        (4, QUEUED, 10),
        (5, IN_PROGRESS, 15),
        (6, ExecutionStatus.FAILED, 1),
    ]
    executions = [an_execution(status, id=id_, queued_at=at) for id_, status, at in rows]
    assert [e.id for e in pending.in_order(executions)] == [5, 3, 2, 4, 1]
    assert [e.id for e in pending.in_order(reversed(executions))] == [5, 3, 2, 4, 1]


executions = st.builds(
    an_execution, st.sampled_from(ExecutionStatus), id=st.integers(1, 99), queued_at=st.integers(0, 5)
)


@given(st.lists(executions, unique_by=lambda e: e.id, max_size=20))
def test_order_is_total_and_loses_nothing_pending(given: list[JobExecution]) -> None:
    ordered = pending.in_order(given)
    assert {e.id for e in ordered} == {e.id for e in given if e.status in PENDING}
    for first, second in pairwise(ordered):
        assert (first.status is QUEUED, first.queued_at, first.id) < (
            second.status is QUEUED,
            second.queued_at,
            second.id,
        )


@pytest.mark.parametrize(("count", "shown"), [(0, 0), (10, 10), (11, 10)])
def test_ten_are_listed(count: int, shown: int) -> None:
    """case 112"""
    assert list(pending.listed(range(count), lambda _: False)) == list(range(shown))


@pytest.mark.parametrize(
    ("entries", "shown"),
    [("w" * 6, "w" * 5), ("o" * 12 + "w" * 6, "o" * 10 + "w" * 5), ("wo" * 7, "wo" * 5 + "oo")],
)
def test_five_of_jobs_with_windows_are_listed_beside_ten_others(entries: str, shown: str) -> None:
    """case 163"""
    assert "".join(pending.listed(entries, lambda kind: kind == "w")) == shown


@pytest.mark.parametrize(
    ("status", "phase"), list(product((JobStatus.IN_PROGRESS, JobStatus.CANCELED), Phase))
)
def test_jobs_are_hidden_where_their_schedule_says_so(status: JobStatus, phase: Phase) -> None:
    """spec: rulings 13, 29"""
    seen = pending.is_visible(an_execution(IN_PROGRESS), facts(status=status, phase=phase))
    assert seen is (status is JobStatus.CANCELED or phase in {Phase.OPEN, Phase.ENDED})
