-- name: thing_by_name
-- A thing by its name.
SELECT key, name, thing_id, type_name, attributes, version
FROM thing WHERE scope = :scope AND name = :name;

-- name: thing_keys
-- The keys of those things of :names that exist.
SELECT name, key FROM thing WHERE scope = :scope AND name IN (SELECT value FROM json_each(:names));

-- name: insert_thing
-- Store a new thing and give its key.
INSERT INTO thing (scope, name, thing_id, type_name, attributes, version)
VALUES (:scope, :name, :thing_id, :type_name, :attributes, :version)
RETURNING key;

-- name: save_thing
-- Store what can change of a thing, if it is still at version :was.
UPDATE thing SET type_name = :type_name, attributes = :attributes, version = :version
WHERE key = :key AND version = :was;

-- name: delete_thing
-- Remove a thing; its memberships and pending executions go before it.
DELETE FROM thing WHERE key = :key;

-- name: things_page
-- Things by name.
SELECT key, name, thing_id, type_name, attributes, version
FROM thing WHERE scope = :scope AND name > :after ORDER BY name LIMIT :limit;

-- name: things_page_by_type
-- Things of one type by name.
SELECT key, name, thing_id, type_name, attributes, version
FROM thing WHERE scope = :scope AND type_name = :type_name AND name > :after ORDER BY name LIMIT :limit;
