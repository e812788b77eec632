-- name: insert_mark
-- Remember something of a thing and a job; it may be remembered already.
INSERT INTO job_thing_mark (job_key, thing_key, mark) VALUES (:job_key, :thing_key, :mark)
ON CONFLICT (job_key, mark, thing_key) DO NOTHING;

-- name: delete_mark
DELETE FROM job_thing_mark WHERE job_key = :job_key AND mark = :mark AND thing_key = :thing_key;

-- name: delete_marks
-- Forget all of one kind about a job.
DELETE FROM job_thing_mark WHERE job_key = :job_key AND mark = :mark;

-- name: delete_joins_of_jobs
-- Forget who waits for the next opening of jobs that have none.
DELETE FROM job_thing_mark
WHERE job_key IN (SELECT value FROM json_each(:keys)) AND mark = 'JOINS_AT_OPENING';

-- name: marked_things
-- Which of the things of :members are marked. (CROSS JOIN because the marks of a job may be many.)
SELECT m.thing_key FROM json_each(:members) n
CROSS JOIN job_thing_mark m ON m.job_key = :job_key AND m.mark = :mark
 AND m.thing_key = json_extract(n.value, '$[0]');

-- name: marks_page
-- Some things that are marked and still exist, with their names.
SELECT m.thing_key, t.name FROM job_thing_mark m LEFT JOIN thing t ON t.key = m.thing_key
WHERE m.job_key = :job_key AND m.mark = :mark ORDER BY m.thing_key LIMIT :limit;

-- name: followers_of_group
-- Open continuous jobs that a thing gets by joining a group: they name it, or one above it.
WITH RECURSIVE up (key, parent_key) AS (
    SELECT key, parent_key FROM thing_group WHERE key = :group
    UNION ALL
    SELECT p.key, p.parent_key FROM up JOIN thing_group p ON p.key = up.parent_key
)
SELECT DISTINCT j.key
FROM up JOIN job_target t ON t.group_key = up.key JOIN job j ON j.key = t.job_key
WHERE j.target_selection = 'CONTINUOUS' AND j.status IN ('SCHEDULED', 'IN_PROGRESS') AND j.phase <> 'ENDED'
ORDER BY j.key;

-- name: targeted_things
-- Which of the things of :members a job targets, directly or by way of a group, with a target that stands
-- before :before in its list.
WITH RECURSIVE up (thing_key, key, parent_key) AS (
    SELECT m.thing_key, g.key, g.parent_key
    FROM json_each(:members) n
    JOIN thing_group_member m ON m.thing_key = json_extract(n.value, '$[0]') AND m.left_seq IS NULL
    JOIN thing_group g ON g.key = m.group_key AND g.deleted_seq IS NULL
    UNION
    SELECT up.thing_key, p.key, p.parent_key FROM up JOIN thing_group p ON p.key = up.parent_key
)
SELECT up.thing_key FROM up JOIN job_target t
 ON t.job_key = :job_key AND t.group_key = up.key AND t.position < :before
UNION
SELECT t.thing_key FROM job_target t
WHERE t.job_key = :job_key AND t.position < :before
  AND t.thing_key IN (SELECT json_extract(n.value, '$[0]') FROM json_each(:members) n);
