"""The limit of jobs that roll out at once, met by jobs that the clock starts (spec: lifecycle 11, J6)."""

from __future__ import annotations

import pytest

from factories import rows
from thingjobs.domain.errors import LimitExceeded
from thingjobs.domain.quotas import Quotas
from world import World

SLOWLY = {"maximumPerMinute": 1}
NIGHTLY = [{"startTime": "cron(0 2 * * ? *)", "durationInMinutes": 60}]


@pytest.fixture
def world() -> World:
    """Room for one job that rolls out, and a group that takes three minutes."""
    world = World(quotas=Quotas(concurrent_jobs=1))
    world.things("t1", "t2", "t3", group="g1")
    return world


def test_a_job_without_windows_starts_when_there_is_room(world: World) -> None:
    world.job("later", "t1", schedulingConfig={"startTime": world.at(40)})
    world.wind(39)
    world.job("now", "g1", jobExecutionsRolloutConfig=SLOWLY)
    world.wind(1)
    assert world.status("later") == "SCHEDULED"
    world.wind(1)
    assert world.counted("now") == {"queued": 3}
    world.wind(1)
    assert world.status("later") == "IN_PROGRESS"
    assert world.counted("later") == {"queued": 1}


def test_a_window_that_opens_without_room_cancels_its_job(world: World) -> None:
    """spec: lifecycle J6"""
    scheduling = {"startTime": world.at(40), "maintenanceWindows": NIGHTLY}
    world.continuous("nightly", "g1", schedulingConfig=scheduling)
    world.wind(14 * 60 - 1)
    world.job("now", "g1", jobExecutionsRolloutConfig=SLOWLY)
    world.wind(1)
    assert world.status("nightly") == "CANCELED"
    assert "limit of concurrent jobs" in (world.shown("nightly").comment or "")


def test_a_window_that_opens_with_room_opens(world: World) -> None:
    scheduling = {"startTime": world.at(40), "maintenanceWindows": NIGHTLY}
    world.continuous("nightly", "g1", schedulingConfig=scheduling)
    world.wind(14 * 60)
    assert world.status("nightly") == "IN_PROGRESS"
    assert world.counted("nightly") == {"queued": 3}
    world.job("now", "t1", jobExecutionsRolloutConfig=SLOWLY)
    world.wind(24 * 60)
    assert world.status("nightly") == "IN_PROGRESS"


def test_a_job_whose_executions_are_being_canceled_takes_room(world: World) -> None:
    """spec: lifecycle 11: CANCELED, with more open executions than are canceled at once"""
    world.job("canceled", "g1", jobExecutionsRolloutConfig=SLOWLY)
    assert rows(world.tx, "DELETE FROM rollout RETURNING 1") == [(1,)]
    assert world.tx.rollouts.count_jobs(world.call.scope.id) == 0
    rows(world.tx, "UPDATE job SET status = 'CANCELED', sweep = 'CANCEL'")
    with pytest.raises(LimitExceeded, match="may have 1"):
        world.job("next", "t1")
    rows(world.tx, "UPDATE job SET sweep = NULL")
    world.job("next", "t1")
