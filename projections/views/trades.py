"""trades: what was agreed between two orders, and whether it is settled or busted."""

from __future__ import annotations

from typing import LiteralString

from domain.order_messages import OrderMatched
from domain.streams import ORDER, TRADE
from domain.trade_messages import TradeBusted, TradeSettled
from projections.model import Batch, Row, Statement, View, wanted

TABLES: LiteralString = """
CREATE TABLE trades (
    trade_id text COLLATE "C" PRIMARY KEY,
    symbol text COLLATE "C" NOT NULL,
    currency text NOT NULL,
    price bigint NOT NULL,
    quantity bigint NOT NULL,
    taker text NOT NULL,
    buy_order text NOT NULL,
    buyer text COLLATE "C" NOT NULL,
    sell_order text NOT NULL,
    seller text COLLATE "C" NOT NULL,
    status text NOT NULL,
    failure_code text,
    failure_reason text,
    matched_at timestamptz NOT NULL,
    finished_at timestamptz,
    created_position bigint NOT NULL UNIQUE
) WITH (fillfactor = 70);
CREATE INDEX trades_of_symbol ON trades (symbol, created_position);
CREATE INDEX trades_by_time ON trades (symbol, matched_at);
CREATE INDEX trades_of_buyer ON trades (buyer, created_position);
CREATE INDEX trades_of_seller ON trades (seller, created_position);
"""

INSERT: LiteralString = """
INSERT INTO trades (trade_id, symbol, currency, price, quantity, taker, buy_order, buyer, sell_order, seller,
                    status, failure_code, failure_reason, matched_at, finished_at, created_position)
SELECT trade_id, symbol, currency, price, quantity, taker, buy_order, buyer, sell_order, seller, status,
       failure_code, failure_reason, matched_at, finished_at, created_position
  FROM json_to_recordset(%s::json) AS r (
       trade_id text, symbol text, currency text, price bigint, quantity bigint, taker text, buy_order text,
       buyer text, sell_order text, seller text, status text, failure_code text, failure_reason text,
       matched_at timestamptz, finished_at timestamptz, created_position bigint)
"""

UPDATE: LiteralString = """
UPDATE trades AS t
   SET status = r.status, failure_code = r.failure_code, failure_reason = r.failure_reason,
       finished_at = r.finished_at
  FROM json_to_recordset(%s::json) AS r (
       trade_id text, status text, failure_code text, failure_reason text, finished_at timestamptz)
 WHERE t.trade_id = r.trade_id
"""


def apply(batch: Batch) -> list[Statement]:
    """One row per trade of the batch."""
    rows: dict[str, Row] = {}
    for seen in batch.events:
        match seen.event:
            case OrderMatched(trade=trade):
                rows[trade.trade_id] = {
                    "trade_id": trade.trade_id,
                    "symbol": trade.symbol,
                    "currency": trade.price.currency,
                    "price": trade.price.minor,
                    "quantity": trade.quantity,
                    "taker": trade.taker,
                    "buy_order": trade.buyer.order_id,
                    "buyer": trade.buyer.user_id,
                    "sell_order": trade.seller.order_id,
                    "seller": trade.seller.user_id,
                    "status": "matched",
                    "matched_at": seen.at,
                    "created_position": seen.record.position,
                }
            case TradeSettled() | TradeBusted():
                row = rows.setdefault(seen.id, {"trade_id": seen.id})
                row["status"], row["finished_at"] = "settled", seen.at
                if isinstance(seen.event, TradeBusted):
                    row["status"] = "busted"
                    row["failure_code"], row["failure_reason"] = seen.event.code, seen.event.reason
            case _:
                raise AssertionError(f"not wanted: {seen.record.type}")
    made = (
        (INSERT, [row for row in rows.values() if "symbol" in row]),
        (UPDATE, [row for row in rows.values() if "symbol" not in row]),
    )
    return [Statement(sql, found) for sql, found in made if found]


_WANTS = wanted(ORDER, (OrderMatched,)) | wanted(TRADE, (TradeSettled, TradeBusted))
VIEW = View("trades", 1, ("trades",), TABLES, _WANTS, apply)
