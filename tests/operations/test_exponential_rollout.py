"""Rollouts whose rate grows, and batches that are spread over their minute."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from thingjobs.domain.quotas import DEFAULT_QUOTAS
from thingjobs.wire.shapes import iot
from world import World, names


def a_world(things: int, *, spread: bool = False) -> World:
    world = World(spread=spread)
    world.things(*names("m", things), group="g1")
    return world


def growing(base: int, factor: float, maximum: int, **criteria: int) -> dict[str, Any]:
    exponential = {"baseRatePerMinute": base, "incrementFactor": factor, "rateIncreaseCriteria": criteria}
    return {"maximumPerMinute": maximum, "exponentialRate": exponential}


def queued(world: World) -> int:
    return world.counted("j1").get("queued", 0)


def per_tick(world: World, ticks: int) -> list[int]:
    """How many things each of the first ticks reaches."""
    found = [queued(world)]
    for _ in range(ticks - 1):
        before = queued(world)
        world.wind(1)
        found.append(queued(world) - before)
    return found


def test_rate_grows_with_the_things_that_were_notified() -> None:
    """case 133"""
    world = a_world(10_000)
    world.job("j1", "g1", jobExecutionsRolloutConfig=growing(50, 2, 1000, numberOfNotifiedThings=1000))
    rates = per_tick(world, 44)
    totals = {tick: sum(rates[: tick + 1]) for tick in (19, 29, 34, 37, 38, 43)}
    assert totals == {19: 1000, 29: 2000, 34: 3000, 37: 4200, 38: 5000, 43: 10_000}
    assert rates == [50] * 20 + [100] * 10 + [200] * 5 + [400] * 3 + [800] + [1000] * 5
    assert world.shown("j1").is_concurrent is False


def test_rate_is_rounded_down_and_the_rest_is_not_made_up_for() -> None:
    """case 134"""
    world = a_world(500)
    world.job("j1", "g1", jobExecutionsRolloutConfig=growing(10, 1.5, 60, numberOfNotifiedThings=100))
    assert per_tick(world, 27) == [10] * 10 + [15] * 7 + [22] * 5 + [33] * 3 + [50, 36]


def test_rate_stays_as_long_as_nobody_succeeds() -> None:
    """case 135"""
    world = a_world(300)
    world.job("j1", "g1", jobExecutionsRolloutConfig=growing(10, 5, 1000, numberOfSucceededThings=1))
    assert per_tick(world, 20) == [10] * 20


def test_rate_grows_with_the_things_that_succeeded() -> None:
    """spec: lifecycle 6.2"""
    world = a_world(100)
    world.job("j1", "g1", jobExecutionsRolloutConfig=growing(5, 2, 1000, numberOfSucceededThings=2))
    world.report("j1", "SUCCEEDED", "m00000", "m00001", "m00002")
    world.wind(1)
    assert world.counted("j1") == {"succeeded": 3, "queued": 2 + 10}
    world.report("j1", "SUCCEEDED", "m00003")
    world.report("j1", "FAILED", "m00004")
    world.wind(1)
    assert world.counted("j1") == {"succeeded": 4, "failed": 1, "queued": 10 + 20}


def test_rate_without_a_configuration() -> None:
    """case 136"""
    world = a_world(2500)
    world.job("j1", "g1")
    assert per_tick(world, 3) == [1000, 1000, 500]


def test_what_is_shown_while_it_is_rolled_out() -> None:
    """case 137"""
    world = a_world(250)
    world.job("j1", "g1", jobExecutionsRolloutConfig={"maximumPerMinute": 100})
    shown = world.shown("j1")
    assert (queued(world), shown.is_concurrent) == (100, True)
    assert shown.job_process_details is not None
    assert shown.job_process_details.processing_targets
    world.wind(2)
    shown = world.shown("j1")
    assert (queued(world), shown.is_concurrent) == (250, False)
    assert shown.job_process_details is not None
    assert shown.job_process_details.processing_targets is None


def test_changed_rate_counts_from_the_next_tick() -> None:
    """spec: lifecycle 6.4"""
    world = a_world(100)
    world.job("j1", "g1", jobExecutionsRolloutConfig={"maximumPerMinute": 5})
    world.wind(0.5)
    config = iot.JobExecutionsRolloutConfig(maximum_per_minute=20)
    world.update("j1", job_executions_rollout_config=config)
    world.work_off()
    assert queued(world) == 5
    world.wind(0.5)
    assert queued(world) == 25


@pytest.mark.parametrize("rate", [40, 110, 1000])
def test_batch_is_spread_where_the_clock_goes_by_itself(rate: int) -> None:
    """spec: lifecycle 6.2"""
    world = a_world(2 * rate + 10, spread=True)
    world.job("j1", "g1", jobExecutionsRolloutConfig={"maximumPerMinute": rate})
    totals = [queued(world)]
    for _ in range(120):
        world.wind(1 / 60)
        totals.append(queued(world))
    assert totals[0] == min(rate, 50)
    assert (totals[59], totals[119], totals[120]) == (rate, 2 * rate, 2 * rate + 10)
    steps = [after - before for before, after in pairwise(totals[:60])]
    assert max(steps) <= -(-(max(0, rate - 50)) // 59) + 1


def test_batch_without_a_rate_of_its_own_is_not_spread() -> None:
    world = a_world(1000, spread=True)
    world.job("j1", "g1")
    assert queued(world) == 1000


def test_seconds_that_were_missed_are_made_up_for_within_the_minute() -> None:
    world = a_world(300, spread=True)
    world.job("j1", "g1", jobExecutionsRolloutConfig={"maximumPerMinute": 109})
    world.skip(30 / 60)
    world.work_off()
    assert queued(world) == 80
    world.skip(45 / 60)
    world.work_off()
    assert queued(world) == 80 + 65


def test_rate_of_a_job_without_a_rate_can_be_set() -> None:
    """spec: quotas 2, "rollout throughput": in the first tick, the following ones and behind a start time"""
    world = World(quotas=replace(DEFAULT_QUOTAS, rollout_per_minute=3))
    world.things(*names("t", 8), group="g1")
    world.job("j1", "g1")
    assert per_tick(world, 4) == [3, 3, 2, 0]
    world.job("j2", "g1", schedulingConfig={"startTime": world.at(40)})
    world.wind(40)
    assert world.counted("j2") == {"queued": 3}
    world.wind(1)
    assert world.counted("j2") == {"queued": 6}
