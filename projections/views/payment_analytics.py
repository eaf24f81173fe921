"""payment_analytics: payments and their amounts by day (UTC, of their creation), currency and present status."""

from __future__ import annotations

from datetime import UTC
from typing import LiteralString

from projections.model import Batch, Row, Statement, View
from projections.views.payment_fold import PRESENT_STATUS, TO_WHAT_IT_IS_NOW, WANTS, fold

TABLES: LiteralString = (
    PRESENT_STATUS
    + """
CREATE TABLE payment_analytics (
    day date NOT NULL,
    currency text NOT NULL,
    status text NOT NULL,
    payments bigint NOT NULL,
    amount numeric NOT NULL,
    PRIMARY KEY (day, currency, status)
) WITH (fillfactor = 80);
CREATE INDEX payment_analytics_emptied ON payment_analytics (day) WHERE payments = 0;
CREATE TABLE counted_payments (
    payment_id text COLLATE "C" PRIMARY KEY,
    day date NOT NULL,
    currency text NOT NULL,
    amount bigint NOT NULL,
    status text NOT NULL,
    captured bigint NOT NULL,
    refunded bigint NOT NULL
) WITH (fillfactor = 70);
"""
)

# Payments initiated in this batch, as they are at its end: each enters its bucket.
OPENED: LiteralString = """
WITH r AS MATERIALIZED (
    SELECT payment_id, day, currency, amount, present_status(status, captured, refunded) AS status, captured,
           refunded
      FROM json_to_recordset(%s::json) AS r (
           payment_id text, day date, currency text, amount bigint, status text, captured bigint, refunded bigint)
), kept AS (
    INSERT INTO counted_payments (payment_id, day, currency, amount, status, captured, refunded)
    SELECT payment_id, day, currency, amount, status, captured, refunded FROM r
)
INSERT INTO payment_analytics AS b (day, currency, status, payments, amount)
SELECT day, currency, status, count(*), sum(amount) FROM r GROUP BY day, currency, status
ON CONFLICT (day, currency, status) DO UPDATE
   SET payments = b.payments + EXCLUDED.payments, amount = b.amount + EXCLUDED.amount
"""

# Payments from before: each leaves the bucket it was counted in and enters the one it belongs to now.
CHANGED: LiteralString = f"""
WITH moved AS (
    UPDATE counted_payments AS p
    {TO_WHAT_IT_IS_NOW}
    RETURNING p.day, p.currency, p.amount, old.status AS was, new.status AS status
), change AS (
    SELECT day, currency, status, sum(sign) AS payments, sum(sign * amount::numeric) AS amount
      FROM (SELECT day, currency, was AS status, amount, -1 AS sign FROM moved
            UNION ALL SELECT day, currency, status, amount, 1 FROM moved) AS moves
     GROUP BY day, currency, status
    HAVING sum(sign) <> 0 OR sum(sign * amount::numeric) <> 0
)
INSERT INTO payment_analytics AS b (day, currency, status, payments, amount)
SELECT day, currency, status, payments, amount FROM change
ON CONFLICT (day, currency, status) DO UPDATE
   SET payments = b.payments + EXCLUDED.payments, amount = b.amount + EXCLUDED.amount
"""  # noqa: S608 – put together from constants

# A bucket that everything has left is as if it had never been.
SWEEP: LiteralString = """
DELETE FROM payment_analytics USING json_to_recordset(%s::json) AS unused (x int) WHERE payments = 0
"""

_OPENED = ("payment_id", "currency", "amount", "status", "captured", "refunded")
_CHANGED = ("payment_id", "status", "captured", "refunded")


def apply(batch: Batch) -> list[Statement]:
    """Only payments whose bucket may have changed."""
    opened: list[Row] = []
    changed: list[Row] = []
    for row in batch.fold(fold).values():
        if "created_at" in row:
            found = {field: row[field] for field in _OPENED}
            found["day"] = row["created_at"].astimezone(UTC).date()
            opened.append(found)
        elif "status" in row:
            changed.append({field: row[field] for field in _CHANGED if field in row})
    statements = [Statement(OPENED, opened)] if opened else []
    return [*statements, Statement(CHANGED, changed), Statement(SWEEP, [{}])] if changed else statements


VIEW = View("payment_analytics", 1, ("payment_analytics",), TABLES, WANTS, apply)
