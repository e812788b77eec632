-- name: membership_seq
-- The number of the last coming or going of a group or member.
SELECT value FROM sequence WHERE name = 'membership';

-- name: next_membership_seq
-- Take the next number.
UPDATE sequence SET value = value + 1 WHERE name = 'membership' RETURNING value;

-- name: group_by_name
-- A group by its name, unless it is deleted.
SELECT key, name, group_id, parent_key, depth, description, attributes, version, created_at
FROM thing_group WHERE scope = :scope AND name = :name AND deleted_seq IS NULL;

-- name: group_by_group_id
-- A group by the id it was given, unless it is deleted.
SELECT key, name, group_id, parent_key, depth, description, attributes, version, created_at
FROM thing_group WHERE scope = :scope AND group_id = :group_id AND deleted_seq IS NULL;

-- name: names_of_ancestors
-- The names of the groups above a group, root first.
WITH RECURSIVE up (parent_key, name, depth) AS (
    SELECT p.parent_key, p.name, p.depth
    FROM thing_group g JOIN thing_group p ON p.key = g.parent_key WHERE g.key = :key
    UNION ALL
    SELECT p.parent_key, p.name, p.depth FROM up JOIN thing_group p ON p.key = up.parent_key
)
SELECT name FROM up ORDER BY depth;

-- name: count_child_groups
-- How many groups have this one as their parent.
SELECT COUNT(*) FROM thing_group WHERE parent_key = :key AND deleted_seq IS NULL;

-- name: insert_group
-- Store a new group and give its key.
INSERT INTO thing_group (scope, name, group_id, parent_key, depth, description, attributes, version,
                         created_at, created_seq)
VALUES (:scope, :name, :group_id, :parent_key, :depth, :description, :attributes, :version,
        :created_at, :created_seq)
RETURNING key;

-- name: save_group
-- Store what can change of a group, if it is still at version :was.
UPDATE thing_group SET description = :description, attributes = :attributes, version = :version
WHERE key = :key AND version = :was;

-- name: mark_group_deleted
-- The group is gone; its row and members stay for the rollouts that follow it as it was.
UPDATE thing_group SET deleted_seq = :seq WHERE key = :key AND deleted_seq IS NULL;

-- name: groups_page
-- Names of all groups, between two bounds.
SELECT name FROM thing_group
WHERE scope = :scope AND deleted_seq IS NULL AND name >= :first AND name < :beyond
ORDER BY name LIMIT :limit;

-- name: child_groups_page
-- Names of a group's direct children, between two bounds.
SELECT name FROM thing_group
WHERE parent_key = :parent AND deleted_seq IS NULL AND name >= :first AND name < :beyond
ORDER BY name LIMIT :limit;

-- name: descendant_groups_page
-- Names of all groups below one, between two bounds.
WITH RECURSIVE below (key, name) AS (
    SELECT key, name FROM thing_group WHERE parent_key = :parent AND deleted_seq IS NULL
    UNION ALL
    SELECT g.key, g.name FROM below JOIN thing_group g ON g.parent_key = below.key
    WHERE g.deleted_seq IS NULL
)
SELECT name FROM below WHERE name >= :first AND name < :beyond
ORDER BY name LIMIT :limit;

-- name: groups_of_thing_page
-- Names of the groups a thing is in.
SELECT g.name FROM thing_group_member m JOIN thing_group g ON g.key = m.group_key
WHERE m.thing_key = :thing AND m.left_seq IS NULL AND g.deleted_seq IS NULL AND g.name > :after
ORDER BY g.name LIMIT :limit;

-- name: memberships_of_thing
-- The groups a thing is in, each with the root of its hierarchy.
WITH RECURSIVE up (group_key, name, key, parent_key) AS (
    SELECT g.key, g.name, g.key, g.parent_key
    FROM thing_group_member m JOIN thing_group g ON g.key = m.group_key
    WHERE m.thing_key = :thing AND m.left_seq IS NULL AND g.deleted_seq IS NULL
    UNION ALL
    SELECT up.group_key, up.name, p.key, p.parent_key
    FROM up JOIN thing_group p ON p.key = up.parent_key
)
SELECT group_key, name, key FROM up WHERE parent_key IS NULL;

-- name: root_of_group
-- The root of a group's hierarchy, which may be the group itself.
WITH RECURSIVE up (key, parent_key) AS (
    SELECT key, parent_key FROM thing_group WHERE key = :key
    UNION ALL
    SELECT p.key, p.parent_key FROM up JOIN thing_group p ON p.key = up.parent_key
)
SELECT key FROM up WHERE parent_key IS NULL;

-- name: insert_member
-- A thing joins a group.
INSERT INTO thing_group_member (group_key, thing_name, joined_seq, thing_key)
VALUES (:group, :thing_name, :seq, :thing);

-- name: joined_seq_of_member
-- Since when a thing is in a group; no row if it is not.
SELECT joined_seq FROM thing_group_member
WHERE thing_key = :thing AND group_key = :group AND left_seq IS NULL;

-- name: snapshot_open_since
-- A row if a rollout of the scope still follows memberships as they were at :seq or later. (CROSS JOIN
-- because open rollouts are few and jobs may be many: SQLite would start at the jobs.)
SELECT 1 FROM rollout r CROSS JOIN job j
WHERE j.key = r.job_key AND j.scope = :scope AND r.snapshot_seq >= :seq LIMIT 1;

-- name: mark_member_left
-- A thing leaves a group that a rollout still follows as it was.
UPDATE thing_group_member SET left_seq = :seq
WHERE group_key = :group AND thing_name = :thing_name AND joined_seq = :joined_seq;

-- name: delete_member
-- A thing leaves a group.
DELETE FROM thing_group_member
WHERE group_key = :group AND thing_name = :thing_name AND joined_seq = :joined_seq;

-- name: delete_memberships_of_thing
-- A thing is deleted: the groups it is in forget it.
DELETE FROM thing_group_member WHERE thing_key = :thing AND left_seq IS NULL;

-- name: delete_left_memberships_of_thing
-- A thing is deleted: rollouts that follow groups it left forget it.
DELETE FROM thing_group_member WHERE thing_key = :thing AND left_seq IS NOT NULL;

-- name: group_tree
-- A group and all below it as they were at :seq, breadth first, from (:depth, :name) on.
WITH RECURSIVE tree (key, depth, name) AS (
    SELECT key, depth, name FROM thing_group
    WHERE key = :root AND created_seq <= :seq AND (deleted_seq IS NULL OR deleted_seq > :seq)
    UNION ALL
    SELECT g.key, g.depth, g.name FROM tree JOIN thing_group g ON g.parent_key = tree.key
    WHERE g.created_seq <= :seq AND (g.deleted_seq IS NULL OR g.deleted_seq > :seq)
)
SELECT key, depth, name FROM tree WHERE (depth, name) >= (:depth, :name) ORDER BY depth, name;

-- name: members_of_group
-- A group's own members as they were at :seq, by name.
SELECT thing_key, thing_name FROM thing_group_member
WHERE group_key = :group AND thing_name > :after
  AND joined_seq <= :seq AND (left_seq IS NULL OR left_seq > :seq)
ORDER BY thing_name LIMIT :limit;

-- name: begin_leaving
-- The members of a deleted group have to leave the jobs that followed it.
UPDATE thing_group SET leaving_after = :after WHERE key = :group;

-- name: leaving_after
-- How far the members of a deleted group have left; null if all have.
SELECT leaving_after FROM thing_group WHERE key = :group;

-- name: groups_leaving
-- Deleted groups whose members have not all left; without those :left_out.
SELECT key FROM thing_group
WHERE leaving_after IS NOT NULL AND key NOT IN (SELECT value FROM json_each(:left_out))
ORDER BY key LIMIT :limit;

-- name: members_to_leave
-- Who was in a group when it was deleted, by name.
SELECT thing_key, thing_name FROM thing_group_member
WHERE group_key = :group AND thing_name > :after AND left_seq IS NULL ORDER BY thing_name LIMIT :limit;

-- name: oldest_open_snapshot
-- The earliest instant a rollout still follows memberships at.
SELECT MIN(snapshot_seq) FROM rollout;

-- name: anything_to_purge
-- A row if a member left or a group was deleted by :seq.
SELECT 1 WHERE EXISTS (SELECT 1 FROM thing_group_member WHERE left_seq <= :seq)
            OR EXISTS (SELECT 1 FROM thing_group WHERE deleted_seq <= :seq AND leaving_after IS NULL);

-- name: purge_left_members
-- Forget some members that left by :seq.
DELETE FROM thing_group_member
WHERE left_seq <= (SELECT MAX(left_seq) FROM (SELECT left_seq FROM thing_group_member
                   WHERE left_seq <= :seq ORDER BY left_seq LIMIT :limit) AS some);

-- name: group_to_purge
-- The group that was deleted first, by :seq. Children are deleted before their parents.
SELECT key FROM thing_group WHERE deleted_seq <= :seq AND leaving_after IS NULL
ORDER BY deleted_seq LIMIT 1;

-- name: purge_members_of_group
-- Forget some members of a deleted group.
DELETE FROM thing_group_member
WHERE group_key = :group
  AND thing_name <= (SELECT MAX(thing_name) FROM (SELECT thing_name FROM thing_group_member
                     WHERE group_key = :group ORDER BY thing_name LIMIT :limit) AS some);

-- name: purge_group
-- Forget a deleted group that has no members left.
DELETE FROM thing_group WHERE key = :group;
