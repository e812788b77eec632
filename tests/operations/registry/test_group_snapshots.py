"""Snapshots of groups: one number stands for the members of that moment, whatever comes after.

White-box: rollouts and the engine call the store's ``walk`` and ``purge``.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from registry_calls import Registry

from factories import a_call, memory_database
from thingjobs.domain.model import GroupKey
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


# --- any history ------------------------------------------------------------------------------------

THINGS = ("t1", "t2", "t3", "t4")
GROUPS = ("a", "b", "c", "d")

thing = st.sampled_from(THINGS)
group = st.sampled_from(GROUPS)
JOIN = st.tuples(st.just("join"), thing, group)
LEAVE = st.tuples(st.just("leave"), thing, st.integers(0, 1))
OPEN = st.tuples(st.just("open_snapshot"))
PURGE = st.tuples(st.just("purge"), st.integers(1, 4))
STEP = st.one_of(
    JOIN,
    JOIN,
    JOIN,
    LEAVE,
    LEAVE,
    OPEN,
    OPEN,
    PURGE,
    PURGE,
    st.tuples(st.just("open_snapshot_elsewhere")),
    st.tuples(st.just("close_snapshot"), st.integers(0, 9)),
    st.tuples(st.just("create_thing"), thing),
    st.tuples(st.just("delete_thing"), thing),
    st.tuples(st.just("create_group"), group, st.none() | group),
    st.tuples(st.just("delete_group"), group),
)


class Model:
    """A registry, what plain Python remembers of it, and the steps that change both."""

    def __init__(self, tx: Tx) -> None:
        self.tx = tx
        self.registry = Registry(a_call(tx), tx)
        self.elsewhere = self.registry.in_region("eu-west-1")
        self.job = self.registry.a_job()
        self.job_elsewhere = self.elsewhere.a_job()
        self.parents: dict[str, str | None] = {}
        self.keys: dict[str, GroupKey] = {}
        self.members: dict[str, set[str]] = {}
        self.incarnations: dict[str, int] = {}
        self.made = 0
        # Of each open rollout its sequence number, and what each group held below it.
        self.snapshots: dict[int, tuple[int, dict[GroupKey, list[Held]]]] = {}

    # --- steps ------------------------------------------------------------------------------------

    def create_thing(self, name: str) -> None:
        if name not in self.incarnations:
            self.registry.create_thing(name)
            self.made += 1
            self.incarnations[name] = self.made

    def delete_thing(self, name: str) -> None:
        self.registry.delete_thing(name)
        self.incarnations.pop(name, None)
        for members in self.members.values():
            members.discard(name)

    def create_group(self, name: str, parent: str | None) -> None:
        if name not in self.parents and (parent is None or parent in self.parents):
            self.registry.create_group(name, parent=parent)
            self.parents[name] = parent
            self.members[name] = set()
            self.keys[name] = self.registry.group_key(name)

    def delete_group(self, name: str) -> None:
        if name in self.parents and name not in self.parents.values():
            self.registry.delete_group(name)
            del self.parents[name], self.members[name]

    def join(self, name: str, group: str) -> None:
        if name in self.incarnations and group in self.parents:
            present = [each for each in self.parents if name in self.members[each] and each != group]
            if all(self.root(each) != self.root(group) for each in present):
                self.registry.add(name, group)
                self.members[group].add(name)

    def leave(self, name: str, which: int) -> None:
        groups = sorted(group for group, members in self.members.items() if name in members)
        if groups:
            group = groups[which % len(groups)]
            self.registry.remove(name, group)
            self.members[group].discard(name)

    def open_snapshot(self) -> None:
        rollout, seq = self.registry.open_snapshot(self.job)
        self.snapshots[rollout] = (seq, {self.keys[each]: self.held(each) for each in self.parents})

    def open_snapshot_elsewhere(self) -> None:
        """Another scope's rollout may keep rows longer, and has no other effect."""
        rollout, seq = self.elsewhere.open_snapshot(self.job_elsewhere)
        self.snapshots[rollout] = (seq, {})

    def close_snapshot(self, which: int) -> None:
        if self.snapshots:
            rollout = sorted(self.snapshots)[which % len(self.snapshots)]
            self.tx.rollouts.delete(rollout)
            del self.snapshots[rollout]

    def purge(self, limit: int) -> None:
        before = rows(self.registry)
        garbage = self.tx.groups.has_garbage()
        removed = self.tx.groups.purge(limit)
        assert rows(self.registry) == before - removed
        assert (removed > 0) == garbage

    # --- what plain Python knows --------------------------------------------------------------------

    def root(self, group: str) -> str:
        parent = self.parents[group]
        return group if parent is None else self.root(parent)

    def depth(self, group: str) -> int:
        parent = self.parents[group]
        return 1 if parent is None else self.depth(parent) + 1

    def held(self, root: str) -> list[Held]:
        found = []
        level = [root]
        while level:
            for group in sorted(level):
                found += [
                    Held(self.depth(group), group, name, self.incarnations[name])
                    for name in sorted(self.members[group])
                ]
            level = [group for group, parent in self.parents.items() if parent in level]
        return found

    # --- what must hold -------------------------------------------------------------------------------

    def check(self) -> None:
        for group in self.parents:
            self.check_walks(self.keys[group], None, self.held(group))
        for seq, groups in self.snapshots.values():
            for root, held in groups.items():
                alive = [each for each in held if self.incarnations.get(each.thing) == each.incarnation]
                self.check_walks(root, seq, alive)
        for name in self.incarnations:
            assert self.registry.groups_of(name) == sorted(
                group for group, members in self.members.items() if name in members
            )
        if not self.snapshots and not self.tx.groups.has_garbage():
            assert rows(self.registry) == len(self.parents) + sum(map(len, self.members.values()))

    def check_walks(self, root: GroupKey, seq: int | None, expected: list[Held]) -> None:
        for step in (1, 2, 100):
            met = whole_walk(self.registry, root, seq, step=step)
            assert [(m.depth, m.group_name, m.thing_name) for m in met] == [each[:3] for each in expected]


class Held(NamedTuple):
    """A member of some moment; ``incarnation`` tells a thing from its namesakes."""

    depth: int
    group: str
    thing: str
    incarnation: int


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(STEP, min_size=40, max_size=80))
def test_walks_equal_a_plain_model_under_any_history(steps: list[tuple[Any, ...]]) -> None:
    """Now, and for each open snapshot whatever was purged: ruling 1."""
    database = memory_database()
    tx = Tx(database)
    tx.begin()
    model = Model(tx)
    for name in THINGS:
        model.create_thing(name)
    for name, parent in (("d", None), ("c", "d"), ("b", "d"), ("a", "c")):
        model.create_group(name, parent)
    for name, group in zip(THINGS, ("d", "c", "b", "a"), strict=True):
        model.join(name, group)
    for step, *arguments in steps:
        getattr(model, step)(*arguments)
        model.check()
    tx.rollback()
    database.connection.close()
