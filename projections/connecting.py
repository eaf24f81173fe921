"""The projector's connections. All writing of a view happens on the very connection that holds its lock.

So whoever loses the connection loses the lock and the means to write at the same moment. A leader that is silent
loses it, too: see HOLD_LEAD in eventstore/queries.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from projections import sql
from projections.writing import Connection

Connect = Callable[[], AbstractAsyncContextManager[Connection]]
"""Opens a dedicated connection and closes it at the end of the block."""

# A dead peer is noticed within seconds, by either side.
_KEEPALIVE: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 2,
    "keepalives_interval": 1,
    "keepalives_count": 3,
    "tcp_user_timeout": 5000,
}

# synchronous_commit: a view and its checkpoint are lost together or not at all, so a crash of the server costs
# some catching up and nothing else. Plans: statements are prepared while the tables are small; without these the
# plan of the first batches (scan the whole table) would still be used when the tables are large. Limits: a rebuild
# that was stopped in the middle of its swap must not hold up the projector for ever.
_SESSION = """
SELECT set_config('synchronous_commit', 'off', false), set_config('jit', 'off', false),
       set_config('enable_seqscan', 'off', false), set_config('enable_hashjoin', 'off', false),
       set_config('enable_mergejoin', 'off', false), set_config('timezone', 'UTC', false),
       set_config('client_min_messages', 'warning', false),
       set_config('lock_timeout', '10s', false), set_config('idle_in_transaction_session_timeout', '10s', false)
"""


def connector(url: str, application_name: str = "tidemark-projector") -> Connect:
    """Connections to `url`, as the projector's role."""

    @asynccontextmanager
    async def connect() -> AsyncIterator[Connection]:
        given = conninfo_to_dict(url)
        conninfo = make_conninfo(url, **{key: value for key, value in _KEEPALIVE.items() if key not in given})
        connection = await psycopg.AsyncConnection.connect(
            conninfo, autocommit=True, application_name=application_name
        )
        try:
            await connection.execute(_SESSION)
            yield connection
        finally:
            await connection.close()

    return connect


async def try_lock(connection: Connection, name: str) -> bool:
    """An advisory lock that lasts as long as the connection. False where somebody else has it."""
    row = await (await connection.execute(sql.TRY_LOCK, (name,))).fetchone()
    return row is not None and bool(row[0])


def rebuild_lock(view: str) -> str:
    return f"tidemark:rebuild:{view}"


def leader_lock(group: str) -> str:
    return f"tidemark:projection:{group}"
