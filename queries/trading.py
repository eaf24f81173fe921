"""Questions about orders, books, trades and portfolios."""

from __future__ import annotations

from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from typing import LiteralString

from queries.errors import NotFound
from queries.money import wire
from queries.paging import NEWEST, Page, checked_limit, decode_cursor, page_of
from queries.reader import Fetch, Question, Row
from queries.trading_results import (
    BookLevel,
    CashPosition,
    DayStatistics,
    OrderBookView,
    OrderView,
    Portfolio,
    SharePosition,
    TradeView,
)

MAX_DEPTH = 100

ORDER: LiteralString = "SELECT * FROM read.orders WHERE order_id = %s"

ORDERS: LiteralString = """
SELECT * FROM read.orders
 WHERE created_position < %(before)s AND (%(user_id)s::text IS NULL OR user_id = %(user_id)s)
   AND (%(symbol)s::text IS NULL OR symbol = %(symbol)s)
   AND (NOT %(open)s OR status IN ('placed', 'accepted', 'partially_filled'))
 ORDER BY created_position DESC LIMIT %(rows)s
"""

TRADES: LiteralString = """
SELECT * FROM read.trades
 WHERE created_position < %(before)s AND (%(symbol)s::text IS NULL OR symbol = %(symbol)s)
   AND (%(user_id)s::text IS NULL OR buyer = %(user_id)s OR seller = %(user_id)s)
 ORDER BY created_position DESC LIMIT %(rows)s
"""

BOOK: LiteralString = "SELECT * FROM read.order_books WHERE symbol = %s"

BOOKS: LiteralString = "SELECT * FROM read.order_books ORDER BY symbol"

LEVELS: LiteralString = """
SELECT price, sum(quantity) AS quantity, count(*) AS orders FROM read.book_orders
 WHERE symbol = %(symbol)s AND side = %(side)s
 GROUP BY price ORDER BY CASE WHEN %(side)s = 'buy' THEN -price ELSE price END LIMIT %(depth)s
"""

# Busted trades never were; agreed ones are.
DAY_STATISTICS: LiteralString = """
SELECT count(*) AS trades, COALESCE(sum(quantity), 0) AS volume, max(price) AS high, min(price) AS low,
       COALESCE(sum(quantity * price::numeric), 0) AS turnover,
       (array_agg(price ORDER BY created_position))[1] AS open
  FROM read.trades
 WHERE symbol = %s AND status <> 'busted' AND matched_at > now() - interval '24 hours'
"""

CASH: LiteralString = """
SELECT currency, sum(balance) AS balance, sum(held) AS held,
       sum(CASE WHEN status = 'open' THEN GREATEST(available, 0) ELSE 0 END) AS available
  FROM read.accounts WHERE user_id = %s AND rail IS NULL AND length(currency) = 3 AND status <> 'closed'
 GROUP BY currency ORDER BY currency
"""

# The close before today is the last trade of an earlier day (UTC); without one, today's first.
SHARES: LiteralString = """
WITH mine AS (
    SELECT currency AS symbol, sum(balance) AS quantity, sum(held) AS held
      FROM read.accounts
     WHERE user_id = %(user_id)s AND rail IS NULL AND length(currency) > 3 AND status <> 'closed'
     GROUP BY currency
)
SELECT m.symbol, m.quantity, m.held, b.name, b.currency, b.last_price,
       COALESCE(p.quantity, 0) AS bought_quantity, COALESCE(p.cost, 0) AS cost, COALESCE(p.gained, 0) AS gained,
       COALESCE(d.bought, 0) AS bought, COALESCE(d.bought_for, 0) AS bought_for,
       COALESCE(d.sold, 0) AS sold, COALESCE(d.sold_for, 0) AS sold_for,
       COALESCE((SELECT price FROM read.trades t WHERE t.symbol = m.symbol AND t.status <> 'busted'
                  AND t.matched_at < %(today)s::date::timestamp AT TIME ZONE 'UTC'
                  ORDER BY t.matched_at DESC, t.created_position DESC LIMIT 1),
                (SELECT price FROM read.trades t WHERE t.symbol = m.symbol AND t.status <> 'busted'
                  AND t.matched_at >= %(today)s::date::timestamp AT TIME ZONE 'UTC'
                  ORDER BY t.matched_at, t.created_position LIMIT 1)) AS close
  FROM mine AS m
  JOIN read.order_books AS b ON b.symbol = m.symbol
  LEFT JOIN read.portfolio AS p ON p.user_id = %(user_id)s AND p.symbol = m.symbol
  LEFT JOIN read.portfolio_days AS d
    ON d.user_id = %(user_id)s AND d.symbol = m.symbol AND d.day = %(today)s::date
 ORDER BY m.symbol
"""

ACCOUNTS_FOR: LiteralString = """
SELECT account_id, currency FROM read.accounts
 WHERE user_id = %(user_id)s AND rail IS NULL AND status = 'open'
   AND currency IN (%(symbol)s, (SELECT currency FROM read.order_books WHERE symbol = %(symbol)s))
 ORDER BY created_position
"""


def get_order(order_id: str) -> Question[OrderView]:
    """Raises NotFound."""

    async def ask(fetch: Fetch) -> OrderView:
        rows = await fetch(ORDER, (order_id,))
        if not rows:
            raise NotFound(f"order {order_id} does not exist")
        return order_of(rows[0])

    return Question("get_order", ("orders",), ask)


def list_orders(
    user_id: str | None = None,
    symbol: str | None = None,
    only_open: bool = False,
    limit: int = 50,
    cursor: str | None = None,
) -> Question[Page[OrderView]]:
    """The newest first; of one user, of one share, only open ones, or all. Raises BadCursor, ValueError."""
    checked_limit(limit)
    (before,) = decode_cursor("orders", cursor, (NEWEST,))

    async def ask(fetch: Fetch) -> Page[OrderView]:
        wanted = {"user_id": user_id, "symbol": symbol, "open": only_open, "before": before, "rows": limit + 1}
        rows = await fetch(ORDERS, wanted)
        return page_of(rows, limit, "orders", lambda row: (row["created_position"],), order_of)

    return Question("list_orders", ("orders",), ask)


def list_trades(
    symbol: str | None = None,
    user_id: str | None = None,
    viewer: str | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Question[Page[TradeView]]:
    """The newest first; of one share, of one user. With a `viewer` other users and their orders are left out."""
    checked_limit(limit)
    (before,) = decode_cursor("trades", cursor, (NEWEST,))

    async def ask(fetch: Fetch) -> Page[TradeView]:
        wanted = {"symbol": symbol, "user_id": user_id, "before": before, "rows": limit + 1}
        rows = await fetch(TRADES, wanted)
        shown = [row if viewer is None else _anonymous(row, viewer) for row in rows]
        return page_of(shown, limit, "trades", lambda row: (row["created_position"],), trade_of)

    return Question("list_trades", ("trades",), ask)


def order_book(symbol: str, depth: int = 10) -> Question[OrderBookView]:
    """The best `depth` prices of each side, the latest trade, the last 24 hours. Raises NotFound, ValueError."""
    if not 1 <= depth <= MAX_DEPTH:
        raise ValueError(f"depth must be between 1 and {MAX_DEPTH}")

    async def ask(fetch: Fetch) -> OrderBookView:
        rows = await fetch(BOOK, (symbol,))
        if not rows:
            raise NotFound(f"there is no instrument {symbol}")
        sides = [await fetch(LEVELS, {"symbol": symbol, "side": side, "depth": depth}) for side in ("buy", "sell")]
        [day] = await fetch(DAY_STATISTICS, (symbol,))
        return _book(rows[0], sides[0], sides[1], day)

    return Question("order_book", ("order_books", "trades"), ask)


def list_instruments() -> Question[tuple[OrderBookView, ...]]:
    """Every share there is, without its levels."""

    async def ask(fetch: Fetch) -> tuple[OrderBookView, ...]:
        found = []
        for row in await fetch(BOOKS):
            [day] = await fetch(DAY_STATISTICS, (row["symbol"],))
            found.append(_book(row, [], [], day))
        return tuple(found)

    return Question("list_instruments", ("order_books", "trades"), ask)


def portfolio(user_id: str, today: date) -> Question[Portfolio]:
    """What the user has and what it is worth at the latest prices. `today` (UTC) is the day of `day_gain`."""

    async def ask(fetch: Fetch) -> Portfolio:
        cash = await fetch(CASH, (user_id,))
        shares = await fetch(SHARES, {"user_id": user_id, "today": today})
        orders = await fetch(
            ORDERS, {"user_id": user_id, "symbol": None, "open": True, "before": NEWEST, "rows": 200}
        )
        return _portfolio(user_id, cash, shares, orders)

    views = ("accounts", "portfolio", "order_books", "trades", "orders")
    return Question("portfolio", views, ask)


def trading_accounts(user_id: str, symbol: str) -> Question[dict[str, list[str]]]:
    """The user's open accounts for the share and for the money it is traded in, by asset."""

    async def ask(fetch: Fetch) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for row in await fetch(ACCOUNTS_FOR, {"user_id": user_id, "symbol": symbol}):
            found.setdefault(row["currency"], []).append(row["account_id"])
        return found

    return Question("trading_accounts", ("accounts", "order_books"), ask)


def order_of(row: Row) -> OrderView:
    """A row of the view, as it is told."""
    currency = row["currency"]
    as_they_are = (
        "order_id user_id status cash_account share_account symbol side type tif quantity filled leaves cancelled "
        "busted failure_code failure_reason expires_at created_at updated_at version"
    )
    filled = row["filled"]
    mean = None if not filled else _rounded(Decimal(row["value"]) / filled)
    return OrderView(
        **{name: row[name] for name in as_they_are.split()},
        currency=currency,
        price=None if row["price"] is None else wire(row["price"], currency),
        average_price=None if mean is None else wire(mean, currency),
        value=wire(row["value"], currency),
    )


def trade_of(row: Row) -> TradeView:
    """A row of the view, as it is told."""
    names = (
        "trade_id symbol currency quantity taker status buy_order buyer sell_order seller failure_code "
        "failure_reason matched_at finished_at"
    )
    return TradeView(
        **{name: row[name] for name in names.split()},
        price=wire(row["price"], row["currency"]),
        value=wire(row["price"] * row["quantity"], row["currency"]),
    )


def _anonymous(row: Row, viewer: str) -> Row:
    hidden: Row = {}
    for party, order in (("buyer", "buy_order"), ("seller", "sell_order")):
        if row[party] != viewer:
            hidden |= {party: None, order: None}
    return row | hidden


def _book(row: Row, bids: list[Row], asks: list[Row], day: Row) -> OrderBookView:
    currency, last = row["currency"], row["last_price"]

    def money(minor: int | Decimal | None) -> str | None:
        return None if minor is None else wire(minor, currency)

    def levels(rows: list[Row]) -> tuple[BookLevel, ...]:
        return tuple(BookLevel(wire(r["price"], currency), int(r["quantity"]), r["orders"]) for r in rows)

    return OrderBookView(
        symbol=row["symbol"],
        name=row["name"],
        currency=currency,
        tick=wire(row["tick"], currency),
        lot=row["lot"],
        status=row["status"],
        bids=levels(bids),
        asks=levels(asks),
        last_price=money(last),
        last_quantity=row["last_quantity"],
        last_trade_at=row["last_trade_at"],
        trades=row["trades"],
        day=DayStatistics(
            trades=day["trades"],
            volume=int(day["volume"]),
            turnover=wire(day["turnover"], currency),
            open=money(day["open"]),
            high=money(day["high"]),
            low=money(day["low"]),
            change=money(None if day["open"] is None or last is None else last - day["open"]),
        ),
        version=row["version"],
    )


def _portfolio(user_id: str, cash: list[Row], shares: list[Row], orders: list[Row]) -> Portfolio:
    totals: dict[str, Decimal] = {}
    gains: dict[str, Decimal] = {}
    for row in cash:
        totals[row["currency"]] = Decimal(row["balance"])
    for row in shares:
        currency = row["currency"]
        totals[currency] = totals.get(currency, Decimal()) + _worth(row)
        gains[currency] = gains.get(currency, Decimal()) + _day_gain(row)
    return Portfolio(
        user_id=user_id,
        cash=tuple(
            CashPosition(
                row["currency"],
                wire(row["balance"], row["currency"]),
                wire(row["held"], row["currency"]),
                wire(row["available"], row["currency"]),
            )
            for row in cash
        ),
        positions=tuple(_position(row) for row in shares),
        total_value={currency: wire(total, currency) for currency, total in sorted(totals.items())},
        day_gain={currency: wire(gain, currency) for currency, gain in sorted(gains.items())},
        trading_power={row["currency"]: wire(row["available"], row["currency"]) for row in cash},
        open_orders=tuple(map(order_of, orders)),
    )


def _position(row: Row) -> SharePosition:
    currency, bought = row["currency"], row["bought_quantity"]
    mean = None if not bought else _rounded(row["cost"] / bought)
    last = row["last_price"]
    return SharePosition(
        symbol=row["symbol"],
        name=row["name"],
        quantity=int(row["quantity"]),
        held=int(row["held"]),
        currency=currency,
        average_cost=None if mean is None else wire(mean, currency),
        cost=wire(row["cost"], currency),
        last_price=None if last is None else wire(last, currency),
        value=wire(_worth(row), currency),
        gained=wire(row["gained"], currency),
        open_gain=None if last is None else wire(bought * last - row["cost"], currency),
        day_gain=wire(_day_gain(row), currency),
    )


def _worth(row: Row) -> Decimal:
    return Decimal(row["quantity"]) * (row["last_price"] or 0)


def _day_gain(row: Row) -> Decimal:
    """What it is worth now, less what it was worth as the day began, less what went in, plus what came out.

    Shares deposited today count as if they had been there as the day began.
    """
    began = Decimal(row["quantity"]) - row["bought"] + row["sold"]
    close = row["close"] or 0
    gain: Decimal = _worth(row) - began * close - row["bought_for"] + row["sold_for"]
    return gain


def _rounded(value: Decimal) -> int:
    """Half-even, to the minor unit."""
    return int(value.quantize(Decimal(1), ROUND_HALF_EVEN))
