"""The parts that several composition roots need: the ledger over Postgres, and the way to Temporal."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import NoReturn

from temporalio.client import Client
from temporalio.envconfig import ClientConfig
from temporalio.service import RetryConfig, RPCError

from activities.codec import DomainCodec
from activities.ledger import Ledger
from domain.leg import State
from eventstore.bulk import BulkWriter
from eventstore.connect import Pool, open_pool
from eventstore.group_commit import GroupCommitter
from eventstore.handle import Aggregates
from eventstore.store import EventStore
from payloads import DATA_CONVERTER
from settings import Settings


class Unreachable(Exception):
    """A part that is needed does not answer; the message names it and what to do."""


@dataclass(frozen=True, slots=True)
class Books:
    """The event log and the ledger over it, of one process."""

    pool: Pool
    store: EventStore
    committer: GroupCommitter
    ledger: Ledger
    bulk: BulkWriter[State]


@asynccontextmanager
async def open_books(settings: Settings, application_name: str, timeout_s: float = 10.0) -> AsyncIterator[Books]:
    """Pool, store, group commit and ledger, closed together. `timeout_s`: the longest wait for a connection."""
    pool = await open_pool(
        settings.database_url, max_size=settings.pool_size, application_name=application_name, timeout_s=timeout_s
    )
    async with pool:
        store = EventStore(pool)
        committer = GroupCommitter(store)
        aggregates: Aggregates[State] = Aggregates(store, committer, DomainCodec())
        try:
            yield Books(pool, store, committer, Ledger(aggregates, store), aggregates.bulk())
        finally:
            await committer.close()
            await aggregates.close()


async def connect_temporal(
    address: str | None = None, *, lazy: bool = False, retry_config: RetryConfig | None = None
) -> Client:
    """By TEMPORAL_ADDRESS, TEMPORAL_API_KEY, TLS and profiles, as `temporalio.envconfig` reads them.

    `lazy` connects with the first call, so that a server that is away does not keep a process from starting.
    """
    config = ClientConfig.load_client_connect_config()
    if address is not None:
        config["target_host"] = address
    try:
        return await Client.connect(**config, data_converter=DATA_CONVERTER, lazy=lazy, retry_config=retry_config)
    except (RPCError, RuntimeError) as fault:
        where = config.get("target_host", "localhost:7233")
        raise Unreachable(f"Temporal does not answer at {where}: is the stack up? ({fault})") from fault


def leave(code: int) -> NoReturn:
    """Ends the process without finalising the interpreter.

    The Temporal client's own threads may still call into Python then, which aborts the process (exit code 134)
    after everything was done.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
