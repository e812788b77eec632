-- name: pending_of_things
-- The pending executions of the things in :things ([scope, name] pairs), and the things that exist. (Every
-- job's key is above 0: that leads to the index of what is pending, past all that a thing has ever done.)
SELECT t.scope, t.name, t.key,
       e.id, e.job_key, e.thing_key, e.thing_name, e.execution_number, e.status, e.version,
       e.retry_attempt, e.failed_retries, e.force_canceled, e.status_details, e.queued_at, e.started_at,
       e.last_updated_at, e.in_progress_deadline_at, e.step_deadline_at
FROM json_each(:things) n
JOIN thing t ON t.scope = json_extract(n.value, '$[0]') AND t.name = json_extract(n.value, '$[1]')
LEFT JOIN job_execution e
 ON e.thing_key = t.key AND e.job_key > 0 AND e.status IN ('QUEUED', 'IN_PROGRESS');

-- name: named_executions
-- For each [scope, thing name, job id, number or null] of :names the execution it means, newest if null.
SELECT n.key,
       e.id, e.job_key, e.thing_key, e.thing_name, e.execution_number, e.status, e.version,
       e.retry_attempt, e.failed_retries, e.force_canceled, e.status_details, e.queued_at, e.started_at,
       e.last_updated_at, e.in_progress_deadline_at, e.step_deadline_at
FROM json_each(:names) n
JOIN thing t ON t.scope = json_extract(n.value, '$[0]') AND t.name = json_extract(n.value, '$[1]')
JOIN job j ON j.scope = t.scope AND j.job_id = json_extract(n.value, '$[2]')
JOIN job_execution e ON e.job_key = j.key AND e.thing_name = t.name AND e.thing_key = t.key
 AND e.execution_number = coalesce(json_extract(n.value, '$[3]'),
     (SELECT max(m.execution_number) FROM job_execution m
      WHERE m.job_key = j.key AND m.thing_name = t.name));

-- name: pending_of_thing
-- What a thing still has to do.
SELECT e.id, e.job_key, e.thing_key, e.thing_name, e.execution_number, e.status, e.version,
       e.retry_attempt, e.failed_retries, e.force_canceled, e.status_details, e.queued_at, e.started_at,
       e.last_updated_at, e.in_progress_deadline_at, e.step_deadline_at
FROM job_execution e
WHERE e.thing_key = :thing_key AND e.job_key > 0 AND e.status IN ('QUEUED', 'IN_PROGRESS');

-- name: execution_of_job
-- One execution of a job on a thing; the newest if :execution_number is null.
SELECT e.id, e.job_key, e.thing_key, e.thing_name, e.execution_number, e.status, e.version,
       e.retry_attempt, e.failed_retries, e.force_canceled, e.status_details, e.queued_at, e.started_at,
       e.last_updated_at, e.in_progress_deadline_at, e.step_deadline_at
FROM job_execution e
WHERE e.job_key = :job_key AND e.thing_name = :thing_name AND e.thing_key = :thing_key
  AND (:execution_number IS NULL OR e.execution_number = :execution_number)
ORDER BY e.execution_number DESC LIMIT 1;

-- name: queue_executions
-- Queue an execution for each [thing key, thing name] of :things, numbered after the highest that its thing
-- has of the job. One statement: a third of the time of a thousand.
INSERT INTO job_execution (job_key, thing_key, thing_name, execution_number, status, version, retry_attempt,
                           force_canceled, queued_at, last_updated_at)
SELECT :job_key, json_extract(n.value, '$[0]'), json_extract(n.value, '$[1]'),
       coalesce((SELECT max(e.execution_number) FROM job_execution e
                 WHERE e.job_key = :job_key AND e.thing_name = json_extract(n.value, '$[1]')), 0) + 1,
       'QUEUED', 1, 0, 0, :now, :now
FROM json_each(:things) n ORDER BY n.key;

-- name: queue_retries
-- Queue retries: [thing key, thing name, number, attempt, retries after a failure] each of :retries.
INSERT INTO job_execution (job_key, thing_key, thing_name, execution_number, status, version, retry_attempt,
                           failed_retries, force_canceled, queued_at, last_updated_at)
SELECT :job_key, json_extract(n.value, '$[0]'), json_extract(n.value, '$[1]'), json_extract(n.value, '$[2]'),
       'QUEUED', 1, json_extract(n.value, '$[3]'), json_extract(n.value, '$[4]'), 0, :now, :now
FROM json_each(:retries) n ORDER BY n.key;

-- name: insert_execution
-- Store an execution that was decided elsewhere: a retry, or one that is REMOVED from the start.
INSERT INTO job_execution (job_key, thing_key, thing_name, execution_number, status, version, retry_attempt,
                           failed_retries, force_canceled, status_details, queued_at, started_at,
                           last_updated_at, in_progress_deadline_at, step_deadline_at, deadline_at)
VALUES (:job_key, :thing_key, :thing_name, :execution_number, :status, :version, :retry_attempt,
        :failed_retries, :force_canceled, :status_details, :queued_at, :started_at,
        :last_updated_at, :in_progress_deadline_at, :step_deadline_at, :deadline_at);

-- name: insert_removed_execution
-- An execution that was never anything but REMOVED, numbered after the highest that its thing has of the job.
INSERT INTO job_execution (job_key, thing_key, thing_name, execution_number, status, version, retry_attempt,
                           force_canceled, queued_at, last_updated_at)
SELECT :job_key, :thing_key, :thing_name,
       coalesce((SELECT max(e.execution_number) FROM job_execution e
                 WHERE e.job_key = :job_key AND e.thing_name = :thing_name), 0) + 1,
       'REMOVED', 1, 0, 0, :now, :now;

-- name: remove_queued
-- Make REMOVED what the things in :things have queued of one job. (CROSS JOIN because the things are few and
-- the job may be large: SQLite would start at the job.)
UPDATE job_execution SET status = 'REMOVED', last_updated_at = :now,
       in_progress_deadline_at = NULL, step_deadline_at = NULL, deadline_at = NULL
WHERE id IN (SELECT e.id FROM json_each(:things) n
             CROSS JOIN job_execution e ON e.thing_key = n.value AND e.job_key = :job_key
              AND e.status IN ('QUEUED', 'IN_PROGRESS'))
  AND status = 'QUEUED'
RETURNING thing_name, execution_number, status_details;

-- name: overdue_jobs
-- The jobs of the executions that are due to time out by :now, with the earliest deadline of each; without
-- those :left_out.
SELECT job_key, min(deadline_at) FROM (
    SELECT job_key, deadline_at FROM job_execution
    WHERE deadline_at <= :now AND job_key NOT IN (SELECT value FROM json_each(:left_out))
    ORDER BY deadline_at LIMIT :limit) AS first
GROUP BY job_key;

-- name: overdue_of_job
-- A job's executions that are due to time out by :now, the longest due first. (The + has the few that are
-- due looked through, and not the many of the job.)
SELECT e.id, e.job_key, e.thing_key, e.thing_name, e.execution_number, e.status, e.version,
       e.retry_attempt, e.failed_retries, e.force_canceled, e.status_details, e.queued_at, e.started_at,
       e.last_updated_at, e.in_progress_deadline_at, e.step_deadline_at
FROM job_execution e WHERE e.deadline_at <= :now AND +e.job_key = :job_key
ORDER BY e.deadline_at, e.job_key, e.id LIMIT :limit;

-- name: time_out_some
-- Time out up to :limit executions of a job that are due by :now, all alike. (The + as in overdue_of_job.)
UPDATE job_execution SET status = 'TIMED_OUT', version = version + 1, last_updated_at = :now,
       in_progress_deadline_at = NULL, step_deadline_at = NULL, deadline_at = NULL
WHERE id IN (SELECT e.id FROM job_execution e WHERE e.deadline_at <= :now AND +e.job_key = :job_key
             ORDER BY e.deadline_at, e.job_key, e.id LIMIT :limit)
RETURNING thing_name, execution_number, status_details, thing_key, retry_attempt, failed_retries;

-- name: next_deadline_at
-- When the first time-out after :now is due.
SELECT min(deadline_at) FROM job_execution WHERE deadline_at > :now;

-- name: newest_of_things
-- The status of the newest execution of a job for each of the things of :members that has one. (The status
-- is of the row with the maximum, as SQLite has it. The + keeps it from looking through all jobs of a thing.)
SELECT e.thing_key, e.status, max(e.execution_number)
FROM json_each(:members) n
CROSS JOIN job_execution e ON e.job_key = :job_key AND e.thing_name = json_extract(n.value, '$[1]')
 AND +e.thing_key = json_extract(n.value, '$[0]')
GROUP BY e.thing_key;

-- name: save_execution
-- Store a decided change; :was is the version it was decided on.
UPDATE job_execution SET status = :status, version = :version, force_canceled = :force_canceled,
       status_details = :status_details, started_at = :started_at, last_updated_at = :last_updated_at,
       in_progress_deadline_at = :in_progress_deadline_at, step_deadline_at = :step_deadline_at,
       deadline_at = :deadline_at
WHERE id = :id AND version = :was;

-- name: delete_execution
DELETE FROM job_execution WHERE id = :id;

-- name: cancel_some
-- Cancel up to :limit executions of a job that are in :status.
UPDATE job_execution SET status = 'CANCELED', version = version + 1, force_canceled = :force,
       last_updated_at = :now, in_progress_deadline_at = NULL, step_deadline_at = NULL, deadline_at = NULL
WHERE id IN (SELECT id FROM job_execution WHERE job_key = :job_key AND status = :status LIMIT :limit)
RETURNING thing_name, execution_number, status_details;

-- name: delete_some
-- Delete up to :limit executions of a job that are in :status.
DELETE FROM job_execution
WHERE id IN (SELECT id FROM job_execution WHERE job_key = :job_key AND status = :status LIMIT :limit)
RETURNING thing_name, execution_number, status_details;

-- name: executions_of_job_at
-- A page of a job's executions in one status that changed at :last_updated_at, after (:thing_name, :number).
SELECT e.thing_name, e.execution_number, e.status, e.queued_at, e.started_at, e.last_updated_at,
       e.retry_attempt
FROM job_execution e
WHERE e.job_key = :job_key AND e.status = :status AND e.last_updated_at = :last_updated_at
  AND e.thing_name >= :thing_name
  AND (e.thing_name > :thing_name OR e.execution_number < :execution_number)
ORDER BY e.thing_name, e.execution_number DESC LIMIT :limit;

-- name: executions_of_job_before
-- A page of a job's executions in one status that changed before :last_updated_at.
SELECT e.thing_name, e.execution_number, e.status, e.queued_at, e.started_at, e.last_updated_at,
       e.retry_attempt
FROM job_execution e
WHERE e.job_key = :job_key AND e.status = :status AND e.last_updated_at < :last_updated_at
ORDER BY e.last_updated_at DESC, e.thing_name, e.execution_number DESC LIMIT :limit;

-- name: executions_of_thing
-- A page of a thing's executions, newest first, after (:queued_at, :id).
SELECT j.job_id, e.execution_number, e.status, e.queued_at, e.started_at, e.last_updated_at,
       e.retry_attempt, e.id
FROM job_execution e JOIN job j ON j.key = e.job_key
WHERE e.thing_key = :thing_key
  AND e.queued_at <= :queued_at AND (e.queued_at < :queued_at OR e.id < :id)
  AND (:status IS NULL OR e.status = :status)
  AND (:job_id IS NULL OR j.job_id = :job_id)
  AND (:namespace_id IS NULL OR j.namespace_id = :namespace_id)
ORDER BY e.queued_at DESC, e.id DESC LIMIT :limit;
