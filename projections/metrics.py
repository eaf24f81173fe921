"""Lag and dead letters as Prometheus gauges, sampled from the log by every projector, leader or standby."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import LiteralString

import psycopg
import structlog
from prometheus_client import CollectorRegistry, Gauge

from projections.connecting import Connect
from projections.writing import Connection

SAMPLE_EVERY_S = 1.0

LAG: LiteralString = """
SELECT view, lag_events, lag_ms, dead_letters, head_position, unsequenced_events
  FROM read.lag WHERE status = 'live'
"""
# Whether the last segment of WAL that was offered to the archive did not get there.
ARCHIVE: LiteralString = """
SELECT last_failed_time IS NOT NULL AND last_failed_time > coalesce(last_archived_time, '-infinity')
  FROM pg_stat_archiver
"""

_log = structlog.get_logger()


class Metrics:
    """`run` until told to stop; a failed sample leaves the last values and is counted as none."""

    def __init__(self, registry: CollectorRegistry) -> None:
        by_view = ("view",)
        self._events = Gauge(
            "tidemark_projection_lag_events", "Events a view has not taken in", by_view, registry=registry
        )
        self._ms = Gauge(
            "tidemark_projection_lag_ms", "Age of the oldest event not taken in", by_view, registry=registry
        )
        self._dead = Gauge("tidemark_dead_letters", "Events parked for a view", by_view, registry=registry)
        self._head = Gauge("tidemark_sequenced_position", "Last position of the log", registry=registry)
        self._unsequenced = Gauge(
            "tidemark_unsequenced_events", "Committed events without a position", registry=registry
        )
        self._archive = Gauge(
            "tidemark_wal_archive_failing", "1 while WAL does not reach the archive", registry=registry
        )

    async def run(self, connect: Connect, stop: asyncio.Event) -> None:
        """Never raises but CancelledError."""
        while not stop.is_set():
            try:
                async with connect() as connection:
                    while not stop.is_set():
                        await self.sample(connection)
                        await _pause(stop)
            except (psycopg.Error, OSError) as error:
                _log.warning("metrics_not_sampled", error=str(error)[:200])
                await _pause(stop)

    async def sample(self, connection: Connection) -> None:
        """Read the lag once and set every gauge."""
        self._archive.set(await archive_fails(connection))
        rows = await (await connection.execute(LAG)).fetchall()
        for view, events, lag_ms, dead, head, unsequenced in rows:
            self._events.labels(view).set(events)
            self._ms.labels(view).set(lag_ms)
            self._dead.labels(view).set(dead)
            self._head.set(head)
            self._unsequenced.set(unsequenced)


async def archive_fails(connection: Connection) -> bool:
    """Whether WAL is offered to an archive that does not take it."""
    return await (await connection.execute(ARCHIVE)).fetchone() == (True,)


async def _pause(stop: asyncio.Event) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), SAMPLE_EVERY_S)
