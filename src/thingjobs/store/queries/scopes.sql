-- name: scope_by_name
-- The scope of an account and region, if it was ever used.
SELECT id FROM scope WHERE account = :account AND region = :region;

-- name: scope_by_id
-- A scope's account and region.
SELECT id, account, region FROM scope WHERE id = :id;

-- name: create_scope
-- Make a scope unless it exists.
INSERT INTO scope (account, region) VALUES (:account, :region) ON CONFLICT (account, region) DO NOTHING;

-- name: save_meta
-- Remember a fact about this server.
INSERT INTO meta (name, value) VALUES (:name, :value)
ON CONFLICT (name) DO UPDATE SET value = excluded.value;

-- name: meta_by_name
-- Recall a fact about this server.
SELECT value FROM meta WHERE name = :name;
