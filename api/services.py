"""What the routes work with, made once per process."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

from prometheus_client import CollectorRegistry
from temporalio.client import Client
from temporalio.service import RetryConfig

from activities.breaker import Breaker
from activities.rail import breakers, rail_client
from activities.rates import RateProvider
from api.auth import Keyring
from api.first_step import FirstStep
from api.idempotency import Answers
from api.limits import Limits
from api.metrics import Metrics
from api.own_worker import working
from api.watch import Watch
from eventstore.connect import open_pool
from eventstore.lookups import Lookups
from eventstore.tail import Tail
from queries.reader import Reader
from settings import ApiSettings, Settings
from wiring import Books, connect_temporal, open_books
from worker import make_worker

APPENDED_HERE_S: Final = 0.05
"""How long a first step may take in this process before the log is asked whether another worker did it."""
NUMBERED_S: Final = 0.01
"""The longest between two looks for a position, should the sequencer's word be missed."""

ViewsAt = tuple[tuple[str, ...], int]
"""Views that somebody waits for, and the position that all of them must have reached."""


@dataclass(frozen=True)
class Services:
    """Everything that lives as long as the process."""

    settings: Settings
    books: Books
    temporal: Client
    rates: RateProvider
    reader: Reader
    lookups: Lookups
    keyring: Keyring
    answers: Answers
    limits: Limits
    metrics: Metrics
    rails: Mapping[str, Breaker]
    """Empty where this process has no worker: then it asks no rail."""
    first_step: FirstStep
    positions: Watch[int, int]
    reached: Watch[ViewsAt, int]

    @property
    def api(self) -> ApiSettings:
        return self.settings.api


@asynccontextmanager
async def open_services(settings: Settings, temporal_address: str | None = None) -> AsyncIterator[Services]:
    """Connections to Postgres and Temporal, and a worker on the latter. Raises StoreUnavailable."""
    api = settings.api
    retrying = RetryConfig(
        initial_interval_millis=50,
        max_interval_millis=500,
        max_elapsed_time_millis=int(api.temporal_timeout_s * 1000),
    )
    # It connects with its first call: where the server is away now, reads are served meanwhile.
    temporal = await connect_temporal(temporal_address, lazy=True, retry_config=retrying)
    read_url = settings.read_database_url or settings.database_url
    async with open_books(settings, "tidemark-api", api.postgres_timeout_s) as books:
        reads = await open_pool(
            read_url,
            max_size=settings.pool_size,
            application_name="tidemark-api-reader",
            timeout_s=api.postgres_timeout_s,
        )
        async with (
            reads,
            Tail(settings.database_url, "tidemark-api-tail") as tail,
            contextlib.AsyncExitStack() as stack,
        ):
            http = await stack.enter_async_context(rail_client())
            metrics = Metrics(CollectorRegistry())
            guards: dict[str, Breaker] = {}
            if api.worker:
                guards = breakers(settings, lambda rail, closed: metrics.rail_open.labels(rail).set(not closed))
                await stack.enter_async_context(
                    working(temporal, lambda: make_worker(temporal, books, http, settings, guards=guards))
                )
            lookups, reader, answers = Lookups(books.pool), Reader(reads), Answers(books.pool)
            stack.push_async_callback(answers.close)
            patience_s = APPENDED_HERE_S if api.worker else 0
            first_step = FirstStep(temporal, lookups, api.outcome_timeout_s, patience_s)
            books.committer.heard = first_step.heard
            yield Services(
                settings=settings,
                books=books,
                temporal=temporal,
                rates=RateProvider(http, settings.fx),
                reader=reader,
                lookups=lookups,
                keyring=Keyring(books.pool, api.key_cache_s),
                answers=answers,
                limits=Limits(api.rate_per_s, api.rate_burst, api.concurrent_per_key, api.concurrent),
                metrics=metrics,
                rails=guards,
                first_step=first_step,
                positions=_numbered(lookups, tail),
                reached=Watch(_reached_by(reader)),
            )


def _numbered(lookups: Lookups, tail: Tail) -> Watch[int, int]:
    """Positions of events that are about to be numbered: the sequencer says when to look."""
    seen = 0

    async def look(event_ids: Sequence[int]) -> dict[int, int]:
        nonlocal seen
        seen = tail.head
        return await lookups.positions(event_ids)

    return Watch(look, lambda: tail.wait(seen, NUMBERED_S))


def _reached_by(reader: Reader) -> Callable[[Sequence[ViewsAt]], Awaitable[Mapping[ViewsAt, int]]]:
    """Which of the waited-for positions all of their views have reached."""

    async def look(wanted: Sequence[ViewsAt]) -> dict[ViewsAt, int]:
        names = {view for views, _ in wanted for view in views}
        at = await reader.positions(sorted(names))
        found = {}
        for views, position in wanted:
            least = min((at.get(view, 0) for view in views), default=0)
            if least >= position:
                found[views, position] = least
        return found

    return look
