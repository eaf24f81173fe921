"""A system under test: a database and a task queue of its own on the session's Postgres and Temporal server."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import psycopg
from temporalio.client import Client

from activities.ledger import Ledger
from commands.accounts import AccountCommands
from commands.fraud import FraudCommands
from commands.payments import PaymentCommands
from commands.standing_orders import StandingOrderCommands
from commands.trading import MarketCommands, OrderCommands
from commands.transfer_batches import TransferBatchCommands
from commands.transfers import TransferCommands
from domain.money import Money
from operations.audit import Audit
from settings import Settings
from tests.fixtures.processes import Program, program
from wiring import Books, connect_temporal, open_books

TASK_TIMEOUT_S = 2


def eur(amount: str) -> Money:
    return Money.parse(amount, "EUR")


@dataclass(frozen=True)
class System:
    """Commands as the command line and the API give them, and the worker's environment."""

    database_url: str
    temporal: str
    settings: Settings
    books: Books
    client: Client

    @property
    def ledger(self) -> Ledger:
        return self.books.ledger

    @property
    def accounts(self) -> AccountCommands:
        return AccountCommands(self.ledger, "test")

    @property
    def payments(self) -> PaymentCommands:
        return PaymentCommands(self.client, self.ledger, self.settings)

    @property
    def transfers(self) -> TransferCommands:
        return TransferCommands(self.client, self.ledger, self.settings)

    @property
    def fraud(self) -> FraudCommands:
        return FraudCommands(self.client, self.ledger, self.settings)

    @property
    def orders(self) -> OrderCommands:
        return OrderCommands(self.client, self.ledger, self.settings)

    @property
    def market(self) -> MarketCommands:
        return MarketCommands(self.ledger, "test")

    @property
    def standing_orders(self) -> StandingOrderCommands:
        return StandingOrderCommands(self.client, self.ledger, self.settings)

    @property
    def batches(self) -> TransferBatchCommands:
        return TransferBatchCommands(self.client, self.books, self.settings)

    def worker(self, **environment: str) -> AbstractAsyncContextManager[Program]:
        """A worker process on this system's task queue, not yet started."""
        return program(
            "worker.py",
            DATABASE_URL=self.database_url,
            TEMPORAL_ADDRESS=self.temporal,
            TIDEMARK_TASK_QUEUE=self.settings.task_queue,
            TIDEMARK_WORKFLOW_TASK_TIMEOUT_S=str(TASK_TIMEOUT_S),
            TIDEMARK_WORKFLOW_SANDBOX="true",  # a clock or randomness in a workflow fails here
            **environment,
        )

    async def open_account(self, account_id: str, balance: str | None = None, **more: str) -> str:
        await self.accounts.open(account_id, f"user-{account_id}", "EUR", **more)  # type: ignore[arg-type]
        if balance is not None:
            await self.accounts.deposit(account_id, eur(balance), "opening")
        return account_id

    async def balance(self, account_id: str) -> tuple[str, str]:
        """Balance and held."""
        step = await self.accounts.show(account_id)
        return step.balance, step.held

    async def events(self, stream: str) -> list[str]:
        return [event.type for event in await self.books.store.load(stream)]

    async def audit(self) -> Audit:
        """Everything in the log, counted anew."""
        async with await psycopg.AsyncConnection.connect(self.database_url, autocommit=True) as connection:
            await connection.execute("SELECT sequence_appends(100000)")
        audit, position = Audit(), 0
        while events := await self.books.store.read(position, 1000):
            for event in events:
                audit.see(event)
                position = event.position or position
        audit.close()
        return audit


@asynccontextmanager
async def system(database_url: str, temporal: str, task_queue: str | None = None) -> AsyncIterator[System]:
    """`database_url` may migrate: tests sequence the log themselves where no projector runs."""
    settings = Settings(
        database_url=database_url,
        task_queue=task_queue or f"test-{uuid.uuid4().hex[:8]}",
        workflow_task_timeout_s=TASK_TIMEOUT_S,
    )
    async with open_books(settings, "tidemark-test") as books:
        yield System(database_url, temporal, settings, books, await connect_temporal(temporal))


__all__ = ["Program", "System", "eur", "system"]
