"""Builds a view anew beside the live one, then swaps: readers and the running projector are never stopped for it.

Runs in any process. A build that was interrupted is cleared away by the next one, or when a projector starts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import NamedTuple

from psycopg import errors as pg

from projections import sql
from projections.builds import (
    clear_leftovers,
    create_build,
    drop_build,
    drop_schema,
    point_readers,
    set_lock_timeout,
)
from projections.connecting import Connect, rebuild_lock, try_lock
from projections.errors import Fault, RebuildRunning, fault_of
from projections.model import Log, Track, View, position_of
from projections.writing import Connection, work_off

BATCH = 2000
"""Events per transaction."""
NEAR = 1000
"""Events behind at which the last stretch begins."""
SWAP_ATTEMPTS = 200

Progress = Callable[[int, int], None]
"""Called with (position reached, position to reach) after every batch."""


@dataclass(frozen=True)
class Rebuilt:
    """`build` is live now, at `position`; `replaced` is gone (None: there was none)."""

    view: str
    version: int
    build: int
    position: int
    replaced: int | None


class _Live(NamedTuple):
    build: int
    version: int
    position: int
    epoch: int


async def rebuild(view: View, connect: Connect, log: Log, progress: Progress | None = None) -> Rebuilt:
    """Build, catch up, swap. Raises RebuildRunning where somebody is at it already."""
    async with connect() as connection:
        if not await try_lock(connection, rebuild_lock(view.name)):
            raise RebuildRunning(f"view {view.name} is being rebuilt or compared already")
        await clear_leftovers(connection, view.name)
        track = await create_build(connection, view, "building")
        try:
            await catch_up(connection, track, log, progress)
            replaced = await _swap(connection, track, log)
        except BaseException:
            with suppress(Exception):  # without a connection: the next rebuild clears it away
                await asyncio.shield(drop_build(connection, view.name, track.build))
            raise
        if replaced is not None:
            await drop_schema(connection, view.name, replaced)
        return Rebuilt(view.name, view.version, track.build, track.position, replaced)


async def catch_up(connection: Connection, track: Track, log: Log, progress: Progress | None = None) -> None:
    """Until fewer than NEAR events are left."""
    while True:
        head = (await log.head()).last_position
        if progress is not None:
            progress(track.position, head)
        if head - track.position < NEAR:
            return
        await work_off(connection, track, await log.follow(track.position, BATCH))


async def follow_to(connection: Connection, track: Track, log: Log, position: int) -> None:
    """Exactly to `position`, which is the end of an append; or to the end of the log, where that comes first."""
    while track.position < position:
        records = await log.follow(track.position, min(BATCH, position - track.position))
        if not records:
            return
        await work_off(connection, track, [record for record in records if position_of(record) <= position])


async def _swap(connection: Connection, track: Track, log: Log) -> int | None:
    """Try until readers and the projector leave a gap; each try is short, and undone as a whole."""
    for _ in range(SWAP_ATTEMPTS):
        await catch_up(connection, track, log)
        before = (track.position, set(track.parked))
        try:
            return await _swap_once(connection, track, log)
        except Exception as error:
            track.position, track.parked = before
            if fault_of(error) is not Fault.TRANSIENT or connection.closed:
                raise
        await asyncio.sleep(0.05)
    raise pg.LockNotAvailable(f"readers of {track.view.name} never left a gap to swap it")


async def _swap_once(connection: Connection, track: Track, log: Log) -> int | None:
    async with connection.transaction():
        await set_lock_timeout(connection)
        live = await live_build(connection, track.view.name, lock=True)
        # To the end of the log: at least as far as the live one, and further where nothing moves that.
        await follow_to(connection, track, log, (await log.head()).last_position)
        if live is not None:
            await connection.execute(sql.CLOSE_LETTERS_OF_BUILD, (live.build,))
            await connection.execute(sql.SET_STATUS, ("retired", live.build))
        await point_readers(connection, track.view, track.schema)
        await connection.execute(sql.SET_STATUS, ("live", track.build))
    return None if live is None else live.build


async def live_build(connection: Connection, view: str, lock: bool = False) -> _Live | None:
    """With `lock` the projector waits until the transaction ends."""
    query = sql.LOCK_LIVE_BUILD if lock else sql.LIVE_BUILD
    row = await (await connection.execute(query, (view,))).fetchone()
    return None if row is None else _Live(*row)
