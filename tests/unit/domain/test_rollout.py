"""How fast a job is handed out, and when the next tick is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingjobs.domain import rollout as rules
from thingjobs.domain.model import JobKey, RolloutConfig
from thingjobs.domain.rollout import TICK, Cursor, Rollout

STARTED = 1_700_000_012_345
ROLLOUT = Rollout(
    key=1,
    job_key=JobKey(1),
    end_position=1,
    snapshot_seq=None,
    limited=True,
    cursor=Cursor(0),
    started_at=STARTED,
    next_tick_at=STARTED,
    notified=0,
)


@pytest.mark.parametrize(
    ("config", "limited", "size"),
    [
        (None, True, 1000),
        (RolloutConfig(1, None), True, 1),
        (RolloutConfig(100, None), True, 100),
        (RolloutConfig(1, None), False, 1000),
    ],
)
def test_rate_is_the_maximum_and_a_thousand_without_one(
    config: RolloutConfig | None, limited: bool, size: int
) -> None:
    """case 136, case 137; spec: lifecycle 6.2"""
    assert rules.batch_size(config, limited=limited) == size


@pytest.mark.parametrize(
    ("after_start", "next_after"),
    [(0, TICK), (1, TICK), (TICK - 1, TICK), (TICK, 2 * TICK), (10 * TICK + 7, 11 * TICK)],
)
def test_ticks_are_whole_minutes_from_the_start(after_start: int, next_after: int) -> None:
    """spec: lifecycle 6.1"""
    assert rules.following_tick(ROLLOUT, STARTED + after_start) == STARTED + next_after


@given(st.integers(0, 10**9))
def test_next_tick_is_after_now_on_the_grid_and_within_a_minute(after_start: int) -> None:
    now = STARTED + after_start
    following = rules.following_tick(ROLLOUT, now)
    assert now < following <= now + TICK
    assert (following - STARTED) % TICK == 0


def test_associated_targets_wait_for_no_minute() -> None:
    """spec: control-plane 3.7"""
    assert rules.following_tick(replace(ROLLOUT, limited=False), STARTED + 5) == STARTED + 5
