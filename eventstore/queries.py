"""Every statement the event store runs, by name. Nothing is ever put together from strings."""

from __future__ import annotations

from typing import Final

# Append a batch in one round trip; see migrations/sql/0001/50_append.sql for the document and the answer.
APPEND: Final = "SELECT append_ids, known, actual FROM append_events(%(batch)s::text::jsonb)"

# The events of streams, each after its own version, in the order of the streams' versions.
LOAD: Final = """
SELECT NULL::bigint, e.id, e.event_id, e.stream, e.version, e.type, e.schema_version, e.data, e.metadata,
    e.recorded_at, e.prev_hash, e.hash
FROM unnest(%(streams)s::text[], %(after)s::bigint[]) AS wanted (stream, after_version)
CROSS JOIN LATERAL (
    SELECT * FROM events WHERE events.stream = wanted.stream AND events.version > wanted.after_version
    ORDER BY events.version
) AS e
"""

# Streams as snapshot (if it is of the wanted state_version) and the events after it, at one instant. The snapshot
# comes with the first of a stream's rows only; a stream with neither has no row.
LOAD_WITH_SNAPSHOT: Final = """
SELECT wanted.stream, n.version, n.last_hash,
    CASE WHEN e.version IS NULL OR e.version = n.version + 1 THEN n.state END,
    NULL::bigint, e.id, e.event_id, e.stream, e.version, e.type, e.schema_version, e.data, e.metadata,
    e.recorded_at, e.prev_hash, e.hash
FROM unnest(%(streams)s::text[], %(state_versions)s::int[]) AS wanted (stream, state_version)
LEFT JOIN snapshots n ON n.stream = wanted.stream AND n.state_version = wanted.state_version
LEFT JOIN LATERAL (
    SELECT * FROM events WHERE events.stream = wanted.stream AND events.version > coalesce(n.version, 0)
    ORDER BY events.version
) AS e ON true
WHERE n.version IS NOT NULL OR e.version IS NOT NULL
"""

# What is remembered of a command.
FIND_COMMAND: Final = """
SELECT command_id, append_id, fingerprint, outcome FROM commands WHERE command_id = %(command_id)s
"""

# The last position of an append; no row while it is unsequenced.
POSITION_OF: Final = """
SELECT position FROM positions WHERE id BETWEEN %(first_id)s AND %(last_id)s ORDER BY id DESC LIMIT 1
"""

# Events by position: `limit` of them, and the rest of the append that the limit would cut.
_CUT: Final = """
WITH cut AS (
    SELECT id FROM positions WHERE position <= %(after)s::bigint + %(limit)s::bigint ORDER BY position DESC LIMIT 1
), last AS (
    SELECT p.position FROM cut, LATERAL (
        SELECT position FROM positions WHERE id BETWEEN cut.id AND (cut.id | 65535) ORDER BY id DESC LIMIT 1
    ) AS p
)
"""
_BETWEEN: Final = """
FROM positions p JOIN events e ON e.id = p.id
WHERE p.position > %(after)s AND p.position <= (SELECT position FROM last)
ORDER BY p.position
"""

READ: Final = f"""{_CUT}
SELECT p.position, e.id, e.event_id, e.stream, e.version, e.type, e.schema_version, e.data, e.metadata,
    e.recorded_at, e.prev_hash, e.hash
{_BETWEEN}"""

# READ without metadata, hashes and event ids, which a view has no use for; the JSON as text, which costs the
# client a third of what it costs as jsonb.
FOLLOW: Final = f"""{_CUT}
SELECT p.position, e.id, e.stream, e.version, e.type, e.schema_version, e.data::text, e.recorded_at
{_BETWEEN}"""

# The end of the log and what waits for a position, without stepping over dead rows (see 10_sequence.sql).
HEAD: Final = """
SELECT h.last_position, coalesce(sum(u.events), 0)::bigint, min(u.appended_at)
FROM log_head h LEFT JOIN LATERAL (
    SELECT events, appended_at FROM unsequenced WHERE append_id > h.floor
    UNION ALL
    SELECT late.events, late.appended_at FROM unnest(h.gaps + h.old_gaps) AS gap
        JOIN unsequenced late ON late.append_id >= lower(gap) AND late.append_id < upper(gap)
) AS u ON true
GROUP BY h.last_position
"""

# Snapshots of streams, whatever their state_version.
LOAD_SNAPSHOTS: Final = """
SELECT stream, version, state_version, state, last_hash FROM snapshots WHERE stream = ANY (%(streams)s::text[])
"""

# Keep snapshots unless a newer one of the same state_version is there.
SAVE_SNAPSHOTS: Final = """
INSERT INTO snapshots AS old (stream, version, state_version, state, last_hash)
SELECT stream, version, state_version, state, last_hash FROM jsonb_to_recordset(%(snapshots)s::text::jsonb)
    AS r (stream text, version bigint, state_version int, state jsonb, last_hash bytea)
ON CONFLICT (stream) DO UPDATE
    SET version = excluded.version, state_version = excluded.state_version, state = excluded.state,
        last_hash = excluded.last_hash
    WHERE old.state_version <> excluded.state_version OR old.version < excluded.version
"""

# Become the sequencer, if nobody is: a lock of the session, gone with its connection.
TRY_LEAD: Final = "SELECT pg_try_advisory_lock(8449003)"

# A leader's session is its lease: the server itself ends it, and drops its locks, where it is silent for so many
# seconds, in a transaction or out of one, or takes twice as long over one transaction (stopped half way through
# a pipeline, it is in neither). Whoever was stopped (SIGSTOP,
# a frozen machine) and wakes up then finds itself without the connection it would have written on.
LEASE_S: Final = 5
HOLD_LEAD: Final = """
SELECT set_config('idle_session_timeout', '5s', false),
    set_config('idle_in_transaction_session_timeout', '5s', false), set_config('transaction_timeout', '10s', false)
"""

# Number the next appends; see migrations/sql/0004/10_sequence.sql.
SEQUENCE: Final = "SELECT appends, numbered, head FROM sequence_appends(%(limit)s)"

# Make the partitions that will be needed; how many were made.
ENSURE_PARTITIONS: Final = "SELECT ensure_partitions()"

# Tell the sequencer that there is an append. In a transaction of its own: inside the append's it would make
# commits wait for each other, and so would waiting for the disk here.
WAKE_SEQUENCER: Final = "SELECT set_config('synchronous_commit', 'off', true), pg_notify('tidemark_appended', '')"

# Hear of such appends.
LISTEN_APPENDED: Final = "LISTEN tidemark_appended"

# Hear of every batch the sequencer has numbered.
LISTEN: Final = "LISTEN tidemark_log"

# The end of the numbered log, nothing more.
LAST_POSITION: Final = "SELECT last_position FROM log_head"

# Whether a commit is on disk when it is acknowledged.
SYNCHRONOUS_COMMIT: Final = "SHOW synchronous_commit"
