"""The two timers of an execution in progress, and what happens when the earlier one runs out.

The in-progress timer is set when the execution starts and never again; the step timer whenever a device
sends one. An execution that nobody starts has none and waits for ever.

A timer fires at its deadline or later, never earlier. Until it has fired, whoever looks must see the
execution as if it had: ``as_of`` says how it stands, so that a report that comes too late is always
refused, however late the sweep.

Source: Jobs developer guide, "job timeout configurations"; the version and the late report are inferred.
"""

from __future__ import annotations

from thingjobs.domain.errors import InvalidStateTransition
from thingjobs.domain.execution import Trigger, next_status
from thingjobs.domain.execution import deadline_at as deadline_at
from thingjobs.domain.model import JobExecution


def is_overdue(execution: JobExecution, now: int) -> bool:
    deadline = deadline_at(execution)
    return deadline is not None and deadline <= now


def time_out(execution: JobExecution, *, now: int) -> JobExecution:
    """The execution after its timer fired at ``now``, which dates it.

    A manual clock stands at the deadline then; the system's may be a few seconds behind it.

    Errors: InvalidStateTransition if it is not in progress.
    """
    status = next_status(execution.status, Trigger.TIME_OUT)
    if status is None:
        raise InvalidStateTransition(
            f"Job execution for thing {execution.thing_name} in status {execution.status} cannot time out."
        )
    return execution._replace(
        status=status,
        version=execution.version + 1,
        last_updated_at=now,
        in_progress_deadline_at=None,
        step_deadline_at=None,
    )


def as_of(execution: JobExecution, now: int) -> JobExecution:
    """The execution as it counts at ``now``: timed out if it is overdue, else itself."""
    return time_out(execution, now=now) if is_overdue(execution, now) else execution
