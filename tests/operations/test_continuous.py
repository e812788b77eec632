"""Jobs that follow their groups: who comes gets them, who goes loses them."""

from __future__ import annotations

import pytest

from thingjobs.operations import background, following, jobs, thing_groups, things
from thingjobs.wire.shapes import iot
from world import World, names


@pytest.fixture
def world() -> World:
    world = World()
    world.things("t1", group="g1")
    world.things(group="g2")
    return world


def child(world: World, name: str, parent: str) -> None:
    request = iot.CreateThingGroupRequest(thing_group_name=name, parent_group_name=parent)
    thing_groups.create_thing_group(world.call, world.tx, request)


def delete_group(world: World, name: str) -> None:
    request = iot.DeleteThingGroupRequest(thing_group_name=name)
    thing_groups.delete_thing_group(world.call, world.tx, request)


def delete_thing(world: World, name: str) -> None:
    things.delete_thing(world.call, world.tx, iot.DeleteThingRequest(thing_name=name))


def associate(world: World, job_id: str, group: str) -> None:
    arn = f"arn:aws:iot:us-east-1:123456789012:thinggroup/{group}"
    request = iot.AssociateTargetsWithJobRequest(job_id=job_id, targets=[arn])
    jobs.associate_targets_with_job(world.call, world.tx, request)


def test_who_leaves_loses_what_is_queued(world: World) -> None:
    """case 147"""
    world.continuous("j1", "g1")
    world.listen("t1")
    world.leave("t1", "g1")
    execution = world.execution("j1", "t1")
    assert (execution.status, execution.version_number) == ("REMOVED", 1)
    assert world.told("t1") == [([], "")]
    assert world.counted("j1") == {"removed": 1}
    assert world.status("j1") == "IN_PROGRESS"


def test_who_leaves_may_finish_what_runs(world: World) -> None:
    """case 148"""
    world.continuous("j1", "g1")
    world.device("t1").start_next()
    world.leave("t1", "g1")
    assert world.executions("j1", "t1") == ["IN_PROGRESS"]
    world.report("j1", "SUCCEEDED", "t1")
    world.join("t1", "g1")
    assert world.executions("j1", "t1") == ["SUCCEEDED", "QUEUED"]


def test_who_rejoins_while_it_runs_does_not_run_it_again(world: World) -> None:
    """case 149"""
    world.continuous("j1", "g1")
    world.device("t1").start_next()
    world.leave("t1", "g1")
    world.join("t1", "g1")
    world.report("j1", "SUCCEEDED", "t1")
    assert world.executions("j1", "t1") == ["SUCCEEDED"]
    world.leave("t1", "g1")
    world.join("t1", "g1")
    assert world.executions("j1", "t1") == ["SUCCEEDED", "QUEUED"]


def test_who_rejoins_runs_it_again(world: World) -> None:
    """case 68, case 150"""
    world.continuous("j1", "g1")
    world.report("j1", "SUCCEEDED", "t1")
    world.leave("t1", "g1")
    world.listen("t1")
    world.join("t1", "g1")
    assert world.told("t1") == [(["j1"], "j1")]
    newest, first = world.execution("j1", "t1"), world.execution("j1", "t1", 1)
    assert (newest.execution_number, newest.status, newest.version_number) == (2, "QUEUED", 1)
    assert (first.execution_number, first.status) == (1, "SUCCEEDED")


def test_who_is_targeted_twice_may_leave_one_group(world: World) -> None:
    """case 151"""
    world.join("t1", "g2")
    world.continuous("j1", "g1", "g2")
    world.leave("t1", "g1")
    assert world.executions("j1", "t1") == ["QUEUED"]
    world.leave("t1", "g2")
    assert world.executions("j1", "t1") == ["REMOVED"]


def test_who_is_targeted_directly_never_leaves(world: World) -> None:
    """spec: lifecycle 9"""
    world.continuous("j1", "g1", "t1")
    world.leave("t1", "g1")
    assert world.executions("j1", "t1") == ["QUEUED"]


def test_members_of_child_groups_belong_to_it(world: World) -> None:
    """case 152"""
    child(world, "gc", "g1")
    child(world, "gcc", "gc")
    world.things("t2", group="gcc")
    world.continuous("j1", "g1")
    assert world.executions("j1", "t2") == ["QUEUED"]
    world.things("t3", group="gcc")
    assert world.executions("j1", "t3") == ["QUEUED"]
    world.leave("t3", "gcc")
    assert world.executions("j1", "t3") == ["REMOVED"]
    world.job("j2", "g1")
    assert world.executions("j2", "t2") == ["QUEUED"]


def test_snapshot_follows_nobody(world: World) -> None:
    """case 153"""
    world.job("j1", "g1")
    world.things("t2", group="g1")
    world.leave("t1", "g1")
    assert world.executions("j1", "t2") == []
    assert world.executions("j1", "t1") == ["QUEUED"]


def test_who_joins_a_further_group_runs_it_again(world: World) -> None:
    """case 193"""
    world.continuous("j1", "g1", "g2")
    world.report("j1", "SUCCEEDED", "t1")
    world.listen("t1")
    world.join("t1", "g2")
    assert world.executions("j1", "t1") == ["SUCCEEDED", "QUEUED"]
    assert world.told("t1") == [(["j1"], "j1")]


def test_leaving_one_of_two_groups_is_nothing_and_rejoining_runs_it_again(world: World) -> None:
    """case 194"""
    world.join("t1", "g2")
    world.continuous("j1", "g1", "g2")
    world.report("j1", "SUCCEEDED", "t1")
    world.leave("t1", "g1")
    assert world.executions("j1", "t1") == ["SUCCEEDED"]
    world.join("t1", "g1")
    assert world.executions("j1", "t1") == ["SUCCEEDED", "QUEUED"]


def test_member_that_lost_all_executions_gets_none_until_it_joins_again(world: World) -> None:
    """case 195"""
    world.enable_events("JOB", "JOB_EXECUTION")
    world.continuous("j1", "g1")
    world.report("j1", "SUCCEEDED", "t1")
    world.delete_execution("t1", "j1")
    world.listen("t1")
    world.events()
    world.wind(10)
    assert world.executions("j1", "t1") == []
    world.leave("t1", "g1")
    execution = world.execution("j1", "t1")
    assert (execution.execution_number, execution.status, execution.version_number) == (1, "REMOVED", 1)
    assert world.counted("j1") == {"removed": 1}
    assert (world.events(), world.told("t1")) == ([], [])
    world.join("t1", "g1")
    assert world.executions("j1", "t1") == ["REMOVED", "QUEUED"]
    world.leave("t1", "g1")
    assert world.executions("j1", "t1") == ["REMOVED", "REMOVED"]


def test_deleted_member_that_lost_all_executions_leaves_no_row(world: World) -> None:
    """spec: ruling 27"""
    world.continuous("j1", "g1")
    world.report("j1", "SUCCEEDED", "t1")
    world.delete_execution("t1", "j1")
    delete_thing(world, "t1")
    assert world.counted("j1") == {}


def test_adding_a_member_again_is_no_join(world: World) -> None:
    """spec: lifecycle 9"""
    world.continuous("j1", "g1")
    world.report("j1", "SUCCEEDED", "t1")
    world.join("t1", "g1")
    assert world.executions("j1", "t1") == ["SUCCEEDED"]


def test_canceled_job_follows_nobody(world: World) -> None:
    """spec: lifecycle 9"""
    world.continuous("j1", "g1")
    world.device("t1").start_next()
    world.cancel("j1")
    world.things("t2", group="g1")
    world.leave("t1", "g1")
    assert world.executions("j1", "t2") == []
    assert world.executions("j1", "t1") == ["IN_PROGRESS"]


def test_who_joins_during_the_rollout_has_it_at_once(world: World) -> None:
    """case 138"""
    world.things(*(f"a{n}" for n in range(9)), group="g1")
    world.continuous("j1", "g1", jobExecutionsRolloutConfig={"maximumPerMinute": 3})
    world.wind(1 / 6)
    world.things("z9", group="g1")
    assert world.executions("j1", "z9") == ["QUEUED"]
    world.wind(5)
    assert world.counted("j1") == {"queued": 11}


def test_who_waits_and_joins_another_group_has_it_at_once_and_loses_its_turn(world: World) -> None:
    """spec: ruling 26"""
    world.things(*(f"a{n}" for n in range(5)), group="g1")
    world.continuous("j1", "g1", "g2", jobExecutionsRolloutConfig={"maximumPerMinute": 1})
    world.join("t1", "g2")
    assert world.executions("j1", "t1") == ["QUEUED"]
    world.report("j1", "SUCCEEDED", "t1")
    world.wind(10)
    assert world.executions("j1", "t1") == ["SUCCEEDED"]


def test_who_waits_and_leaves_is_not_reached(world: World) -> None:
    """spec: ruling 1"""
    world.things("a1", group="g1")
    world.continuous("j1", "g1", jobExecutionsRolloutConfig={"maximumPerMinute": 1})
    world.leave("t1", "g1")
    world.wind(5)
    assert world.executions("j1", "t1") == []


def test_deleted_before_it_was_reached_again_it_is_passed_over(world: World) -> None:
    """A thing that lost its execution does not get it by a further target of the same rollout."""
    world.join("t1", "g2")
    world.things("a1", group="g2")
    world.continuous("j1", "g1", "g2", jobExecutionsRolloutConfig={"maximumPerMinute": 1})
    world.report("j1", "SUCCEEDED", "t1")
    world.delete_execution("t1", "j1")
    world.wind(5)
    assert world.executions("j1", "t1") == []
    assert world.executions("j1", "a1") == ["QUEUED"]


def test_associated_group_is_a_join_for_who_was_not_targeted(world: World) -> None:
    """case 58; spec: ruling 4"""
    world.things("t2", group="g2")
    world.join("t1", "g2")
    world.continuous("j1", "g1")
    world.report("j1", "SUCCEEDED", "t1")
    associate(world, "j1", "g2")
    assert world.executions("j1", "t1") == ["SUCCEEDED"]
    assert world.executions("j1", "t2") == ["QUEUED"]
    world.things("t3", group="g1")
    world.report("j1", "SUCCEEDED", "t3")
    world.leave("t3", "g1")
    world.things(group="g3")
    world.join("t3", "g3")
    associate(world, "j1", "g3")
    assert world.executions("j1", "t3") == ["SUCCEEDED", "QUEUED"]


def test_moving_out_of_a_group_and_into_another_at_once(world: World) -> None:
    """The thing leaves first, and so loses what is queued; joining queues it anew."""
    world.continuous("j1", "g1", "g2")
    request = iot.UpdateThingGroupsForThingRequest(
        thing_name="t1", thing_groups_to_add=["g2"], thing_groups_to_remove=["g1"]
    )
    thing_groups.update_thing_groups_for_thing(world.call, world.tx, request)
    assert world.executions("j1", "t1") == ["REMOVED", "QUEUED"]


# --- what is deleted ----------------------------------------------------------------------------------


def test_deleted_thing_is_removed_from_its_jobs(world: World) -> None:
    """case 154"""
    world.job("j1", "t1")
    world.continuous("j2", "g1")
    world.listen("t1")
    world.report("j2", "IN_PROGRESS", "t1")
    world.told("t1")
    delete_thing(world, "t1")
    assert world.told("t1") == []
    assert (world.status("j1"), world.counted("j1")) == ("COMPLETED", {"removed": 1})
    assert (world.status("j2"), world.counted("j2")) == ("IN_PROGRESS", {"removed": 1})
    world.things("t1")
    assert world.pending("t1") == []
    world.join("t1", "g1")
    assert world.executions("j2", "t1") == ["REMOVED", "QUEUED"]


def test_members_of_a_deleted_group_leave(world: World) -> None:
    """spec: lifecycle 9"""
    child(world, "gc", "g1")
    world.things("t2", "t3", "t4", group="gc")
    world.join("t3", "g2")
    world.continuous("j1", "g1", "g2")
    world.continuous("j2", "gc")
    world.job("j3", "gc")
    world.report("j1", "IN_PROGRESS", "t4")
    delete_group(world, "gc")
    assert [world.executions("j1", f"t{n}") for n in (1, 2, 3, 4)] == [
        ["QUEUED"],
        ["REMOVED"],
        ["QUEUED"],
        ["IN_PROGRESS"],
    ]
    assert world.counted("j2") == {"removed": 3}
    assert world.counted("j3") == {"queued": 3}
    world.work_off()
    assert not world.tx.groups.has_garbage()
    world.things(group="gc")
    world.join("t2", "gc")
    assert world.executions("j1", "t2") == ["REMOVED"]


def test_members_of_a_large_group_leave_in_pieces(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(following, "LEFT_AT_ONCE", 10)
    members = names("m", 25)
    world.things(*members, group="g2")
    world.continuous("j1", "g2")
    world.report("j1", "SUCCEEDED", members[20])
    delete_group(world, "g2")
    assert world.counted("j1") == {"removed": 10, "queued": 14, "succeeded": 1}
    world.things(group="g2")
    world.join(members[24], "g2")  # another group of that name: nobody follows it
    world.work_off()
    assert world.counted("j1") == {"removed": 24, "succeeded": 1}
    assert not world.tx.groups.has_garbage()


def test_the_more_jobs_follow_a_group_the_fewer_members_leave_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "LEFT_AT_ONCE", 10)
    monkeypatch.setattr(background, "LEAVE_SIZE", 8)
    world.things(*names("m", 9), group="g3")
    for job in ("j1", "j2", "j3"):
        world.continuous(job, "g3", "t1")
    delete_group(world, "g3")
    for removed in (3, 5, 7, 9, 9):
        assert [world.counted(job)["removed"] for job in ("j1", "j2", "j3")] == [removed] * 3
        pieces = [p for p in background.due(world.tx, world.now) if isinstance(p, background.Leave)]
        for piece in pieces:
            piece(world.tx, world.now)
    assert pieces == []
    assert world.counted("j1") == {"removed": 9, "queued": 1}


def test_those_removed_together_are_as_those_removed_alone(world: World) -> None:
    """spec: lifecycle 9, 11: what is removed keeps its version, and is told"""
    world.enable_events("JOB", "JOB_EXECUTION")
    world.things("m1", "m2", "m3", group="g3")
    world.continuous("j1", "g3")
    world.report("j1", "IN_PROGRESS", "m3")
    world.listen("m1")
    delete_group(world, "g3")
    assert world.told("m1") == [([], "")]
    assert world.executions("j1", "m3") == ["IN_PROGRESS"]
    world.leave("m3", "g3")
    removed = world.execution("j1", "m1")
    assert (removed.status, removed.version_number) == ("REMOVED", 1)
    assert world.topics() == ["jobExecution/j1/removed"] * 2


def test_group_deleted_at_the_end_time_completes_the_job(world: World) -> None:
    """The end is not seen yet: who looks first completes it."""
    world.things("m1", group="g3")
    world.continuous("j1", "g3", schedulingConfig={"endTime": world.at(60), "endBehavior": "STOP_ROLLOUT"})
    world.skip(60)
    delete_group(world, "g3")
    assert (world.status("j1"), world.counted("j1")) == ("COMPLETED", {"removed": 1})


def test_counters_and_marks_of_a_deleted_job_go_with_it(world: World) -> None:
    world.continuous("j1", "g1")
    world.delete_execution("t1", "j1")
    world.delete("j1", force=True)
    world.continuous("j1", "g1")
    assert world.executions("j1", "t1") == ["QUEUED"]
