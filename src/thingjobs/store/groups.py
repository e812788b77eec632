"""Thing groups and who is in them as rows, now and as of any moment a rollout still follows.

Every coming and going of a group or member takes the next number of one sequence. A snapshot of a group
of any size is such a number: whoever had joined by it and had not left. Rows of what left or was deleted
stay while an open rollout may follow them, and are purged later.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from thingjobs.domain.model import GroupKey, ScopeId, ThingGroup, ThingKey
from thingjobs.domain.registry import Membership
from thingjobs.store.sqlite import Database

FOREVER = 2**62
"""A sequence number that is never reached: what is so now, is so as of it."""

BEFORE_EVERY_NAME = " "
BEHIND_EVERY_NAME = "~"
"""Sort before and behind every character a name may have."""


class Member(NamedTuple):
    """A thing met on the walk over a group: ``depth`` and ``group_name`` say which group it is in."""

    thing_key: ThingKey
    thing_name: str
    depth: int
    group_name: str


class Groups:
    def __init__(self, database: Database) -> None:
        self._db = database

    def current_seq(self) -> int:
        (row,) = self._db.rows("membership_seq")
        return int(row[0])

    # --- groups -----------------------------------------------------------------------------------

    def find(self, scope: ScopeId, name: str) -> ThingGroup | None:
        """The group of that name, unless it is deleted."""
        row = self._db.row("group_by_name", scope=scope, name=name)
        return _group(row) if row else None

    def find_by_id(self, scope: ScopeId, group_id: str) -> ThingGroup | None:
        """The group with that ``thingGroupId``, unless it is deleted."""
        row = self._db.row("group_by_group_id", scope=scope, group_id=group_id)
        return _group(row) if row else None

    def ancestors(self, key: GroupKey) -> Sequence[str]:
        """The names of the groups above, root first."""
        return [name for (name,) in self._db.rows("names_of_ancestors", key=key)]

    def root(self, key: GroupKey) -> GroupKey:
        """The root of the group's hierarchy, which may be itself."""
        (row,) = self._db.rows("root_of_group", key=key)
        return GroupKey(row[0])

    def count_children(self, key: GroupKey) -> int:
        (row,) = self._db.rows("count_child_groups", key=key)
        return int(row[0])

    def insert(
        self,
        scope: ScopeId,
        name: str,
        *,
        group_id: str,
        parent: ThingGroup | None,
        description: str | None,
        attributes: Mapping[str, str],
        now: int,
    ) -> GroupKey:
        """Store a new group at version 1; its key."""
        key = self._db.insert(
            "insert_group",
            scope=scope,
            name=name,
            group_id=group_id,
            parent_key=parent.key if parent else None,
            depth=parent.depth + 1 if parent else 1,
            description=description,
            attributes=msgspec.json.encode(attributes).decode(),
            version=1,
            created_at=now,
            created_seq=self._next_seq(),
        )
        return GroupKey(key)

    def save(self, group: ThingGroup, *, was: int) -> None:
        """Store a changed group; it must still be at version ``was``."""
        saved = self._db.run(
            "save_group",
            key=group.key,
            description=group.description,
            attributes=msgspec.json.encode(group.attributes).decode(),
            version=group.version,
            was=was,
        )
        if saved != 1:
            raise RuntimeError(f"thing group {group.name} changed under a decision")

    def delete(self, key: GroupKey) -> None:
        """Have the group and its members gone for everyone but open snapshots; ``purge`` frees the rows."""
        self._db.run("mark_group_deleted", key=key, seq=self._next_seq())

    def page(self, scope: ScopeId, *, prefix: str, after: str, limit: int) -> Sequence[str]:
        """Names of all groups that start with ``prefix``, behind ``after``."""
        return self._names("groups_page", prefix, after, scope=scope, limit=limit)

    def children(self, parent: GroupKey, *, prefix: str, after: str, limit: int) -> Sequence[str]:
        return self._names("child_groups_page", prefix, after, parent=parent, limit=limit)

    def descendants(self, parent: GroupKey, *, prefix: str, after: str, limit: int) -> Sequence[str]:
        return self._names("descendant_groups_page", prefix, after, parent=parent, limit=limit)

    # --- who is in them ---------------------------------------------------------------------------

    def memberships(self, thing: ThingKey) -> Sequence[Membership]:
        """The groups a thing is in, in no order."""
        return [Membership(*row) for row in self._db.rows("memberships_of_thing", thing=thing)]

    def page_of_thing(self, thing: ThingKey, *, after: str, limit: int) -> Sequence[str]:
        """Names of the groups a thing is in, behind ``after``."""
        return [
            name for (name,) in self._db.rows("groups_of_thing_page", thing=thing, after=after, limit=limit)
        ]

    def join(self, group: GroupKey, thing: ThingKey, thing_name: str) -> None:
        """Add a thing that is not in the group."""
        self._db.run("insert_member", group=group, thing=thing, thing_name=thing_name, seq=self._next_seq())

    def leave(self, scope: ScopeId, group: GroupKey, thing: ThingKey, thing_name: str) -> bool:
        """Take a thing out of the group; whether it was in it."""
        row = self._db.row("joined_seq_of_member", group=group, thing=thing)
        if row is None:
            return False
        (joined_seq,) = row
        seq = self._next_seq()
        if self._db.row("snapshot_open_since", scope=scope, seq=joined_seq):
            self._db.run(
                "mark_member_left", group=group, thing_name=thing_name, joined_seq=joined_seq, seq=seq
            )
        else:
            self._db.run("delete_member", group=group, thing_name=thing_name, joined_seq=joined_seq)
        return True

    def forget_thing(self, thing: ThingKey) -> None:
        """Take a thing that is deleted out of every group, now and in every snapshot."""
        self._db.run("delete_memberships_of_thing", thing=thing)
        self._db.run("delete_left_memberships_of_thing", thing=thing)

    def members(self, group: GroupKey, *, after: str, limit: int) -> Sequence[str]:
        """Names of the things in the group itself, behind ``after``."""
        rows = self._db.rows("members_of_group", group=group, after=after, limit=limit, seq=FOREVER)
        return [name for _, name in rows]

    def walk(
        self, root: GroupKey, *, depth: int, group_name: str, after_thing: str, limit: int, seq: int | None
    ) -> list[Member]:
        """The next things of a group and all groups below it: breadth first, in a group by name.

        Starts behind ``after_thing`` of the group that ``depth`` and ``group_name`` name; (0, '', '') is
        the start. ``seq``: as it was at that sequence number; None: as it is.
        """
        at = FOREVER if seq is None else seq
        found: list[Member] = []
        for key, group_depth, name in self._db.rows(
            "group_tree", root=root, seq=at, depth=depth, name=group_name
        ):
            after = after_thing if (group_depth, name) == (depth, group_name) else ""
            rows = self._db.rows("members_of_group", group=key, after=after, limit=limit - len(found), seq=at)
            found += [Member(thing_key, thing_name, group_depth, name) for thing_key, thing_name in rows]
            if len(found) >= limit:
                break
        return found

    # --- members of deleted groups ----------------------------------------------------------------

    def begin_leaving(self, group: GroupKey) -> None:
        """Note that the members of a deleted group still have to leave the jobs that followed it."""
        self._db.run("begin_leaving", group=group, after="")

    def go_on_leaving(self, group: GroupKey, after: str | None) -> None:
        """Note behind whom to go on; None if all have left."""
        self._db.run("begin_leaving", group=group, after=after)

    def leaving_after(self, group: GroupKey) -> str | None:
        row = self._db.row("leaving_after", group=group)
        return row[0] if row else None

    def leaving(self, limit: int, left_out: Sequence[GroupKey]) -> Sequence[GroupKey]:
        rows = self._db.rows("groups_leaving", limit=limit, left_out=self._db.array(left_out))
        return [GroupKey(key) for (key,) in rows]

    def members_to_leave(self, group: GroupKey, *, after: str, limit: int) -> Sequence[tuple[ThingKey, str]]:
        rows = self._db.rows("members_to_leave", group=group, after=after, limit=limit)
        return [(ThingKey(key), name) for key, name in rows]

    # --- clearing away ----------------------------------------------------------------------------

    def has_garbage(self) -> bool:
        """Whether ``purge`` would find something."""
        return self._db.row("anything_to_purge", seq=self._oldest_followed()) is not None

    def purge(self, limit: int) -> int:
        """Remove about ``limit`` rows of what left or was deleted before the oldest open snapshot.

        How many were removed; 0 when nothing is left to do for now.
        """
        seq = self._oldest_followed()
        removed = self._db.run("purge_left_members", seq=seq, limit=limit)
        while removed < limit:
            group = self._db.row("group_to_purge", seq=seq)
            if group is None:
                break
            removed += self._db.run("purge_members_of_group", group=group[0], limit=limit - removed)
            if removed < limit:
                removed += self._db.run("purge_group", group=group[0])
        return removed

    def _oldest_followed(self) -> int:
        """The earliest sequence number an open rollout still follows memberships at."""
        (row,) = self._db.rows("oldest_open_snapshot")
        return FOREVER if row[0] is None else int(row[0])

    def _next_seq(self) -> int:
        (row,) = self._db.rows("next_membership_seq")
        return int(row[0])

    def _names(self, block: str, prefix: str, after: str, **parameters: int) -> Sequence[str]:
        first = max(prefix, after + BEFORE_EVERY_NAME) if after else prefix
        rows = self._db.rows(block, first=first, beyond=prefix + BEHIND_EVERY_NAME, **parameters)
        return [name for (name,) in rows]


_ATTRIBUTES = msgspec.json.Decoder(dict[str, str])


def _group(row: tuple[Any, ...]) -> ThingGroup:
    key, name, group_id, parent_key, depth, description, attributes, version, created_at = row
    return ThingGroup(
        key,
        name,
        group_id,
        parent_key,
        depth,
        description,
        _ATTRIBUTES.decode(attributes),
        version,
        created_at,
    )
