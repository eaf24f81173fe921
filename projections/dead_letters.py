"""Poison events and what waits behind them: list, retry, skip. Safe beside a running projector.

Each change locks the build's checkpoint row first and raises its epoch, so that the projector looks again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, LiteralString
from uuid import UUID

from psycopg.rows import class_row

from projections import sql
from projections.builds import load_parked
from projections.connecting import Connect
from projections.errors import NoSuchDeadLetter, UnknownView
from projections.model import Log, Record, Track, Views
from projections.writing import Connection, describe, try_one

Status = Literal["parked", "follower", "resolved", "skipped"]


@dataclass(frozen=True)
class DeadLetter:
    """`parked` is the poison, `follower` waits behind one of the same stream; the others are history."""

    id: int
    view: str
    build: int
    stream: str
    position: int
    event_id: UUID
    type: str
    status: Status
    error_class: str | None
    error: str | None
    attempts: int
    first_failed_at: datetime
    last_failed_at: datetime
    live: bool


@dataclass(frozen=True)
class Retried:
    """`done` letters of the stream are applied or dropped, `waiting` still wait; `error` is why."""

    view: str
    stream: str
    done: int
    waiting: int
    error: str | None


_LIST: LiteralString = """
SELECT * FROM read.dead_letters
 WHERE live AND (%(everything)s OR status IN ('parked', 'follower'))
   AND (%(view)s::text IS NULL OR view = %(view)s)
 ORDER BY view, position LIMIT %(limit)s
"""

_SHOW: LiteralString = "SELECT * FROM read.dead_letters WHERE id = %s"

# What has to wait for one letter: later events of its stream, in the same build.
_BEHIND: LiteralString = """
SELECT * FROM read.dead_letters
 WHERE build = %s AND stream = %s AND position > %s AND status IN ('parked', 'follower')
 ORDER BY position LIMIT 200
"""


async def list_dead_letters(
    connection: Connection, view: str | None = None, everything: bool = False, limit: int = 200
) -> list[DeadLetter]:
    """The open ones of the live builds; `everything` adds resolved and skipped ones."""
    async with connection.cursor(row_factory=class_row(DeadLetter)) as cursor:
        await cursor.execute(_LIST, {"view": view, "everything": everything, "limit": limit})
        return await cursor.fetchall()


async def show_dead_letter(connection: Connection, letter: int) -> DeadLetter:
    """Raises NoSuchDeadLetter."""
    async with connection.cursor(row_factory=class_row(DeadLetter)) as cursor:
        await cursor.execute(_SHOW, (letter,))
        found = await cursor.fetchone()
    if found is None:
        raise NoSuchDeadLetter(f"there is no dead letter {letter}")
    return found


async def waiting_behind(connection: Connection, letter: DeadLetter) -> list[DeadLetter]:
    """Later events of the letter's stream that its view has not taken in, at most 200."""
    async with connection.cursor(row_factory=class_row(DeadLetter)) as cursor:
        await cursor.execute(_BEHIND, (letter.build, letter.stream, letter.position))
        return await cursor.fetchall()


async def retry_dead_letter(letter: int, views: Views, connect: Connect, log: Log) -> Retried:
    """Apply the stream's letters in order: the poison, then what waits. Stops at the first that fails again."""
    return await _reopen(letter, views, connect, log, skip=False)


async def skip_dead_letter(letter: int, views: Views, connect: Connect, log: Log) -> Retried:
    """Drop the stream's poison event from the view, then go on with what waits behind it."""
    return await _reopen(letter, views, connect, log, skip=True)


async def _reopen(letter: int, views: Views, connect: Connect, log: Log, skip: bool) -> Retried:
    async with connect() as connection, connection.transaction():
        row = await (await connection.execute(sql.LETTER, (letter,))).fetchone()
        if row is None or row[3] not in ("parked", "follower"):
            raise NoSuchDeadLetter(f"there is no open dead letter {letter}")
        build, stream = row[0], row[1]
        track = await _lock(connection, build, views)
        letters = await (await connection.execute(sql.OPEN_LETTERS_OF_STREAM, (build, stream))).fetchall()
        if not letters:
            raise NoSuchDeadLetter(f"dead letter {letter} has just been dealt with")
        if skip:
            await connection.execute(sql.CLOSE_LETTERS, ("skipped", [letters[0][0]]))
        done, error = await _apply(connection, track, log, letters[1:] if skip else letters)
        done += skip
        await connection.execute(sql.RAISE_EPOCH, (build,))
    message = None if error is None else f"{type(error).__name__}: {describe(error)}"
    return Retried(track.view.name, stream, done, len(letters) - done, message)


async def _lock(connection: Connection, build: int, views: Views) -> Track:
    row = await (await connection.execute(sql.LOCK_BUILD, (build,))).fetchone()
    if row is None:
        raise NoSuchDeadLetter(f"build {build} has been replaced meanwhile")
    name, version, position, epoch = row
    view = views.get(name)
    if view is None or view.version != version:
        raise UnknownView(f"this code has no view {name} version {version}")
    return await load_parked(connection, Track(view, build, position, epoch))


async def _apply(
    connection: Connection, track: Track, log: Log, letters: list[tuple[Any, ...]]
) -> tuple[int, Exception | None]:
    await connection.execute(sql.USE_SCHEMA, (track.schema,))
    resolved: list[int] = []
    error = None
    for letter, position, _, _ in letters:
        error = await try_one(connection, track, await _event_at(log, position))
        if error is not None:
            failed = (type(error).__name__, describe(error), letter)
            await connection.execute(sql.FAILED_AGAIN, failed)
            break
        resolved.append(letter)
    await connection.execute(sql.CLOSE_LETTERS, ("resolved", resolved))
    return len(resolved), error


async def _event_at(log: Log, position: int) -> Record:
    records = await log.follow(position - 1, 1)
    assert records, f"the log has no event at position {position}"
    assert records[0].position == position, f"the log has no event at position {position}"
    return records[0]
