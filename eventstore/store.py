"""The log: append to it, load streams from it, read it by position."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast

import orjson

from eventstore import queries
from eventstore.attempts import Result, retried
from eventstore.batch import Prepared, appended, document, prepare, settle
from eventstore.connect import Connection, Pool
from eventstore.events import (
    APPEND_BITS,
    MAX_EVENTS_PER_APPEND,
    AppendRequest,
    Head,
    LoggedEvent,
    Outcome,
    RecordedEvent,
    Snapshot,
    StoredCommand,
)

Row = tuple[Any, ...]
WAKE_WITHIN_S = 1.0


class EventStore:
    """One log in one database. All methods may raise StoreUnavailable; see errors.py."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def append(self, requests: Sequence[AppendRequest]) -> list[Outcome]:
        """Store what can be stored of the requests, in one transaction, and say what became of each, in order.

        Requests on the same stream may be chained: each expects what the one before leaves. A repeated command
        gets its stored outcome whatever versions it expects. Raises InvalidAppend or TypeError before anything is
        stored, ConcurrencyError or StoreUnavailable (outcome unknown) after bounded attempts.
        """
        return await self.append_prepared([prepare(request) for request in requests])

    async def append_prepared(self, batch: Sequence[Prepared]) -> list[Outcome]:
        """`append` of requests that batch.prepare has checked and hashed."""

        async def once(sent: Sequence[Prepared]) -> Row:
            async with self._pool.connection() as connection:
                return await _call_append(connection, sent)

        async def call(sent: Sequence[Prepared]) -> Row:
            return await retried(self._pool, lambda: once(sent))

        return await _rounds(batch, call)

    async def append_on(self, connection: Connection, requests: Sequence[AppendRequest]) -> list[Outcome]:
        """As `append`, in the transaction the connection is in: durable, and seen by others, once that commits."""
        return await self.append_prepared_on(connection, [prepare(request) for request in requests])

    async def append_prepared_on(self, connection: Connection, batch: Sequence[Prepared]) -> list[Outcome]:
        """`append_on` of requests that batch.prepare has checked and hashed."""

        async def call(sent: Sequence[Prepared]) -> Row:
            return await _call_append(connection, sent)

        return await _rounds(batch, call)

    async def load(self, stream: str, after_version: int = 0) -> list[RecordedEvent]:
        """The stream's events after a version, in order; none for a stream that does not exist."""
        return (await self.load_many({stream: after_version}))[stream]

    async def load_many(self, streams: Mapping[str, int]) -> dict[str, list[RecordedEvent]]:
        """Stream → its events after the given version, all as of one instant, in one round trip."""
        found: dict[str, list[RecordedEvent]] = {stream: [] for stream in streams}
        parameters = {"streams": list(streams), "after": list(streams.values())}
        for row in await self._rows(queries.LOAD, parameters):
            found[row[3]].append(RecordedEvent(*row))
        return found

    async def load_with_snapshots(
        self, state_versions: Mapping[str, int]
    ) -> dict[str, tuple[Snapshot | None, list[RecordedEvent]]]:
        """Stream → its snapshot of the given state_version, if any, and the events after it; one round trip."""
        found: dict[str, tuple[Snapshot | None, list[RecordedEvent]]] = {s: (None, []) for s in state_versions}
        parameters = {"streams": list(state_versions), "state_versions": list(state_versions.values())}
        for row in await self._rows(queries.LOAD_WITH_SNAPSHOT, parameters):
            stream, version, last_hash, state = row[:4]
            snapshot, events = found[stream]
            if state is not None:
                snapshot = Snapshot(stream, version, state_versions[stream], state, last_hash)
                found[stream] = (snapshot, events)
            if row[5] is not None:
                events.append(RecordedEvent(*row[4:]))
        return found

    async def find_command(self, command_id: str) -> StoredCommand | None:
        """What is remembered of a command; None if it was never stored."""
        rows = await self._rows(queries.FIND_COMMAND, {"command_id": command_id})
        return StoredCommand(*rows[0]) if rows else None

    async def position_of(self, append_id: int) -> int | None:
        """The last position of an append; None until the sequencer has numbered it."""
        first_id = append_id << APPEND_BITS
        parameters = {"first_id": first_id, "last_id": first_id + MAX_EVENTS_PER_APPEND - 1}
        rows = await self._rows(queries.POSITION_OF, parameters)
        return rows[0][0] if rows else None

    async def read(self, after_position: int, limit: int) -> list[RecordedEvent]:
        """Events after a position, in order: `limit` of them, and what else belongs to the last one's append."""
        assert limit > 0, "read needs a limit of at least 1"
        rows = await self._rows(queries.READ, {"after": after_position, "limit": limit})
        return [RecordedEvent._make(row) for row in rows]

    async def follow(self, after_position: int, limit: int) -> list[LoggedEvent]:
        """As `read`, for those who want no more than what happened: half the work."""
        assert limit > 0, "follow needs a limit of at least 1"
        loads = orjson.loads
        return [
            LoggedEvent(position, id_, stream, version, type_, schema_version, loads(data), recorded_at)
            for position, id_, stream, version, type_, schema_version, data, recorded_at in await self._rows(
                queries.FOLLOW, {"after": after_position, "limit": limit}
            )
        ]

    async def head(self) -> Head:
        """The end of the log."""
        rows = await self._rows(queries.HEAD, {})
        return Head(*rows[0])

    async def load_snapshots(self, streams: Iterable[str]) -> dict[str, Snapshot]:
        """Snapshots by stream, of whatever state_version; streams without one are left out."""
        rows = await self._rows(queries.LOAD_SNAPSHOTS, {"streams": list(streams)})
        return {row[0]: Snapshot(*row) for row in rows}

    async def save_snapshot(self, snapshot: Snapshot) -> None:
        """Keep a snapshot, unless a newer one of the same state_version is there."""
        await self.save_snapshots([snapshot])

    async def save_snapshots(self, snapshots: Sequence[Snapshot]) -> None:
        """Each as `save_snapshot`, all in one statement. One per stream."""
        rows = [
            {
                "stream": snapshot.stream,
                "version": snapshot.version,
                "state_version": snapshot.state_version,
                "state": snapshot.state,
                "last_hash": f"\\x{snapshot.last_hash.hex()}",
            }
            for snapshot in sorted(snapshots, key=lambda snapshot: snapshot.stream)
        ]
        parameters = {"snapshots": orjson.dumps(rows).decode()}

        async def save() -> None:
            async with self._pool.connection() as connection:
                await connection.execute(queries.SAVE_SNAPSHOTS, parameters)

        await retried(self._pool, save)

    async def wake_sequencer(self) -> None:
        """Have the sequencer look now, and not within 50 ms. Raises psycopg.Error: it is not tried again."""
        async with self._pool.connection(timeout=WAKE_WITHIN_S) as connection:
            await connection.execute(queries.WAKE_SEQUENCER)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """A connection of the pool in a transaction, for append_on."""
        async with self._pool.connection() as connection, connection.transaction():
            yield connection

    async def retried(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """`work`, which may safely be done twice, until it gets an answer: see attempts.retried."""
        return await retried(self._pool, work)

    async def _rows(self, query: str, parameters: Mapping[str, Any]) -> list[Row]:
        async def fetch() -> list[Row]:
            async with self._pool.connection() as connection:
                cursor = connection.cursor(binary=True)
                await cursor.execute(query, parameters)
                return await cursor.fetchall()

        return await retried(self._pool, fetch)


async def _call_append(connection: Connection, batch: Sequence[Prepared]) -> Row:
    cursor = await connection.execute(queries.APPEND, {"batch": document(batch)})
    row = await cursor.fetchone()
    assert row is not None
    return row


async def _rounds(batch: Sequence[Prepared], call: Any) -> list[Outcome]:
    """Send, settle what was refused, send the rest; every round settles at least one request, so it ends."""
    outcomes: list[Outcome | None] = [None] * len(batch)
    waiting = list(range(len(batch)))
    while waiting:
        numbers = _without_duplicates(batch, waiting)
        sent = [batch[number] for number in numbers]
        append_ids, known, actual = await call(sent)
        if append_ids is not None:
            for number, append_id in zip(numbers, append_ids, strict=True):
                outcomes[number] = appended(batch[number], append_id)
        else:
            settled = settle(sent, known, actual)
            for number in numbers:
                outcomes[number] = settled.get(batch[number].request.command_id)
        waiting = [number for number in waiting if outcomes[number] is None]
    return cast("list[Outcome]", outcomes)


def _without_duplicates(batch: Sequence[Prepared], waiting: Sequence[int]) -> list[int]:
    """The first of each command id, as far as the order of requests allows: up to the first duplicate."""
    ids: set[str] = set()
    for place, number in enumerate(waiting):
        command_id = batch[number].request.command_id
        if command_id in ids:
            return list(waiting[:place])
        ids.add(command_id)
    return list(waiting)
