"""Snapshots of groups: one number stands for the members of that moment, whatever comes after.

White-box: rollouts and the engine call the store's ``walk`` and ``purge``.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from registry_calls import Registry

from factories import a_call, memory_database
from thingjobs.domain.model import GroupKey, JobKey
from thingjobs.operations.call import Call
from thingjobs.store.groups import Member
from thingjobs.store.tx import Tx

START = (0, "", "")


@pytest.fixture
def registry(call: Call, tx: Tx) -> Registry:
    registry = Registry(call, tx)
    registry.create_group("g")
    for name in ("t1", "t2", "t3"):
        registry.create_thing(name)
        registry.add(name, "g")
    return registry


def walk(registry: Registry, root: GroupKey, seq: int | None, *, step: int = 1000) -> list[str]:
    """The names met on a whole walk, ``step`` at a time."""
    return [member.thing_name for member in whole_walk(registry, root, seq, step=step)]


def whole_walk(registry: Registry, root: GroupKey, seq: int | None, *, step: int) -> list[Member]:
    found: list[Member] = []
    depth, group_name, after = START
    while True:
        members = registry.tx.groups.walk(
            root, depth=depth, group_name=group_name, after_thing=after, limit=step, seq=seq
        )
        assert len(members) <= step
        found += members
        if len(members) < step:
            return found
        _, after, depth, group_name = members[-1]


def rows(registry: Registry) -> int:
    """Rows stored for groups and members, whoever may see them."""
    tables = ("thing_group", "thing_group_member")
    connection = registry.tx.groups._db.connection
    return sum(int(connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]) for table in tables)


def test_walk_tells_where_it_is(registry: Registry) -> None:
    registry.create_group("c", parent="g")
    registry.create_thing("t0")
    registry.add("t0", "c")
    root = registry.group_key("g")
    members = registry.tx.groups.walk(root, depth=1, group_name="g", after_thing="t2", limit=9, seq=None)
    keys = registry.tx.things.keys(registry.call.scope.id, ["t0", "t1", "t3", "nope"])
    assert members == [Member(keys["t3"], "t3", 1, "g"), Member(keys["t0"], "t0", 2, "c")]
    assert sorted(keys) == ["t0", "t1", "t3"]


def test_member_that_leaves_stays_in_open_snapshots_only(registry: Registry) -> None:
    """ruling 1"""
    root = registry.group_key("g")
    rollout, seq = registry.open_snapshot(registry.a_job())
    registry.remove("t2", "g")
    assert walk(registry, root, seq) == ["t1", "t2", "t3"]
    assert walk(registry, root, None) == ["t1", "t3"]
    registry.tx.rollouts.delete(rollout)
    before = rows(registry)
    assert registry.tx.groups.purge(100) == 1
    assert rows(registry) == before - 1


def test_member_that_leaves_without_an_open_snapshot_leaves_no_row(registry: Registry) -> None:
    before = rows(registry)
    registry.remove("t2", "g")
    assert rows(registry) == before - 1
    assert not registry.tx.groups.has_garbage()


def test_member_that_joined_after_the_open_snapshot_leaves_no_row(registry: Registry) -> None:
    registry.open_snapshot(registry.a_job())
    registry.create_thing("t4")
    before = rows(registry)
    registry.add("t4", "g")
    registry.remove("t4", "g")
    assert rows(registry) == before


def test_snapshot_of_another_scope_keeps_no_row(registry: Registry) -> None:
    registry.in_region("eu-west-1").open_snapshot(registry.in_region("eu-west-1").a_job())
    before = rows(registry)
    registry.remove("t2", "g")
    assert rows(registry) == before - 1


def test_member_that_leaves_and_rejoins_is_in_the_snapshot_once(registry: Registry) -> None:
    root = registry.group_key("g")
    _, seq = registry.open_snapshot(registry.a_job())
    for _ in range(3):
        registry.remove("t2", "g")
        registry.add("t2", "g")
    assert walk(registry, root, seq) == ["t1", "t2", "t3"]
    assert walk(registry, root, None) == ["t1", "t2", "t3"]


def test_member_that_joins_later_is_not_in_the_snapshot(registry: Registry) -> None:
    root = registry.group_key("g")
    _, seq = registry.open_snapshot(registry.a_job())
    registry.create_thing("t0")
    registry.add("t0", "g")
    registry.create_group("c", parent="g")
    registry.create_thing("c1")
    registry.add("c1", "c")
    assert walk(registry, root, seq) == ["t1", "t2", "t3"]
    assert walk(registry, root, None) == ["t0", "t1", "t2", "t3", "c1"]


def test_deleted_thing_is_in_no_snapshot(registry: Registry) -> None:
    """ruling 1: nor is its namesake."""
    root = registry.group_key("g")
    _, seq = registry.open_snapshot(registry.a_job())
    registry.remove("t1", "g")
    registry.delete_thing("t1")
    registry.delete_thing("t2")
    registry.create_thing("t2")
    registry.add("t2", "g")
    assert walk(registry, root, seq) == ["t3"]
    assert walk(registry, root, None) == ["t2", "t3"]


def test_deleted_group_stays_in_open_snapshots_until_they_close(registry: Registry) -> None:
    root = registry.group_key("g")
    rollout, seq = registry.open_snapshot(registry.a_job())
    registry.delete_group("g")
    assert registry.tx.groups.purge(100) == 0
    assert not registry.tx.groups.has_garbage()
    assert walk(registry, root, seq) == ["t1", "t2", "t3"]
    assert walk(registry, root, None) == []
    registry.tx.rollouts.delete(rollout)
    assert registry.tx.groups.has_garbage()
    assert registry.tx.groups.purge(100) == 4
    assert rows(registry) == 0
    assert not registry.tx.groups.has_garbage()


def test_purge_works_in_bounded_pieces_children_before_parents(registry: Registry) -> None:
    registry.create_group("c", parent="g")
    for i in range(5):
        registry.create_thing(f"c{i}")
        registry.add(f"c{i}", "c")
    registry.delete_group("c")
    registry.delete_group("g")
    pieces = []
    while piece := registry.tx.groups.purge(2):
        pieces.append(piece)
    assert max(pieces) <= 2
    assert sum(pieces) == 10
    assert rows(registry) == 0


THINGS = st.sampled_from(["t1", "t2", "t3", "t4"])
GROUPS = st.sampled_from(["a", "b", "c", "d"])


class Model(RuleBasedStateMachine):
    """What a walk meets equals what plain Python remembers, now and for every open snapshot."""

    def __init__(self) -> None:
        super().__init__()
        self.tx = Tx(memory_database())
        self.tx.begin()
        self.registry = Registry(a_call(self.tx), self.tx)
        self.elsewhere = self.registry.in_region("eu-west-1")
        self.jobs: dict[Registry, JobKey] = {}
        self.parents: dict[str, str | None] = {}
        self.keys: dict[str, GroupKey] = {}
        self.members: dict[str, set[str]] = {}
        self.things: dict[str, int] = {}
        # rollout → sequence number, and per root what it holds: (depth, group, thing, incarnation)
        self.snapshots: dict[int, tuple[int, dict[GroupKey, list[tuple[int, str, str, int]]]]] = {}
        self.made = 0

    def teardown(self) -> None:
        self.tx.groups._db.connection.close()

    @initialize()
    def jobs_exist(self) -> None:
        self.jobs = {each: each.a_job() for each in (self.registry, self.elsewhere)}

    # --- what happens -----------------------------------------------------------------------------

    @rule(name=THINGS)
    def create_thing(self, name: str) -> None:
        if name not in self.things:
            self.registry.create_thing(name)
            self.made += 1
            self.things[name] = self.made

    @rule(name=THINGS)
    def delete_thing(self, name: str) -> None:
        self.registry.delete_thing(name)
        self.things.pop(name, None)
        for members in self.members.values():
            members.discard(name)

    @rule(name=GROUPS, parent=st.none() | GROUPS)
    def create_group(self, name: str, parent: str | None) -> None:
        if name in self.parents or (parent is not None and parent not in self.parents):
            return
        self.registry.create_group(name, parent=parent)
        self.parents[name] = parent
        self.members[name] = set()
        self.keys[name] = self.registry.group_key(name)

    @rule(name=GROUPS)
    def delete_group(self, name: str) -> None:
        if name in self.parents and name not in self.parents.values():
            self.registry.delete_group(name)
            del self.parents[name], self.members[name]

    @rule(thing=THINGS, group=GROUPS)
    def join(self, thing: str, group: str) -> None:
        if thing not in self.things or group not in self.parents:
            return
        elsewhere = [g for g, members in self.members.items() if thing in members and g != group]
        if all(self.root(g) != self.root(group) for g in elsewhere):
            self.registry.add(thing, group)
            self.members[group].add(thing)

    @rule(thing=THINGS, group=GROUPS)
    def leave(self, thing: str, group: str) -> None:
        if thing in self.things:
            self.registry.remove(thing, group)
            self.members.get(group, set()).discard(thing)

    @rule()
    def open_snapshot(self) -> None:
        rollout, seq = self.registry.open_snapshot(self.jobs[self.registry])
        self.snapshots[rollout] = (seq, {self.keys[g]: self.expected(g) for g in self.parents})

    @rule()
    def open_snapshot_elsewhere(self) -> None:
        """Another scope's rollout keeps rows longer, and nothing else."""
        rollout, seq = self.elsewhere.open_snapshot(self.jobs[self.elsewhere])
        self.snapshots[rollout] = (seq, {})

    @precondition(lambda self: self.snapshots)
    @rule(data=st.data())
    def close_snapshot(self, data: st.DataObject) -> None:
        rollout = data.draw(st.sampled_from(sorted(self.snapshots)))
        self.tx.rollouts.delete(rollout)
        del self.snapshots[rollout]

    @rule(limit=st.integers(1, 5))
    def purge(self, limit: int) -> None:
        before = rows(self.registry)
        garbage = self.tx.groups.has_garbage()
        removed = self.tx.groups.purge(limit)
        assert rows(self.registry) == before - removed
        assert (removed > 0) == garbage

    # --- what must hold ---------------------------------------------------------------------------

    def root(self, group: str) -> str:
        parent = self.parents[group]
        return group if parent is None else self.root(parent)

    def expected(self, root: str) -> list[tuple[int, str, str, int]]:
        found = []
        level = [root]
        depth = self.depth(root)
        while level:
            for group in sorted(level):
                found += [(depth, group, name, self.things[name]) for name in sorted(self.members[group])]
            level = [group for group, parent in self.parents.items() if parent in level]
            depth += 1
        return found

    def depth(self, group: str) -> int:
        parent = self.parents[group]
        return 1 if parent is None else self.depth(parent) + 1

    @invariant()
    def walks_meet_the_members_of_now(self) -> None:
        for group in self.parents:
            expected = [(depth, g, name) for depth, g, name, _ in self.expected(group)]
            for step in (1, 2, 100):
                members = whole_walk(self.registry, self.keys[group], None, step=step)
                assert [(m.depth, m.group_name, m.thing_name) for m in members] == expected

    @invariant()
    def walks_of_snapshots_meet_the_members_of_then_that_still_exist(self) -> None:
        for seq, held in self.snapshots.values():
            for root, then in held.items():
                expected = [
                    (depth, group, name)
                    for depth, group, name, incarnation in then
                    if self.things.get(name) == incarnation
                ]
                for step in (1, 100):
                    members = whole_walk(self.registry, root, seq, step=step)
                    assert [(m.depth, m.group_name, m.thing_name) for m in members] == expected

    @invariant()
    def lists_agree(self) -> None:
        for name in self.things:
            groups = sorted(group for group, members in self.members.items() if name in members)
            assert self.registry.groups_of(name) == groups

    @invariant()
    def nothing_is_kept_when_nothing_follows(self) -> None:
        if not self.snapshots and not self.tx.groups.has_garbage():
            assert rows(self.registry) == len(self.parents) + sum(map(len, self.members.values()))


TestModel = Model.TestCase
TestModel.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
