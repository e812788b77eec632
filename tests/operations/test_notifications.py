"""Which changes a listening device is told of: the trigger table of the developer guide's walkthrough."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from factories import Device, a_job, add_things, arn, later
from thingjobs.domain.effects import PendingNotice
from thingjobs.operations import job_executions, jobs, things
from thingjobs.operations.call import Call
from thingjobs.operations.device_documents import DeviceDocuments
from thingjobs.operations.notifications import COMPARED_AT_ONCE, Notifier
from thingjobs.store.tx import Tx
from thingjobs.wire.shapes import iot

Told = list[tuple[list[str] | None, str | None]]
"""For each notice: job ids of the list (None: not told), job id of the head (None: not told, "": no head)."""


class Ear:
    """Listens for one thing as a subscribed device would."""

    def __init__(self, tx: Tx, call: Call, thing_name: str) -> None:
        self._tx = tx
        self._thing = (call.scope.id, thing_name)
        self.notifier = Notifier(DeviceDocuments())
        self.notifier.watch(tx, self._thing)
        self.notifier.settled(committed=True)
        tx.take_effects()

    def notices(self) -> list[PendingNotice]:
        """What the transaction, if it were committed now, would have a device told."""
        found = []
        effects = self._tx.take_effects()
        while True:
            found += [e for e in self.notifier.follow(self._tx, effects, 0) if isinstance(e, PendingNotice)]
            self.notifier.settled(committed=True)
            effects = []
            if not self.notifier.has_more():
                return found

    def told(self) -> Told:
        return [
            (
                [listed.job.job_id for listed in notice.pending] if notice.list_changed else None,
                (notice.pending[0].job.job_id if notice.pending else "") if notice.head_changed else None,
            )
            for notice in self.notices()
        ]


@pytest.fixture
def ear(tx: Tx, call: Call) -> Ear:
    add_things(call, tx, "t1", "t2")
    return Ear(tx, call, "t1")


@pytest.fixture
def t1(device: Callable[[str], Device]) -> Device:
    return device("t1")


def queue(call: Call, tx: Tx, *job_ids: str) -> None:
    for i, job_id in enumerate(job_ids):
        a_job(later(call, i), tx, job_id, [arn(call, "t1")])


def test_the_first_job_is_told_in_both_ways(tx: Tx, call: Call, ear: Ear) -> None:
    """case 86"""
    queue(call, tx, "j1")
    (notice,) = ear.notices()
    assert (notice.list_changed, notice.head_changed) == (True, True)
    (listed,) = notice.pending
    assert (listed.job.job_id, listed.execution.version) == ("j1", 1)
    assert notice.document == '{"op":"x"}'


def test_a_job_behind_the_head_is_told_in_the_list_only(tx: Tx, call: Call, ear: Ear) -> None:
    """case 87"""
    queue(call, tx, "j1")
    ear.told()
    a_job(later(call, 5), tx, "j2", [arn(call, "t1")])
    assert ear.told() == [(["j1", "j2"], None)]


def test_starting_the_head_is_not_told(tx: Tx, call: Call, ear: Ear, t1: Device) -> None:
    """case 88"""
    queue(call, tx, "j1")
    ear.told()
    t1.start_next()
    assert ear.told() == []


def test_one_that_overtakes_is_told_as_the_next_only(tx: Tx, call: Call, ear: Ear, t1: Device) -> None:
    """case 89"""
    queue(call, tx, "j1", "j2")
    ear.told()
    t1.update("j2", "IN_PROGRESS")
    assert ear.told() == [(None, "j2")]


def test_progress_is_not_told(tx: Tx, call: Call, ear: Ear, t1: Device) -> None:
    """spec: device-plane 6.2"""
    queue(call, tx, "j1")
    t1.start_next()
    ear.told()
    t1.update("j1", "IN_PROGRESS", status_details={"step": "2"})
    assert ear.told() == []


def test_finishing_the_head_is_told_in_both_ways(tx: Tx, call: Call, ear: Ear, t1: Device) -> None:
    """case 90"""
    queue(call, tx, "j1", "j2")
    ear.told()
    t1.update("j1", "SUCCEEDED")
    assert ear.told() == [(["j2"], "j2")]


def test_finishing_another_than_the_head_is_told_in_the_list_only(
    tx: Tx, call: Call, ear: Ear, t1: Device
) -> None:
    """case 91"""
    queue(call, tx, "j1", "j2", "j3")
    t1.update("j3", "IN_PROGRESS")
    ear.told()
    t1.update("j2", "REJECTED")
    assert ear.told() == [(["j3", "j1"], None)]


def test_a_list_that_becomes_empty_is_told(tx: Tx, call: Call, ear: Ear, t1: Device) -> None:
    """case 92"""
    queue(call, tx, "j3")
    t1.start_next()
    ear.told()
    jobs.delete_job(call, tx, iot.DeleteJobRequest(job_id="j3", force=True))
    assert ear.told() == [([], "")]


def test_canceling_two_jobs_at_once_is_told_once(tx: Tx, call: Call, ear: Ear) -> None:
    """spec: ruling 31"""
    queue(call, tx, "j1", "j2", "j3")
    ear.told()
    for job_id in ("j1", "j2"):
        jobs.cancel_job(call, tx, iot.CancelJobRequest(job_id=job_id))
    assert ear.told() == [(["j3"], "j3")]


def test_a_canceled_job_in_progress_stays_in_the_list(tx: Tx, call: Call, ear: Ear, t1: Device) -> None:
    """spec: lifecycle J9"""
    queue(call, tx, "j1")
    t1.start_next()
    ear.told()
    jobs.cancel_job(call, tx, iot.CancelJobRequest(job_id="j1"))
    assert ear.told() == []


@pytest.mark.parametrize("what", ["cancel", "delete"])
def test_what_operators_do_to_an_execution_is_told(tx: Tx, call: Call, ear: Ear, what: str) -> None:
    """case 77"""
    queue(call, tx, "j1")
    ear.told()
    if what == "cancel":
        request = iot.CancelJobExecutionRequest(job_id="j1", thing_name="t1")
        job_executions.cancel_job_execution(call, tx, request)
    else:
        job_executions.delete_job_execution(
            call, tx, iot.DeleteJobExecutionRequest(job_id="j1", thing_name="t1", execution_number=1)
        )
    assert ear.told() == [([], "")]


def test_deleting_a_finished_execution_is_not_told(tx: Tx, call: Call, ear: Ear, t1: Device) -> None:
    """case 212"""
    queue(call, tx, "j1")
    t1.update("j1", "SUCCEEDED")
    ear.told()
    job_executions.delete_job_execution(
        call, tx, iot.DeleteJobExecutionRequest(job_id="j1", thing_name="t1", execution_number=1)
    )
    assert ear.told() == []


def test_a_deleted_thing_is_told_nothing(tx: Tx, call: Call, ear: Ear) -> None:
    """case 154"""
    queue(call, tx, "j1")
    ear.told()
    things.delete_thing(call, tx, iot.DeleteThingRequest(thing_name="t1"))
    assert ear.told() == []


def test_a_list_shows_ten_started_ones_first(tx: Tx, call: Call, ear: Ear, t1: Device) -> None:
    """case 112"""
    queue(call, tx, *(f"j{i:02}" for i in range(12)))
    for i in (8, 9, 10, 11):
        t1.update(f"j{i:02}", "IN_PROGRESS")
    ear.told()
    a_job(later(call, 50), tx, "last", [arn(call, "t1")])
    ((jobs_listed, head),) = ear.told()
    assert jobs_listed == ["j08", "j09", "j10", "j11", *(f"j{i:02}" for i in range(6))]
    assert head is None


def test_nobody_is_told_of_things_that_nobody_listens_for(tx: Tx, call: Call, ear: Ear) -> None:
    a_job(call, tx, "j1", [arn(call, "t2")])
    assert ear.told() == []


def test_a_device_that_slept_is_told_what_it_missed(tx: Tx, call: Call, ear: Ear) -> None:
    queue(call, tx, "j1")
    ear.told()
    known = ear.notifier.unwatch((call.scope.id, "t1"))
    ear.notifier.settled(committed=True)
    queue(call, tx, "j2")
    assert ear.told() == []
    missed = ear.notifier.watch(tx, (call.scope.id, "t1"), known)
    assert missed is not None
    assert [listed.job.job_id for listed in missed.pending] == ["j1", "j2"]
    assert (missed.list_changed, missed.head_changed) == (True, False)
    assert ear.told() == []


def test_a_device_that_slept_and_missed_nothing_is_told_nothing(tx: Tx, call: Call, ear: Ear) -> None:
    queue(call, tx, "j1")
    ear.told()
    known = ear.notifier.unwatch((call.scope.id, "t1"))
    assert ear.notifier.watch(tx, (call.scope.id, "t1"), known) is None
    assert ear.told() == []


def test_one_who_listens_for_all_things_is_told_of_each(tx: Tx, call: Call, ear: Ear) -> None:
    ear.notifier.watch_all(call.scope.id)
    a_job(call, tx, "j1", [arn(call, "t1"), arn(call, "t2")])
    assert [notice.thing_name for notice in ear.notices()] == ["t1", "t2"]
    ear.notifier.unwatch_all(call.scope.id)
    ear.notifier.settled(committed=True)
    a_job(call, tx, "j2", [arn(call, "t1"), arn(call, "t2")])
    assert [notice.thing_name for notice in ear.notices()] == ["t1"]


def test_a_transaction_that_fails_was_not_told(tx: Tx, call: Call, ear: Ear) -> None:
    queue(call, tx, "j1")
    ear.notifier.follow(tx, tx.take_effects(), 0)
    ear.notifier.settled(committed=False)
    assert ear.told() == [(["j1"], "j1")]


def test_a_batch_that_fails_has_begun_and_ended_no_listening(tx: Tx, call: Call, ear: Ear) -> None:
    thing = (call.scope.id, "t1")
    ear.notifier.watch(tx, thing)
    ear.notifier.settled(committed=False)
    ear.notifier.unwatch(thing)
    ear.notifier.settled(committed=False)
    queue(call, tx, "j1")
    assert ear.told() == [(["j1"], "j1")]
    ear.notifier.unwatch(thing)
    ear.notifier.settled(committed=True)
    queue(call, tx, "j2")
    assert ear.told() == []


def test_a_wildcard_that_nobody_has_any_more_leaves_nothing_to_compare(tx: Tx, call: Call, ear: Ear) -> None:
    ear.notifier.watch_all(call.scope.id)
    names = [f"m{i}" for i in range(2 * COMPARED_AT_ONCE)]
    add_things(call, tx, *names, group="g")
    a_job(call, tx, "j", ["arn:aws:iot:us-east-1:123456789012:thinggroup/g"])
    ear.notifier.follow(tx, tx.take_effects(), 0)
    ear.notifier.settled(committed=True)
    assert ear.notifier.has_more()
    ear.notifier.unwatch_all(call.scope.id)
    ear.notifier.settled(committed=True)
    assert not ear.notifier.has_more()


def test_a_change_to_very_many_things_is_compared_in_pieces(tx: Tx, call: Call, ear: Ear) -> None:
    names = [f"m{i}" for i in range(2 * COMPARED_AT_ONCE + 1)]
    add_things(call, tx, *names, group="g")
    for name in names:
        ear.notifier.watch(tx, (call.scope.id, name))
    tx.take_effects()
    a_job(call, tx, "j", ["arn:aws:iot:us-east-1:123456789012:thinggroup/g"])
    first = ear.notifier.follow(tx, tx.take_effects(), 0)
    ear.notifier.settled(committed=True)
    assert len(first) == COMPARED_AT_ONCE
    assert ear.notifier.has_more()
    assert len(first) + len(ear.notices()) == len(names)
