-- name: thing_type_by_name
-- A thing type by its name.
SELECT name, thing_type_id, description, searchable_attributes, created_at, deprecated_at
FROM thing_type WHERE scope = :scope AND name = :name;

-- name: insert_thing_type
-- Store a new thing type.
INSERT INTO thing_type (scope, name, thing_type_id, description, searchable_attributes, created_at,
                        deprecated_at)
VALUES (:scope, :name, :thing_type_id, :description, :searchable_attributes, :created_at, :deprecated_at);

-- name: save_thing_type
-- Store what can change of a thing type.
UPDATE thing_type SET description = :description, searchable_attributes = :searchable_attributes,
       deprecated_at = :deprecated_at
WHERE scope = :scope AND name = :name;

-- name: delete_thing_type
-- Remove a thing type that no thing has.
DELETE FROM thing_type WHERE scope = :scope AND name = :name;

-- name: thing_type_in_use
-- A row if any thing has the type.
SELECT 1 FROM thing WHERE scope = :scope AND type_name = :name LIMIT 1;

-- name: thing_types_page
-- Thing types by name.
SELECT name, thing_type_id, description, searchable_attributes, created_at, deprecated_at
FROM thing_type WHERE scope = :scope AND name > :after ORDER BY name LIMIT :limit;
