"""Connections as the event store wants them: prepared statements, UTC, time limits, durable commits."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import orjson
import psycopg
from psycopg.conninfo import conninfo_to_dict
from psycopg.types.json import set_json_loads
from psycopg_pool import AsyncConnectionPool
from psycopg_pool.pool_async import AddConnection, MaintenanceTask

from eventstore import queries
from eventstore.errors import StoreUnavailable, UnsafeSettings

Connection = psycopg.AsyncConnection[tuple[Any, ...]]

CONNECT_TIMEOUT_S = 10
STATEMENT_TIMEOUT_MS = 30_000
# Locks are held for the milliseconds of an append; who waits longer is told, and tries again a few times.
LOCK_TIMEOUT_MS = 2_000
# Who was stopped in the middle of a transaction must not hold its locks until he wakes up.
IDLE_IN_TRANSACTION_MS = 10_000
RECONNECT_EVERY_S = 0.2
# Twice what an API works on at once. Who comes then is told at once, instead of waiting for what he will not get.
MAX_WAITING = 4_096
_DURABLE = {"on", "remote_apply"}


class Pool(AsyncConnectionPool[Connection]):
    """Is back as soon as Postgres is, and keeps its connections whoever is cancelled.

    The library waits 1, 2, 4, 8 s and so on between its tries to connect: after an outage of some seconds that is
    as long again, for everybody who uses the pool. And who is cancelled while giving a connection back takes it
    along, and the turn of the one who was to have it next: so a pool would shrink, request by request.
    """

    async def putconn(self, conn: Connection) -> None:
        await asyncio.shield(super().putconn(conn))

    async def schedule_task(self, task: MaintenanceTask, delay: float) -> None:
        if isinstance(task, AddConnection):
            delay = min(delay, RECONNECT_EVERY_S * random.uniform(0.5, 1.0))  # noqa: S311 – not a secret
        await super().schedule_task(task, delay)


async def open_pool(
    url: str, min_size: int = 1, max_size: int = 8, application_name: str = "tidemark", timeout_s: float = 10.0
) -> Pool:
    """An open pool with `min_size` connections made. `timeout_s`: how long to wait for a free connection.

    Raises StoreUnavailable when Postgres cannot be reached, UnsafeSettings when synchronous_commit is not on.
    """
    unsafe: list[UnsafeSettings] = []

    async def configure(connection: Connection) -> None:
        try:
            await prepare_connection(connection)
        except UnsafeSettings as error:
            unsafe.append(error)
            raise

    pool = Pool(
        "",
        kwargs=connection_arguments(url, application_name),
        min_size=min_size,
        max_size=max_size,
        timeout=timeout_s,
        max_waiting=MAX_WAITING,
        max_idle=300,
        reconnect_timeout=60,
        configure=configure,
        name=application_name,
        open=False,
    )
    try:
        await pool.open(wait=True, timeout=timeout_s)
    except Exception as error:
        await pool.close()
        if unsafe:
            raise unsafe[0] from error
        raise StoreUnavailable(f"no connection to Postgres within {timeout_s:g} s: {error}") from error
    except BaseException:
        await pool.close()
        raise
    return pool


async def connect(url: str, application_name: str) -> Connection:
    """One connection outside any pool, set up alike. Raises psycopg.OperationalError, UnsafeSettings."""
    arguments = connection_arguments(url, application_name)
    connection: Connection = await psycopg.AsyncConnection.connect(**arguments)
    try:
        await prepare_connection(connection)
    except BaseException:
        await connection.close()
        raise
    return connection


def connection_arguments(url: str, application_name: str) -> dict[str, Any]:
    """psycopg's connect arguments for a URL; options in the URL (a role to take on, say) come first and stay."""
    given = conninfo_to_dict(url)
    settings = {
        "timezone": "UTC",
        "synchronous_commit": "on",
        "statement_timeout": STATEMENT_TIMEOUT_MS,
        "lock_timeout": LOCK_TIMEOUT_MS,
        "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_MS,
    }
    options = " ".join(
        [str(given.get("options") or ""), *(f"-c {key}={value}" for key, value in settings.items())]
    )
    return {
        "connect_timeout": CONNECT_TIMEOUT_S,
        "keepalives_idle": 30,
        "keepalives_interval": 5,
        "keepalives_count": 3,
        "tcp_user_timeout": 30_000,
        **given,
        "application_name": application_name,
        "options": options.strip(),
        "autocommit": True,
        "prepare_threshold": 1,
    }


async def prepare_connection(connection: Connection) -> None:
    """orjson for JSON, and the promise that an acknowledged commit is on disk. Raises UnsafeSettings."""
    set_json_loads(orjson.loads, connection)
    row = await (await connection.execute(queries.SYNCHRONOUS_COMMIT)).fetchone()
    if row is None or row[0] not in _DURABLE:
        raise UnsafeSettings(f"synchronous_commit is {row[0] if row else 'unknown'}; it must be on")
