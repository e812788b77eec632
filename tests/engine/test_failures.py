"""Work that failed is tried again after ever longer pauses, one piece at a time."""

from __future__ import annotations

from thingjobs.domain.model import JobKey
from thingjobs.engine.failures import LONGEST_PAUSE_S, Failures
from thingjobs.operations.background import Purge, SweepSome, TimeOut


class Seconds:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_pauses_double_up_to_the_longest() -> None:
    seconds = Seconds()
    failures = Failures(seconds)
    pauses = []
    for _ in range(8):
        failures.failed(Purge())
        assert failures.to_try() is None
        pauses.append(pause := failures.pause())
        assert pause is not None
        seconds.now += pause
        assert (failures.to_try(), failures.pause()) == (Purge(), 0)
    assert pauses == [1, 2, 4, 8, 16, 32, LONGEST_PAUSE_S, LONGEST_PAUSE_S]


def test_work_that_succeeds_begins_anew() -> None:
    failures = Failures(Seconds())
    for _ in range(3):
        failures.failed(Purge())
    failures.succeeded(Purge())
    assert (failures.pieces, failures.to_try(), failures.pause()) == (frozenset(), None, None)
    failures.failed(Purge())
    assert failures.pause() == 1


def test_each_piece_is_tried_in_its_turn_and_left_out_meanwhile() -> None:
    seconds = Seconds()
    failures = Failures(seconds)
    first, second = TimeOut(JobKey(1)), SweepSome(JobKey(1))
    failures.failed(first)
    failures.failed(second)
    seconds.now += 1
    assert failures.to_try() == first
    failures.failed(first)
    assert failures.to_try() == second
    assert failures.pieces == {first, second}


def test_all_can_be_tried_again_at_once() -> None:
    failures = Failures(Seconds())
    failures.failed(Purge())
    failures.forget()
    assert failures.pieces == frozenset()
