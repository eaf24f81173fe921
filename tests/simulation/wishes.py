"""What clients of one world wish for: each wish is an element, and runs as the `api` process."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from typing import Any

from temporalio.exceptions import ApplicationError

from activities.ledger import LedgerCommand
from activities.steps import (
    CancelWish,
    CaptureWish,
    DisputeWish,
    PaymentOrder,
    PaymentRef,
    RefundWish,
    TransferOrder,
)
from activities.transfers import TransferActivities
from commands.accounts import AccountCommands, account_key
from commands.quotes import QuoteStep, issue_key
from domain.errors import DomainError
from domain.money import Money
from domain.payment_messages import CaptureMode
from domain.quote_messages import IssueQuote, Quote
from domain.streams import quote_stream
from domain.transfer import TransferStatus
from eventstore.errors import EventStoreError
from tests.simulation.loop import Process
from tests.simulation.opening import DOLLAR, EURO, currency_of
from tests.simulation.worker import EPOCH
from tests.simulation.world import SETTINGS, World


class Clients:
    """Their wishes come within the horizon, in seconds."""

    def __init__(self, world: World, horizon_s: float) -> None:
        self._world = world
        self._chance = world.chance
        self._horizon_s = horizon_s
        self.process = Process("api")
        self._ledger = ledger = world.books(self.process).ledger
        self._accounts = AccountCommands(ledger, "client")
        self._legs = TransferActivities(ledger, SETTINGS)
        self._payments: list[str] = []
        self._transfers: list[str] = []

    async def wish(self, number: int) -> None:
        chance = self._chance
        await asyncio.sleep(chance.between(f"wish at {number}", 0.0, self._horizon_s * 0.8))
        kind = chance.one_of(f"wish {number}", _WISHES)
        if not chance.happens(f"wish {number}: {kind}"):
            return
        self._world.tell(f"wish {number}: {kind}")
        try:
            await getattr(self, f"_{kind}")(number)
        except (DomainError, EventStoreError) as refusal:
            self._world.tell(f"wish {number}: refused, {refusal}")

    def _cents(self, number: int, currency: str = "EUR") -> Money:
        return Money(self._chance.number(f"cents {number}", 1, 75), currency)

    def _party(self, number: int, role: str, names: tuple[str, ...] = EURO) -> str:
        return self._chance.one_of(f"{role} {number}", names)

    async def _pay(self, number: int) -> None:
        payer, payee = self._party(number, "payer"), self._party(number, "payee")
        if payer == payee:
            payee = "home"
        payment_id = f"p{number}"
        order = PaymentOrder(
            payment_id=payment_id,
            from_account=payer,
            to_account=payee,
            amount=self._cents(number),
            capture=self._chance.one_of(f"capture {number}", ("automatic", "automatic", "manual")),
            expires_in_s=self._chance.one_of(f"expiry {number}", (None, 5)),
        )
        self._payments.append(payment_id)
        self._world.order("PaymentWorkflow", f"payment-{payment_id}", order)
        await self._followed(number, f"payment-{payment_id}")

    async def _transfer(self, number: int) -> None:
        source = self._party(number, "source", (*EURO, *DOLLAR))
        destination = self._party(number, "destination", (*EURO, "u", "x", "x", "gone"))
        if source == destination:
            destination = "home" if source != "u" else "homeUSD"
        if source == "u" and destination == "x":
            destination = "homeUSD"
        amount, quote = self._cents(number, currency_of(source)), None
        if currency_of(source) != currency_of(destination):
            bought = Money(self._chance.number(f"bought {number}", 1, 90), currency_of(destination))
            quote = await self._promised(number, amount, bought)
        transfer_id = f"t{number}"
        order = TransferOrder(
            transfer_id=transfer_id, from_account=source, to_account=destination, amount=amount, quote=quote
        )
        self._transfers.append(transfer_id)
        self._world.order("TransferWorkflow", f"transfer-{transfer_id}", order)
        await self._followed(number, f"transfer-{transfer_id}")

    async def _promised(self, number: int, sells: Money, buys: Money) -> Quote:
        now = EPOCH + timedelta(seconds=self._world.loop.time())
        until = now + timedelta(seconds=self._chance.between(f"quote {number}", 0.001, 20.0))
        quote = Quote(quote_id=f"q{number}", buys=buys, rate=Decimal(1), expires_at=until)
        issue = IssueQuote(at=now, sells=sells, mid=Decimal(1), spread=Decimal(0), **dict(quote))
        await self._ledger.run(
            LedgerCommand(
                name="quote.issue",
                key=issue_key(quote.quote_id),
                content=issue,
                streams=[quote_stream(quote.quote_id)],
                act=lambda leg: leg.on_quote(quote.quote_id, issue),
                result=lambda leg: QuoteStep.of(leg.quote(quote.quote_id)),
                returns=QuoteStep,
                actor="client",
            )
        )
        return quote

    async def _doomed(self, number: int) -> None:
        """To an account that is closed, from one that is closed meanwhile: the way back is refused, too."""
        source, amount = f"doomed-{number}", self._cents(number)
        await self._accounts.open(source, "user-doomed", "EUR")
        await self._accounts.deposit(source, amount, "start")
        order = TransferOrder(transfer_id=f"t{number}", from_account=source, to_account="gone", amount=amount)
        self._transfers.append(f"t{number}")
        self._world.order("TransferWorkflow", f"transfer-t{number}", order)
        for attempt in range(20):
            await asyncio.sleep(0.005)
            with suppress(DomainError):
                await self._accounts.close(source, f"w{number}-{attempt}")
                return

    async def _undo_first(self, number: int) -> None:
        """The undo of a reservation overtakes the reservation: whoever was told `cancelled` must stay right."""
        transfer_id, amount = f"t{number}", Money(self._chance.number(f"cents {number}", 1, 50), "EUR")
        order = TransferOrder(transfer_id=transfer_id, from_account="c", to_account="home", amount=amount)
        self._transfers.append(transfer_id)
        self._world.loop.call_later(
            self._chance.between(f"original at {number}", 0.0, 0.03),
            self._world.order, "TransferWorkflow", f"transfer-{transfer_id}", order,
        )  # fmt: skip
        await asyncio.sleep(self._chance.between(f"undo at {number}", 0.0, 0.03))
        with suppress(ApplicationError):  # there is something to undo, and it is past undoing
            step = await self._legs.release_source(order)
            if step.status in (TransferStatus.CANCELLED, TransferStatus.NONE):
                self._world.undone.append(f"transfer-{transfer_id}")

    async def _followed(self, number: int, stream: str) -> None:
        """Now and then somebody has second thoughts at once, or asks twice."""
        doing = self._chance.one_of(f"second thought {number}", (*_SECOND_THOUGHTS, *[""] * 7))
        if not doing or not self._chance.happens(f"second thought {number}: {doing}"):
            return
        await asyncio.sleep(self._chance.between(f"second thought at {number}", 0.0, 0.06))
        temporal, wish = self._world.temporal, CancelWish(wish_id=f"hasty{number}")
        self._world.tell(f"second thought {number}: {doing} {stream}")
        match doing:
            case "again":
                workflow_type, args = self._world.orders[stream]
                temporal.start(workflow_type, stream, *args)
            case "signal":
                temporal.signal(stream, "cancel", wish)
            case "update":
                temporal.update(stream, "request_cancel", wish)
            case "cancel":
                temporal.cancel(stream)
            case _:
                temporal.terminate(stream)
                await asyncio.sleep(self._chance.between(f"repaired at {number}", 0.0, 0.05))
                if stream in self._world.auditor.books.states and self._world.temporal.running(stream) is None:
                    self._world.repair(stream)

    async def _cancel(self, number: int) -> None:
        stream = self._some(number)
        if stream is not None:
            wish = CancelWish(wish_id=f"w{number}", reason="changed my mind")
            if self._chance.fraction(f"by signal {number}") < 0.5:
                self._world.temporal.signal(stream, "cancel", wish)
            else:
                self._world.temporal.update(stream, "request_cancel", wish)

    async def _terminate(self, number: int) -> None:
        if (stream := self._some(number)) is not None:
            self._world.temporal.terminate(stream)

    async def _capture(self, number: int) -> None:
        """In parts, as the payee likes."""
        payment_id = await self._paid(number, "manual")
        for part in range(self._chance.number(f"parts {number}", 1, 3)):
            await asyncio.sleep(self._chance.between(f"part {number}", 0.0, 1.5))
            amount = Money(self._chance.number(f"part of {number}", 1, 30), "EUR")
            wish = CaptureWish(wish_id=f"w{number}-{part}", amount=amount)
            self._world.temporal.update(f"payment-{payment_id}", "request_capture", wish)

    async def _refund(self, number: int) -> None:
        payment_id = await self._paid(number, "automatic")
        for part in range(self._chance.number(f"parts {number}", 1, 2)):
            await asyncio.sleep(self._chance.between(f"part {number}", 0.0, 0.5))
            amount = self._chance.one_of(f"part of {number}", (None, Money(5, "EUR"), Money(20, "EUR")))
            wish = RefundWish(wish_id=f"w{part}", amount=amount)
            ref = PaymentRef(payment_id=payment_id)
            self._world.order("RefundWorkflow", f"refund-{payment_id}-w{part}", ref, wish)

    async def _dispute(self, number: int) -> None:
        payment_id = await self._paid(number, "automatic")
        await asyncio.sleep(self._chance.between(f"disputed at {number}", 0.05, 1.0))
        wish = DisputeWish(wish_id=f"w{number}", reason="never came")
        self._world.order("DisputeWorkflow", f"dispute-{payment_id}", PaymentRef(payment_id=payment_id), wish)

    async def _paid(self, number: int, capture: CaptureMode) -> str:
        payment_id, amount = f"p{number}", Money(self._chance.number(f"cents {number}", 1, 50), "EUR")
        order = PaymentOrder(
            payment_id=payment_id, from_account=self._party(number, "payer"), to_account="home", amount=amount,
            capture=capture, expires_in_s=5,
        )  # fmt: skip
        self._payments.append(payment_id)
        self._world.order("PaymentWorkflow", f"payment-{payment_id}", order)
        return payment_id

    async def _deposit(self, number: int) -> None:
        await self._acknowledged(
            f"deposit:w{number}",
            number,
            lambda name: self._accounts.deposit(name, self._cents(number), f"w{number}"),
        )

    async def _withdraw(self, number: int) -> None:
        await self._acknowledged(
            f"withdraw:w{number}",
            number,
            lambda name: self._accounts.withdraw(name, self._cents(number), f"w{number}"),
        )

    async def _freeze(self, number: int) -> None:
        await self._acknowledged(
            f"freeze:w{number}", number, lambda name: self._accounts.freeze(name, f"w{number}")
        )
        await asyncio.sleep(self._chance.between(f"frozen {number}", 0.0, 5.0))
        name = self._party(number, "unfrozen")
        await self._accounts.unfreeze(name, f"w{number}")

    async def _empty_and_close(self, number: int) -> None:
        name = self._party(number, "closed")
        step = await self._accounts.show(name)
        if Decimal(step.available) > 0:
            await self._accounts.withdraw(name, Money.from_decimal(step.available, "EUR"), f"w{number}")
        await self._accounts.close(name, f"w{number}")

    async def _acknowledged(self, key: str, number: int, act: Callable[[str], Awaitable[Any]]) -> None:
        """Asked again until it is known; what was answered must be in the log at the end."""
        name = self._party(number, "account")
        while True:
            try:
                await act(name)
            except EventStoreError:
                await asyncio.sleep(0.5)
                continue
            self._world.acknowledged.append(account_key(name, key))
            return

    def _some(self, number: int) -> str | None:
        ids = [f"payment-{i}" for i in self._payments] + [f"transfer-{i}" for i in self._transfers]
        return self._chance.one_of(f"which {number}", ids) if ids else None


_WISHES = (
    "pay", "pay", "transfer", "transfer", "transfer", "transfer", "doomed", "undo_first", "cancel", "terminate",
    "capture", "capture", "refund", "refund", "dispute", "deposit", "withdraw", "freeze", "empty_and_close",
)  # fmt: skip
_SECOND_THOUGHTS = ("again", "signal", "update", "cancel", "terminate")
