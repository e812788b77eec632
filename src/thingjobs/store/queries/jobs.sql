-- name: job_by_id
-- A job by its id.
SELECT key, scope, job_id, status, target_selection, description, namespace_id,
       rollout_config, abort_config, retry_config, in_progress_timeout_minutes, presigned_url_config,
       scheduling_config, destination_package_versions, force_canceled, reason_code, comment,
       created_at, last_updated_at, completed_at, sweep, phase, next_schedule_at,
       job_template_arn, document_parameters
FROM job WHERE scope = :scope AND job_id = :job_id;

-- name: job_by_key
-- A job by its key.
SELECT key, scope, job_id, status, target_selection, description, namespace_id,
       rollout_config, abort_config, retry_config, in_progress_timeout_minutes, presigned_url_config,
       scheduling_config, destination_package_versions, force_canceled, reason_code, comment,
       created_at, last_updated_at, completed_at, sweep, phase, next_schedule_at,
       job_template_arn, document_parameters
FROM job WHERE key = :key;

-- name: job_key_by_id
-- Only the key: for the many requests that need no more.
SELECT key FROM job WHERE scope = :scope AND job_id = :job_id;

-- name: job_facts
-- What decisions about executions need to know of the jobs in :keys.
SELECT key, scope, job_id, status, target_selection, namespace_id, in_progress_timeout_minutes, sweep,
       abort_config, retry_config, presigned_url_config, phase, end_at, has_windows,
       EXISTS (SELECT 1 FROM rollout r WHERE r.job_key = job.key)
FROM job WHERE key IN (SELECT value FROM json_each(:keys));

-- name: insert_job
-- Store a new job and give its key.
INSERT INTO job (scope, job_id, status, target_selection, description, namespace_id,
                 rollout_config, abort_config, retry_config, in_progress_timeout_minutes,
                 presigned_url_config, scheduling_config, destination_package_versions,
                 force_canceled, reason_code, comment, created_at, last_updated_at, completed_at, sweep,
                 phase, next_schedule_at, end_at, has_windows, job_template_arn, document_parameters)
VALUES (:scope, :job_id, :status, :target_selection, :description, :namespace_id,
        :rollout_config, :abort_config, :retry_config, :in_progress_timeout_minutes,
        :presigned_url_config, :scheduling_config, :destination_package_versions,
        :force_canceled, :reason_code, :comment, :created_at, :last_updated_at, :completed_at, :sweep,
        :phase, :next_schedule_at, :end_at, :has_windows, :job_template_arn, :document_parameters)
RETURNING key;

-- name: save_job
-- Store what can change of a job.
UPDATE job SET status = :status, description = :description, rollout_config = :rollout_config,
       abort_config = :abort_config, retry_config = :retry_config,
       in_progress_timeout_minutes = :in_progress_timeout_minutes,
       presigned_url_config = :presigned_url_config, force_canceled = :force_canceled,
       reason_code = :reason_code, comment = :comment, last_updated_at = :last_updated_at,
       completed_at = :completed_at, sweep = :sweep, phase = :phase, next_schedule_at = :next_schedule_at
WHERE key = :key;

-- name: look_again
-- When a job's schedule is to be looked at again, if the job is still open.
UPDATE job SET next_schedule_at = :at WHERE key = :key AND status IN ('SCHEDULED', 'IN_PROGRESS');

-- name: complete_jobs
-- Jobs whose last execution is finished.
UPDATE job SET status = 'COMPLETED', completed_at = :now, last_updated_at = :now, next_schedule_at = NULL
WHERE key IN (SELECT value FROM json_each(:keys));

-- name: insert_document
INSERT INTO job_document (job_key, document, source, before_substitution)
VALUES (:job_key, :document, :source, :before_substitution);

-- name: document_of_job
-- The stored text, byte for byte.
SELECT document FROM job_document WHERE job_key = :job_key;

-- name: document_source_of_job
SELECT source FROM job_document WHERE job_key = :job_key;

-- name: document_with_origin
-- A job's document, where it was read from, and what it was before substitution.
SELECT document, source, before_substitution FROM job_document WHERE job_key = :job_key;

-- name: insert_target
INSERT INTO job_target (job_key, position, arn, thing_key, group_key)
VALUES (:job_key, :position, :arn, :thing_key, :group_key);

-- name: targets_of_job
SELECT arn, thing_key, group_key FROM job_target WHERE job_key = :job_key ORDER BY position;

-- name: insert_counters
INSERT INTO job_counters (job_key) VALUES (:job_key);

-- name: counters_of_jobs
-- Counters by job, in the order of ExecutionStatus.
SELECT job_key, queued, in_progress, succeeded, failed, rejected, timed_out, canceled, removed
FROM job_counters WHERE job_key IN (SELECT value FROM json_each(:keys));

-- name: add_to_counters
-- One statement per job and batch, in job order.
UPDATE job_counters SET queued = queued + :QUEUED, in_progress = in_progress + :IN_PROGRESS,
       succeeded = succeeded + :SUCCEEDED, failed = failed + :FAILED, rejected = rejected + :REJECTED,
       timed_out = timed_out + :TIMED_OUT, canceled = canceled + :CANCELED, removed = removed + :REMOVED
WHERE job_key = :job_key;

-- name: jobs_to_look_at
-- Jobs whose schedule has a boundary at :now or before, the longest due first; without those :left_out.
SELECT key, next_schedule_at, end_at, phase FROM job
WHERE next_schedule_at <= :now AND key NOT IN (SELECT value FROM json_each(:left_out))
ORDER BY next_schedule_at, key LIMIT :limit;

-- name: next_schedule_at
-- When the first boundary of a schedule after :now is.
SELECT min(next_schedule_at) FROM job WHERE next_schedule_at > :now;

-- name: jobs_to_retire
-- Finished jobs that nobody has touched since :before, and nothing is being done to; without those :left_out.
SELECT key, last_updated_at FROM job
WHERE status IN ('COMPLETED', 'CANCELED') AND last_updated_at <= :before AND sweep IS NULL
  AND key NOT IN (SELECT value FROM json_each(:left_out))
ORDER BY last_updated_at, key LIMIT :limit;

-- name: next_to_retire
-- When the first finished job that was touched after :after was touched last.
SELECT min(last_updated_at) FROM job
WHERE status IN ('COMPLETED', 'CANCELED') AND last_updated_at > :after;

-- name: jobs_page
-- A page of jobs, newest first, after (:created_at, :job_id).
SELECT j.key, j.job_id, j.status, j.target_selection, j.created_at, j.last_updated_at, j.completed_at,
       j.sweep, EXISTS (SELECT 1 FROM rollout r WHERE r.job_key = j.key),
       (SELECT g.group_id FROM job_target t JOIN thing_group g ON g.key = t.group_key
        WHERE t.job_key = j.key ORDER BY t.position LIMIT 1)
FROM job j
WHERE j.scope = :scope
  AND j.created_at <= :created_at AND (j.created_at < :created_at OR j.job_id > :job_id)
  AND (:target_selection IS NULL OR j.target_selection = :target_selection)
  AND (:namespace_id IS NULL OR j.namespace_id = :namespace_id)
ORDER BY j.created_at DESC, j.job_id LIMIT :limit;

-- name: jobs_page_by_status
-- The same for one status.
SELECT j.key, j.job_id, j.status, j.target_selection, j.created_at, j.last_updated_at, j.completed_at,
       j.sweep, EXISTS (SELECT 1 FROM rollout r WHERE r.job_key = j.key),
       (SELECT g.group_id FROM job_target t JOIN thing_group g ON g.key = t.group_key
        WHERE t.job_key = j.key ORDER BY t.position LIMIT 1)
FROM job j
WHERE j.scope = :scope AND j.status = :status
  AND j.created_at <= :created_at AND (j.created_at < :created_at OR j.job_id > :job_id)
  AND (:target_selection IS NULL OR j.target_selection = :target_selection)
  AND (:namespace_id IS NULL OR j.namespace_id = :namespace_id)
ORDER BY j.created_at DESC, j.job_id LIMIT :limit;

-- name: jobs_page_by_target
-- The same for the jobs that name the target :arn.
SELECT j.key, j.job_id, j.status, j.target_selection, j.created_at, j.last_updated_at, j.completed_at,
       j.sweep, EXISTS (SELECT 1 FROM rollout r WHERE r.job_key = j.key), NULL
FROM job_target t JOIN job j ON j.key = t.job_key
WHERE t.arn = :arn AND j.scope = :scope
  AND j.created_at <= :created_at AND (j.created_at < :created_at OR j.job_id > :job_id)
  AND (:status IS NULL OR j.status = :status)
  AND (:target_selection IS NULL OR j.target_selection = :target_selection)
  AND (:namespace_id IS NULL OR j.namespace_id = :namespace_id)
ORDER BY j.created_at DESC, j.job_id LIMIT :limit;

-- name: count_jobs_in_deletion
SELECT count(*) FROM job WHERE scope = :scope AND status = 'DELETION_IN_PROGRESS';

-- name: count_active_jobs
-- Jobs of one target selection that are scheduled or in progress.
SELECT count(*) FROM job
WHERE scope = :scope AND status IN ('SCHEDULED', 'IN_PROGRESS') AND target_selection = :target_selection;

-- name: jobs_to_sweep
-- Jobs whose executions are still being canceled or deleted; without those :left_out.
SELECT key FROM job WHERE sweep IS NOT NULL AND key NOT IN (SELECT value FROM json_each(:left_out))
ORDER BY key LIMIT :limit;

-- name: delete_targets_of_job
DELETE FROM job_target WHERE job_key = :key;

-- name: delete_marks_of_job
DELETE FROM job_thing_mark WHERE job_key = :key;

-- name: delete_document_of_job
DELETE FROM job_document WHERE job_key = :key;

-- name: delete_counters_of_job
DELETE FROM job_counters WHERE job_key = :key;

-- name: delete_job
DELETE FROM job WHERE key = :key;
