"""The checker is tested with bugs in exchanges and halts, too: each is put in, and found."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal

import pytest

from activities.ledger import LedgerCommand, utc_now
from activities.steps import TransferOrder, TransferStep
from activities.transfers import CreditWish, OpenTransfer
from domain.account_messages import Credit
from domain.book_messages import OrderRested, TradingHalted, TradingResumed
from domain.leg import Leg
from domain.money import Money
from domain.quote_messages import Quote, QuoteIssued, QuoteUsed
from domain.transfer_messages import CreditDestination
from tests.chaos.bank import Bank, eur, small_bank
from tests.chaos.history import Operation
from tests.chaos.test_checker import says
from tests.fixtures.database import Database


def usd(minor: int) -> Money:
    return Money(minor, "USD")


@pytest.fixture
async def bank(database: Database) -> AsyncIterator[Bank]:
    """With a payee in dollars, `c`, and a platform that has some."""
    async with small_bank(database) as small:
        await small.accounts.open("c", "user-c", "USD")
        await small.accounts.open("fx-USD", "tidemark", "USD")
        await small.accounts.deposit("fx-USD", usd(50_00), "opening", "opening")
        yield small


async def begin(bank: Bank) -> TransferOrder:
    """10.00 EUR for 11.00 USD, under way."""
    until = utc_now() + timedelta(minutes=1)
    quote = Quote(quote_id="q", buys=usd(11_00), rate=Decimal("1.1"), expires_at=until)
    issued = QuoteIssued(sells=eur(10_00), mid=Decimal("1.2"), spread=Decimal("0.01"), **dict(quote))
    bank.history.add(Operation("q", "quote", "q", "/v1/quotes", {}))
    bank.history.add(Operation("t", "transfer", "t", "/v1/transfers", {}, 10_00))
    order = TransferOrder(transfer_id="t", from_account="a", to_account="c", amount=eur(10_00), quote=quote)
    await bank.forge("quote-q", issued)
    await bank.steps.open_transfer(OpenTransfer(order=order))
    await bank.steps.debit_source(order)
    return order


async def test_of_an_exchange_that_arrives_nothing_is_said(bank: Bank) -> None:
    await bank.steps.credit_destination(await begin(bank), CreditWish(wish_id="credit"))
    await bank.forge("book-ACME", TradingHalted(reason="a look"), TradingResumed())
    assert await bank.lines() == []


async def test_an_exchange_that_turns_back_gives_nothing(bank: Bank) -> None:
    order = await begin(bank)
    await bank.turn_back(order)
    await bank.steps.refund_source(order)
    await bank.steps.finish_compensation(order)
    assert await bank.lines() == []


async def test_a_quote_that_is_used_twice(bank: Bank) -> None:
    await bank.steps.credit_destination(await begin(bank), CreditWish(wish_id="credit"))
    await bank.forge("quote-q", QuoteUsed(by="payment-p"))
    lines = await bank.lines()
    assert says(lines, "effect once", "quote-q@3", "is used by transfer-t and payment-p")
    assert says(lines, "effect as asked", "transfer-t", "is over 1000 for 1100")


async def test_a_payee_who_gets_what_the_platform_never_gave(bank: Bank) -> None:
    """As if the exchange were left out: dollars from nowhere, and euros that nobody has."""
    order = await begin(bank)
    credit = Credit(
        at=utc_now(), amount=usd(11_00), counterparty="a", transaction="transfer-t", purpose="transfer"
    )

    def act(leg: Leg) -> None:
        leg.on_account("c", credit)
        leg.on_transfer("t", CreditDestination(at=utc_now()))

    await bank.books.ledger.run(
        LedgerCommand(
            name="transfer.credit",
            key="no-exchange",
            content=order,
            streams=["transfer-t", "account-c"],
            act=act,
            result=lambda leg: TransferStep.of(leg.transfer("t"), "t"),
            returns=TransferStep,
            actor="test",
        )
    )
    lines = await bank.lines()
    assert says(lines, "both legs", "account-c@2", "transfer-t has paid out -1000 EUR, 1100 USD more than it took")
    assert says(lines, "both legs", "transfer-t", "the platform took 0 and gave 0, not 1000 and 1100")
    assert says(lines, "conservation", "USD", "6100 on accounts and under way, 5000 came in")


async def test_an_order_that_comes_to_rest_in_a_halt(bank: Bank) -> None:
    parties = {"user_id": "user-a", "cash_account": "a", "share_account": "a-shares", "hold_id": "order-o"}
    rested = OrderRested(order_id="o", side="buy", price=eur(9_00), quantity=1, **parties)
    await bank.forge("book-ACME", TradingHalted(), rested)
    assert says(await bank.lines(), "halt", "book-ACME@2", "OrderRested while trading in ACME was halted")
