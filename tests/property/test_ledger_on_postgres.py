"""A model of a few numbers against the real ledger on a real Postgres: random commands, the same outcome in both.

The model knows nothing of events. It says for each command whether it must be accepted, and what each account has
after it; the ledger must agree, command by command, and a repeat of any earlier command must change nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test
from temporalio.exceptions import ApplicationError

from activities.payments import OpenPayment, PaymentActivities
from activities.steps import (
    CancelWish,
    CaptureWish,
    PaymentOrder,
    PaymentRef,
    RefundWish,
    TransferOrder,
)
from activities.transfers import CreditWish, OpenTransfer, TransferActivities
from commands.accounts import AccountCommands
from domain.errors import DomainError
from domain.money import Money
from operations.audit import Audit
from settings import Settings
from wiring import Books, open_books

NAMES = ("a", "b", "c")
OPENING = 150_00
names = st.sampled_from(NAMES)
amounts = st.integers(min_value=1, max_value=60_00)


@dataclass
class Model:
    """Minor units, by account."""

    balance: dict[str, int] = field(default_factory=lambda: dict.fromkeys(NAMES, OPENING))
    held: dict[str, int] = field(default_factory=lambda: dict.fromkeys(NAMES, 0))
    frozen: set[str] = field(default_factory=set)

    def can_debit(self, name: str, amount: int) -> bool:
        return name not in self.frozen and self.balance[name] - self.held[name] >= amount

    def move(self, name: str, balance: int = 0, held: int = 0) -> None:
        self.balance[name] += balance
        self.held[name] += held


@dataclass
class Deal:
    """A payment or transfer of the model."""

    id: str
    source: str
    payee: str
    amount: int
    status: str
    captured: int = 0
    refunded: int = 0

    @property
    def fee(self) -> int:
        """1 % of what is captured, half-even, in integers only."""
        whole, rest = divmod(self.captured, 100)
        return whole + (1 if rest > 50 or (rest == 50 and whole % 2) else 0)


def eur(minor: int) -> Money:
    return Money(minor, "EUR")


class LedgerMachine(RuleBasedStateMachine):
    """One run: three accounts in a database shared by all runs, told apart by a prefix."""

    runner: asyncio.Runner
    books: Books
    runs = 0

    def __init__(self) -> None:
        super().__init__()
        type(self).runs += 1
        self.prefix = f"run{self.runs}"
        self.model = Model()
        self.payments: list[Deal] = []
        self.transfers: list[Deal] = []
        self.count = 0
        self.done: list[tuple[Callable[[], Coroutine[Any, Any, Any]], object]] = []
        given = Settings()
        self.accounts = AccountCommands(self.books.ledger, "test")
        self.pay = PaymentActivities(self.books.ledger, given)
        self.transfer = TransferActivities(self.books.ledger, given)
        for name in NAMES:
            self.run(self.accounts.open(self.id(name), "user", "EUR"))
            self.run(self.accounts.deposit(self.id(name), eur(OPENING), "opening"))

    def id(self, name: str) -> str:
        return f"{self.prefix}-{name}"

    def next_id(self) -> str:
        self.count += 1
        return f"{self.prefix}-{self.count}"

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.runner.run(work)

    def do(self, work: Callable[[], Coroutine[Any, Any, Any]], accepted: bool) -> Any:
        """Both must agree whether it is accepted; what was accepted may be repeated later."""
        if not accepted:
            with pytest.raises((DomainError, ApplicationError)):
                self.run(work())
            return None
        outcome = self.run(work())
        self.done.append((work, outcome))
        return outcome

    @rule(name=names, minor=amounts)
    def deposit(self, name: str, minor: int) -> None:
        key = self.next_id()
        self.do(lambda: self.accounts.deposit(self.id(name), eur(minor), key), accepted=True)
        self.model.move(name, balance=minor)

    @rule(name=names, minor=amounts)
    def withdraw(self, name: str, minor: int) -> None:
        key, able = self.next_id(), self.model.can_debit(name, minor)
        self.do(lambda: self.accounts.withdraw(self.id(name), eur(minor), key), able)
        if able:
            self.model.move(name, balance=-minor)

    @precondition(lambda self: self.count % 5 == 0)  # or most accounts would be frozen most of the time
    @rule(name=names)
    def freeze(self, name: str) -> None:
        key = self.next_id()
        self.do(lambda: self.accounts.freeze(self.id(name), key), name not in self.model.frozen)
        self.model.frozen.add(name)

    @rule(name=names)
    def unfreeze(self, name: str) -> None:
        key = self.next_id()
        self.do(lambda: self.accounts.unfreeze(self.id(name), key), name in self.model.frozen)
        self.model.frozen.discard(name)

    @rule(source=names, payee=names, minor=amounts)
    def authorise(self, source: str, payee: str, minor: int) -> None:
        deal = Deal(self.next_id(), source, payee, minor, "none")
        order = PaymentOrder(
            payment_id=deal.id,
            from_account=self.id(source),
            to_account=self.id(payee),
            amount=eur(minor),
            capture="manual",
        )
        step = self.do(lambda: self.pay.open_payment(OpenPayment(order=order)), accepted=source != payee)
        if source == payee:
            return
        deal.status = "authorized" if self.model.can_debit(source, minor) else "failed"
        assert step.status == deal.status
        if deal.status == "authorized":
            self.model.move(source, held=minor)
        self.payments.append(deal)

    @precondition(lambda self: any(deal.status == "authorized" for deal in self.payments))
    @rule(data=st.data(), parts=st.lists(st.integers(min_value=1, max_value=100), min_size=1, max_size=4))
    def capture(self, data: st.DataObject, parts: list[int]) -> None:
        """Some captures in a row, each of a part of what is left: their fees must add up to the fee of the sum."""
        deal = data.draw(st.sampled_from(self.payments))
        for part in parts:
            self.capture_part(deal, max(1, (deal.amount - deal.captured) * part // 100))

    def capture_part(self, deal: Deal, minor: int) -> None:
        wish, ref = CaptureWish(wish_id=self.next_id(), amount=eur(minor)), PaymentRef(payment_id=deal.id)
        able = deal.status in ("authorized", "partially_captured")
        self.do(lambda: self.pay.capture_payment(ref, wish), able)
        if not able:
            return
        fee_before = deal.fee
        deal.captured += minor
        deal.status = "processed" if deal.captured == deal.amount else "partially_captured"
        self.model.move(deal.source, balance=-minor, held=-minor)
        self.model.move(deal.payee, balance=minor - (deal.fee - fee_before))

    @precondition(lambda self: self.payments)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        deal = data.draw(st.sampled_from(self.payments))
        wish, ref = CancelWish(wish_id=self.next_id()), PaymentRef(payment_id=deal.id)
        able = deal.status in ("authorized", "partially_captured")
        self.do(lambda: self.pay.cancel_payment(ref, wish), able)
        if able:
            self.model.move(deal.source, held=deal.captured - deal.amount)
            deal.status = "processed" if deal.captured else "cancelled"

    @precondition(lambda self: self.payments)
    @rule(data=st.data(), part=st.integers(min_value=1, max_value=100))
    def refund(self, data: st.DataObject, part: int) -> None:
        deal = data.draw(st.sampled_from(self.payments))
        minor = max(1, (deal.captured - deal.refunded) * part // 100)
        wish, ref = RefundWish(wish_id=self.next_id(), amount=eur(minor)), PaymentRef(payment_id=deal.id)
        able = deal.status in ("processed", "partially_refunded") and self.model.can_debit(deal.payee, minor)
        self.do(lambda: self.pay.refund_payment(ref, wish), able)
        if able:
            deal.refunded += minor
            deal.status = "refunded" if deal.refunded == deal.captured else "partially_refunded"
            self.model.move(deal.payee, balance=-minor)
            self.model.move(deal.source, balance=minor)

    def order(self, deal: Deal) -> TransferOrder:
        return TransferOrder(
            transfer_id=deal.id,
            from_account=self.id(deal.source),
            to_account=self.id(deal.payee),
            amount=eur(deal.amount),
        )

    @rule(source=names, payee=names, minor=amounts)
    def reserve(self, source: str, payee: str, minor: int) -> None:
        deal = Deal(self.next_id(), source, payee, minor, "none")
        request = OpenTransfer(order=self.order(deal))
        step = self.do(lambda: self.transfer.open_transfer(request), accepted=source != payee)
        if source == payee:
            return
        deal.status = "reserved" if self.model.can_debit(source, minor) else "rejected"
        assert step.status == deal.status
        if deal.status == "reserved":
            self.model.move(source, held=minor)
        self.transfers.append(deal)

    @precondition(lambda self: self.transfers)
    @rule(data=st.data())
    def go_on(self, data: st.DataObject) -> None:
        """The next leg of a transfer, whatever that is; a leg that is over does nothing."""
        deal = data.draw(st.sampled_from(self.transfers))
        order = self.order(deal)
        match deal.status:
            case "reserved":
                step = self.do(lambda: self.transfer.debit_source(order), accepted=True)
                self.model.move(deal.source, balance=-deal.amount, held=-deal.amount)
                deal.status = "in_transit"
            case "in_transit":
                step = self.do(
                    lambda: self.transfer.credit_destination(order, CreditWish(wish_id="credit")), accepted=True
                )
                self.model.move(deal.payee, balance=deal.amount)
                deal.status = "completed"
            case "compensating":
                step = self.do(lambda: self.transfer.release_source(order), accepted=True)
                self.model.move(deal.source, held=-deal.amount)
                self.do(lambda: self.transfer.finish_compensation(order), accepted=True)
                deal.status = "compensated"
                return
            case _:
                step = self.do(lambda: self.transfer.debit_source(order), accepted=True)
        assert step.status == deal.status

    @precondition(lambda self: self.transfers)
    @rule(data=st.data())
    def cancel_transfer(self, data: st.DataObject) -> None:
        deal = data.draw(st.sampled_from(self.transfers))
        order, wish = self.order(deal), CancelWish(wish_id=self.next_id())
        able = deal.status in ("reserved", "in_transit")
        self.do(lambda: self.transfer.cancel_transfer(order, wish), able)
        if deal.status == "reserved":
            deal.status = "compensating"

    @precondition(lambda self: self.done)
    @rule(data=st.data())
    def repeat(self, data: st.DataObject) -> None:
        """Any earlier command once more: no second effect, whatever has happened since."""
        work, _ = data.draw(st.sampled_from(self.done))
        self.run(work())

    @invariant()
    def both_agree(self) -> None:
        for name in NAMES:
            step = self.run(self.accounts.show(self.id(name)))
            assert step.balance == eur(self.model.balance[name]).amount
            assert step.held == eur(self.model.held[name]).amount


@pytest.fixture
def machine(database_url: str) -> Iterator[type[LedgerMachine]]:
    with asyncio.Runner() as runner:
        books = open_books(Settings(database_url=database_url), "tidemark-test")
        LedgerMachine.runner, LedgerMachine.books = runner, runner.run(books.__aenter__())
        yield LedgerMachine
        runner.run(books.__aexit__(None, None, None))


def test_the_ledger_on_postgres_agrees_with_a_model_of_a_few_numbers(
    machine: type[LedgerMachine], database_url: str
) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=50,
            stateful_step_count=40,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("SELECT sequence_appends(1000000)")

    async def audit() -> Audit:
        counted, position = Audit(), 0
        while events := await machine.books.store.read(position, 1000):
            for event in events:
                counted.see(event)
            position = events[-1].position or position
        return counted

    counted = machine.runner.run(audit())
    assert counted.events > 500
    assert counted.close() == []
