"""How far a job is, as its counters say, and what that is worth as an exit code. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from thingjobs.domain.model import ExecutionStatus, JobStatus
from thingjobs.jobs_cli.client import Members
from thingjobs.jobs_cli.exits import Exit

ORDER: Sequence[ExecutionStatus] = (
    ExecutionStatus.SUCCEEDED,
    ExecutionStatus.FAILED,
    ExecutionStatus.TIMED_OUT,
    ExecutionStatus.REJECTED,
    ExecutionStatus.CANCELED,
    ExecutionStatus.REMOVED,
    ExecutionStatus.IN_PROGRESS,
    ExecutionStatus.QUEUED,
)
"""As people look at them: what is finished, good before bad, then what is not."""

UNFINISHED = (ExecutionStatus.IN_PROGRESS, ExecutionStatus.QUEUED)
BAD = (
    ExecutionStatus.FAILED,
    ExecutionStatus.TIMED_OUT,
    ExecutionStatus.REJECTED,
    ExecutionStatus.CANCELED,
)

Counts = Mapping[ExecutionStatus, int]


def counts(job: Members) -> Counts:
    """The job's executions by status, in ``ORDER``; retries count again, as the service counts them."""
    details = job.get("jobProcessDetails", {})
    return {status: details.get(f"numberOf{_camel(status)}Things", 0) for status in ORDER}


def total(counted: Counts) -> int:
    return sum(counted.values())


def finished(counted: Counts) -> int:
    return total(counted) - sum(counted[status] for status in UNFINISHED)


def percent(counted: Counts) -> int:
    """Of those that exist, rounded down, so that 100 is all; 0 if there are none."""
    return finished(counted) * 100 // max(1, total(counted))


def processing(job: Members) -> int:
    """Targets that the rollout has not come to the end of."""
    return len(job.get("jobProcessDetails", {}).get("processingTargets") or ())


def verdict(job: Members) -> Exit | None:
    """How a job ended; None as long as it did not."""
    match job["status"]:
        case JobStatus.COMPLETED:
            counted = counts(job)
            return Exit.PARTLY if any(counted[status] for status in BAD) else Exit.DONE
        case JobStatus.CANCELED:
            return Exit.CANCELED
    return None


def shares(counted: Counts, width: int) -> Counts:
    """Cells of a bar for each status, ``width`` in all if anything is counted; none is left without a cell.

    Shapes: ``width`` ≥ 8, so that there is a cell for each status.
    """
    all_of_them = total(counted)
    if not all_of_them:
        return dict.fromkeys(counted, 0)
    cells = {status: max(1, n * width // all_of_them) if n else 0 for status, n in counted.items()}
    while (missing := width - sum(cells.values())) != 0:
        step = 1 if missing > 0 else -1
        # The one that its share does the most injustice to; ties go to the first.
        at = max(
            (status for status in cells if counted[status] and cells[status] + step > 0),
            key=lambda status: step * (counted[status] * width - cells[status] * all_of_them),
        )
        cells[at] += step
    return cells


def _camel(status: ExecutionStatus) -> str:
    return "".join(word.title() for word in status.split("_"))
