-- name: tags_of_resource
-- A resource's tags in the order they were first put.
SELECT key, value FROM tag WHERE scope = :scope AND resource = :resource ORDER BY position;

-- name: put_tag
-- Give a resource a tag after its others; a key it has keeps its place.
INSERT INTO tag (scope, resource, key, value, position)
VALUES (:scope, :resource, :key, :value,
        (SELECT COALESCE(MAX(position), 0) + 1 FROM tag WHERE scope = :scope AND resource = :resource))
ON CONFLICT (scope, resource, key) DO UPDATE SET value = excluded.value;

-- name: delete_tags
-- Take the tags with :keys off a resource.
DELETE FROM tag
WHERE scope = :scope AND resource = :resource AND key IN (SELECT value FROM json_each(:keys));

-- name: delete_all_tags
-- Take all tags off a resource.
DELETE FROM tag WHERE scope = :scope AND resource = :resource;
