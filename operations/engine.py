"""The projector's own state: is the log numbered, do the views move, what have dead processes left behind?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, LiteralString

from eventstore.verify import Finding
from projections.builds import drop_build
from projections.connecting import Connect, leader_lock, rebuild_lock, try_lock
from projections.model import Views
from projections.runner import RunnerSettings
from projections.writing import Connection

SETTLE_S = 3.0
"""A view or the numbering that has not moved in this time, with work waiting, does not move."""

_LAG: LiteralString = """
SELECT view, position, head_position, unsequenced_events FROM read.lag WHERE status = 'live' ORDER BY view
"""
_LIVE: LiteralString = "SELECT view FROM projection.builds WHERE status = 'live'"
_UNFINISHED: LiteralString = """
SELECT view, build, status FROM projection.builds WHERE status IN ('building', 'shadow') ORDER BY build
"""
# Schemas of builds that are retired, or of which nothing else is left.
_STRAY: LiteralString = """
SELECT n.nspname::text FROM pg_namespace n
 WHERE n.nspname ~ '^view_.*_[0-9]+$' AND NOT EXISTS (
       SELECT FROM projection.builds b
        WHERE b.status <> 'retired' AND n.nspname = 'view_' || b.view || '_' || b.build)
 ORDER BY 1
"""
_HOLDER: LiteralString = """
SELECT l.pid, coalesce(a.application_name, '?'),
       coalesce(extract(epoch FROM clock_timestamp() - a.state_change), 0)
  FROM pg_locks l LEFT JOIN pg_stat_activity a USING (pid)
 WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
   AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
   AND ((l.classid::bigint << 32) | l.objid::bigint) =
       CASE WHEN %(name)s ~ '^[0-9]+$' THEN %(name)s::bigint ELSE hashtextextended(%(name)s, 0) END
"""
SEQUENCER_LOCK = "8449003"
"""`eventstore.queries.TRY_LEAD`, as text."""
VIEWS_LOCK = leader_lock(RunnerSettings().group)
NAMES = {SEQUENCER_LOCK: "sequencer", VIEWS_LOCK: "views"}
"""What a leader lock is called in a finding."""


async def check_engine(connect: Connect, views: Views) -> tuple[dict[str, Any], list[Finding]]:
    """Looks twice where something waits."""
    async with connect() as connection:
        findings = await _builds(connection, views)
        before = await _lag(connection)
        waiting = [row for row in before if row[1] < row[2] or row[3]]
        if waiting:
            await asyncio.sleep(SETTLE_S)
        after = await _lag(connection) if waiting else before
        findings += await _standing(connection, before, after)
    return {"builds": len(before)}, findings


async def _builds(connection: Connection, views: Views) -> list[Finding]:
    live = {row[0] for row in await _rows(connection, _LIVE)}
    found = [Finding("view_missing", name, "was never built") for name in views if name not in live]
    for view, build, status in await _rows(connection, _UNFINISHED):
        if await _nobody_at(connection, rebuild_lock(view)):
            found.append(
                Finding("build_orphaned", f"view_{view}_{build}", f"was left {status} by a process that died")
            )
    unfinished = {f"view_{view}_{build}" for view, build, _ in await _rows(connection, _UNFINISHED)}
    for (schema,) in await _rows(connection, _STRAY):
        view = schema.removeprefix("view_").rpartition("_")[0]
        if schema not in unfinished and await _nobody_at(connection, rebuild_lock(view)):
            found.append(Finding("build_orphaned", schema, "its view has another build since"))
    return found


async def _standing(connection: Connection, before: list[Any], after: list[Any]) -> list[Finding]:
    """What waits and has not moved, and who holds the place of those that should move it."""
    found, was, stuck = list[Finding](), {row[0]: row for row in before}, set[str]()
    still = 0
    for view, position, head, _ in after:
        if position > head:
            found.append(Finding("view_ahead", view, f"is at position {position}, the log ends at {head}"))
        elif view in was and position == was[view][1] < was[view][2]:
            still += 1
            found.append(Finding("view_behind", view, f"stands at position {position} of {head}"))
    if still and still == len(after):
        stuck.add(VIEWS_LOCK)
    if after and after[0][3] and before[0][3] and after[0][2] == before[0][2]:
        found.append(Finding("log_not_numbered", "log", f"{after[0][3]} events have no position and get none"))
        stuck.add(SEQUENCER_LOCK)
    for name in sorted(stuck):
        for pid, application, idle_s in await holders(connection, name):
            message = f"pid {pid} ({application}) holds its lock and does nothing since {idle_s:.0f} s"
            found.append(Finding("leader_stuck", NAMES[name], message))
    return found


async def holders(connection: Connection, lock: str) -> list[tuple[int, str, float]]:
    """(pid, application, seconds since it last did anything) of the sessions that hold an advisory lock."""
    rows = await (await connection.execute(_HOLDER, {"name": lock})).fetchall()
    return [(row[0], row[1], float(row[2])) for row in rows]


async def end_leader(connection: Connection, name: str) -> list[int]:
    """Ends the sessions that hold the leader lock of `sequencer` or `views`; a standby takes over within a second.

    Whoever lost its session finds that out with its next statement and changes nothing.
    """
    [lock] = [lock for lock, known in NAMES.items() if known == name]
    pids = [pid for pid, _, _ in await holders(connection, lock)]
    for pid in pids:
        await connection.execute("SELECT pg_terminate_backend(%s)", (pid,))
    return pids


async def drop_orphan(connection: Connection, schema: str) -> bool:
    """A build that nobody finishes, with its row. False where somebody is at that view after all."""
    view, _, build = schema.removeprefix("view_").rpartition("_")
    if not await try_lock(connection, rebuild_lock(view)):
        return False
    try:
        await drop_build(connection, view, int(build))
    finally:
        await _unlock(connection, rebuild_lock(view))
    return True


async def _nobody_at(connection: Connection, lock: str) -> bool:
    free = await try_lock(connection, lock)
    if free:
        await _unlock(connection, lock)
    return free


async def _unlock(connection: Connection, lock: str) -> None:
    await connection.execute("SELECT pg_advisory_unlock(hashtextextended(%s, 0))", (lock,))


async def _lag(connection: Connection) -> list[Any]:
    return list(await _rows(connection, _LAG))


async def _rows(connection: Connection, query: LiteralString) -> Iterable[Any]:
    return await (await connection.execute(query)).fetchall()
