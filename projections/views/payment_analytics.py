"""payment_analytics: payments and their amounts by day (UTC, of their creation), currency and present status."""

from __future__ import annotations

from datetime import UTC
from typing import LiteralString

from projections.model import Batch, Row, Statement, View
from projections.views.payment_fold import PRESENT_STATUS, WANTS, fold

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

# Each payment leaves the bucket it was counted in and enters the one it belongs to now. The parts of one statement
# all see the tables as they were before it: `old` is what stood there.
APPLY: LiteralString = """
WITH r AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%s::json) AS r (
           payment_id text, day date, currency text, amount bigint, status text, captured bigint, refunded bigint)
), old AS (
    SELECT p.* FROM r JOIN counted_payments AS p USING (payment_id)
), new AS (
    INSERT INTO counted_payments AS p (payment_id, day, currency, amount, status, captured, refunded)
    SELECT r.payment_id, COALESCE(r.day, o.day), COALESCE(r.currency, o.currency), COALESCE(r.amount, o.amount),
           present_status(COALESCE(r.status, o.status), COALESCE(r.captured, o.captured, 0),
                          COALESCE(r.refunded, o.refunded, 0)),
           COALESCE(r.captured, o.captured, 0), COALESCE(r.refunded, o.refunded, 0)
      FROM r LEFT JOIN old AS o USING (payment_id)
    ON CONFLICT (payment_id) DO UPDATE
       SET status = EXCLUDED.status, captured = EXCLUDED.captured, refunded = EXCLUDED.refunded
    RETURNING day, currency, amount, status
), change AS (
    SELECT day, currency, status, sum(sign) AS payments, sum(sign * amount::numeric) AS amount
      FROM (SELECT day, currency, status, amount, -1 AS sign FROM old
            UNION ALL SELECT day, currency, status, amount, 1 FROM new) AS moves
     GROUP BY day, currency, status
    HAVING sum(sign) <> 0 OR sum(sign * amount::numeric) <> 0
)
INSERT INTO payment_analytics AS b (day, currency, status, payments, amount)
SELECT day, currency, status, payments, amount FROM change
ON CONFLICT (day, currency, status) DO UPDATE
   SET payments = b.payments + EXCLUDED.payments, amount = b.amount + EXCLUDED.amount
"""

# A bucket that everything has left is as if it had never been.
SWEEP: LiteralString = """
DELETE FROM payment_analytics USING json_to_recordset(%s::json) AS unused (x int) WHERE payments = 0
"""

_FIELDS = ("payment_id", "currency", "amount", "status", "captured", "refunded")


def apply(batch: Batch) -> list[Statement]:
    """Only payments whose bucket may have changed."""
    rows: list[Row] = []
    for row in batch.fold(fold).values():
        if "status" in row:
            found = {field: row[field] for field in _FIELDS if field in row}
            if "created_at" in row:
                found["day"] = row["created_at"].astimezone(UTC).date()
            rows.append(found)
    return [Statement(APPLY, rows), Statement(SWEEP, [{}])] if rows else []


VIEW = View("payment_analytics", 1, ("payment_analytics",), TABLES, WANTS, apply)
