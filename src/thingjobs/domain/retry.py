"""Whether a thing gets another attempt after one that failed or timed out.

The attempts of a thing form a chain: the first has ``retry_attempt`` 0, each retry one more. Retries after
FAILED and after TIMED_OUT have budgets of their own, so the chain remembers how many of its retries
followed a FAILED (``failed_retries``); the others followed a TIMED_OUT. A criterion ALL has one budget for
both. An execution that does not come from a retry starts a new chain, with both numbers 0; one that is
still running goes on with its chain whatever its thing leaves and joins meanwhile.

Source: Jobs developer guide, "job execution retry configuration"; separate budgets are inferred.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from thingjobs.domain.job import OPEN
from thingjobs.domain.model import ExecutionStatus, JobStatus, RetryCriterion


class Chain(NamedTuple):
    """Where an execution stands in its chain: retries before it, and those of them after a FAILED."""

    retry_attempt: int
    failed_retries: int

    @property
    def timed_out_retries(self) -> int:
        return self.retry_attempt - self.failed_retries


FIRST_ATTEMPT = Chain(0, 0)


def may_retry(status: JobStatus, *, ended: bool, targeted: bool) -> bool:
    """Whether a job still hands out retries to a thing.

    ``ended``: its end time has passed. ``targeted``: the thing is still one the job is for; of a SNAPSHOT
    job it always is.
    """
    return status in OPEN and not ended and targeted


def next_attempt(
    criteria: Sequence[RetryCriterion] | None, ended_as: ExecutionStatus, chain: Chain
) -> Chain | None:
    """The chain of the retry that follows an execution which ended as ``ended_as``; None without one.

    ``criteria`` are the job's as they are now: setting them to 0 stops retries at once.

    Errors: none.
    Source: Jobs developer guide, "job execution retry configuration".
    """
    if ended_as is ExecutionStatus.FAILED:
        used, following = chain.failed_retries, Chain(chain.retry_attempt + 1, chain.failed_retries + 1)
    elif ended_as is ExecutionStatus.TIMED_OUT:
        used, following = chain.timed_out_retries, Chain(chain.retry_attempt + 1, chain.failed_retries)
    else:
        return None
    for criterion in criteria or ():
        if criterion.failure_type == "ALL":
            used = chain.retry_attempt
        elif criterion.failure_type != ended_as.value:
            continue
        return following if used < criterion.number_of_retries else None
    return None
