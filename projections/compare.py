"""Is a view what a rebuild would make of it? Builds a shadow and compares every table row by row, both ways.

Nothing is locked and nobody waits: the comparison reads the live build and its checkpoint in one snapshot, and
takes the shadow to that very position inside the same transaction. Several views' shadows are built side by side,
from one read of the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass
from typing import Any

from psycopg import errors as pg
from psycopg import sql as compose

from projections import sql
from projections.builds import create_build, drop_build
from projections.connecting import Connect, rebuild_lock, try_lock
from projections.decoding import Dealer, prepare
from projections.errors import Fault, ProjectionError, RebuildRunning, UnknownView, fault_of
from projections.model import Log, Track, View, position_of, schema_of
from projections.rebuild import BATCH, NEAR, Progress, follow_to, live_build
from projections.writing import Connection, commit, work_off

_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = %s ORDER BY tablename"

_DIFFERENCES = compose.SQL("""
SELECT 'only_in_view' AS side, to_jsonb(a) FROM (SELECT * FROM {live} EXCEPT ALL SELECT * FROM {shadow}) AS a
UNION ALL
SELECT 'only_in_rebuild', to_jsonb(b) FROM (SELECT * FROM {shadow} EXCEPT ALL SELECT * FROM {live}) AS b
LIMIT %s
""")


@dataclass(frozen=True)
class Difference:
    """`side` is `only_in_view` or `only_in_rebuild`."""

    table: str
    side: str
    row: dict[str, Any]


@dataclass(frozen=True)
class Comparison:
    """At `position`, the view's checkpoint."""

    view: str
    build: int
    position: int
    rows: int
    differences: tuple[Difference, ...]

    @property
    def equal(self) -> bool:
        return not self.differences


async def compare_all(
    views: Sequence[View], connect: Connect, log: Log, limit: int = 20, progress: Progress | None = None
) -> AsyncGenerator[tuple[View, Comparison | Exception], None]:
    """Each view with its comparison, of at most `limit` differing rows; or with what kept it from being compared:
    a ProjectionError, or Postgres' own where its tables are not what they were.

    The log is read once for all of them. A view may be rebuilt as soon as it has been told of.
    """
    async with connect() as connection:
        shadows: list[Track] = []
        try:
            for view in views:
                try:
                    shadows.append(await _shadow(connection, view))
                except (ProjectionError, pg.ProgrammingError) as error:
                    yield view, error
            await _follow_together(connection, shadows, log, progress)
            while shadows:
                found: Comparison | Exception
                try:
                    await _follow_live(connection, shadows[0], log)
                    found = await _compare(connection, shadows[0], log, limit)
                except (ProjectionError, pg.ProgrammingError) as error:
                    found = error
                shadow = shadows.pop(0)
                await _end(connection, [shadow])
                yield shadow.view, found
        finally:
            with suppress(Exception):
                await asyncio.shield(_end(connection, shadows))


async def compare(view: View, connect: Connect, log: Log, limit: int = 20) -> Comparison:
    """One view. Raises RebuildRunning, or UnknownView where no such build is live."""
    async with aclosing(compare_all([view], connect, log, limit)) as found:
        async for _, one in found:
            if isinstance(one, Exception):
                raise one
            return one
    raise AssertionError("every view is told of")


async def _shadow(connection: Connection, view: View) -> Track:
    if not await try_lock(connection, rebuild_lock(view.name)):
        raise RebuildRunning(f"view {view.name} is being rebuilt or compared already")
    await _live(connection, view)
    return await create_build(connection, view, "shadow")


async def _end(connection: Connection, shadows: Sequence[Track]) -> None:
    for shadow in shadows:
        with suppress(Exception):  # what is left is cleared away by the next rebuild
            await drop_build(connection, shadow.view.name, shadow.build)
        await connection.execute(sql.UNLOCK, (rebuild_lock(shadow.view.name),))


async def _follow_together(
    connection: Connection, shadows: Sequence[Track], log: Log, progress: Progress | None
) -> None:
    """Near the live checkpoint that has come least far; each goes on alone where its own has come further."""
    if not shadows:
        return
    dealer = Dealer([shadow.view for shadow in shadows])
    upto = min([await _live(connection, shadow.view) for shadow in shadows])
    upto = min(upto, (await log.head()).last_position)
    while True:
        position = shadows[0].position
        if progress is not None:
            progress(position, upto)
        if upto - position < NEAR:
            return
        records = [record for record in await log.follow(position, BATCH) if position_of(record) <= upto]
        try:
            dealt = dealer.deal(records)
            await commit(connection, [prepare(shadow, position, dealt) for shadow in shadows])
        except Exception as error:
            if fault_of(error) in (Fault.MOVED, Fault.TRANSIENT):
                raise
            for shadow in shadows:  # one of them parks what is poison to it
                await work_off(connection, shadow, records)


async def _follow_live(connection: Connection, shadow: Track, log: Log) -> None:
    """Near the live checkpoint, never past it."""
    while True:
        live = min(await _live(connection, shadow.view), (await log.head()).last_position)
        if live - shadow.position < NEAR:
            return
        records = await log.follow(shadow.position, BATCH)
        await work_off(connection, shadow, [record for record in records if position_of(record) <= live])


async def _live(connection: Connection, view: View) -> int:
    live = await live_build(connection, view.name)
    if live is None or live.version != view.version:
        raise UnknownView(f"view {view.name} version {view.version} is not live")
    return live.position


async def _compare(connection: Connection, shadow: Track, log: Log, limit: int) -> Comparison:
    differences: list[Difference] = []
    async with connection.transaction():
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        live = await live_build(connection, shadow.view.name)
        if live is None:
            raise UnknownView(f"view {shadow.view.name} is not live")
        live_schema, rows = schema_of(shadow.view.name, live.build), 0
        await follow_to(connection, shadow, log, live.position)
        # Comparing reads whole tables: here a plan may hash and scan.
        await connection.execute(
            "SELECT set_config('enable_seqscan', 'on', true), set_config('enable_hashjoin', 'on', true)"
        )
        for (table,) in await (await connection.execute(_TABLES, (shadow.schema,))).fetchall():
            names = {
                "live": compose.Identifier(live_schema, table),
                "shadow": compose.Identifier(shadow.schema, table),
            }
            found = await connection.execute(_DIFFERENCES.format(**names), (limit - len(differences),))
            differences += [Difference(table, side, row) for side, row in await found.fetchall()]
            count = await connection.execute(compose.SQL("SELECT count(*) FROM {live}").format(**names))
            rows += (await count.fetchone() or (0,))[0]
    return Comparison(shadow.view.name, live.build, live.position, rows, tuple(differences))
