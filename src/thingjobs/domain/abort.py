"""When so many executions failed that the service cancels the job.

Every execution that is finished counts as executed, whatever its end and whichever attempt of its thing
it was; deleted ones do not. A job that the same report completes is not aborted: see ``consequence``.
Source: Jobs developer guide, "abort configurations"; what counts, the order of criteria and the texts are
observed by others (unverified).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from thingjobs.domain.model import TERMINAL, AbortCriterion, Counters, ExecutionStatus, FailureType

REASON_CODE = "ABORT_CANCEL"

EVALUATED_AFTER = TERMINAL - {ExecutionStatus.REMOVED}
"""Ends of an execution after which the criteria are looked at; its deletion is another occasion.

CANCELED means by CancelJobExecution: what the end of a job or its cancellation cancels is not looked at.
"""

_FAILURES: Mapping[FailureType, tuple[ExecutionStatus, ...]] = {
    "FAILED": (ExecutionStatus.FAILED,),
    "REJECTED": (ExecutionStatus.REJECTED,),
    "TIMED_OUT": (ExecutionStatus.TIMED_OUT,),
    "ALL": (ExecutionStatus.FAILED, ExecutionStatus.REJECTED, ExecutionStatus.TIMED_OUT),
}

_WHOLE_BP = 10_000
"""All of something, in hundredths of a percent."""


def executed(counters: Counters) -> int:
    """Executions that are finished."""
    return sum(counters.get(status, 0) for status in TERMINAL)


def failures(failure_type: FailureType, counters: Counters) -> int:
    """Executions that ended in a failure of this type."""
    return sum(counters.get(status, 0) for status in _FAILURES[failure_type])


def criterion_met(criteria: Sequence[AbortCriterion], counters: Counters) -> AbortCriterion | None:
    """The first criterion, in the order given, that calls for the job to be canceled.

    A criterion is met when enough executions are finished and the share of failures has reached its
    threshold; exactly reaching it is enough.

    Errors: none.
    Source: Jobs developer guide, "abort configurations"; "reached" against "exceeded" is observed by
            others (unverified).
    """
    total = executed(counters)
    for criterion in criteria:
        if total < criterion.min_number_of_executed_things:
            continue
        failed = failures(criterion.failure_type, counters)
        if failed * _WHOLE_BP >= criterion.threshold_bp * total:
            return criterion
    return None


def ends_before_abort(
    criteria: Sequence[AbortCriterion], counters: Counters, status: ExecutionStatus, most: int
) -> int:
    """How many executions can end as ``status``, one after the other, with no criterion met by any of them.

    Shapes: ``counters`` are those before the first of them; the result is in 0..``most``.
    Errors: none.
    """
    met_by = [_first_end_that_meets(criterion, counters, status) for criterion in criteria]
    return min([most, *(number - 1 for number in met_by if number is not None)])


def _first_end_that_meets(
    criterion: AbortCriterion, counters: Counters, status: ExecutionStatus
) -> int | None:
    """The number, from 1, of the first end as ``status`` that meets a criterion; None if none ever does."""
    total = executed(counters)
    failed = failures(criterion.failure_type, counters)
    enough = max(1, criterion.min_number_of_executed_things - total)
    missing = criterion.threshold_bp * total - failed * _WHOLE_BP
    if status not in _FAILURES[criterion.failure_type]:  # the share of failures falls with each end
        return enough if missing + criterion.threshold_bp * enough <= 0 else None
    others = _WHOLE_BP - criterion.threshold_bp
    if others == 0:
        return enough if missing <= 0 else None
    return max(enough, -(-missing // others))


def abort_comment(criterion: AbortCriterion, counters: Counters) -> str:
    """The job's comment once ``criterion`` has canceled it; ``counters`` are those that met it.

    Source: observed by others (unverified).
    """
    kind = criterion.failure_type
    whole, hundredths = divmod(criterion.threshold_bp, 100)
    return (
        f"Abort criteria for failure type {kind} with threshold {whole}.{hundredths:02}% met. "
        f"Total completed executions: {executed(counters)}, "
        f"total {kind} executions: {failures(kind, counters)}"
    )
