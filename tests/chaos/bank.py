"""A small bank for testing the checker: real legs on a real log and real views, and a history of what was told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

import psycopg
from psycopg import IsolationLevel

from activities.ledger import utc_now
from activities.steps import TransferOrder
from activities.transfers import CreditWish, OpenTransfer, RefusalWish, TransferActivities
from commands.accounts import AccountCommands
from domain.account_messages import AccountEvent
from domain.catalogue import encode
from domain.money import Money
from domain.transfer_messages import TransferEvent
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

    async def forge(self, stream: str, *events: AccountEvent | TransferEvent) -> None:
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
