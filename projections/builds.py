"""A build of a view: a Postgres schema of its own with the view's tables, and a row with its checkpoint.

Readers see `read.<table>`, SQL views that point to the live build. A swap is one short transaction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from psycopg import errors as pg
from psycopg import sql as compose

from projections import sql
from projections.model import Track, View, schema_of
from projections.writing import Connection

LOCK_TIMEOUT_MS = 250
"""Readers queue behind a swap that waits for its locks, so it waits no longer than this before it tries again."""


async def install(connection: Connection) -> None:
    """The engine's tables and the readers' face of them. Safe to run again, also by several at once."""
    digest = hashlib.sha256((sql.INSTALL + sql.INSTALL_READ).encode()).hexdigest()
    async with connection.transaction():
        await connection.execute(sql.INSTALL_LOCK)
        if await _installed(connection) == digest:
            return
        await connection.execute(sql.INSTALL)
        present = await (await connection.execute("SELECT to_regnamespace('read') IS NOT NULL")).fetchone()
        if present != (True,):
            await connection.execute("CREATE SCHEMA read")
        await connection.execute(sql.INSTALL_READ)
        if grant := await _grant(connection, ("lag", "checkpoints", "dead_letters")):
            await connection.execute(grant)
        await connection.execute(sql.NOTE_INSTALLED, (digest,))


async def _installed(connection: Connection) -> str | None:
    if await (await connection.execute(sql.IS_INSTALLED)).fetchone() != (True,):
        return None
    row = await (await connection.execute(sql.INSTALLED)).fetchone()
    return None if row is None else str(row[0])


async def _grant(connection: Connection, faces: Sequence[str]) -> compose.Composed | None:
    """What lets our reading roles read `read.<face>`; None where there is no such role."""
    roles = await (await connection.execute(sql.READING_ROLES)).fetchall()
    if not roles:
        return None
    return compose.SQL("GRANT SELECT ON {} TO {}").format(
        compose.SQL(", ").join(compose.Identifier("read", face) for face in faces),
        compose.SQL(", ").join(compose.Identifier(role) for (role,) in roles),
    )


async def create_build(connection: Connection, view: View, status: str) -> Track:
    """An empty build: its row, its schema, its tables."""
    async with connection.transaction():
        row = await (await connection.execute(sql.NEW_BUILD, (view.name, view.version, status))).fetchone()
        assert row is not None
        schema = schema_of(view.name, row[0])
        making = compose.SQL("CREATE SCHEMA {}; SELECT set_config('search_path', {}, true);").format(
            compose.Identifier(schema), compose.Literal(schema)
        )
        await connection.execute(making + compose.SQL(view.tables))
        if status == "live":
            await point_readers(connection, view, schema)
            return Track(view, row[0], 0, 0)
        skipped = {"build": row[0], "view": view.name, "version": view.version}
        await connection.execute(sql.INHERIT_SKIPPED, skipped)
    return await load_parked(connection, Track(view, row[0], 0, 0))


async def load_parked(connection: Connection, track: Track) -> Track:
    """`track` with the streams that wait and the positions that were dropped."""
    parked = await (await connection.execute(sql.PARKED_STREAMS, (track.build,))).fetchall()
    skipped = await (await connection.execute(sql.SKIPPED_POSITIONS, (track.build,))).fetchall()
    track.parked, track.skipped = {row[0] for row in parked}, {row[0] for row in skipped}
    return track


async def point_readers(connection: Connection, view: View, schema: str) -> None:
    """`read.<table>` → this build. Dropped and made again, because another version may have other columns."""
    pointing = [
        compose.SQL("DROP VIEW IF EXISTS {face}; CREATE VIEW {face} AS SELECT * FROM {table}").format(
            face=compose.Identifier("read", face), table=compose.Identifier(schema, face)
        )
        for face in view.faces
    ]
    if grant := await _grant(connection, view.faces):
        pointing.append(grant)
    await connection.execute(compose.SQL("; ").join(pointing))


async def drop_build(connection: Connection, view: str, build: int) -> None:
    """The schema first: its row still names it, should we die between the two. Never the live one."""
    schema = compose.Identifier(schema_of(view, build))
    await connection.execute(compose.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(schema))
    await connection.execute(sql.FORGET_BUILD, {"build": build})


async def with_leftovers(connection: Connection) -> set[str]:
    """The views that `clear_leftovers` is for: mostly none."""
    return {name for (name,) in await (await connection.execute(sql.WITH_LEFTOVERS)).fetchall()}


async def clear_leftovers(connection: Connection, view: str) -> None:
    """What a rebuild or comparison that died left behind. The caller holds the view's rebuild lock."""
    for build, _, status, _, _ in await (await connection.execute(sql.BUILDS_OF, (view,))).fetchall():
        if status in ("building", "shadow"):
            await drop_build(connection, view, build)
    for (build,) in await (await connection.execute(sql.RETIRED_WITH_SCHEMA, (view,))).fetchall():
        await drop_schema(connection, view, build)


async def drop_schema(connection: Connection, view: str, build: int) -> None:
    """Of a retired build. A reader that is still in it makes us leave it for the next time."""
    schema = compose.Identifier(schema_of(view, build))
    try:
        async with connection.transaction():
            await set_lock_timeout(connection)
            await connection.execute(compose.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(schema))
    except pg.LockNotAvailable:
        return


async def set_lock_timeout(connection: Connection) -> None:
    await connection.execute("SELECT set_config('lock_timeout', %s, true)", (f"{LOCK_TIMEOUT_MS}ms",))
