"""The views of orders, books, trades and portfolios say what the domain's states say, however the log is cut."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from decimal import ROUND_HALF_EVEN, Decimal

import pytest

from domain.book import OrderBook
from domain.order import Order
from domain.trade_messages import TradeSettled
from projections.builds import create_build
from projections.catalogue import VIEWS
from projections.decoding import Dealer, prepare
from projections.writing import commit
from tests.fixtures.histories import History
from tests.fixtures.projecting import Rig, rig_for

NAMES = ("orders", "order_books", "trades", "portfolio")


@pytest.fixture
async def rig(database_url: str) -> AsyncIterator[Rig]:
    async with rig_for(database_url) as made:
        yield made


@pytest.mark.parametrize("seed", range(2))
async def test_views_of_trading_say_what_the_domain_says(rig: Rig, seed: int) -> None:
    history = History(seed).trade(seed)
    await rig.write(history.appends)
    sizes, position = random.Random(seed), 0
    async with rig.connect() as connection:
        tracks = [await create_build(connection, VIEWS[name], "live") for name in NAMES]
        dealer = Dealer([VIEWS[name] for name in NAMES])
        while records := await rig.log.read(position, sizes.choice((1, 5, 40))):
            dealt = dealer.deal(records)
            await commit(connection, [prepare(track, position, dealt) for track in tracks])
            position = dealt.upto
    await _orders_agree(rig, history)
    await _books_agree(rig, history)
    await _portfolios_agree(rig, history)


async def _orders_agree(rig: Rig, history: History) -> None:
    rows = await rig.query(
        "SELECT order_id, status, price, quantity, filled, busted, cancelled, leaves, value FROM read.orders"
    )
    orders = [state for state in history.states.values() if isinstance(state, Order)]
    assert {row[0]: row[1:] for row in rows} == {
        o.order_id: (o.status, o.price, o.quantity, o.filled, o.busted, o.cancelled, o.leaves, o.value)
        for o in orders
    }
    statuses = await rig.query("SELECT status, count(*) FROM read.trades GROUP BY 1")
    finished = {f"Trade{row[0].capitalize()}": row[1] for row in statuses}
    events = Counter(type(w.event).__name__ for a in history.appends for w in a if w.stream.startswith("trade-"))
    assert finished == events


async def _books_agree(rig: Rig, history: History) -> None:
    [book] = [state for state in history.states.values() if isinstance(state, OrderBook)]
    rows = await rig.query("SELECT side, price, order_id, quantity FROM read.book_orders ORDER BY priority")
    waiting = [
        (side, level.price, order.order_id, order.quantity)
        for side, levels in (("buy", book.bids), ("sell", book.asks))
        for level in levels
        for order in level.orders
    ]
    assert sorted(rows) == sorted(waiting)
    for level in book.bids:
        line = [row[2] for row in rows if (row[0], row[1]) == ("buy", level.price)]
        assert line == [order.order_id for order in level.orders], "by time"
    terms = "SELECT symbol, currency, tick, lot, status, trades, last_price FROM read.order_books"
    expected = (book.symbol, book.currency, book.tick, book.lot, book.status, book.trades, book.last_price)
    assert await rig.query(terms) == [expected]


async def _portfolios_agree(rig: Rig, history: History) -> None:
    quantity: dict[str, int] = defaultdict(int)
    cost: dict[str, Decimal] = defaultdict(Decimal)
    gained: dict[str, Decimal] = defaultdict(Decimal)
    turnover = 0
    for append in history.appends:
        for written in append:
            if not isinstance(written.event, TradeSettled):
                continue
            trade = written.event.trade
            buyer, seller = trade.buyer.user_id, trade.seller.user_id
            turnover += trade.cost.minor
            quantity[buyer] += trade.quantity
            cost[buyer] += trade.cost.minor
            closed = min(trade.quantity, quantity[seller])
            part = (
                (cost[seller] * closed / quantity[seller]).quantize(Decimal(1), ROUND_HALF_EVEN) if closed else 0
            )
            gained[seller] += trade.cost.minor - part
            cost[seller] -= part
            quantity[seller] -= closed
    rows = await rig.query("SELECT user_id, quantity, cost, gained FROM read.portfolio")
    users = quantity.keys() | gained.keys()
    assert {row[0]: row[1:] for row in rows} == {u: (quantity[u], cost[u], gained[u]) for u in users}
    [[bought, sold]] = await rig.query("SELECT sum(bought_for), sum(sold_for) FROM read.portfolio_days")
    assert bought == sold == turnover > 0
