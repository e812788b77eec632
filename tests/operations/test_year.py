"""A year of a fleet in seconds: jobs of all kinds under a wound clock end where the rules say."""

from __future__ import annotations

from world import World

THINGS = 10_000
DAY = 24 * 60
WEEKLY = {"startTime": "cron(0 2 ? * SUN *)", "durationInMinutes": 120}


def test_a_year_of_jobs_ends_in_the_computed_state() -> None:
    """Issue: 10,000 things, 50 jobs of all kinds, weekly windows, a year, in well under two minutes."""
    world = World()
    groups = [f"g{i}" for i in range(10)]
    for i, group in enumerate(groups):
        world.things(*(f"t{n:05}" for n in range(i * 1000, (i + 1) * 1000)), group=group)

    for i, group in enumerate(groups):
        world.job(f"plain-{i}", group)
        world.job(
            f"staged-{i}",
            group,
            jobExecutionsRolloutConfig={
                "maximumPerMinute": 400,
                "exponentialRate": {
                    "baseRatePerMinute": 50,
                    "incrementFactor": 2,
                    "rateIncreaseCriteria": {"numberOfNotifiedThings": 200},
                },
            },
        )
        world.job(
            f"later-{i}",
            group,
            schedulingConfig={
                "startTime": world.at(30 * DAY),
                "endTime": world.at(60 * DAY),
                "endBehavior": ("STOP_ROLLOUT", "CANCEL", "FORCE_CANCEL")[i % 3],
            },
        )
        world.continuous(
            f"windows-{i}",
            group,
            schedulingConfig={"startTime": world.at(DAY), "maintenanceWindows": [WEEKLY]},
        )
        world.continuous(f"follows-{i}", group, timeoutConfig={"inProgressTimeoutInMinutes": 60})

    assert world.status("windows-0") == "SCHEDULED"
    for name in ("t00000", "t00001"):
        world.device(name).update("follows-0", "IN_PROGRESS")
        world.device(name).update("plain-0", "SUCCEEDED")
    world.wind(10)
    assert world.counted("staged-0") == {"queued": 1000}

    world.wind(31 * DAY)
    assert world.counted("follows-0") == {"queued": 998, "timed_out": 2}
    assert world.counted("later-0") == {"queued": 1000}
    assert world.counted("windows-3") == {"queued": 1000}
    world.device("t01000").update("later-1", "IN_PROGRESS")
    world.device("t02000").update("later-2", "IN_PROGRESS")

    world.wind(334 * DAY)
    assert world.counted("later-0") == {"queued": 1000}  # STOP_ROLLOUT leaves what is pending
    assert world.counted("later-1") == {"canceled": 999, "in_progress": 1}  # CANCEL leaves what has begun
    assert world.counted("later-2") == {"canceled": 1000}
    assert [world.status(f"later-{i}") for i in range(3)] == ["IN_PROGRESS", "IN_PROGRESS", "COMPLETED"]
    assert world.counted("plain-0") == {"queued": 998, "succeeded": 2}
    for i in range(10):
        assert world.status(f"windows-{i}") == "SCHEDULED"  # no window is open at noon on a Wednesday
        assert world.status(f"follows-{i}") == "IN_PROGRESS"
        assert sum(world.counted(f"staged-{i}").values()) == 1000
