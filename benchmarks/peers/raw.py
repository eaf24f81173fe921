"""What Postgres can do at best, without any of the promises: `python -m benchmarks.peers.raw URL`.

`insert` is one multi-row INSERT per table into the log's own tables and indexes, a thousand events a transaction:
no locks, no look-ups, no hashes (they are bytes made beforehand), no versions checked; all parameters are made
before the clock runs. `view` reads the log in batches of a thousand and upserts one view with one statement each.
"""

from __future__ import annotations

import json
import os
import sys
import time
import uuid
from typing import Any

import psycopg

from benchmarks.peers.serving import serve

PER_BATCH = 1_000
PER_REQUEST = 2
EVENTS = """
INSERT INTO events (id, event_id, stream, version, type, schema_version, data, metadata, recorded_at, prev_hash,
                    hash)
SELECT * FROM unnest(%s::bigint[], %s::uuid[], %s::text[], %s::bigint[], %s::text[], %s::int[], %s::jsonb[],
                     %s::jsonb[], %s::timestamptz[], %s::bytea[], %s::bytea[])
"""
COMMANDS = """
INSERT INTO commands (command_id, append_id, fingerprint, outcome, recorded_at)
SELECT * FROM unnest(%s::text[], %s::bigint[], %s::bytea[], %s::jsonb[], %s::timestamptz[])
"""
STREAMS = (
    "INSERT INTO streams (stream, version, last_hash) SELECT * FROM unnest(%s::text[], %s::bigint[], %s::bytea[])"
)
UNSEQUENCED = """
INSERT INTO unsequenced (append_id, events, appended_at)
SELECT * FROM unnest(%s::bigint[], %s::int[], %s::timestamptz[])
"""
APPEND_IDS = "SELECT array_agg(nextval('append_ids')) FROM generate_series(1, %s)"
READ = """
SELECT p.position, e.stream, e.version, e.type, e.data FROM positions p JOIN events e ON e.id = p.id
 WHERE p.position > %s AND p.position <= %s ORDER BY p.position
"""
VIEW = """
DROP TABLE IF EXISTS raw_accounts;
CREATE TABLE raw_accounts (account_id text PRIMARY KEY, version bigint, balance numeric, held numeric);
"""
UPSERT = """
INSERT INTO raw_accounts AS a (account_id, version, balance, held)
SELECT * FROM unnest(%s::text[], %s::bigint[], %s::numeric[], %s::numeric[])
ON CONFLICT (account_id) DO UPDATE SET version = excluded.version, balance = excluded.balance, held = excluded.held
"""
DATA = [
    {
        "user_id": "user-1",
        "currency": "EUR",
        "account_id": "a",
        "overdraft_limit": {"amount": "0.00", "currency": "EUR"},
    },
    {
        "amount": {"amount": "12.50", "currency": "EUR"},
        "balance": {"amount": "12.50", "currency": "EUR"},
        "held": {"amount": "0.00", "currency": "EUR"},
        "reference": "opening 1",
    },
]
TYPES = ["AccountOpened", "FundsDeposited"]
AT = "2026-01-01T00:00:00Z"


def main(url: str) -> None:
    """Serves until its standard input ends."""
    with psycopg.connect(url, autocommit=True, prepare_threshold=1) as connection:
        connection.execute("SET synchronous_commit = on")
        cursor = connection.cursor(binary=False)

        def insert(n: int) -> dict[str, Any]:
            run, hashes = uuid.uuid4().hex[:8], [os.urandom(32) for _ in range(PER_BATCH)]
            event_ids = [[uuid.uuid4() for _ in range(PER_BATCH)] for _ in range(n)]
            made = [_columns(f"{run}-{batch}", event_ids[batch], hashes) for batch in range(n)]
            started = time.perf_counter()
            for columns in made:
                with connection.transaction():
                    _insert_batch(cursor, *columns)
            return {"seconds": time.perf_counter() - started, "done": n * PER_BATCH}

        def view(head: int) -> dict[str, Any]:
            connection.execute(VIEW)
            started = time.perf_counter()
            for after in range(0, head, PER_BATCH):
                rows = connection.execute(READ, (after, after + PER_BATCH), binary=True).fetchall()
                last = {
                    stream: (version, data["balance"]["amount"], data["held"]["amount"])
                    for _, stream, version, _, data in rows
                    if "balance" in data
                }
                columns = [list(last), *([row[i] for row in last.values()] for i in range(3))]
                connection.execute(UPSERT, columns)
            return {"seconds": time.perf_counter() - started, "done": head}

        serve(insert=insert, view=view)


def _columns(name: str, event_ids: list[uuid.UUID], hashes: list[bytes]) -> tuple[list[list[Any]], ...]:
    """Of events (after their ids), commands (before their append ids), streams: made before the clock runs."""
    requests, events = range(PER_BATCH // PER_REQUEST), range(PER_BATCH)
    streams = [f"account-{name}-{number}" for number in requests]
    ids = [f"open-{stream}" for stream in streams]
    metadata = [json.dumps({"actor": "benchmark", "command_id": one}) for one in ids]
    times, some = [AT] * PER_BATCH, hashes[: len(requests)]
    return (
        [
            event_ids,
            [streams[e // PER_REQUEST] for e in events],
            [e % PER_REQUEST + 1 for e in events],
            [TYPES[e % PER_REQUEST] for e in events],
            [1] * PER_BATCH,
            [json.dumps(DATA[e % PER_REQUEST]) for e in events],
            [metadata[e // PER_REQUEST] for e in events],
            times,
            hashes,
            hashes,
        ],
        [ids, some, ["{}"] * len(requests), times[: len(requests)]],
        [streams, [PER_REQUEST] * len(requests), some],
    )


def _insert_batch(
    cursor: psycopg.Cursor[Any], events: list[list[Any]], commands: list[list[Any]], streams: list[list[Any]]
) -> None:
    requests = len(commands[0])
    cursor.execute(APPEND_IDS, (requests,))
    row = cursor.fetchone()
    assert row is not None
    append_ids: list[int] = row[0]
    ids = [append_ids[e // PER_REQUEST] * 65536 + e % PER_REQUEST for e in range(PER_BATCH)]
    cursor.execute(EVENTS, (ids, *events))
    cursor.execute(COMMANDS, (commands[0], append_ids, *commands[1:]))
    cursor.execute(STREAMS, streams)
    cursor.execute(UNSEQUENCED, (append_ids, [PER_REQUEST] * requests, commands[-1]))


if __name__ == "__main__":
    main(sys.argv[1])
