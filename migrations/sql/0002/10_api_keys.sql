-- Whoever may use the HTTP API. Only a hash of a key is here: the key itself is shown once, when it is made.
CREATE TABLE api_keys (
    key_id text COLLATE "C" PRIMARY KEY CHECK (key_id ~ '^[a-z0-9]{1,32}$'),
    hash bytea NOT NULL CHECK (octet_length(hash) = 32),
    name text NOT NULL,
    scopes text[] NOT NULL CHECK (scopes <@ ARRAY['read', 'write', 'operator'] AND cardinality(scopes) > 0),
    user_id text COLLATE "C",
    created_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    rotated_at timestamptz,
    revoked_at timestamptz,
    last_used_at timestamptz
);

-- The API can tell a good key from a bad one and note its use. It cannot make one: that takes the database's owner.
GRANT SELECT ON api_keys TO tidemark_app;
GRANT UPDATE (last_used_at) ON api_keys TO tidemark_app;
