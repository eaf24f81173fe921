-- One row per stream, locked by every append to it. Names sort by bytes everywhere, so that all lock in one order.
-- fillfactor: room beside each row, so that its update stays on the page and touches no index.
CREATE TABLE streams (
    stream text COLLATE "C" PRIMARY KEY,
    version bigint NOT NULL CHECK (version >= 0),
    last_hash bytea NOT NULL CHECK (octet_length(last_hash) = 32)
) WITH (fillfactor = 70);

CREATE TABLE commands (
    command_id text COLLATE "C" PRIMARY KEY,
    append_id bigint NOT NULL UNIQUE,
    fingerprint bytea NOT NULL,
    outcome jsonb NOT NULL,
    recorded_at timestamptz NOT NULL
);

-- No cache: a later value must never be handed out before an earlier one (see append_events).
CREATE SEQUENCE append_ids AS bigint MINVALUE 1 CACHE 1;

-- id = append_id * 65536 + index within the append. event_id is unique because (command_id, index) is.
CREATE TABLE events (
    id bigint NOT NULL PRIMARY KEY,
    event_id uuid NOT NULL,
    stream text COLLATE "C" NOT NULL,
    version bigint NOT NULL CHECK (version > 0),
    type text NOT NULL,
    schema_version integer NOT NULL,
    data jsonb NOT NULL,
    metadata jsonb NOT NULL,
    recorded_at timestamptz NOT NULL,
    prev_hash bytea NOT NULL CHECK (octet_length(prev_hash) = 32),
    hash bytea NOT NULL CHECK (octet_length(hash) = 32)
) PARTITION BY RANGE (id);

-- What the sequencer has still to number. Rows are short-lived.
CREATE TABLE unsequenced (
    append_id bigint PRIMARY KEY,
    events integer NOT NULL CHECK (events > 0),
    appended_at timestamptz NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000, autovacuum_vacuum_cost_delay = 0);

CREATE TABLE positions (
    position bigint PRIMARY KEY CHECK (position > 0),
    id bigint NOT NULL UNIQUE
);

-- One row: the end of the numbered log, and where the sequencer has to look for more (see sequence_appends).
CREATE TABLE log_head (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    last_position bigint NOT NULL DEFAULT 0,
    floor bigint NOT NULL DEFAULT 0,
    gaps int8multirange NOT NULL DEFAULT '{}',
    old_gaps int8multirange NOT NULL DEFAULT '{}',
    old_gaps_xid xid8 NOT NULL DEFAULT '0'
) WITH (fillfactor = 10);
INSERT INTO log_head DEFAULT VALUES;

CREATE TABLE snapshots (
    stream text COLLATE "C" PRIMARY KEY,
    version bigint NOT NULL CHECK (version > 0),
    state_version integer NOT NULL,
    state jsonb NOT NULL,
    last_hash bytea NOT NULL CHECK (octet_length(last_hash) = 32)
) WITH (fillfactor = 70);
