"""The system's clock, as the service follows it (spec: ruling 6)."""

from __future__ import annotations

from structlog.testing import capture_logs

from thingjobs.clock import STEP_MS, SystemClock


def readings(*milliseconds: int) -> list[int]:
    """What the clock says while the system's says ``milliseconds``."""
    system = iter(milliseconds)
    clock = SystemClock(lambda: next(system) * 1_000_000)
    return [clock.now() for _ in milliseconds]


def test_it_does_not_go_back_while_the_system_is_kept_right() -> None:
    assert readings(100_000, 100_500, 100_400, 95_600, 100_501) == [
        100_000,
        100_500,
        100_500,
        100_500,
        100_501,
    ]


def test_it_follows_a_system_that_was_ahead_for_a_moment() -> None:
    """Or nothing would come due until that moment comes again."""
    day = 86_400_000
    with capture_logs() as logged:
        assert readings(1_000, 1_000 + day, 1_001, 1_002) == [1_000, 1_000 + day, 1_001, 1_002]
    assert logged == [{"event": "clock_set_back", "log_level": "warning", "milliseconds": day - 1}]
    assert readings(STEP_MS, 0) == [STEP_MS, 0]
