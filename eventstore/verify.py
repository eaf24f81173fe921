"""Proves the log, or says what is wrong with it: every event is read once, in bounded memory, at one instant.

What it can find: an event changed, removed, added or moved; a stream's row that disagrees with its events;
positions that are missing, double, swapped or point nowhere; appends torn apart; commands without events and the
reverse.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from psycopg import IsolationLevel

from eventstore import verify_queries as queries
from eventstore.connect import connect
from eventstore.events import MAX_EVENTS_PER_APPEND
from eventstore.hashing import GENESIS, event_hash, event_id_of

FETCH_ROWS = 2_000
MAX_FINDINGS_PER_CHECK = 1_000


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong. `code` is stable; `where` is a stream and version, or a position."""

    code: str
    where: str
    message: str


@dataclass(slots=True)
class Counts:
    """How much was looked at; complete once the findings have been exhausted."""

    streams: int = 0
    events: int = 0
    positions: int = 0
    unsequenced: int = 0
    commands: int = 0
    findings: int = 0


class LogVerifier:
    """One run over the log at `url`, whose role may read it. Use once: iterate `findings()`, then read `counts`.

    At most MAX_FINDINGS_PER_CHECK findings come out of each of the checks over whole tables.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self.counts = Counts()

    async def findings(self) -> AsyncIterator[Finding]:
        """What is wrong, as it is found. Raises psycopg.OperationalError when Postgres goes away."""
        connection = await connect(self._url, "tidemark-verify")
        try:
            await connection.set_read_only(True)
            # One snapshot for everything, however long it takes.
            await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
            async with connection.transaction():
                await connection.execute(queries.NO_TIME_LIMIT)
                await self._count(connection)
                async for finding in self._streams(connection):
                    self.counts.findings += 1
                    yield finding
                for code, query, message in queries.CHECKS:
                    rows = await connection.execute(query, {"limit": MAX_FINDINGS_PER_CHECK})
                    async for where, *details in rows:
                        self.counts.findings += 1
                        yield Finding(code, str(where), message.format(*details))
        finally:
            await connection.close()

    async def _count(self, connection: Any) -> None:
        row = await (await connection.execute(queries.COUNTS)).fetchone()
        self.counts.streams, self.counts.positions, self.counts.unsequenced, self.counts.commands = row

    async def _streams(self, connection: Any) -> AsyncIterator[Finding]:
        """Every stream from its first event to its last."""
        checker = _StreamChecker()
        async with connection.cursor("tidemark_verify", binary=True) as cursor:
            cursor.itersize = FETCH_ROWS
            await cursor.execute(queries.EVENTS_BY_STREAM)
            async for row in cursor:
                self.counts.events += 1
                for finding in checker.check(row):
                    yield finding
        for finding in checker.end_of_stream():
            yield finding


class _StreamChecker:
    """Holds one event's worth of memory: what the next one of its stream has to continue."""

    def __init__(self) -> None:
        self._stream: str | None = None
        self._version = 0
        self._hash = GENESIS
        self._id = 0
        self._position: int | None = 0
        self._row: tuple[int, bytes] | None = None

    def check(self, row: tuple[Any, ...]) -> list[Finding]:
        """Findings about one event, given that rows come ordered by stream and version."""
        id_, event_id, stream, version, type_, schema_version, data, metadata, at, prev_hash, digest = row[:11]
        position, unsequenced, command_id, row_version, row_hash = row[11:]
        found: list[Finding] = []
        if stream != self._stream:
            found += self.end_of_stream()
            self._stream, self._version, self._hash, self._id, self._position = stream, 0, GENESIS, 0, 0
            self._row = None if row_version is None else (row_version, row_hash)
        where = f"{stream}@{version}"

        def wrong(code: str, message: str) -> None:
            found.append(Finding(code, where, message))

        if version != self._version + 1:
            wrong("version_gap", f"follows version {self._version}")
        elif prev_hash != self._hash:
            wrong("chain_broken", "does not carry the hash of the event before it")
        content = (event_id, stream, version, type_, schema_version, data, metadata, at)
        if digest != _hash_or_nothing(prev_hash, content):
            wrong("hash_mismatch", "its content is not what was hashed")
        if command_id is None or command_id != metadata.get("command_id"):
            wrong("command_missing", f"its command {metadata.get('command_id')!r} is not the one stored for it")
        if event_id != event_id_of(str(metadata.get("command_id")), id_ & (MAX_EVENTS_PER_APPEND - 1)):
            wrong("event_id_wrong", "its event id does not follow from its command and index")
        if id_ <= self._id:
            wrong("order_of_ids", f"its id {id_} is not after the id before it in the stream, {self._id}")
        if (position is None) == (not unsequenced):
            wrong("numbered_wrongly", "is neither numbered nor waiting for it" if position is None else "is both")
        if position is not None and (self._position is None or position <= self._position):
            wrong("order_of_positions", f"position {position} comes before an earlier event of the stream")
        self._version, self._hash, self._id, self._position = version, digest, id_, position
        return found

    def end_of_stream(self) -> list[Finding]:
        """Findings about the stream's own row, once its last event was seen."""
        if self._stream is None:
            return []
        if self._row is None:
            return [Finding("stream_row_missing", self._stream, "has events but no row in streams")]
        if self._row != (self._version, self._hash):
            message = (
                f"its row says version {self._row[0]}, its last event is {self._version}, or the hashes differ"
            )
            return [Finding("stream_row_differs", self._stream, message)]
        return []


def _hash_or_nothing(prev_hash: bytes, content: tuple[Any, ...]) -> bytes | None:
    try:
        return event_hash(prev_hash, *content)
    except TypeError:  # tampered into something that could never have been hashed
        return None
