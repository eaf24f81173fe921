"""An act: one payment, transfer or order, how it is played, and how it must end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from temporalio.client import Client
from temporalio.service import RPCError

from activities.ledger import Ledger
from activities.steps import PaymentStep, TransferStep
from commands.accounts import AccountCommands
from commands.fraud import FraudCommands
from commands.payments import PaymentCommands
from commands.quotes import QuoteCommands, QuoteRequest
from commands.running import no_such_workflow, result_of
from commands.standing_orders import StandingOrderCommands
from commands.trading import MarketCommands, OrderCommands
from commands.transfers import TransferCommands
from demo.bank import OtherBank
from demo.cast import CATEGORIES, Cast
from domain.fraud_case import CaseStatus, FraudCase
from domain.money import Money
from domain.quote_messages import Quote
from domain.streams import fraud_case_stream, transfer_stream
from domain.transfer import Transfer, TransferStatus

ACTOR = "demo"
POLL_S, PATIENCE_S = 0.2, 90.0
QUOTE_S = 3600
"""A rate is promised for so long, that even a busy machine plays the act in time."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What the acts play on. `bank` is None where the stack in use does not know the demo's rail."""

    cast: Cast
    accounts: AccountCommands
    payments: PaymentCommands
    transfers: TransferCommands
    fraud: FraudCommands
    orders: OrderCommands
    market: MarketCommands
    standing_orders: StandingOrderCommands
    quotes: QuoteCommands
    ledger: Ledger
    temporal: Client
    bank: OtherBank | None

    async def quote(self, act: Act, currency: str, valid_for_s: int | None = None) -> Quote | None:
        """A rate for all of an act's amount, promised by the platform."""
        quote_id = f"quote-{act.subject_id}-{valid_for_s or QUOTE_S}"
        await self.quotes.issue(
            QuoteRequest(
                quote_id=quote_id,
                from_currency=act.amount.currency,
                to_currency=currency,
                amount=act.amount,
                valid_for_s=valid_for_s or QUOTE_S,
            )
        )
        return await self.quotes.promised(quote_id)

    async def payment_end(self, payment_id: str) -> PaymentStep:
        """How a payment's workflow ended."""
        handle = self.temporal.get_workflow_handle(f"payment-{payment_id}", result_type=PaymentStep)
        step: PaymentStep = await result_of(handle)
        return step

    async def transfer_end(self, transfer_id: str) -> TransferStep:
        """How a transfer's workflow ended."""
        handle = self.temporal.get_workflow_handle(transfer_stream(transfer_id), result_type=TransferStep)
        step: TransferStep = await result_of(handle)
        return step

    async def case_opens(self, case_id: str) -> None:
        """Waits until screening's case about a payment or transfer is there."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                state = await self.ledger.state(fraud_case_stream(case_id))
                if isinstance(state, FraudCase) and state.status is not CaseStatus.NONE:
                    return
                await asyncio.sleep(POLL_S)

    async def transfer_begins(self, transfer_id: str) -> None:
        """Waits until Temporal runs a transfer that somebody else starts."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    await self.temporal.get_workflow_handle(transfer_stream(transfer_id)).describe()
                except RPCError as fault:
                    if not no_such_workflow(fault):
                        raise
                    await asyncio.sleep(POLL_S)
                else:
                    return

    async def transfer_reaches(self, transfer_id: str, status: TransferStatus) -> Transfer:
        """Waits until a transfer that does not end by itself has come so far."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                state = await self.ledger.state(transfer_stream(transfer_id))
                assert isinstance(state, Transfer)
                if state.status is status:
                    return state
                await asyncio.sleep(POLL_S)


Play = Callable[[Stage, "Act"], Awaitable[str]]
"""Plays an act and says in which status it ended."""


@dataclass(frozen=True, slots=True)
class Act:
    """`kind` is payment, transfer or order; `ends` the status it must end in; `title` what is special about it."""

    kind: str
    subject_id: str
    title: str
    amount: Money
    source: str
    target: str
    ends: str
    play: Play

    @property
    def category(self) -> str:
        """What it is filed under: the shop's trade, or friends."""
        return CATEGORIES.get(self.target.partition("-")[0], "friends")


@dataclass(frozen=True, slots=True)
class Played:
    """An act and how it ended; `problem` where it did not end at all."""

    act: Act
    ended: str
    problem: str | None = None

    @property
    def as_planned(self) -> bool:
        return self.problem is None and self.ended == self.act.ends


async def play(stage: Stage, act: Act) -> Played:
    """Plays an act. What goes wrong in it is its own problem and stops no other."""
    try:
        return Played(act, await act.play(stage, act))
    except Exception as fault:
        return Played(act, "error", f"{type(fault).__name__}: {fault}"[:300])


def numbered(acts: list[Act], run: str) -> list[Act]:
    """The acts with ids that no other run of the demo has."""
    short = {"payment": "pay", "transfer": "trf", "order": "ord"}
    return [replace(act, subject_id=f"{short[act.kind]}-{run}-{number:04}") for number, act in enumerate(acts, 1)]
