"""Where all sides stand: one stack of this machine (its Postgres, its Temporal server), a referee over its log."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from psycopg import sql

import stack
from activities.batch_items import BatchItemTable
from benchmarks.client import ACCOUNTS
from benchmarks.measuring import BrokenInvariant, tell
from cli.local import stack_config
from commands.accounts import AccountCommands
from domain.money import Money
from eventstore.lookups import Lookups
from eventstore.migrate import migrate
from operations.audit import Audit
from operations.verify import Verifier
from settings import Settings
from stack.database import APP, PROJECTOR, READER, with_role
from wiring import Books, connect_temporal, open_books

CATCH_UP_S = 120.0
READ_AT_ONCE = 2_000

BEHIND = "SELECT coalesce(max(lag_events), 1), count(*) FROM read.lag WHERE status = 'live'"


@dataclass
class Stand:
    """Get one from `stand`."""

    info: stack.StackInfo
    books: Books
    audit: Audit = field(default_factory=Audit)
    audited: int = 0

    @property
    def ours(self) -> dict[str, str]:
        """The environment of a program of ours on this stack."""
        return {"DATABASE_URL": self.info.database, "TEMPORAL_ADDRESS": self.info.temporal}

    def database(self, name: str, *, log: bool = False) -> str:
        """The superuser's URL of a new database on the same Postgres; migrated where it is to hold a log."""
        with psycopg.connect(self.info.admin_database, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        url = self.info.admin_database.rsplit("/", 1)[0] + f"/{name}"
        if log:
            migrate(url)
        return url

    async def caught_up(self) -> None:
        """Waits until everything committed so far is numbered and in every view."""
        deadline = time.monotonic() + CATCH_UP_S
        async with await psycopg.AsyncConnection.connect(self.info.read_database, autocommit=True) as connection:
            while True:
                row = await (await connection.execute(BEHIND)).fetchone()
                assert row is not None
                if row[0] == 0 and row[1] > 0:
                    return
                if time.monotonic() > deadline:
                    raise BrokenInvariant(f"the views are {row[0]} events behind after {CATCH_UP_S:g} s")
                await asyncio.sleep(0.01)

    async def conserved(self) -> None:
        """Counts what is new in the log, by `verify`'s own audit. Raises BrokenInvariant."""
        await self.caught_up()
        while events := await self.books.store.read(self.audited, READ_AT_ONCE):
            for event in events:
                self.audit.see(event)
            self.audited = events[-1].position or self.audited
        wrong = [f"{found.code} {found.where}: {found.message}" for found in self.audit.findings]
        wrong += [
            f"{c}: {t.difference} lost or invented" for c, t in self.audit.conservation().items() if t.difference
        ]
        wrong += [f"{len(self.audit.open_streams())} left open"] if self.audit.open_streams() else []
        if wrong:
            raise BrokenInvariant("; ".join(wrong[:3]))

    async def verified(self) -> None:
        """All that `starter.py verify` checks. Raises BrokenInvariant."""
        verifier = Verifier(
            client=await connect_temporal(self.info.temporal),
            ledger=self.books.ledger,
            store=self.books.store,
            items=BatchItemTable(self.books.pool),
            lookups=Lookups(self.books.pool),
            database_url=self.info.database,
            projector_url=self.info.projector_database,
            task_queue=Settings().task_queue,
        )
        async for check in verifier.checks(lambda _: None):
            if not check.ok:
                raise BrokenInvariant(f"{check.name}: {check.findings[0].message}")


def as_app(url: str) -> str:
    """The same database as the role that may append."""
    return with_role(url, APP)


def as_projector(url: str) -> str:
    """The same database as the role that numbers the log and owns the views."""
    return with_role(url, PROJECTOR)


def as_reader(url: str) -> str:
    """The same database as the role that asks."""
    return with_role(url, READER)


@asynccontextmanager
async def stand() -> AsyncIterator[Stand]:
    """A stack as `starter.py up` starts it, on a data directory of its own, with accounts that can pay."""
    async with AsyncExitStack() as entered:
        data = Path(entered.enter_context(tempfile.TemporaryDirectory(prefix="tidemark-bench-")))
        tell("starting the stack")
        running = entered.enter_context(stack.up(stack_config(data, lambda part, what: tell(f"  {part}: {what}"))))
        settings = Settings(database_url=running.info.database)
        books = await entered.enter_async_context(open_books(settings, "tidemark-benchmark-referee"))
        accounts = AccountCommands(books.ledger, "benchmark")
        for number in range(ACCOUNTS):
            await accounts.open(f"a{number}", f"u{number}", "EUR")
            await accounts.deposit(f"a{number}", Money.parse("1000000.00", "EUR"), "opening")
        yield Stand(running.info, books)
