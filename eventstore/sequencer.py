"""Numbers committed events: position after position, without gaps, in an order no reader can be surprised by.

One leader among any number of processes, by an advisory lock of its session: when the leader dies, Postgres drops
the lock with its connection and a standby takes over within a second; when it is silent for five seconds, Postgres
ends its session, and it is the same. Two at once would do no harm either (a row lock lets one pass at a time); the
lock is there so that they do not do the work twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable

import psycopg

from eventstore import queries
from eventstore.attempts import backoff_s
from eventstore.connect import RECONNECT_EVERY_S, Connection, connect
from eventstore.errors import UnsafeSettings

BATCH_APPENDS = 2_000
BUSY_POLL_S = 0.02
IDLE_POLL_S = 0.05
STANDBY_POLL_S = 0.5
PARTITIONS_EVERY_S = 60.0

_log = logging.getLogger(__name__)


class Sequencer:
    """Run one per projector process. The URL's role needs to be tidemark_projector's, or an owner's.

    `heard` is told where the log ends after each batch: to who is in this process that is sooner than NOTIFY.
    """

    def __init__(
        self,
        url: str,
        application_name: str = "tidemark-sequencer",
        heard: Callable[[int], None] = lambda _head: None,
    ) -> None:
        self._url = url
        self._application_name = application_name
        self._heard = heard
        self._leads = False

    @property
    def is_leader(self) -> bool:
        """Whether this one numbers now, as far as it knows."""
        return self._leads

    async def run(self, stop: asyncio.Event) -> None:
        """Number until `stop` is set. Outlives restarts of Postgres; raises UnsafeSettings."""
        attempt = 0
        while not stop.is_set():
            try:
                connection = await connect(self._url, self._application_name)
                try:
                    attempt = 0
                    await self._serve(connection, stop)
                finally:
                    self._leads = False
                    await connection.close()
            except UnsafeSettings:
                raise
            except (psycopg.Error, OSError) as error:
                attempt += 1
                _log.warning("sequencer: no connection or an error, trying again: %s", str(error).strip())
                await _pause(stop, backoff_s(attempt, first_s=0.05, most_s=RECONNECT_EVERY_S))

    async def _serve(self, connection: Connection, stop: asyncio.Event) -> None:
        loop = asyncio.get_running_loop()
        while not stop.is_set() and not await _leads(connection):
            await _pause(stop, STANDBY_POLL_S)
        self._leads = not stop.is_set()
        await connection.execute(queries.HOLD_LEAD)
        await connection.execute(queries.LISTEN_APPENDED)
        partitions_due, pause_s = loop.time(), BUSY_POLL_S
        while not stop.is_set():
            if loop.time() >= partitions_due:
                await _ensure_partitions(connection)
                partitions_due = loop.time() + PARTITIONS_EVERY_S
            appends, head = await _number(connection, BATCH_APPENDS)
            if appends:
                self._heard(head)
            if appends >= BATCH_APPENDS:
                continue
            pause_s = BUSY_POLL_S if appends else min(IDLE_POLL_S, pause_s * 1.2)
            await _rest(connection, pause_s)


async def sequence_once(connection: Connection, limit: int = BATCH_APPENDS) -> int:
    """Number up to `limit` appends that have committed; how many it were. Commits (or joins the transaction)."""
    appends, _ = await _number(connection, limit)
    return appends


async def _number(connection: Connection, limit: int) -> tuple[int, int]:
    """How many appends were numbered, and where the numbered log ends."""
    row = await (await connection.execute(queries.SEQUENCE, {"limit": limit})).fetchone()
    assert row is not None
    appends, _, head = row
    return appends, head


async def _leads(connection: Connection) -> bool:
    row = await (await connection.execute(queries.TRY_LEAD)).fetchone()
    return row is not None and row[0] is True


async def _ensure_partitions(connection: Connection) -> None:
    """Far ahead of need, so a failure (a long lock on the table, say) may wait for the next time."""
    try:
        await connection.execute(queries.ENSURE_PARTITIONS)
    except psycopg.OperationalError as error:
        if connection.closed:
            raise
        _log.error("sequencer: could not make the next partitions of events: %s", str(error).strip())


async def _rest(connection: Connection, seconds: float) -> None:
    """For so long, or until somebody says that there is an append."""
    async for _ in connection.notifies(timeout=seconds, stop_after=1):
        return


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await stop.wait()
