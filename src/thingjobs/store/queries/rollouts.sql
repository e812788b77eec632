-- name: insert_rollout
-- Begin a walk over some of a job's targets.
INSERT INTO rollout (job_key, end_position, snapshot_seq, limited, position, depth, group_name, after_thing,
                     started_at, next_tick_at, notified)
VALUES (:job_key, :end_position, :snapshot_seq, :limited, :position, 0, '', '', :now, :now, 0)
RETURNING key;

-- name: rollout_by_key
SELECT key, job_key, end_position, snapshot_seq, limited, position, depth, group_name, after_thing,
       started_at, next_tick_at, notified, minute_at, minute_rate, minute_handed_out
FROM rollout WHERE key = :key;

-- name: rollouts_of_job
SELECT key, job_key, end_position, snapshot_seq, limited, position, depth, group_name, after_thing,
       started_at, next_tick_at, notified, minute_at, minute_rate, minute_handed_out
FROM rollout WHERE job_key = :job_key ORDER BY key;

-- name: rollouts_due
-- What has a tick due at :now, the longest due first; without those :left_out.
SELECT key, next_tick_at FROM rollout
WHERE next_tick_at <= :now AND key NOT IN (SELECT value FROM json_each(:left_out))
ORDER BY next_tick_at, key LIMIT :limit;

-- name: next_tick_at
-- When the first tick after :now is due.
SELECT min(next_tick_at) FROM rollout WHERE next_tick_at > :now AND next_tick_at < :never;

-- name: save_rollout
-- Where the walk stands after a tick.
UPDATE rollout SET position = :position, depth = :depth, group_name = :group_name,
       after_thing = :after_thing, started_at = :started_at, next_tick_at = :next_tick_at,
       notified = :notified, minute_at = :minute_at, minute_rate = :minute_rate,
       minute_handed_out = :minute_handed_out
WHERE key = :key;

-- name: delete_rollout
DELETE FROM rollout WHERE key = :key;

-- name: delete_rollouts_of_job
DELETE FROM rollout WHERE job_key = :job_key;

-- name: delete_rollouts_of_jobs
DELETE FROM rollout WHERE job_key IN (SELECT value FROM json_each(:keys));

-- name: count_concurrent_jobs
-- Jobs of a scope with a rollout that is not finished, nor waiting for a window, or with executions that are
-- still being canceled.
SELECT count(*) FROM (
    SELECT r.job_key FROM rollout r JOIN job j ON j.key = r.job_key
    WHERE j.scope = :scope AND j.status <> 'SCHEDULED'
    UNION
    SELECT key FROM job
    WHERE scope = :scope AND sweep IS NOT NULL AND sweep IN ('CANCEL', 'FORCE_CANCEL')) AS concurrent;
