"""Finished jobs are kept for two years."""

from __future__ import annotations

import pytest

from factories import rows
from thingjobs.domain.errors import JobNotFound
from thingjobs.operations import background
from world import World

DAY = 24 * 60


@pytest.fixture
def world() -> World:
    world = World()
    world.things("t1", "t2")
    world.enable_events("JOB", "JOB_EXECUTION")
    return world


@pytest.mark.parametrize("how", ["COMPLETED", "CANCELED"])
def test_finished_job_is_gone_after_two_years_without_a_word(world: World, how: str) -> None:
    """case 166"""
    world.job("j1", "t1", "t2")
    if how == "COMPLETED":
        world.report("j1", "SUCCEEDED", "t1", "t2")
    else:
        world.cancel("j1")
    assert world.status("j1") == how
    world.events()
    world.wind(730 * DAY - 1)
    assert world.status("j1") == how
    world.wind(1)
    with pytest.raises(JobNotFound):
        world.status("j1")
    assert world.events() == []
    for table in ("job", "job_execution", "job_target", "job_document", "job_counters"):
        assert rows(world.tx, f"SELECT count(*) FROM {table}") == [(0,)]
    assert background.next_due_at(world.tx, world.now) is None


def test_open_job_is_kept(world: World) -> None:
    world.job("j1", "t1")
    world.wind(800 * DAY)
    assert world.status("j1") == "IN_PROGRESS"


def test_large_job_goes_in_pieces(world: World) -> None:
    world.things(*(f"m{n:05}" for n in range(5_001)), group="g1")
    world.job("j1", "g1")
    world.wind(10)
    world.cancel("j1")
    world.skip(731 * DAY)
    pieces = 0
    while due := background.due(world.tx, world.now):
        for piece in due:
            piece(world.tx, world.now)
            pieces += 1
    assert pieces > 2
    assert rows(world.tx, "SELECT count(*) FROM job_execution") == [(0,)]
