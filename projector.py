"""Composition root of the projection worker: `python projector.py`, configured by the environment (settings.py).

It numbers what has committed (the sequencer) and keeps the read views up to date. Any number of them may run: one
leads, the others stand by.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry, start_http_server

from collecting import spare_what_stays
from eventstore.connect import Pool, open_pool
from eventstore.errors import StoreUnavailable
from eventstore.sequencer import Sequencer
from eventstore.store import EventStore
from eventstore.tail import Tail
from logs import configure_logging
from projections.catalogue import VIEWS
from projections.connecting import connector
from projections.metrics import Metrics
from projections.runner import Runner
from settings import Settings

RETRY_S = 1.0

log = structlog.get_logger()


async def main(settings: Settings) -> None:
    """Runs until SIGTERM or SIGINT, then ends after the transaction under way."""
    url = settings.projector_database_url or settings.database_url
    if not url:
        raise SystemExit("projector.py: set TIDEMARK_PROJECTOR_DATABASE_URL or DATABASE_URL")
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    pool = await _open(url, stop)
    if pool is None:
        return
    spare_what_stays()
    connect = connector(url)
    async with pool, Tail(url, "tidemark-projector-tail") as tail, asyncio.TaskGroup() as tasks:
        runner = Runner(list(VIEWS.values()), connect, EventStore(pool), tail.wait)
        tasks.create_task(Sequencer(url, heard=tail.hear).run(stop), name="sequencer")
        tasks.create_task(runner.run(stop), name="projections")
        tasks.create_task(_say_ready(settings, runner, stop), name="ready")
        if settings.metrics_port is not None:
            registry = CollectorRegistry()
            start_http_server(settings.metrics_port, settings.metrics_host, registry)
            tasks.create_task(Metrics(registry).run(connect, stop), name="metrics")
    log.info("projector stopped")


async def _open(url: str, stop: asyncio.Event) -> Pool | None:
    """A projector outlives its Postgres, so it also waits for one that is not there yet. None: told to stop."""
    while not stop.is_set():
        try:
            return await open_pool(url, max_size=4, application_name="tidemark-projector-read")
        except StoreUnavailable as error:
            log.warning("projector waits for Postgres", error=str(error)[:200])
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), RETRY_S * random.uniform(0.5, 1.0))  # noqa: S311 – not a secret
    return None


async def _say_ready(settings: Settings, runner: Runner, stop: asyncio.Event) -> None:
    """Once it leads or stands by."""
    waits = [asyncio.ensure_future(runner.standing_by.wait()), asyncio.ensure_future(stop.wait())]
    await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    for wait in waits:
        wait.cancel()
    if settings.ready_file and not stop.is_set():
        Path(settings.ready_file).touch()
    log.info("projector ready", leading=runner.leading)


if __name__ == "__main__":
    given = Settings()
    configure_logging(given.log_level)
    asyncio.run(main(given))
