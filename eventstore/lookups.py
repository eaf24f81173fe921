"""Looking things up in the log by what a caller knows of them: command ids, appends, an account's few facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from eventstore.attempts import retried
from eventstore.connect import Pool
from eventstore.events import APPEND_BITS, MAX_EVENTS_PER_APPEND, RecordedEvent, Snapshot, StoredCommand

# What is remembered of many commands at once.
FIND_COMMANDS: Final = """
SELECT command_id, append_id, fingerprint, outcome FROM commands WHERE command_id = ANY (%(command_ids)s::text[])
"""

# Positions by event id, of those that have one.
POSITIONS_OF: Final = "SELECT id, position FROM positions WHERE id = ANY (%(ids)s::bigint[])"

# A stream's events with the positions they have so far.
STREAM: Final = """
SELECT p.position, e.id, e.event_id, e.stream, e.version, e.type, e.schema_version, e.data, e.metadata,
    e.recorded_at, e.prev_hash, e.hash
FROM events e LEFT JOIN positions p ON p.id = e.id
WHERE e.stream = %(stream)s AND e.version > %(after)s ORDER BY e.version LIMIT %(limit)s
"""

# One append's events.
APPENDED: Final = """
SELECT p.position, e.id, e.event_id, e.stream, e.version, e.type, e.schema_version, e.data, e.metadata,
    e.recorded_at, e.prev_hash, e.hash
FROM events e LEFT JOIN positions p ON p.id = e.id
WHERE e.id BETWEEN %(first_id)s AND %(last_id)s ORDER BY e.id
"""

# Those of many streams that exist.
EXISTING: Final = "SELECT stream FROM streams WHERE stream = ANY (%(streams)s::text[])"

# A stream's version; no row for one that does not exist.
VERSION: Final = "SELECT version FROM streams WHERE stream = %(stream)s"

# The first event, the last one, and the last of each of two sets of types, up to a version and an instant: enough
# to know the state of a long stream whose events carry totals.
DIGEST: Final = """
WITH upto AS (
    SELECT version FROM events WHERE stream = %(stream)s
       AND version <= %(version)s AND recorded_at <= %(instant)s
     ORDER BY version DESC LIMIT 1
), chosen AS (
    SELECT 1::bigint AS version FROM upto
    UNION SELECT version FROM upto
    UNION (SELECT e.version FROM events e, upto WHERE e.stream = %(stream)s AND e.version <= upto.version
              AND e.type = ANY (%(totals)s::text[]) ORDER BY e.version DESC LIMIT 1)
    UNION (SELECT e.version FROM events e, upto WHERE e.stream = %(stream)s AND e.version <= upto.version
              AND e.type = ANY (%(states)s::text[]) ORDER BY e.version DESC LIMIT 1)
)
SELECT NULL::bigint, e.id, e.event_id, e.stream, e.version, e.type, e.schema_version, e.data, e.metadata,
    e.recorded_at, e.prev_hash, e.hash
FROM events e JOIN chosen ON e.version = chosen.version
WHERE e.stream = %(stream)s ORDER BY e.version
"""

# Snapshots that today's code would use, in the order of their streams.
SNAPSHOTS: Final = """
SELECT stream, version, state_version, state, last_hash FROM snapshots
WHERE stream > %(after)s AND state_version > 0 ORDER BY stream LIMIT %(limit)s
"""

# Never use this snapshot again; the next one replaces it.
DISCARD_SNAPSHOT: Final = "UPDATE snapshots SET state_version = 0 WHERE stream = %(stream)s RETURNING stream"

LATEST: Final = 2**62
END_OF_TIME: Final = datetime(9999, 12, 31, tzinfo=UTC)


class Lookups:
    """All methods may raise StoreUnavailable."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def commands(self, command_ids: Sequence[str]) -> dict[str, StoredCommand]:
        """Those of the commands that were stored."""
        rows = await self._rows(FIND_COMMANDS, {"command_ids": list(command_ids)})
        return {row[0]: StoredCommand(*row) for row in rows}

    async def positions(self, event_ids: Sequence[int]) -> dict[int, int]:
        """Event id → position, of those that are numbered."""
        return dict(await self._rows(POSITIONS_OF, {"ids": list(event_ids)}))

    async def stream(self, stream: str, after_version: int = 0, limit: int = 10_000) -> list[RecordedEvent]:
        """A stream's events, with their positions where they have one already."""
        rows = await self._rows(STREAM, {"stream": stream, "after": after_version, "limit": limit})
        return [RecordedEvent._make(row) for row in rows]

    async def append(self, append_id: int) -> list[RecordedEvent]:
        """What one command stored."""
        first_id = append_id << APPEND_BITS
        ids = {"first_id": first_id, "last_id": first_id + MAX_EVENTS_PER_APPEND - 1}
        return [RecordedEvent(*row) for row in await self._rows(APPENDED, ids)]

    async def append_of(self, event: RecordedEvent) -> list[RecordedEvent]:
        """All that was stored together with an event."""
        return await self.append(event.append_id)

    async def existing(self, streams: Sequence[str]) -> set[str]:
        """Those of the streams that have events."""
        return {row[0] for row in await self._rows(EXISTING, {"streams": list(streams)})}

    async def version(self, stream: str) -> int:
        """How many events the stream has; 0 where it does not exist."""
        rows = await self._rows(VERSION, {"stream": stream})
        return int(rows[0][0]) if rows else 0

    async def digest(
        self, stream: str, totals: Sequence[str], states: Sequence[str], version: int, instant: datetime | None
    ) -> list[RecordedEvent]:
        """The few events that tell a stream's state up to a version and an instant; none if there were none."""
        wanted = {
            "stream": stream,
            "totals": list(totals),
            "states": list(states),
            "version": version,
            "instant": instant or END_OF_TIME,
        }
        return [RecordedEvent(*row) for row in await self._rows(DIGEST, wanted)]

    async def snapshots(self, after_stream: str, limit: int) -> list[Snapshot]:
        """Kept states, by stream; those of an older state_version too."""
        return [Snapshot(*row) for row in await self._rows(SNAPSHOTS, {"after": after_stream, "limit": limit})]

    async def discard_snapshot(self, stream: str) -> bool:
        """Whether there was one. Who has read it keeps what was read; nobody reads it again."""
        return bool(await self._rows(DISCARD_SNAPSHOT, {"stream": stream}))

    async def _rows(self, query: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        async def fetch() -> list[tuple[Any, ...]]:
            async with self._pool.connection() as connection:
                cursor = connection.cursor(binary=True)
                await cursor.execute(query, parameters)
                return await cursor.fetchall()

        return await retried(self._pool, fetch)
