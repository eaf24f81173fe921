"""The checker is tested with bugs in orders, settlements and standing orders, too: each is put in, and found."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from activities.ledger import LedgerCommand, utc_now
from activities.steps import TransferOrder
from activities.trading import TradingActivities
from activities.trading_steps import AmendOrderWish, BustWish, CancelOrderWish, OrderStep, TradingOrder
from activities.transfers import CreditWish, OpenTransfer
from commands.trading import MarketCommands
from domain.account_messages import Credit, Debit
from domain.book_messages import OrderLeft, OrdersMatched
from domain.leg import Leg
from domain.money import Money
from domain.order_messages import OrderCancelled, OrderPartiallyFilled, RecordFill
from domain.settlement_legs import streams_of
from domain.standing_order_messages import (
    Instruction,
    RunMade,
    StandingOrderAmended,
    StandingOrderCreated,
    StandingOrderEnded,
)
from domain.timetable import Timetable
from domain.trade_messages import SettleTrade, TradeTerms
from settings import Settings
from tests.chaos.bank import Bank, eur, small_bank
from tests.chaos.clients import decimal
from tests.chaos.history import Operation
from tests.chaos.test_checker import says
from tests.chaos.world import SHARE
from tests.fixtures.database import Database

RUN_AT = datetime(2027, 1, 31, 8, tzinfo=UTC)


@pytest.fixture
async def bank(database: Database) -> AsyncIterator[Bank]:
    """With three users who have 100.00 and 10 shares each."""
    async with small_bank(database) as small:
        await MarketCommands(small.books.ledger, "test").list_instrument(SHARE, "Acme", eur(50))
        for user in ("u", "v", "w"):
            for kind, opening in (("cash", eur(100_00)), ("shares", Money(10, SHARE))):
                await small.accounts.open(f"{user}-{kind}", user, opening.currency)
                await small.accounts.deposit(f"{user}-{kind}", opening, "opening", "opening")
        yield small


def steps(bank: Bank) -> TradingActivities:
    return TradingActivities(bank.books.ledger, Settings())


async def place(bank: Bank, id_: str, user: str, side: str, quantity: int, price: int) -> OrderStep:
    """A limit order, acknowledged; what it took is not settled yet."""
    terms = {"symbol": SHARE, "side": side, "type": "limit", "tif": "GTC", "quantity": quantity}
    operation = bank.history.add(Operation(id_, "order", id_, "/v1/orders", {**terms, "price": decimal(price)}))
    accounts = {"cash_account": f"{user}-cash", "share_account": f"{user}-shares"}
    order = TradingOrder.model_validate({"order_id": id_, **accounts, **terms, "price": eur(price)})
    step = await steps(bank).place_order(order)
    operation.settle("acknowledged", 201, {}, None)
    return step


async def agreed(bank: Bank) -> TradeTerms:
    """Five for sale at 10.00, of which three are taken by an order that would pay 11.00."""
    await place(bank, "sale", "v", "sell", 5, 10_00)
    [trade] = (await place(bank, "purchase", "u", "buy", 3, 11_00)).unsettled
    return trade


def matched(maker: str, taker: str, price: int, quantity: int) -> OrdersMatched:
    return OrdersMatched(
        trade_id=f"{SHARE}-1",
        number=1,
        maker_order=maker,
        taker_order=taker,
        taker_side="buy",
        price=eur(price),
        quantity=quantity,
    )


async def test_of_a_sound_market_and_a_sound_standing_order_nothing_is_said(bank: Bank) -> None:
    trade, does = await agreed(bank), steps(bank)
    settled = await does.settle_trade("purchase", trade)
    step = await does.amend_order(settled.other, AmendOrderWish(wish_id="a", quantity=7))
    step = await does.amend_order(step, AmendOrderWish(wish_id="b", price=eur(10_50)))
    [late] = (await place(bank, "late", "w", "buy", 2, 10_50)).unsettled
    busted = await does.bust_trade("late", late, BustWish(code="account_closed", reason="closed"))
    await does.cancel_order(busted.other, CancelOrderWish(wish_id="c"))
    await place(bank, "waits", "u", "buy", 1, 9_00)
    await standing_order(bank, "rent-1")
    await run(bank, "rent-1")
    assert await bank.lines() == []


async def test_a_settlement_of_one_leg(bank: Bank) -> None:
    """As if cash and shares went by two appends, and the second were lost."""
    trade = await agreed(bank)
    posting = {"at": utc_now(), "amount": trade.cost, "transaction": f"trade-{trade.trade_id}", "purpose": "trade"}

    def act(leg: Leg) -> None:
        leg.on_trade(trade.trade_id, SettleTrade(at=utc_now(), trade=trade))
        debit = Debit.model_validate({**posting, "counterparty": "v-cash", "hold_id": trade.buyer.hold_id})
        leg.on_account("u-cash", debit)
        leg.on_account("v-cash", Credit.model_validate({**posting, "counterparty": "u-cash"}))
        for side in (trade.buyer, trade.seller):
            leg.on_order(side.order_id, RecordFill(at=utc_now(), trade=trade))

    await bank.books.ledger.run(
        LedgerCommand(
            name="trade.settle",
            key="one-leg",
            content=trade,
            streams=streams_of(trade),
            act=act,
            result=lambda _leg: trade,
            returns=TradeTerms,
            actor="test",
        )
    )
    lines = await bank.lines()
    assert says(lines, "both legs", "trade-ACME-1", "settled: moved -3000 at u-cash, 3000 at v-cash")
    assert says(lines, "holds", "order-sale", "2 of it is open, and 5 is held at v-shares")


async def test_an_order_filled_beyond_its_quantity_a_trade_that_hangs_and_a_lost_order(bank: Bank) -> None:
    trade = await agreed(bank)
    beyond = OrderPartiallyFilled(
        trade_id=trade.trade_id, price=trade.price, quantity=6, filled=6, value=eur(60_00)
    )
    await bank.forge("order-sale", beyond)
    bank.history.add(Operation("lost", "order", "lost", "/v1/orders", {})).settle("acknowledged", 201, {}, None)
    lines = await bank.lines()
    assert says(lines, "effect as asked", "order-sale@3", "is over 5 shares, and 6 are filled")
    assert says(lines, "ends", "order-purchase", "has 3 left, with 0 in the book and 1 trades to settle")
    assert says(lines, "acknowledged write", "order lost", "is not in the log")


async def test_a_limit_a_place_in_the_line_and_a_cover_that_are_not_kept(bank: Bank) -> None:
    await place(bank, "first", "v", "sell", 5, 10_00)
    await place(bank, "second", "w", "sell", 5, 10_00)
    await place(bank, "purchase", "u", "buy", 3, 9_00)
    await place(bank, "gone", "u", "buy", 1, 9_00)
    left = OrderLeft(order_id="gone", side="buy", price=eur(9_00), quantity=1, reason="cancelled")
    await bank.forge(f"book-{SHARE}", left, matched("second", "purchase", 10_00, 3))
    await bank.forge("order-gone", OrderCancelled(quantity=1, reason="asked for"))
    lines = await bank.lines()
    assert says(lines, "effect as asked", "trade-ACME-1", "1000 is through purchase's 900")
    assert says(lines, "priority", "book-ACME@7", "second was matched, and first was before it")
    assert says(lines, "holds", "order-gone", "0 of it is open, and 900 is held at u-cash")


async def standing_order(bank: Bank, *runs: str) -> None:
    """One run of 3.00 from a to b, recorded as often as there are transfers, and ended."""
    body = {"from_account": "a", "to_account": "b", "amount": "3.00", "currency": "EUR"}
    bank.history.add(Operation("rent", "standing_order", "rent", "/v1/standing-orders", body))
    created = StandingOrderCreated(
        standing_order_id="rent",
        user_id="user-a",
        instruction=Instruction(from_account="a", to_account="b", amount=eur(3_00)),
        timetable=Timetable(frequency="once", first_at=RUN_AT, time_zone="UTC"),
        missed_runs="catch_up",
        next_at=RUN_AT,
    )
    made = [RunMade(run_at=RUN_AT, transfer_id=transfer) for transfer in runs]
    await bank.forge("standing_order-rent", created, *made, StandingOrderEnded())


async def run(bank: Bank, transfer: str, cents: int = 3_00) -> None:
    """The money of a run."""
    order = TransferOrder(transfer_id=transfer, from_account="a", to_account="b", amount=eur(cents))
    await bank.steps.open_transfer(OpenTransfer(order=order))
    await bank.steps.debit_source(order)
    await bank.steps.credit_destination(order, CreditWish(wish_id="credit"))


async def amended(bank: Bank) -> None:
    """Three runs an hour apart, dearer after the first and one run longer than it was to be."""
    body = {"from_account": "a", "to_account": "b", "amount": "3.00", "currency": "EUR"}
    bank.history.add(Operation("rent", "standing_order", "rent", "/v1/standing-orders", body))
    hour = timedelta(hours=1)
    table = Timetable(frequency="interval", every_s=3600, first_at=RUN_AT, end_at=RUN_AT + hour, time_zone="UTC")
    created = StandingOrderCreated(
        standing_order_id="rent",
        user_id="user-a",
        instruction=Instruction(from_account="a", to_account="b", amount=eur(3_00)),
        timetable=table,
        missed_runs="catch_up",
        next_at=RUN_AT,
    )
    made = [
        RunMade(run_at=RUN_AT + n * hour, transfer_id=f"rent-{n}", next_at=RUN_AT + (n + 1) * hour)
        for n in range(3)
    ]
    dearer = StandingOrderAmended(amount=eur(4_00), end_at=RUN_AT + 2 * hour, next_at=RUN_AT + hour)
    await bank.forge("standing_order-rent", created, made[0], dearer, *made[1:], StandingOrderEnded())


async def test_an_amendment_holds_from_its_own_moment_on(bank: Bank) -> None:
    await amended(bank)
    for transfer, cents in (("rent-0", 3_00), ("rent-1", 4_00), ("rent-2", 4_00)):
        await run(bank, transfer, cents)
    assert await bank.lines() == []


async def test_a_run_at_the_amount_before_an_amendment_and_one_before_it_at_the_amount_after(bank: Bank) -> None:
    await amended(bank)
    for transfer, cents in (("rent-0", 4_00), ("rent-1", 3_00), ("rent-2", 4_00)):
        await run(bank, transfer, cents)
    lines = await bank.lines()
    assert says(lines, "effect as asked", "standing_order-rent at 08:00:00", "is to move 300; rent-0 is over 400")
    assert says(lines, "effect as asked", "standing_order-rent at 09:00:00", "is to move 400; rent-1 is over 300")


async def test_a_run_that_is_done_twice_and_one_of_no_timetable(bank: Bank) -> None:
    """As if its transfer were named after the waking, and not after the run."""
    await standing_order(bank, "rent-1", "rent-2")
    await bank.forge("standing_order-rent", RunMade(run_at=RUN_AT + timedelta(hours=1), transfer_id="rent-3"))
    for transfer in ("rent-1", "rent-2", "rent-4"):
        await run(bank, transfer)
    lines = await bank.lines()
    assert says(lines, "effect once", "standing_order-rent@3", "at 08:00:00 is a RunMade, and was a RunMade")
    assert says(lines, "order", "standing_order-rent@5", "RunMade after it was ended")
    assert says(lines, "effect as asked", "standing_order-rent@5", "which its timetable does not have")
    assert says(lines, "asked for", "transfer-rent-4", "nobody asked for it")
