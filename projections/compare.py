"""Is a view what a rebuild would make of it? Builds a shadow and compares every table row by row, both ways.

Nothing is locked and nobody waits: the comparison reads the live build and its checkpoint in one snapshot, and
takes the shadow to that very position inside the same transaction.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from psycopg import IsolationLevel
from psycopg import sql as compose

from projections.builds import create_build, drop_build
from projections.connecting import Connect, rebuild_lock, try_lock
from projections.errors import RebuildRunning, UnknownView
from projections.model import Log, Track, View, position_of, schema_of
from projections.rebuild import BATCH, NEAR, Progress, follow_to, live_build
from projections.writing import Connection, work_off

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


async def compare(
    view: View, connect: Connect, log: Log, limit: int = 20, progress: Progress | None = None
) -> Comparison:
    """At most `limit` differing rows. Raises RebuildRunning, or UnknownView where no such build is live."""
    async with connect() as connection:
        if not await try_lock(connection, rebuild_lock(view.name)):
            raise RebuildRunning(f"view {view.name} is being rebuilt or compared already")
        shadow = await create_build(connection, view, "shadow")
        try:
            await _follow_live(connection, shadow, log, progress)
            return await _compare(connection, shadow, log, limit)
        finally:
            with suppress(Exception):
                await asyncio.shield(drop_build(connection, view.name, shadow.build))


async def _follow_live(connection: Connection, shadow: Track, log: Log, progress: Progress | None) -> None:
    """Near the live checkpoint, never past it."""
    while True:
        live = min(await _live(connection, shadow.view), (await log.head()).last_position)
        if progress is not None:
            progress(shadow.position, live)
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
    await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
    async with connection.transaction():
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
