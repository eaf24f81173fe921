"""A small bank for testing the checker: real legs on a real log and real views, and a history of what was told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import psycopg
from psycopg import IsolationLevel
from temporalio.client import Client

from activities.batch_items import BatchItemTable
from activities.batch_run import BatchRun
from activities.ledger import LedgerCommand, utc_now
from activities.steps import TransferOrder
from activities.transfers import CreditWish, OpenTransfer, RefusalWish, TransferActivities
from commands.accounts import AccountCommands
from commands.transfer_batches import BatchTerms, TransferBatchCommands
from domain.account import Account
from domain.account_messages import Credit, Debit
from domain.batch_items import BatchItem
from domain.catalogue import encode
from domain.leg import AnyEvent, Leg
from domain.money import Money
from eventstore.events import Appended, AppendRequest, NewEvent, StreamWrite
from eventstore.hashing import GENESIS
from eventstore.verify import LogVerifier
from projections.catalogue import VIEWS
from projections.model import View
from settings import Settings
from tests.chaos.checker.final import FinalChecker, read_log
from tests.chaos.checker.findings import Findings
from tests.chaos.checker.live import LiveChecker
from tests.chaos.clients import decimal
from tests.chaos.history import History, Operation
from tests.fixtures.database import Database
from tests.fixtures.projecting import Rig, rig_for
from wiring import Books, open_books

KEY = "tmk_local_key"
CHUNKS = Settings(batch_chunk=2)


async def _not_started(*_: Any, **__: Any) -> None:
    """A batch is carried out by the test itself."""


_NO_TEMPORAL = cast("Client", SimpleNamespace(start_workflow=_not_started))


def eur(minor: int) -> Money:
    return Money(minor, "EUR")


@dataclass
class Bank:
    """Accounts `a` with 100.00 and `b` with nothing."""

    urls: Database
    books: Books
    rig: Rig
    history: History

    @property
    def accounts(self) -> AccountCommands:
        return AccountCommands(self.books.ledger, "test")

    @property
    def steps(self) -> TransferActivities:
        return TransferActivities(self.books.ledger, Settings())

    async def move(
        self, kind: str, id_: str, account: str, minor: int, outcome: str = "acknowledged"
    ) -> Operation:
        """A deposit or withdrawal, and what its client was told."""
        body = {"amount": decimal(minor), "currency": "EUR", "reference": id_}
        operation = self.history.add(Operation(id_, kind, account, f"/v1/accounts/{account}/{kind}s", body, minor))
        command = self.accounts.deposit if kind == "deposit" else self.accounts.withdraw
        await command(account, eur(minor), self.history.wish_id(id_), id_)
        operation.settle("acknowledged" if outcome == "acknowledged" else "refused", 201, {}, None)
        return operation

    async def begin(self, id_: str, minor: int) -> TransferOrder:
        """A transfer from a to b whose money is under way, and acknowledged."""
        operation = self.history.add(Operation(id_, "transfer", id_, "/v1/transfers", {}, minor))
        order = TransferOrder(transfer_id=id_, from_account="a", to_account="b", amount=eur(minor))
        await self.steps.open_transfer(OpenTransfer(order=order))
        operation.settle("acknowledged", 202, {}, None)
        await self.steps.debit_source(order)
        return order

    async def transfer(self, id_: str, minor: int) -> TransferOrder:
        order = await self.begin(id_, minor)
        await self.steps.credit_destination(order, CreditWish(wish_id="credit"))
        return order

    async def turn_back(self, order: TransferOrder) -> None:
        """The destination refuses; the compensation is somebody else's."""
        await self.steps.refuse_credit(order, RefusalWish(wish_id="r", code="closed", reason="closed"))

    async def batch(self, id_: str, items: Sequence[tuple[str, str, int]], *, atomic: bool = False) -> None:
        """Taken in and acknowledged. Two items a chunk; nothing is carried out yet."""
        sent = [
            {"from_account": source, "to_account": target, "amount": decimal(minor), "currency": "EUR"}
            for source, target, minor in items
        ]
        operation = self.history.add(Operation(id_, "batch", id_, "/v1/transfer-batches", {"items": sent}))
        wanted = (BatchItem(number, *item[:2], eur(item[2])) for number, item in enumerate(items, 1))
        commands = TransferBatchCommands(_NO_TEMPORAL, self.books, CHUNKS)
        await commands.submit(BatchTerms(batch_id=id_, atomic=atomic), wanted, "test")
        operation.settle("acknowledged", 202, {}, None)

    async def carry_out(self, id_: str) -> str:
        """To its end, and what that is."""
        table = BatchItemTable(self.books.pool)
        run = BatchRun(id_, {"actor": "test"}, self.books.bulk, table, CHUNKS, lambda: None)
        batch, _ = await run.go(30)
        return batch.status.value

    async def pay_item(self, source: str, target: str, minor: int, transaction: str) -> None:
        """A debit and a credit in the name of an item, as its chunk makes them."""
        at, amount = utc_now(), eur(minor)
        debit = Debit(at=at, amount=amount, counterparty=target, transaction=transaction, purpose="transfer")
        credit = Credit(at=at, amount=amount, counterparty=source, transaction=transaction, purpose="transfer")

        def act(leg: Leg) -> None:
            leg.on_account(source, debit)
            leg.on_account(target, credit)

        order = TransferOrder(transfer_id="again", from_account=source, to_account=target, amount=amount)
        await self.books.ledger.run(
            LedgerCommand(
                name="test",
                key=f"{transaction}:again",
                content=order,
                streams=[f"account-{source}", f"account-{target}"],
                act=act,
                result=lambda _leg: order,
                returns=TransferOrder,
                actor="test",
            )
        )

    async def standing(self, account: str) -> tuple[Money, Money]:
        """Balance and held."""
        found = await self.books.ledger.state(f"account-{account}")
        assert isinstance(found, Account)
        return eur(found.balance), eur(found.held)

    async def forge(self, stream: str, *events: AnyEvent) -> None:
        """Appended past the domain, as a bug of ours could."""
        known = await self.books.store.load(stream)
        version, last_hash = (known[-1].version, known[-1].hash) if known else (0, GENESIS)
        write = StreamWrite(stream, version, last_hash, tuple(NewEvent(*encode(event)) for event in events))
        request = AppendRequest(f"{stream}:forged:{version}", b"f" * 32, (write,), {"actor": "t"}, {}, utc_now())
        [outcome] = await self.books.store.append([request])
        assert isinstance(outcome, Appended)

    async def tamper(self, *statements: str) -> None:
        """As a superuser for whom no trigger holds."""
        async with await psycopg.AsyncConnection.connect(self.urls.admin, autocommit=True) as connection:
            await connection.execute("SET session_replication_role = replica")
            for statement in statements:
                await connection.execute(statement.encode())

    async def lines(
        self, views: Mapping[str, View] = VIEWS, booked: Mapping[str, Mapping[str, str]] | None = None
    ) -> list[str]:
        """Everything numbered and taken into the views; then what the checker and `verify` say of it."""
        findings, shown = Findings(), list(views.values())
        head = await self.rig.sequence()
        async with self.rig.running(shown):
            await self.rig.caught_up(shown, head)
        async with await psycopg.AsyncConnection.connect(self.urls.reader, autocommit=True) as connection:
            await connection.set_isolation_level(IsolationLevel.REPEATABLE_READ)
            await LiveChecker(self.urls.reader, findings, set()).snapshot(connection)
            found = await read_log(connection, findings, set())
        FinalChecker(self.history, found, findings, booked or {}).check()
        async for finding in LogVerifier(self.urls.reader).findings():
            findings.add(f"verify {finding.code}", finding.where, finding.message)
        lines = [violation.line() for violation in findings]
        print(*lines, sep="\n")  # noqa: T201
        return lines


@asynccontextmanager
async def small_bank(urls: Database) -> AsyncIterator[Bank]:
    """On a database of its own."""
    settings = Settings(database_url=urls.app)
    async with open_books(settings, "bank") as books, rig_for(urls.admin) as rig:
        bank = Bank(urls, books, rig, History(KEY))
        for name in ("a", "b"):
            await bank.accounts.open(name, f"user-{name}", "EUR")
        await bank.accounts.deposit("a", eur(100_00), "opening", "opening")
        yield bank
