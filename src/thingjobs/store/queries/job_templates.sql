-- name: job_template_by_id
-- A template by its id.
SELECT template_id, description, document, document_source, rollout_config, abort_config, retry_config,
       in_progress_timeout_minutes, presigned_url_config, maintenance_windows,
       destination_package_versions, created_at
FROM job_template WHERE scope = :scope AND template_id = :template_id;

-- name: job_template_exists
-- A row if there is a template of that id.
SELECT 1 FROM job_template WHERE scope = :scope AND template_id = :template_id;

-- name: insert_job_template
-- Store a new template.
INSERT INTO job_template (scope, template_id, description, document, document_source, rollout_config,
                          abort_config, retry_config, in_progress_timeout_minutes, presigned_url_config,
                          maintenance_windows, destination_package_versions, created_at)
VALUES (:scope, :template_id, :description, :document, :document_source, :rollout_config,
        :abort_config, :retry_config, :in_progress_timeout_minutes, :presigned_url_config,
        :maintenance_windows, :destination_package_versions, :created_at);

-- name: delete_job_template
-- Remove a template; jobs made from it stay as they are.
DELETE FROM job_template WHERE scope = :scope AND template_id = :template_id;

-- name: count_job_templates
-- How many templates a scope has.
SELECT count(*) FROM job_template WHERE scope = :scope;

-- name: job_templates_page
-- Templates, newest first, after (created_at, template_id).
SELECT template_id, description, created_at FROM job_template
WHERE scope = :scope
  AND (created_at < :created_at OR (created_at = :created_at AND template_id > :template_id))
ORDER BY created_at DESC, template_id LIMIT :limit;
