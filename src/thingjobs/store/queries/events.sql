-- name: event_configurations
-- Which types of event a scope wants, and since when it has said so.
SELECT event_type, enabled, created_at, last_modified_at FROM event_configuration WHERE scope = :scope;

-- name: save_event_configuration
-- What a scope wants of one type of event.
INSERT INTO event_configuration (scope, event_type, enabled, created_at, last_modified_at)
VALUES (:scope, :event_type, :enabled, :now, :now)
ON CONFLICT (scope, event_type) DO UPDATE SET enabled = excluded.enabled,
       last_modified_at = excluded.last_modified_at;

-- name: insert_event
-- An event that waits to be published.
INSERT INTO outbox (scope, topic, payload) VALUES (:scope, :topic, :payload);

-- name: waiting_events
-- The events that wait, in their order.
SELECT id, scope, topic, payload FROM outbox ORDER BY id LIMIT :limit;

-- name: delete_events
-- Events that were published.
DELETE FROM outbox WHERE id <= :id;
