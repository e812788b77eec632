"""Rates of rollouts, and how a minute's batch is spread (spec: lifecycle 6)."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import ROUND_FLOOR, Decimal, getcontext
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thingjobs.domain.model import ExponentialRate, RolloutConfig
from thingjobs.domain.rollout_rate import AT_ONCE, SLICE, Minute, minute_at, plan_slice, rate_per_minute

MINUTE = 60_000
START = 1_700_000_012_345


def constant(maximum: int) -> RolloutConfig:
    return RolloutConfig(maximum, None)


def exponential(
    base: int, tenths: int, maximum: int = 1000, *, notified: int | None = None, succeeded: int | None = None
) -> RolloutConfig:
    return RolloutConfig(maximum, ExponentialRate(base, tenths, notified, succeeded))


def batches(config: RolloutConfig | None, things: int, *, ticks: int = 10_000) -> list[int]:
    """What each tick hands out when nobody ever succeeds."""
    sizes: list[int] = []
    while sum(sizes) < things and len(sizes) < ticks:
        sizes.append(min(rate_per_minute(config, notified=sum(sizes), succeeded=0), things - sum(sizes)))
    return sizes


# --- the rate -----------------------------------------------------------------------------------

DOUBLING = exponential(50, 20, notified=1000)


@pytest.mark.parametrize(
    ("config", "things", "expected"),
    [
        pytest.param(
            DOUBLING,
            10_000,
            [50] * 20 + [100] * 10 + [200] * 5 + [400] * 3 + [800] + [1000] * 5,
            id="spec: lifecycle 6.3 A, case 133",
        ),
        pytest.param(
            exponential(10, 15, 60, notified=100),
            500,
            [10] * 10 + [15] * 7 + [22] * 5 + [33] * 3 + [50] + [36],
            id="spec: lifecycle 6.3 B, case 134",
        ),
        pytest.param(
            exponential(50, 20, succeeded=1000), 10_000, [50] * 200, id="spec: lifecycle 6.3 C, case 135"
        ),
        pytest.param(constant(100), 250, [100, 100, 50], id="spec: lifecycle 6.3 D, case 137"),
        pytest.param(None, 2500, [1000, 1000, 500], id="spec: lifecycle 6.3 E, case 136"),
    ],
)
def test_a_rollout_takes_these_batches(
    config: RolloutConfig | None, things: int, expected: Sequence[int]
) -> None:
    assert batches(config, things) == expected


@pytest.mark.parametrize(("tick", "cumulative"), [(19, 1000), (29, 2000), (34, 3000), (37, 4200), (38, 5000)])
def test_what_is_handed_out_beyond_a_threshold_is_not_returned(tick: int, cumulative: int) -> None:
    """Spec: lifecycle 6.3 A, case 133: 4200 things are notified when the fourth step begins."""
    assert sum(batches(DOUBLING, 10_000)[: tick + 1]) == cumulative


@pytest.mark.parametrize(
    ("notified", "rate"), [(0, 50), (999, 50), (1000, 100), (1999, 100), (2000, 200), (3000, 400)]
)
def test_the_rate_steps_with_each_further_threshold(notified: int, rate: int) -> None:
    assert rate_per_minute(DOUBLING, notified=notified, succeeded=0) == rate


def test_only_the_count_that_the_criterion_names_matters() -> None:
    by_success = exponential(10, 20, succeeded=5)
    assert rate_per_minute(by_success, notified=900, succeeded=4) == 10
    assert rate_per_minute(by_success, notified=0, succeeded=10) == 40
    assert rate_per_minute(DOUBLING, notified=0, succeeded=900_000) == 50


def test_a_small_rate_grows_although_each_step_rounds_down() -> None:
    """1 · 1.1^8 = 2.14: rounding in each step would stay at 1 for ever."""
    rate = exponential(1, 11, notified=10)
    assert [rate_per_minute(rate, notified=10 * s, succeeded=0) for s in (0, 7, 8)] == [1, 1, 2]


def test_huge_counts_cost_nothing() -> None:
    assert rate_per_minute(exponential(1, 11, notified=1), notified=10**12, succeeded=0) == 1000


rates = st.integers(1, 999).flatmap(
    lambda base: st.builds(
        exponential,
        st.just(base),
        st.integers(11, 50),
        st.integers(base + 1, 1000),
        notified=st.integers(1, 2000),
    )
)


@given(rates, st.integers(0, 2_000_000), st.integers(0, 2_000_000))
def test_a_rate_is_bounded_and_never_falls(config: RolloutConfig, one: int, other: int) -> None:
    low, high = (rate_per_minute(config, notified=n, succeeded=0) for n in sorted((one, other)))
    assert 1 <= low <= high <= config.maximum_per_minute


@given(rates, st.integers(0, 200))
def test_a_rate_is_the_exact_power_rounded_down_once(config: RolloutConfig, steps: int) -> None:
    getcontext().prec = 400
    rate = config.exponential_rate
    assert rate is not None
    assert rate.notified_things is not None
    exact = rate.base_rate_per_minute * (Decimal(rate.increment_factor_tenths) / 10) ** steps
    expected = min(config.maximum_per_minute, int(exact.to_integral_value(ROUND_FLOOR)))
    assert rate_per_minute(config, notified=steps * rate.notified_things, succeeded=0) == expected


# --- the minute ---------------------------------------------------------------------------------


def test_a_minute_keeps_the_rate_it_began_with() -> None:
    first = minute_at(None, constant(100), started_at=START, now=START, notified=0, succeeded=0)
    assert first == Minute(START, 100, 0)
    busy = first._replace(handed_out=70)
    updated = constant(500)
    for now in (START, START + MINUTE - 1):
        assert minute_at(busy, updated, started_at=START, now=now, notified=70, succeeded=0) == busy
    following = minute_at(busy, updated, started_at=START, now=START + MINUTE, notified=70, succeeded=0)
    assert following == Minute(START + MINUTE, 500, 0)


def test_minutes_nobody_looked_at_are_not_made_up_for() -> None:
    old = Minute(START, 100, 30)
    now = START + 7 * MINUTE + 5_000
    later = minute_at(old, constant(100), started_at=START, now=now, notified=30, succeeded=0)
    assert later == Minute(START + 7 * MINUTE, 100, 0)


# --- inside a minute ----------------------------------------------------------------------------


def hand_out(minute: Minute, wake_ups: Sequence[int]) -> list[int]:
    """What each wake-up hands out."""
    sizes = []
    for now in wake_ups:
        size = plan_slice(minute, now, spread=True).size
        minute = minute._replace(handed_out=minute.handed_out + size)
        sizes.append(size)
    return sizes


@pytest.mark.parametrize("rate", [1, 50, 51, 1000])
def test_under_a_manual_clock_a_batch_goes_out_at_its_tick(rate: int) -> None:
    assert plan_slice(Minute(START, rate, 0), START, spread=False) == (rate, START + MINUTE)


@pytest.mark.parametrize("rate", [1, 49, AT_ONCE])
def test_a_small_batch_is_not_spread(rate: int) -> None:
    assert plan_slice(Minute(START, rate, 0), START, spread=True) == (rate, START + MINUTE)


def test_a_large_batch_begins_with_a_small_one_and_goes_on_every_second() -> None:
    assert plan_slice(Minute(START, 1000, 0), START, spread=True) == (50, START + SLICE)
    sizes = hand_out(Minute(START, 1000, 0), [START + i * SLICE for i in range(60)])
    assert sum(sizes) == 1000
    assert set(sizes[1:]) == {16, 17}


def test_one_thing_more_than_small_waits_a_second() -> None:
    assert plan_slice(Minute(START, 51, 50), START, spread=True) == (0, START + SLICE)
    assert plan_slice(Minute(START, 51, 50), START + SLICE, spread=True) == (1, START + MINUTE)


def test_a_batch_little_above_small_waits_for_whole_things() -> None:
    """53 things: the three that are spread go out about every twenty seconds."""
    minute, now, handed = Minute(START, 53, 0), START, []
    while now < START + MINUTE:
        size, next_at = plan_slice(minute, now, spread=True)
        handed.append(((now - START) // SLICE, size))
        minute, now = minute._replace(handed_out=minute.handed_out + size), next_at
    assert handed == [(0, 50), (1, 1), (20, 1), (40, 1)]


def test_a_late_slice_takes_the_missed_ones_with_it() -> None:
    sizes = hand_out(Minute(START, 1000, 0), [START + 30 * SLICE, START + 59 * SLICE])
    assert sizes == [50 + -(-950 * 30 // 59), 1000 - 50 - -(-950 * 30 // 59)]


def test_what_is_left_when_the_minute_is_over_is_lost() -> None:
    assert plan_slice(Minute(START, 1000, 990), START + MINUTE, spread=True) == (0, START + MINUTE)


def test_a_lower_rate_takes_nothing_back() -> None:
    assert plan_slice(Minute(START, 40, 45), START + SLICE, spread=True) == (0, START + MINUTE)


@given(st.integers(1, 1000), st.lists(st.integers(0, MINUTE - 1), max_size=30))
def test_however_late_slices_come_a_minute_gets_its_rate_and_no_more(rate: int, late: list[int]) -> None:
    wake_ups = sorted(START + at for at in late)
    sizes = hand_out(Minute(START, rate, 0), [*wake_ups, START + 59 * SLICE + 999])
    assert all(size >= 0 for size in sizes)
    assert sum(sizes) == rate
    assert sum(sizes[:-1]) <= rate


@given(st.integers(1, 1000), st.integers(0, 999))
def test_following_next_at_hands_out_the_rate_in_ascending_slices(rate: int, lag: int) -> None:
    minute, now = Minute(START, rate, 0), START
    instants = []
    while now < START + MINUTE:
        size, next_at = plan_slice(minute, now + lag, spread=True)
        assert size > 0
        instants.append(now)
        minute, now = minute._replace(handed_out=minute.handed_out + size), next_at
    assert minute.handed_out == rate
    assert now == START + MINUTE
    assert all(later - earlier >= SLICE for earlier, later in pairwise(instants))


@given(st.integers(51, 1000), st.integers(0, 59))
def test_no_sixty_seconds_get_more_than_a_constant_rate(rate: int, offset: int) -> None:
    """Also minutes that do not begin at a tick."""
    seconds = [START + i * SLICE for i in range(60)]
    two = hand_out(Minute(START, rate, 0), seconds) * 2
    assert sum(two[offset : offset + 60]) == rate
