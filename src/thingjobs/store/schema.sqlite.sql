-- What the schema is (SQLite). How it got there is in migrations/sqlite; a test proves both agree.
-- Instants are integer milliseconds UTC, JSON is text. Keys are never reused (AUTOINCREMENT), so a
-- deleted thing, group or job and its namesake stay two.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- One account in one region. Every row below belongs to one.
CREATE TABLE scope (
    id      INTEGER PRIMARY KEY,
    account TEXT NOT NULL,
    region  TEXT NOT NULL,
    UNIQUE (account, region)
);

-- Orders the comings and goings of groups and members, so that a snapshot is one number.
CREATE TABLE sequence (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;

INSERT INTO sequence (name, value) VALUES ('membership', 0);

CREATE TABLE thing_type (
    scope                 INTEGER NOT NULL REFERENCES scope (id),
    name                  TEXT NOT NULL,
    thing_type_id         TEXT NOT NULL,
    description           TEXT,
    searchable_attributes TEXT NOT NULL,
    created_at            INTEGER NOT NULL,
    deprecated_at         INTEGER,
    PRIMARY KEY (scope, name)
) WITHOUT ROWID;

CREATE TABLE thing (
    key        INTEGER PRIMARY KEY AUTOINCREMENT,
    scope      INTEGER NOT NULL REFERENCES scope (id),
    name       TEXT NOT NULL,
    thing_id   TEXT NOT NULL,
    type_name  TEXT,
    attributes TEXT NOT NULL,
    version    INTEGER NOT NULL CHECK (version >= 1),
    UNIQUE (scope, name)
);

CREATE INDEX thing_by_type ON thing (scope, type_name, name) WHERE type_name IS NOT NULL;

-- A deleted group stays until no rollout needs its members: deleted_seq says when it went.
CREATE TABLE thing_group (
    key         INTEGER PRIMARY KEY AUTOINCREMENT,
    scope       INTEGER NOT NULL REFERENCES scope (id),
    name        TEXT NOT NULL,
    group_id    TEXT NOT NULL,
    parent_key  INTEGER REFERENCES thing_group (key),
    depth       INTEGER NOT NULL CHECK (depth >= 1),
    description TEXT,
    attributes  TEXT NOT NULL,
    version     INTEGER NOT NULL CHECK (version >= 1),
    created_at  INTEGER NOT NULL,
    created_seq INTEGER NOT NULL,
    deleted_seq INTEGER,
    -- While the members of a deleted group still have to leave continuous jobs: behind whom to go on.
    leaving_after TEXT
);

CREATE UNIQUE INDEX thing_group_by_name ON thing_group (scope, name) WHERE deleted_seq IS NULL;
CREATE UNIQUE INDEX thing_group_by_id ON thing_group (scope, group_id) WHERE deleted_seq IS NULL;
CREATE INDEX thing_group_by_parent ON thing_group (parent_key);
CREATE INDEX thing_group_deleted ON thing_group (deleted_seq) WHERE deleted_seq IS NOT NULL;
CREATE INDEX thing_group_leaving ON thing_group (key) WHERE leaving_after IS NOT NULL;

-- A member from joined_seq on, until left_seq. A row of a member that left stays while a rollout may
-- still follow it.
CREATE TABLE thing_group_member (
    group_key  INTEGER NOT NULL REFERENCES thing_group (key),
    thing_name TEXT NOT NULL,
    joined_seq INTEGER NOT NULL,
    left_seq   INTEGER,
    thing_key  INTEGER NOT NULL,
    PRIMARY KEY (group_key, thing_name, joined_seq)
) WITHOUT ROWID;

CREATE UNIQUE INDEX thing_group_member_by_thing ON thing_group_member (thing_key, group_key)
    WHERE left_seq IS NULL;
CREATE INDEX thing_group_member_left ON thing_group_member (left_seq) WHERE left_seq IS NOT NULL;
CREATE INDEX thing_group_member_gone ON thing_group_member (thing_key) WHERE left_seq IS NOT NULL;

CREATE TABLE tag (
    scope    INTEGER NOT NULL REFERENCES scope (id),
    resource TEXT NOT NULL,
    key      TEXT NOT NULL,
    value    TEXT NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (scope, resource, key)
) WITHOUT ROWID;

CREATE TABLE job (
    key                          INTEGER PRIMARY KEY AUTOINCREMENT,
    scope                        INTEGER NOT NULL REFERENCES scope (id),
    job_id                       TEXT NOT NULL,
    status                       TEXT NOT NULL CHECK (status IN
        ('SCHEDULED', 'IN_PROGRESS', 'COMPLETED', 'CANCELED', 'DELETION_IN_PROGRESS')),
    target_selection             TEXT NOT NULL CHECK (target_selection IN ('SNAPSHOT', 'CONTINUOUS')),
    description                  TEXT,
    namespace_id                 TEXT,
    rollout_config               TEXT,
    abort_config                 TEXT,
    retry_config                 TEXT,
    presigned_url_config         TEXT,
    scheduling_config            TEXT,
    destination_package_versions TEXT,
    force_canceled               INTEGER NOT NULL CHECK (force_canceled IN (0, 1)),
    reason_code                  TEXT,
    comment                      TEXT,
    created_at                   INTEGER NOT NULL,
    last_updated_at              INTEGER NOT NULL,
    completed_at                 INTEGER,
    sweep                        TEXT CHECK (sweep IN ('CANCEL', 'FORCE_CANCEL', 'DELETE')),
    -- What its schedule lets happen, as of the last look, and when to look again.
    end_at INTEGER,
    phase TEXT NOT NULL DEFAULT 'OPEN'
        CHECK (phase IN ('WAITING', 'OPEN', 'CLOSED', 'SPENT', 'ENDED')),
    has_windows INTEGER NOT NULL DEFAULT 0 CHECK (has_windows IN (0, 1)),
    next_schedule_at INTEGER,
    job_template_arn TEXT,
    document_parameters TEXT,
    in_progress_timeout_minutes INTEGER CHECK (in_progress_timeout_minutes >= 1),
    CHECK ((completed_at IS NOT NULL) <= (status IN ('COMPLETED', 'DELETION_IN_PROGRESS'))),
    UNIQUE (scope, job_id)
);

CREATE INDEX job_by_creation ON job (scope, created_at DESC, job_id);
CREATE INDEX job_by_status ON job (scope, status, created_at DESC, job_id);
CREATE INDEX job_to_sweep ON job (key) WHERE sweep IS NOT NULL;
CREATE INDEX job_schedule_due ON job (next_schedule_at) WHERE next_schedule_at IS NOT NULL;
CREATE INDEX job_to_retire ON job (last_updated_at) WHERE status IN ('COMPLETED', 'CANCELED');

-- before_substitution: the document with its parameters, where it had any.
CREATE TABLE job_document (
    job_key  INTEGER PRIMARY KEY REFERENCES job (key),
    document TEXT NOT NULL,
    source TEXT,
    before_substitution TEXT
);

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

CREATE TABLE job_target (
    job_key   INTEGER NOT NULL REFERENCES job (key),
    position  INTEGER NOT NULL,
    arn       TEXT NOT NULL,
    thing_key INTEGER,
    group_key INTEGER,
    PRIMARY KEY (job_key, position),
    CHECK ((thing_key IS NULL) <> (group_key IS NULL))
) WITHOUT ROWID;

CREATE INDEX job_target_by_arn ON job_target (arn);
CREATE INDEX job_target_by_group ON job_target (group_key) WHERE group_key IS NOT NULL;

-- What cannot be read off a thing's executions of a job: that it had some and all were deleted, or that it
-- joined while the job was between windows.
CREATE TABLE job_thing_mark (
    job_key   INTEGER NOT NULL REFERENCES job (key),
    thing_key INTEGER NOT NULL,
    mark      TEXT NOT NULL CHECK (mark IN ('ALL_DELETED', 'JOINS_AT_OPENING')),
    PRIMARY KEY (job_key, mark, thing_key)
) WITHOUT ROWID;

-- One wide row per job, changed once per batch (ADR 0005).
CREATE TABLE job_counters (
    job_key     INTEGER PRIMARY KEY REFERENCES job (key),
    queued      INTEGER NOT NULL DEFAULT 0 CHECK (queued >= 0),
    in_progress INTEGER NOT NULL DEFAULT 0 CHECK (in_progress >= 0),
    succeeded   INTEGER NOT NULL DEFAULT 0 CHECK (succeeded >= 0),
    failed      INTEGER NOT NULL DEFAULT 0 CHECK (failed >= 0),
    rejected    INTEGER NOT NULL DEFAULT 0 CHECK (rejected >= 0),
    timed_out   INTEGER NOT NULL DEFAULT 0 CHECK (timed_out >= 0),
    canceled    INTEGER NOT NULL DEFAULT 0 CHECK (canceled >= 0),
    removed     INTEGER NOT NULL DEFAULT 0 CHECK (removed >= 0)
);

-- A walk over some of a job's targets that is not finished; the row goes when it is.
CREATE TABLE rollout (
    key          INTEGER PRIMARY KEY AUTOINCREMENT,
    job_key      INTEGER NOT NULL REFERENCES job (key),
    end_position INTEGER NOT NULL,
    snapshot_seq INTEGER,
    limited      INTEGER NOT NULL CHECK (limited IN (0, 1)),
    position     INTEGER NOT NULL,
    depth        INTEGER NOT NULL,
    group_name   TEXT NOT NULL,
    after_thing  TEXT NOT NULL,
    started_at   INTEGER NOT NULL,
    next_tick_at INTEGER NOT NULL,
    notified     INTEGER NOT NULL CHECK (notified >= 0),
    -- The minute it is in, what that allows, and how much of it is handed out.
    minute_at INTEGER,
    minute_rate INTEGER NOT NULL DEFAULT 0,
    minute_handed_out INTEGER NOT NULL DEFAULT 0
);

CREATE INDEX rollout_by_job ON rollout (job_key);
CREATE INDEX rollout_due ON rollout (next_tick_at);

-- thing_key outlives its thing: what a deleted thing did stays with the job.
CREATE TABLE job_execution (
    id                      INTEGER PRIMARY KEY AUTOINCREMENT,
    job_key                 INTEGER NOT NULL REFERENCES job (key),
    thing_key               INTEGER NOT NULL,
    thing_name              TEXT NOT NULL,
    execution_number        INTEGER NOT NULL CHECK (execution_number >= 1),
    status                  TEXT NOT NULL CHECK (status IN
        ('QUEUED', 'IN_PROGRESS', 'SUCCEEDED', 'FAILED', 'REJECTED', 'TIMED_OUT', 'CANCELED', 'REMOVED')),
    version                 INTEGER NOT NULL CHECK (version >= 1),
    retry_attempt           INTEGER NOT NULL CHECK (retry_attempt >= 0),
    force_canceled          INTEGER NOT NULL CHECK (force_canceled IN (0, 1)),
    status_details          TEXT,
    queued_at               INTEGER NOT NULL,
    started_at              INTEGER,
    last_updated_at         INTEGER NOT NULL,
    in_progress_deadline_at INTEGER,
    step_deadline_at        INTEGER,
    failed_retries INTEGER NOT NULL DEFAULT 0
        CHECK (failed_retries BETWEEN 0 AND retry_attempt),
    -- The earlier of the two, while it is in progress.
    deadline_at INTEGER,
    UNIQUE (job_key, thing_name, execution_number)
);

-- At most one pending execution of a job per thing, and the way to a thing's pending list.
CREATE UNIQUE INDEX job_execution_pending ON job_execution (thing_key, job_key)
    WHERE status IN ('QUEUED', 'IN_PROGRESS');
CREATE INDEX job_execution_by_status ON job_execution
    (job_key, status, last_updated_at DESC, thing_name, execution_number DESC);
CREATE INDEX job_execution_by_thing ON job_execution (thing_key, queued_at DESC, id DESC);
CREATE INDEX job_execution_due ON job_execution (deadline_at, job_key) WHERE deadline_at IS NOT NULL;

-- A type of event without a row is not published.
CREATE TABLE event_configuration (
    scope            INTEGER NOT NULL REFERENCES scope (id),
    event_type       TEXT NOT NULL,
    enabled          INTEGER NOT NULL CHECK (enabled IN (0, 1)),
    created_at       INTEGER NOT NULL,
    last_modified_at INTEGER NOT NULL,
    PRIMARY KEY (scope, event_type)
) WITHOUT ROWID;

-- Events that are not published yet, in their order.
CREATE TABLE outbox (
    id      INTEGER PRIMARY KEY AUTOINCREMENT,
    scope   INTEGER NOT NULL REFERENCES scope (id),
    topic   TEXT NOT NULL,
    payload TEXT NOT NULL
);
