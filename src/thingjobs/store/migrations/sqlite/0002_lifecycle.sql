-- Time-outs, retries, growing rollouts, schedules, continuous jobs, events, retention.

ALTER TABLE job_execution ADD COLUMN failed_retries INTEGER NOT NULL DEFAULT 0
    CHECK (failed_retries BETWEEN 0 AND retry_attempt);
ALTER TABLE job_execution ADD COLUMN deadline_at INTEGER;

UPDATE job_execution
SET deadline_at = min(coalesce(in_progress_deadline_at, step_deadline_at),
                      coalesce(step_deadline_at, in_progress_deadline_at))
WHERE status = 'IN_PROGRESS' AND coalesce(in_progress_deadline_at, step_deadline_at) IS NOT NULL;

CREATE INDEX job_execution_due ON job_execution (deadline_at, job_key) WHERE deadline_at IS NOT NULL;

ALTER TABLE job ADD COLUMN end_at INTEGER;
ALTER TABLE job ADD COLUMN phase TEXT NOT NULL DEFAULT 'OPEN'
    CHECK (phase IN ('WAITING', 'OPEN', 'CLOSED', 'SPENT', 'ENDED'));
ALTER TABLE job ADD COLUMN has_windows INTEGER NOT NULL DEFAULT 0 CHECK (has_windows IN (0, 1));
ALTER TABLE job ADD COLUMN next_schedule_at INTEGER;

-- Jobs that have waited without effect are looked at as soon as the new program runs.
UPDATE job
SET end_at = 1000 * strftime('%s', json_extract(scheduling_config, '$.end_time')),
    has_windows = coalesce(json_array_length(scheduling_config, '$.maintenance_windows'), 0) > 0
WHERE scheduling_config IS NOT NULL;
UPDATE job SET phase = 'WAITING' WHERE status = 'SCHEDULED';
UPDATE job SET next_schedule_at = created_at
WHERE scheduling_config IS NOT NULL AND status IN ('SCHEDULED', 'IN_PROGRESS');

CREATE INDEX job_schedule_due ON job (next_schedule_at) WHERE next_schedule_at IS NOT NULL;
CREATE INDEX job_to_retire ON job (last_updated_at) WHERE status IN ('COMPLETED', 'CANCELED');

CREATE INDEX job_target_by_group ON job_target (group_key) WHERE group_key IS NOT NULL;

ALTER TABLE rollout ADD COLUMN minute_at INTEGER;
ALTER TABLE rollout ADD COLUMN minute_rate INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rollout ADD COLUMN minute_handed_out INTEGER NOT NULL DEFAULT 0;

ALTER TABLE thing_group ADD COLUMN leaving_after TEXT;

CREATE INDEX thing_group_leaving ON thing_group (key) WHERE leaving_after IS NOT NULL;

CREATE TABLE job_thing_mark (
    job_key   INTEGER NOT NULL REFERENCES job (key),
    thing_key INTEGER NOT NULL,
    mark      TEXT NOT NULL CHECK (mark IN ('ALL_DELETED', 'JOINS_AT_OPENING')),
    PRIMARY KEY (job_key, mark, thing_key)
) WITHOUT ROWID;

CREATE TABLE event_configuration (
    scope            INTEGER NOT NULL REFERENCES scope (id),
    event_type       TEXT NOT NULL,
    enabled          INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    created_at       INTEGER NOT NULL,
    last_modified_at INTEGER NOT NULL,
    PRIMARY KEY (scope, event_type)
) WITHOUT ROWID;

CREATE TABLE outbox (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    scope   INTEGER NOT NULL REFERENCES scope (id),
    topic   TEXT NOT NULL,
    payload TEXT NOT NULL
);
