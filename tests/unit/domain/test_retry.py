"""Which failed executions get another attempt (spec: lifecycle 5)."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingjobs.domain.model import ExecutionStatus, JobStatus, RetryableFailureType, RetryCriterion
from thingjobs.domain.retry import FIRST_ATTEMPT, Chain, may_retry, next_attempt

_S = ExecutionStatus


def allow(**retries: int) -> tuple[RetryCriterion, ...]:
    types: dict[str, RetryableFailureType] = {"all": "ALL", "failed": "FAILED", "timed_out": "TIMED_OUT"}
    return tuple(RetryCriterion(types[name], number) for name, number in retries.items())


def chain_of(criteria: Sequence[RetryCriterion], ends: Sequence[ExecutionStatus]) -> list[Chain]:
    """The attempts that a thing gets which ends one after the other like this."""
    attempts = [FIRST_ATTEMPT]
    for end in ends:
        following = next_attempt(criteria, end, attempts[-1])
        if following is None:
            break
        attempts.append(following)
    return attempts


def test_two_budgets() -> None:
    """Spec: lifecycle 5, first example; R3; case 129."""
    ends = [_S.FAILED, _S.TIMED_OUT, _S.FAILED, _S.TIMED_OUT]
    attempts = chain_of(allow(failed=2, timed_out=1), ends)
    assert [(a.retry_attempt, a.failed_retries, a.timed_out_retries) for a in attempts] == [
        (0, 0, 0),
        (1, 1, 0),
        (2, 1, 1),
        (3, 2, 1),
    ]


def test_one_budget_for_all() -> None:
    """Spec: lifecycle 5, second example; R3."""
    assert chain_of(allow(all=1), [_S.FAILED, _S.TIMED_OUT]) == [Chain(0, 0), Chain(1, 1)]
    assert chain_of(allow(all=1), [_S.TIMED_OUT, _S.FAILED]) == [Chain(0, 0), Chain(1, 0)]


@pytest.mark.parametrize(
    ("criteria", "end", "retried"),
    [
        pytest.param(allow(failed=3), _S.FAILED, True, id="R1, case 126"),
        pytest.param(allow(timed_out=3), _S.TIMED_OUT, True, id="R1, R11"),
        pytest.param(allow(all=3), _S.FAILED, True, id="R2"),
        pytest.param(allow(all=3), _S.TIMED_OUT, True, id="R2"),
        pytest.param(allow(failed=3), _S.TIMED_OUT, False, id="R2"),
        pytest.param(allow(timed_out=3), _S.FAILED, False, id="R2"),
        pytest.param(allow(failed=3), _S.REJECTED, False, id="R1, case 128"),
        pytest.param(allow(all=3), _S.REJECTED, False, id="R1"),
        pytest.param(allow(all=3), _S.CANCELED, False, id="R1"),
        pytest.param(allow(all=3), _S.REMOVED, False, id="R1"),
        pytest.param(allow(all=3), _S.SUCCEEDED, False, id="R1"),
        pytest.param(allow(failed=0, timed_out=3), _S.FAILED, False, id="R10, case 45"),
        pytest.param((), _S.FAILED, False, id="no criteria"),
        pytest.param(None, _S.FAILED, False, id="no configuration"),
    ],
)
def test_first_attempts(
    criteria: Sequence[RetryCriterion] | None, end: ExecutionStatus, retried: bool
) -> None:
    following = next_attempt(criteria, end, FIRST_ATTEMPT)
    assert (following is not None) == retried
    assert following is None or following.retry_attempt == 1


def test_a_budget_that_is_used_up_ends_the_chain() -> None:
    """Spec: case 127."""
    assert len(chain_of(allow(failed=1), [_S.FAILED] * 3)) == 2


def test_retries_set_to_zero_stop_a_chain_at_once() -> None:
    """Spec: R10."""
    after_two = chain_of(allow(failed=5), [_S.FAILED] * 2)[-1]
    assert next_attempt(allow(failed=0), _S.FAILED, after_two) is None


def test_a_new_chain_has_its_whole_budget() -> None:
    """Spec: R8, case 132: the execution after a rejoin is FIRST_ATTEMPT again."""
    assert len(chain_of(allow(failed=5), [_S.FAILED] * 9)) == 6
    assert next_attempt(allow(failed=5), _S.FAILED, FIRST_ATTEMPT) == Chain(1, 1)


def test_an_execution_that_runs_while_its_thing_leaves_and_rejoins_keeps_its_chain() -> None:
    """Spec: ruling 8: nothing but the execution itself says how much is used."""
    third = chain_of(allow(failed=3), [_S.FAILED] * 3)[-1]
    assert next_attempt(allow(failed=3), _S.FAILED, third) is None


@pytest.mark.parametrize(
    ("status", "ended", "targeted", "may"),
    [
        (JobStatus.IN_PROGRESS, False, True, True),
        (JobStatus.SCHEDULED, False, True, True),
        (JobStatus.CANCELED, False, True, False),
        (JobStatus.COMPLETED, False, True, False),
        (JobStatus.DELETION_IN_PROGRESS, False, True, False),
        (JobStatus.IN_PROGRESS, True, True, False),
        (JobStatus.SCHEDULED, True, True, False),
        (JobStatus.IN_PROGRESS, False, False, False),
    ],
)
def test_jobs_that_hand_out_retries(status: JobStatus, ended: bool, targeted: bool, may: bool) -> None:
    """Spec: R5, case 130."""
    assert may_retry(status, ended=ended, targeted=targeted) is may


budgets = st.one_of(
    st.builds(lambda n: allow(all=n), st.integers(0, 10)),
    st.builds(lambda f, t: allow(failed=f, timed_out=t), st.integers(0, 5), st.integers(0, 5)),
    st.builds(lambda f: allow(failed=f), st.integers(0, 10)),
    st.builds(lambda t: allow(timed_out=t), st.integers(0, 10)),
)


@given(budgets, st.lists(st.sampled_from([_S.FAILED, _S.TIMED_OUT]), max_size=25))
def test_every_chain_ends_within_its_budget(
    criteria: Sequence[RetryCriterion], ends: list[ExecutionStatus]
) -> None:
    attempts = chain_of(criteria, ends)
    assert [attempt.retry_attempt for attempt in attempts] == list(range(len(attempts)))
    assert len(attempts) - 1 <= sum(criterion.number_of_retries for criterion in criteria)
    last = attempts[-1]
    for criterion in criteria:
        used = {
            "ALL": last.retry_attempt,
            "FAILED": last.failed_retries,
            "TIMED_OUT": last.timed_out_retries,
        }
        assert 0 <= used[criterion.failure_type] <= criterion.number_of_retries
