"""portfolio: what each user's settled trades in a share come to: quantity, cost, gains, and each day's turnover.

The cost is a moving average: a purchase adds what it cost, a sale takes out its part of it, rounded half-even, and
the rest of what it brought is gained. Shares that came by no purchase (a deposit) cost nothing.
"""

from __future__ import annotations

from typing import LiteralString

from domain.streams import TRADE
from domain.trade_messages import TradeSettled
from projections.model import Batch, Row, Statement, View, wanted

# A sale's part depends on all that went before it, so the fills are taken one after another.
TABLES: LiteralString = """
CREATE TABLE portfolio (
    user_id text COLLATE "C" NOT NULL,
    symbol text COLLATE "C" NOT NULL,
    currency text NOT NULL,
    quantity bigint NOT NULL,
    cost numeric NOT NULL,
    gained numeric NOT NULL,
    updated_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, symbol)
) WITH (fillfactor = 70);
CREATE TABLE portfolio_days (
    user_id text COLLATE "C" NOT NULL,
    symbol text COLLATE "C" NOT NULL,
    day date NOT NULL,
    bought bigint NOT NULL,
    bought_for numeric NOT NULL,
    sold bigint NOT NULL,
    sold_for numeric NOT NULL,
    PRIMARY KEY (user_id, symbol, day)
) WITH (fillfactor = 70);
CREATE FUNCTION part_of(cost numeric, sold bigint, quantity bigint) RETURNS numeric
    LANGUAGE sql IMMUTABLE RETURN CASE
        WHEN sold >= quantity THEN cost
        WHEN (2 * cost * sold) % (2 * quantity) = quantity THEN 2 * div(div(cost * sold, quantity) + 1, 2)
        ELSE round(cost * sold / quantity)
    END;
CREATE FUNCTION take_fill(fill json) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    f record;
    p record;
    closed bigint;
BEGIN
    SELECT * INTO f FROM json_to_record(fill) AS r (
        user_id text, symbol text, currency text, side text, quantity bigint, value numeric, at timestamptz);
    INSERT INTO portfolio (user_id, symbol, currency, quantity, cost, gained, updated_at)
    VALUES (f.user_id, f.symbol, f.currency, 0, 0, 0, f.at) ON CONFLICT DO NOTHING;
    SELECT * INTO STRICT p FROM portfolio AS q WHERE q.user_id = f.user_id AND q.symbol = f.symbol;
    IF f.side = 'buy' THEN
        p.quantity := p.quantity + f.quantity;
        p.cost := p.cost + f.value;
    ELSE
        closed := least(f.quantity, p.quantity);
        p.gained := p.gained + f.value - part_of(p.cost, closed, p.quantity);
        p.cost := p.cost - part_of(p.cost, closed, p.quantity);
        p.quantity := p.quantity - closed;
    END IF;
    UPDATE portfolio AS q SET quantity = p.quantity, cost = p.cost, gained = p.gained, updated_at = f.at
     WHERE q.user_id = f.user_id AND q.symbol = f.symbol;
END $$;
"""

FILLS: LiteralString = """
SELECT take_fill(fill) FROM json_array_elements(%s::json) WITH ORDINALITY AS f (fill, n) ORDER BY n
"""

DAYS: LiteralString = """
INSERT INTO portfolio_days AS d (user_id, symbol, day, bought, bought_for, sold, sold_for)
SELECT user_id, symbol, day, bought, bought_for, sold, sold_for
  FROM json_to_recordset(%s::json) AS r (
       user_id text, symbol text, day date, bought bigint, bought_for numeric, sold bigint, sold_for numeric)
ON CONFLICT (user_id, symbol, day) DO UPDATE
   SET bought = d.bought + EXCLUDED.bought, bought_for = d.bought_for + EXCLUDED.bought_for,
       sold = d.sold + EXCLUDED.sold, sold_for = d.sold_for + EXCLUDED.sold_for
"""


def apply(batch: Batch) -> list[Statement]:
    """Each side's fills in the log's order, and their sums by day (UTC)."""
    fills: list[Row] = []
    days: dict[tuple[str, str, str], Row] = {}
    for seen in batch.events:
        assert isinstance(seen.event, TradeSettled), f"not wanted: {seen.record.type}"
        trade = seen.event.trade
        for side, party in (("buy", trade.buyer), ("sell", trade.seller)):
            who: Row = {"user_id": party.user_id, "symbol": trade.symbol}
            fills.append(
                who
                | {
                    "currency": trade.price.currency,
                    "side": side,
                    "quantity": trade.quantity,
                    "value": trade.cost.minor,
                    "at": seen.at,
                }
            )
            day = seen.at.date().isoformat()
            row = days.setdefault(
                (party.user_id, trade.symbol, day),
                who | {"day": day, "bought": 0, "bought_for": 0, "sold": 0, "sold_for": 0},
            )
            quantity, value = ("bought", "bought_for") if side == "buy" else ("sold", "sold_for")
            row[quantity] += trade.quantity
            row[value] += trade.cost.minor
    made = ((FILLS, fills), (DAYS, list(days.values())))
    return [Statement(sql, rows) for sql, rows in made if rows]


VIEW = View("portfolio", 1, ("portfolio", "portfolio_days"), TABLES, wanted(TRADE, (TradeSettled,)), apply)
