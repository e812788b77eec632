"""Rollouts: who gets a job, when, and exactly once, whatever happens to groups between two ticks."""

from __future__ import annotations

from collections.abc import Sequence
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from factories import (
    MINUTE,
    NOW,
    a_call,
    a_job,
    add_things,
    arn,
    counted,
    describe,
    group_arn,
    join,
    later,
    leave,
    memory_database,
    rows,
)
from thingjobs.operations import background, jobs, rollout, thing_groups, things
from thingjobs.operations.call import Call
from thingjobs.store.tx import Tx
from thingjobs.wire.shapes import iot

CONTINUOUS = "CONTINUOUS"


def rate(per_minute: int) -> dict[str, int]:
    return {"maximumPerMinute": per_minute}


def work_off(tx: Tx, now: int) -> None:
    """Do all that is due by ``now``, as the engine does."""
    while pieces := background.due(tx, now):
        for piece in pieces:
            piece(tx, now)


def handed_out(tx: Tx) -> list[str]:
    """The things that have an execution, in the order they got it."""
    return [name for (name,) in rows(tx, "SELECT thing_name FROM job_execution ORDER BY id")]


def ticks(tx: Tx, count: int) -> list[int]:
    """How many executions there are after each further tick."""
    totals = []
    for n in range(1, count + 1):
        work_off(tx, NOW + n * MINUTE)
        totals.append(len(handed_out(tx)))
    return totals


def add_group(call: Call, tx: Tx, name: str, *, parent: str | None = None) -> None:
    request = iot.CreateThingGroupRequest(thing_group_name=name, parent_group_name=parent)
    thing_groups.create_thing_group(call, tx, request)


def delete_group(call: Call, tx: Tx, name: str) -> None:
    thing_groups.delete_thing_group(call, tx, iot.DeleteThingGroupRequest(thing_group_name=name))


def delete_thing(call: Call, tx: Tx, name: str) -> None:
    things.delete_thing(call, tx, iot.DeleteThingRequest(thing_name=name))


def associate(call: Call, tx: Tx, job: str, *groups: str) -> None:
    targets = [group_arn(call, group) for group in groups]
    request = iot.AssociateTargetsWithJobRequest(job_id=job, targets=targets)
    jobs.associate_targets_with_job(call, tx, request)


# --- rate and end -----------------------------------------------------------------------------------


def test_rollout_ends_with_the_tick_that_takes_the_last_thing(call: Call, tx: Tx) -> None:
    """case 137"""
    add_things(call, tx, *(f"t{n:03}" for n in range(200)), group="g")
    a_job(call, tx, "j1", [group_arn(call, "g")], jobExecutionsRolloutConfig=rate(100))
    shown = describe(call, tx, "j1")
    assert (counted(call, tx, "j1"), shown.is_concurrent) == ({"queued": 100}, True)
    work_off(tx, NOW + MINUTE)
    shown = describe(call, tx, "j1")
    assert (counted(call, tx, "j1"), shown.is_concurrent) == ({"queued": 200}, False)
    assert shown.job_process_details is not None
    assert shown.job_process_details.processing_targets is None
    assert rows(tx, "SELECT * FROM rollout") == []


def test_things_that_have_the_job_already_do_not_prolong_it(call: Call, tx: Tx) -> None:
    """spec: lifecycle 6.2: a thing met twice counts once"""
    add_things(call, tx, "t1", "t2", "t3", group="g")
    targets = [group_arn(call, "g"), arn(call, "t1"), arn(call, "t3")]
    a_job(call, tx, "j1", targets, jobExecutionsRolloutConfig=rate(3))
    assert describe(call, tx, "j1").is_concurrent is False


def test_rate_without_a_configuration_is_a_thousand(call: Call, tx: Tx) -> None:
    """case 136"""
    add_things(call, tx, *(f"t{n:04}" for n in range(1100)), group="g")
    a_job(call, tx, "j1", [group_arn(call, "g")])
    assert [len(handed_out(tx)), *ticks(tx, 2)] == [1000, 1100, 1100]


def test_one_tick_looks_at_so_many_things_and_the_next_goes_on_at_once(
    call: Call, tx: Tx, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two groups with the same members: at the end of the first nearly all have the job already."""
    monkeypatch.setattr(rollout, "LOOKED_AT_ONCE", 100)
    members = [f"t{n:03}" for n in range(350)]
    add_things(call, tx, *members, group="g1")
    add_group(call, tx, "g2")
    for name in members:
        join(call, tx, name, "g2")
    add_things(call, tx, "z1", "z2", group="g2")
    targets = [group_arn(call, "g1"), group_arn(call, "g2")]
    a_job(call, tx, "j1", targets, jobExecutionsRolloutConfig=rate(350))
    first = len(handed_out(tx))
    pieces = 0
    while found := background.due(tx, NOW):
        pieces += 1
        (piece,) = found
        piece(tx, NOW)
    assert (first, len(handed_out(tx)), pieces) == (100, 350, 7)
    assert background.next_due_at(tx, NOW) == NOW + MINUTE
    assert ticks(tx, 1) == [352]
    assert describe(call, tx, "j1").is_concurrent is False


def test_minutes_that_were_missed_are_not_made_up_for(call: Call, tx: Tx) -> None:
    """spec: lifecycle 6.2: no carry-over"""
    add_things(call, tx, *(f"t{n}" for n in range(9)), group="g")
    a_job(call, tx, "j1", [group_arn(call, "g")], jobExecutionsRolloutConfig=rate(2))
    late = NOW + 5 * MINUTE + 1234
    work_off(tx, late)
    assert len(handed_out(tx)) == 4
    assert background.next_due_at(tx, late) == NOW + 6 * MINUTE


def test_tick_done_twice_is_done_once(call: Call, tx: Tx) -> None:
    """spec: rollout ticks are idempotent"""
    add_things(call, tx, *(f"t{n}" for n in range(5)), group="g")
    a_job(call, tx, "j1", [group_arn(call, "g")], jobExecutionsRolloutConfig=rate(2))
    now = NOW + MINUTE
    (piece,) = background.due(tx, now)
    piece(tx, now)
    piece(tx, now)
    assert len(handed_out(tx)) == 4
    work_off(tx, NOW + 2 * MINUTE)
    piece(tx, NOW + 3 * MINUTE)  # its rollout is gone
    assert len(handed_out(tx)) == 5


def test_faster_rate_counts_from_the_next_tick(call: Call, tx: Tx) -> None:
    """spec: lifecycle 6.4"""
    add_things(call, tx, *(f"t{n}" for n in range(9)), group="g")
    a_job(call, tx, "j1", [group_arn(call, "g")], jobExecutionsRolloutConfig=rate(1))
    request = iot.UpdateJobRequest(
        job_id="j1", job_executions_rollout_config=iot.JobExecutionsRolloutConfig(maximum_per_minute=3)
    )
    jobs.update_job(call, tx, request)
    assert [len(handed_out(tx)), *ticks(tx, 3)] == [1, 4, 7, 9]


@pytest.mark.parametrize("end", ["cancel", "delete"])
def test_ended_job_is_handed_out_no_further(call: Call, tx: Tx, end: str) -> None:
    """spec: control-plane 3.5, 3.6"""
    add_things(call, tx, *(f"t{n}" for n in range(4)), group="g")
    a_job(call, tx, "j1", [group_arn(call, "g")], jobExecutionsRolloutConfig=rate(1))
    if end == "cancel":
        jobs.cancel_job(call, tx, iot.CancelJobRequest(job_id="j1"))
    else:
        jobs.delete_job(call, tx, iot.DeleteJobRequest(job_id="j1", force=True))
    assert rows(tx, "SELECT * FROM rollout") == []
    assert ticks(tx, 2) == [0, 0] if end == "delete" else [1, 1]


# --- order and membership -----------------------------------------------------------------------------


def test_order_is_that_of_targets_then_of_names_breadth_first(call: Call, tx: Tx) -> None:
    """spec: lifecycle 6.2"""
    for name, parent in (("g", None), ("g-b", "g"), ("g-a", "g"), ("g-a-x", "g-a")):
        add_group(call, tx, name, parent=parent)
    for group, members in (("g-a-x", "e"), ("g-b", "d"), ("g-a", "zc"), ("g", "fb")):
        add_things(call, tx, *members, group=group)
    add_things(call, tx, "last", "first")
    targets = [arn(call, "last"), group_arn(call, "g"), arn(call, "first"), arn(call, "z")]
    a_job(call, tx, "j1", targets, jobExecutionsRolloutConfig=rate(2))
    ticks(tx, 4)
    assert handed_out(tx) == ["last", "b", "f", "c", "z", "d", "e", "first"]


def test_snapshot_is_of_the_moment_the_job_was_made(call: Call, tx: Tx) -> None:
    """case 153; spec: ruling 1"""
    add_things(call, tx, "a", "b", "c", "d", group="g")
    add_things(call, tx, "e")
    a_job(call, tx, "j1", [group_arn(call, "g")], jobExecutionsRolloutConfig=rate(1))
    leave(call, tx, "b", "g")  # keeps its turn
    delete_thing(call, tx, "c")  # has none any more, nor has its namesake
    add_things(call, tx, "c")
    join(call, tx, "c", "g")
    join(call, tx, "e", "g")  # came too late
    assert ticks(tx, 4) == [2, 3, 3, 3]
    assert handed_out(tx) == ["a", "b", "d"]


def test_snapshot_outlives_its_group(call: Call, tx: Tx) -> None:
    """spec: lifecycle 9"""
    add_group(call, tx, "g")
    add_group(call, tx, "child", parent="g")
    add_things(call, tx, "a", "b", group="g")
    add_things(call, tx, "c", group="child")
    a_job(call, tx, "j1", [group_arn(call, "g")], jobExecutionsRolloutConfig=rate(1))
    delete_group(call, tx, "child")
    delete_group(call, tx, "g")
    ticks(tx, 3)
    assert handed_out(tx) == ["a", "b", "c"]


def test_continuous_rollout_skips_who_left_before_their_turn(call: Call, tx: Tx) -> None:
    """spec: ruling 1, lifecycle 6.4"""
    add_things(call, tx, "a", "b", "c", group="g")
    a_job(
        call, tx, "j1", [group_arn(call, "g")], targetSelection=CONTINUOUS, jobExecutionsRolloutConfig=rate(1)
    )
    leave(call, tx, "b", "g")
    ticks(tx, 2)
    assert handed_out(tx) == ["a", "c"]
    assert describe(call, tx, "j1").is_concurrent is False


def test_deleted_target_thing_is_skipped(call: Call, tx: Tx) -> None:
    """spec: ruling 1"""
    add_things(call, tx, "a", "b", "c")
    targets = [arn(call, name) for name in "abc"]
    a_job(call, tx, "j1", targets, jobExecutionsRolloutConfig=rate(1))
    delete_thing(call, tx, "b")
    add_things(call, tx, "b")  # another thing of that name
    assert ticks(tx, 2) == [2, 2]
    assert handed_out(tx) == ["a", "c"]


# --- associated targets -------------------------------------------------------------------------------


def test_associated_targets_wait_for_no_rate(call: Call, tx: Tx) -> None:
    """case 58; spec: control-plane 3.7"""
    add_things(call, tx, *(f"a{n}" for n in range(3)), group="ga")
    add_things(call, tx, *(f"b{n:04}" for n in range(1100)), group="gb")
    join(call, tx, "a2", "gb")
    a_job(
        call,
        tx,
        "j1",
        [group_arn(call, "ga")],
        targetSelection=CONTINUOUS,
        jobExecutionsRolloutConfig=rate(1),
    )
    associate(later(call, 5), tx, "j1", "gb")
    work_off(tx, NOW + 5)
    assert len(handed_out(tx)) == 1 + 1101
    ticks(tx, 2)
    assert sorted(handed_out(tx)) == sorted(set(handed_out(tx)))
    assert counted(call, tx, "j1") == {"queued": 1103}
    associate(later(call, 3 * MINUTE), tx, "j1", "gb", "ga")
    work_off(tx, NOW + 3 * MINUTE)
    assert counted(call, tx, "j1") == {"queued": 1103}


# --- any targets, any rate ------------------------------------------------------------------------------

NAMES = [f"t{n}" for n in range(8)]
GROUPS = {"g0": None, "g1": "g0", "g2": "g0", "h": None}

_members = st.fixed_dictionaries({group: st.sets(st.sampled_from(NAMES)) for group in GROUPS})
_targets = st.lists(st.sampled_from([*NAMES, *GROUPS]), min_size=1, max_size=6, unique=True)


@settings(max_examples=80)
@given(
    _members,
    _targets,
    st.integers(1, 4),
    st.sampled_from(["SNAPSHOT", CONTINUOUS]),
    st.sampled_from([1, 2, 3, 5_000]),
)
def test_every_targeted_thing_gets_the_job_once_at_the_rate(
    members: dict[str, set[str]], targets: list[str], per_minute: int, selection: str, looked_at_once: int
) -> None:
    with patch.object(rollout, "LOOKED_AT_ONCE", looked_at_once):
        _every_targeted_thing_gets_the_job(members, targets, per_minute, selection)


def _every_targeted_thing_gets_the_job(
    members: dict[str, set[str]], targets: list[str], per_minute: int, selection: str
) -> None:
    database = memory_database()
    tx = Tx(database)
    tx.begin()
    call = a_call(tx)
    add_things(call, tx, *NAMES)
    for group, parent in GROUPS.items():
        add_group(call, tx, group, parent=parent)
    taken: set[str] = set()  # of the hierarchy of g0: a thing is in one of its groups at most
    for group in ("g0", "g1", "g2"):
        members[group] = members[group] - taken
        taken |= members[group]
    for group, names in members.items():
        for name in sorted(names):
            join(call, tx, name, group)
    arns = [group_arn(call, t) if t in GROUPS else arn(call, t) for t in targets]
    a_job(call, tx, "j1", arns, targetSelection=selection, jobExecutionsRolloutConfig=rate(per_minute))
    work_off(tx, NOW)

    expected = _expected(members, targets)
    totals = [len(handed_out(tx)), *ticks(tx, 9)]
    assert totals == [min(per_minute * n, len(expected)) for n in range(1, 11)]
    assert handed_out(tx) == expected
    assert rows(tx, "SELECT * FROM rollout") == []
    assert counted(call, tx, "j1") == ({"queued": len(expected)} if expected else {})
    database.connection.close()


def _expected(members: dict[str, set[str]], targets: Sequence[str]) -> list[str]:
    order: list[str] = []
    for target in targets:
        groups = [target, "g1", "g2"] if target == "g0" else [target]
        order += [name for g in groups for name in sorted(members[g])] if target in GROUPS else [target]
    return list(dict.fromkeys(order))


@settings(max_examples=40)
@given(st.integers(1, 3), st.integers(0, 6), st.data())
def test_rollout_goes_on_after_any_tick_from_what_is_stored(
    per_minute: int, cut_after: int, data: st.DataObject
) -> None:
    """A tick whose transaction is undone leaves no trace; the next one does the same work."""
    database = memory_database()
    tx = Tx(database)
    tx.begin()
    call = a_call(tx)
    add_group(call, tx, "g")
    add_group(call, tx, "below", parent="g")
    add_things(call, tx, *NAMES[:4], group="g")
    add_things(call, tx, *NAMES[4:], group="below")
    a_job(call, tx, "j1", [group_arn(call, "g")], jobExecutionsRolloutConfig=rate(per_minute))
    for n in range(1, 9):
        now = NOW + n * MINUTE
        if n == cut_after or data.draw(st.booleans()):
            mark = tx.savepoint()
            work_off(tx, now)
            tx.rollback_to(mark)
            tx.release(mark)
        work_off(tx, now)
    assert handed_out(tx) == NAMES
    assert counted(call, tx, "j1") == {"queued": len(NAMES)}
    database.connection.close()


def test_one_tick_of_a_rollout_without_a_job_is_nothing(tx: Tx) -> None:
    rollout.tick(tx, 12345, NOW)
    assert handed_out(tx) == []


def test_empty_targets_complete_a_snapshot_at_once(call: Call, tx: Tx) -> None:
    """case 155, case 156"""
    add_group(call, tx, "g")
    a_job(call, tx, "j1", [group_arn(call, "g")])
    a_job(call, tx, "j2", [group_arn(call, "g")], targetSelection=CONTINUOUS)
    assert (describe(call, tx, "j1").status, describe(call, tx, "j2").status) == ("COMPLETED", "IN_PROGRESS")
    assert describe(call, tx, "j1").completed_at == NOW / 1000
