"""order_books: each share's terms and latest trade, and beside it (`book_orders`) every order that waits in it."""

from __future__ import annotations

from typing import LiteralString, get_args

from domain.book_messages import (
    BookEvent,
    InstrumentListed,
    OrderLeft,
    OrderReduced,
    OrderRested,
    OrdersMatched,
    TradingHalted,
    TradingResumed,
)
from domain.streams import BOOK
from projections.model import Batch, Row, Seen, Statement, View, wanted

TABLES: LiteralString = """
CREATE TABLE order_books (
    symbol text COLLATE "C" PRIMARY KEY,
    name text NOT NULL,
    currency text NOT NULL,
    tick bigint NOT NULL,
    lot bigint NOT NULL,
    status text NOT NULL,
    trades bigint NOT NULL,
    last_price bigint,
    last_quantity bigint,
    last_trade_at timestamptz,
    listed_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL
) WITH (fillfactor = 50);
CREATE TABLE book_orders (
    order_id text COLLATE "C" PRIMARY KEY,
    symbol text COLLATE "C" NOT NULL,
    side text NOT NULL,
    price bigint NOT NULL,
    quantity bigint NOT NULL CHECK (quantity > 0),
    rested_at timestamptz NOT NULL,
    priority bigint NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX book_orders_by_price ON book_orders (symbol, side, price, priority);
"""

LISTED: LiteralString = """
INSERT INTO order_books (symbol, name, currency, tick, lot, status, trades, last_price, last_quantity,
                         last_trade_at, listed_at, updated_at, version)
SELECT symbol, name, currency, tick, lot, status, COALESCE(trades, 0), last_price, last_quantity, last_trade_at,
       listed_at, updated_at, version
  FROM json_to_recordset(%s::json) AS r (
       symbol text, name text, currency text, tick bigint, lot bigint, status text, trades bigint,
       last_price bigint, last_quantity bigint, last_trade_at timestamptz, listed_at timestamptz,
       updated_at timestamptz, version bigint)
"""

CHANGED: LiteralString = """
UPDATE order_books AS b
   SET status = COALESCE(r.status, b.status), trades = COALESCE(r.trades, b.trades),
       last_price = COALESCE(r.last_price, b.last_price),
       last_quantity = COALESCE(r.last_quantity, b.last_quantity),
       last_trade_at = COALESCE(r.last_trade_at, b.last_trade_at),
       updated_at = r.updated_at, version = r.version
  FROM json_to_recordset(%s::json) AS r (
       symbol text, status text, trades bigint, last_price bigint, last_quantity bigint,
       last_trade_at timestamptz, updated_at timestamptz, version bigint)
 WHERE b.symbol = r.symbol
"""

GONE: LiteralString = """
DELETE FROM book_orders AS o
 USING json_to_recordset(%s::json) AS r (order_id text) WHERE o.order_id = r.order_id
"""

# Orders from before: `quantity` where it was amended, less what was `taken` since. Taken whole: gone.
TAKEN: LiteralString = """
WITH r AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%s::json) AS r (order_id text, quantity bigint, taken bigint)
), gone AS (
    DELETE FROM book_orders AS o USING r
     WHERE o.order_id = r.order_id AND COALESCE(r.quantity, o.quantity) = r.taken
)
UPDATE book_orders AS o SET quantity = COALESCE(r.quantity, o.quantity) - r.taken
  FROM r WHERE o.order_id = r.order_id AND COALESCE(r.quantity, o.quantity) <> r.taken
"""

RESTED: LiteralString = """
INSERT INTO book_orders (order_id, symbol, side, price, quantity, rested_at, priority)
SELECT order_id, symbol, side, price, quantity, rested_at, priority
  FROM json_to_recordset(%s::json) AS r (
       order_id text, symbol text, side text, price bigint, quantity bigint, rested_at timestamptz,
       priority bigint)
"""


def apply(batch: Batch) -> list[Statement]:
    """The books' own rows, then what left them, was taken from them, and waits in them now."""
    books: dict[str, Row] = {}
    orders: dict[str, Row] = {}
    left: dict[str, Row] = {}
    for seen in batch.events:
        _book(books.setdefault(seen.id, {"symbol": seen.id}), seen)
        _order(orders, left, seen)
    listed = [row for row in books.values() if "listed_at" in row]
    changed = [row for row in books.values() if "listed_at" not in row]
    rested = [row for row in orders.values() if "symbol" in row and row["quantity"]]
    taken = [row for row in orders.values() if "symbol" not in row]
    gone = list(left.values())
    made = ((LISTED, listed), (CHANGED, changed), (GONE, gone), (TAKEN, taken), (RESTED, rested))
    return [Statement(sql, rows) for sql, rows in made if rows]


def _book(row: Row, seen: Seen) -> None:
    match seen.event:
        case InstrumentListed(name=name, tick=tick, lot=lot):
            row.update(
                name=name, currency=tick.currency, tick=tick.minor, lot=lot, status="open", listed_at=seen.at
            )
        case TradingHalted():
            row["status"] = "halted"
        case TradingResumed():
            row["status"] = "open"
        case OrdersMatched(price=price, quantity=quantity, number=number):
            row.update(trades=number, last_price=price.minor, last_quantity=quantity, last_trade_at=seen.at)
        case _:
            pass
    row["version"], row["updated_at"] = seen.version, seen.at


def _order(orders: dict[str, Row], left: dict[str, Row], seen: Seen) -> None:
    match seen.event:
        case OrderRested() as rested:
            orders[rested.order_id] = {
                "order_id": rested.order_id,
                "symbol": seen.id,
                "side": rested.side,
                "price": rested.price.minor,
                "quantity": rested.quantity,
                "rested_at": seen.at,
                "priority": seen.record.position,
            }
        case OrdersMatched(maker_order=maker, quantity=quantity):
            row = orders.setdefault(maker, {"order_id": maker, "taken": 0})
            if "symbol" in row:
                row["quantity"] -= quantity
            else:
                row["taken"] += quantity
        case OrderReduced(order_id=order_id, quantity=quantity):
            row = orders.setdefault(order_id, {"order_id": order_id})
            row["quantity"], row["taken"] = quantity, 0
        case OrderLeft(order_id=order_id):
            orders.pop(order_id, None)
            left[order_id] = {"order_id": order_id}
        case _:
            pass


VIEW = View("order_books", 1, ("order_books", "book_orders"), TABLES, wanted(BOOK, get_args(BookEvent)), apply)
