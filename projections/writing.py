"""Commits a batch: every view's changes and every checkpoint in one transaction, or none of it.

`commit` is the fast path over many views. `work_off` takes one view through a batch that fails: halves it until
the event at fault is alone, parks it, and goes on; what follows in its stream waits behind it, others do not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from psycopg import AsyncConnection

from domain.streams import category_of
from failpoints import hit
from projections import sql
from projections.decoding import Dealer, Work, by_append, decode, prepare
from projections.errors import Fault, fault_of
from projections.model import Batch, Record, Row, Statement, Track, position_of

Connection = AsyncConnection[Any]
ERROR_LIMIT = 2000
"""Characters kept of an error's message."""


async def commit(connection: Connection, works: Sequence[Work]) -> None:
    """Raises CheckpointMoved's SQLSTATE, a transient error, or the handler's own.

    All in one round trip but for the ends of the transaction: after a pipeline that ends with COMMIT the server
    may not count the session's idle time (a flush can follow the sync), and that time is the leader's lease.
    """
    async with connection.transaction():
        async with connection.pipeline():
            await _advance(connection, works)
            for work in works:
                await _run(connection, work.statements)
                await _park(connection, work.track, [_letter(event, "follower") for event in work.followers])
        hit("projection:before_commit")
    for work in works:
        work.track.position = work.upto
    hit("projection:after_commit")


async def work_off(connection: Connection, track: Track, records: Sequence[Record]) -> None:
    """Take `track` to the end of `records` (whole appends), parking what is poison. Raises every other fault."""
    await _halve(connection, track, Dealer([track.view]), by_append(records))


async def _halve(
    connection: Connection, track: Track, dealer: Dealer, appends: Sequence[Sequence[Record]]
) -> None:
    records = [record for append in appends for record in append]
    if not records or position_of(records[-1]) <= track.position:
        return
    try:
        await commit(connection, [prepare(track, track.position, dealer.deal(records))])
    except Exception as error:
        if fault_of(error) is not Fault.POISON:
            raise
        if len(appends) == 1:
            await _one_by_one(connection, track, appends[0])
            return
        middle = len(appends) // 2
        await _halve(connection, track, dealer, appends[:middle])
        await _halve(connection, track, dealer, appends[middle:])


async def _one_by_one(connection: Connection, track: Track, append: Sequence[Record]) -> None:
    """One append, each event in a savepoint of its own; the checkpoint still moves over the whole of it."""
    parked, letters, upto = set(track.parked), list[Row](), position_of(append[-1])
    async with connection.transaction():
        await _advance(connection, [Work(track, track.position, upto, [], [])])
        for record in append:
            wanted = (category_of(record.stream), record.type) in track.view.wants
            position = position_of(record)
            if not wanted or position <= track.position or position in track.skipped:
                continue
            if record.stream in parked:
                letters.append(_letter(record, "follower"))
                continue
            error = await try_one(connection, track, record)
            if error is not None:
                parked.add(record.stream)
                letters.append(_letter(record, "parked", error, track.failures + 1))
        await _park(connection, track, letters)
        hit("projection:before_commit")
    track.position, track.parked = upto, parked
    hit("projection:after_commit")


async def try_one(connection: Connection, track: Track, record: Record) -> Exception | None:
    """Apply one event inside a savepoint; its error where it is poison. Raises every other fault.

    The search path is the view's already.
    """
    try:
        statements = track.view.apply(Batch([decode(record)]))
        async with connection.transaction():
            await _run(connection, statements)
    except Exception as error:
        if fault_of(error) is not Fault.POISON:
            raise
        return error
    return None


async def _advance(connection: Connection, works: Sequence[Work]) -> None:
    """Moves the checkpoints, and has the transaction look for tables in these builds."""
    steps = (
        [work.track.build for work in works],
        [work.since for work in works],
        [work.track.epoch for work in works],
        [work.upto for work in works],
        ",".join(work.track.schema for work in works),
    )
    await connection.execute(sql.ADVANCE, steps, prepare=True)


async def _run(connection: Connection, statements: Sequence[Statement]) -> None:
    for statement in statements:
        await connection.execute(statement.sql, (orjson.dumps(statement.rows).decode(),), prepare=True)


async def _park(connection: Connection, track: Track, letters: Sequence[Row]) -> None:
    if letters:
        rows = orjson.dumps(letters).decode()
        await connection.execute(sql.PARK, (track.view.name, track.build, rows))


def _letter(record: Record, status: str, error: Exception | None = None, attempts: int = 0) -> Row:
    return {
        "stream": record.stream,
        "position": position_of(record),
        "type": record.type,
        "status": status,
        "error_class": type(error).__name__ if error else None,
        "error": describe(error) if error else None,
        "attempts": attempts,
    }


def describe(error: BaseException) -> str:
    """The message, cut to what a table should hold (a NUL byte is not text to Postgres)."""
    return str(error).replace("\x00", "")[:ERROR_LIMIT]
