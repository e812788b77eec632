-- Job templates, and what a job keeps of the template and the source it was made from.

ALTER TABLE job ADD COLUMN job_template_arn TEXT;
ALTER TABLE job ADD COLUMN document_parameters TEXT;

ALTER TABLE job_document ADD COLUMN source TEXT;
ALTER TABLE job_document ADD COLUMN before_substitution TEXT;

CREATE TABLE job_template (
    scope                        INTEGER NOT NULL REFERENCES scope (id),
    template_id                  TEXT NOT NULL,
    description                  TEXT NOT NULL,
    document                     TEXT NOT NULL,
    document_source              TEXT,
    rollout_config               TEXT,
    abort_config                 TEXT,
    retry_config                 TEXT,
    in_progress_timeout_minutes  INTEGER CHECK (in_progress_timeout_minutes >= 1),
    presigned_url_config         TEXT,
    maintenance_windows          TEXT NOT NULL,
    destination_package_versions TEXT,
    created_at                   INTEGER NOT NULL,
    PRIMARY KEY (scope, template_id)
) WITHOUT ROWID;

CREATE INDEX job_template_by_creation ON job_template (scope, created_at DESC, template_id);
