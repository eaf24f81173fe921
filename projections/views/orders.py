"""orders: each order as it stands. Its status follows from its quantities, as in domain/order.py."""

from __future__ import annotations

from typing import LiteralString, get_args

from domain.order_messages import (
    OrderAccepted,
    OrderAmended,
    OrderCancelled,
    OrderEvent,
    OrderExpired,
    OrderFill,
    OrderMatched,
    OrderPlaced,
    OrderRejected,
    OrderTradeBusted,
)
from domain.streams import ORDER
from projections.model import Batch, Row, Statement, View, wanted

TABLES: LiteralString = """
CREATE TABLE orders (
    order_id text COLLATE "C" PRIMARY KEY,
    user_id text COLLATE "C" NOT NULL,
    cash_account text NOT NULL,
    share_account text NOT NULL,
    symbol text COLLATE "C" NOT NULL,
    currency text NOT NULL,
    side text NOT NULL,
    type text NOT NULL,
    tif text NOT NULL,
    price bigint,
    quantity bigint NOT NULL,
    filled bigint NOT NULL,
    busted bigint NOT NULL,
    cancelled bigint NOT NULL,
    leaves bigint GENERATED ALWAYS AS (quantity - filled - busted - cancelled) STORED,
    value bigint NOT NULL,
    state text NOT NULL,
    status text GENERATED ALWAYS AS (
        CASE WHEN state IN ('placed', 'rejected') THEN state
             WHEN quantity - filled - busted - cancelled > 0
             THEN CASE WHEN filled > 0 THEN 'partially_filled' ELSE 'accepted' END
             WHEN filled = quantity THEN 'filled'
             WHEN state = 'expired' THEN 'expired'
             ELSE 'cancelled' END) STORED,
    failure_code text,
    failure_reason text,
    expires_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    created_position bigint NOT NULL UNIQUE
) WITH (fillfactor = 70);
CREATE INDEX orders_of_user ON orders (user_id, created_position);
CREATE INDEX orders_of_symbol ON orders (symbol, created_position);
"""

# Orders placed in this batch, as they are at its end.
INSERT: LiteralString = """
INSERT INTO orders (order_id, user_id, cash_account, share_account, symbol, currency, side, type, tif, price,
                    quantity, filled, busted, cancelled, value, state, failure_code, failure_reason, expires_at,
                    created_at, updated_at, version, created_position)
SELECT order_id, user_id, cash_account, share_account, symbol, currency, side, type, tif, price, quantity, filled,
       busted, cancelled, value, state, failure_code, failure_reason, expires_at, created_at, updated_at, version,
       created_position
  FROM json_to_recordset(%s::json) AS r (
       order_id text, user_id text, cash_account text, share_account text, symbol text, currency text, side text,
       type text, tif text, price bigint, quantity bigint, filled bigint, busted bigint, cancelled bigint,
       value bigint, state text, failure_code text, failure_reason text, expires_at timestamptz,
       created_at timestamptz, updated_at timestamptz, version bigint, created_position bigint)
"""

# Orders from before: what changed, null where it did not. `busted` and `cancelled` are what was added.
UPDATE: LiteralString = """
UPDATE orders AS o
   SET price = COALESCE(r.price, o.price),
       quantity = COALESCE(r.quantity, o.quantity),
       filled = COALESCE(r.filled, o.filled),
       value = COALESCE(r.value, o.value),
       busted = o.busted + COALESCE(r.busted, 0),
       cancelled = o.cancelled + COALESCE(r.cancelled, 0),
       state = COALESCE(r.state, o.state),
       failure_code = COALESCE(r.failure_code, o.failure_code),
       failure_reason = COALESCE(r.failure_reason, o.failure_reason),
       updated_at = r.updated_at,
       version = r.version
  FROM json_to_recordset(%s::json) AS r (
       order_id text, price bigint, quantity bigint, filled bigint, value bigint, busted bigint, cancelled bigint,
       state text, failure_code text, failure_reason text, updated_at timestamptz, version bigint)
 WHERE o.order_id = r.order_id
"""


def apply(batch: Batch) -> list[Statement]:
    """One row per order of the batch."""
    rows: dict[str, Row] = {}
    for seen in batch.events:
        row = rows.get(seen.record.stream)
        if isinstance(seen.event, OrderPlaced):
            row = rows[seen.record.stream] = _placed(seen.event)
            row["created_at"], row["created_position"] = seen.at, seen.record.position
        elif row is None:
            row = rows[seen.record.stream] = {"order_id": seen.id}
        _change(row, seen.event)
        row["version"], row["updated_at"] = seen.version, seen.at
    placed = [row for row in rows.values() if "created_at" in row]
    changed = [row for row in rows.values() if "created_at" not in row]
    return [Statement(sql, found) for sql, found in ((INSERT, placed), (UPDATE, changed)) if found]


def _placed(event: OrderPlaced) -> Row:
    return {
        "order_id": event.order_id,
        "user_id": event.user_id,
        "cash_account": event.cash_account,
        "share_account": event.share_account,
        "symbol": event.symbol,
        "currency": event.currency,
        "side": event.side,
        "type": event.type,
        "tif": event.tif,
        "price": None if event.price is None else event.price.minor,
        "quantity": event.quantity,
        "filled": 0,
        "busted": 0,
        "cancelled": 0,
        "value": 0,
        "state": "placed",
        "expires_at": event.expires_at,
    }


def _change(row: Row, event: object) -> None:
    match event:
        case OrderAccepted():
            row["state"] = "accepted"
        case OrderRejected(code=code, reason=reason):
            row["state"], row["failure_code"], row["failure_reason"] = "rejected", code, reason
        case OrderFill(filled=filled, value=value):
            row["filled"], row["value"] = filled, value.minor
        case OrderTradeBusted(quantity=quantity, code=code, reason=reason):
            row["busted"] = row.get("busted", 0) + quantity
            row["failure_code"], row["failure_reason"] = code, reason
        case OrderAmended(quantity=quantity, price=price):
            row["quantity"], row["price"] = quantity, price.minor
        case OrderCancelled(quantity=quantity, reason=reason):
            row["cancelled"] = row.get("cancelled", 0) + quantity
            row["state"], row["failure_reason"] = "cancelled", reason
        case OrderExpired(quantity=quantity):
            row["cancelled"] = row.get("cancelled", 0) + quantity
            row["state"] = "expired"
        case _:
            assert isinstance(event, OrderPlaced | OrderMatched), f"not wanted: {event!r}"


VIEW = View("orders", 1, ("orders",), TABLES, wanted(ORDER, get_args(OrderEvent)), apply)
