"""user_payment_summary: what each user has paid, as the payer, by currency.

`total_payments` and `total_amount` count every payment the user initiated, whatever became of it. `pending` ones
are not decided yet (pending, in review, authorized); `failed` ones failed.
"""

from __future__ import annotations

from typing import LiteralString

from projections.model import Batch, Row, Statement, View
from projections.views.payment_fold import PRESENT_STATUS, TO_WHAT_IT_IS_NOW, WANTS, fold

TABLES: LiteralString = (
    PRESENT_STATUS
    + """
CREATE TABLE user_payment_summary (
    user_id text COLLATE "C" NOT NULL,
    currency text NOT NULL,
    total_payments bigint NOT NULL,
    total_amount numeric NOT NULL,
    failed_payments bigint NOT NULL,
    pending_payments bigint NOT NULL,
    last_payment_at timestamptz NOT NULL,
    PRIMARY KEY (user_id, currency)
) WITH (fillfactor = 80);
CREATE TABLE summarised_payments (
    payment_id text COLLATE "C" PRIMARY KEY,
    user_id text NOT NULL,
    currency text NOT NULL,
    status text NOT NULL,
    captured bigint NOT NULL,
    refunded bigint NOT NULL
) WITH (fillfactor = 70);
CREATE FUNCTION failed(status text) RETURNS int LANGUAGE sql IMMUTABLE RETURN (status = 'failed')::int;
CREATE FUNCTION pending(status text) RETURNS int
    LANGUAGE sql IMMUTABLE RETURN (status IN ('pending', 'in_review', 'authorized'))::int;
"""
)

# Payments initiated in this batch, as they are at its end: each counts for its user.
OPENED: LiteralString = """
WITH r AS MATERIALIZED (
    SELECT payment_id, from_user AS user_id, currency, amount, captured, refunded, created_at,
           present_status(status, captured, refunded) AS status
      FROM json_to_recordset(%s::json) AS r (
           payment_id text, from_user text, currency text, amount bigint, status text, captured bigint,
           refunded bigint, created_at timestamptz)
), kept AS (
    INSERT INTO summarised_payments (payment_id, user_id, currency, status, captured, refunded)
    SELECT payment_id, user_id, currency, status, captured, refunded FROM r
)
INSERT INTO user_payment_summary AS s (user_id, currency, total_payments, total_amount, failed_payments,
                                       pending_payments, last_payment_at)
SELECT user_id, currency, count(*), sum(amount), sum(failed(status)), sum(pending(status)), max(created_at)
  FROM r GROUP BY user_id, currency
ON CONFLICT (user_id, currency) DO UPDATE
   SET total_payments = s.total_payments + EXCLUDED.total_payments,
       total_amount = s.total_amount + EXCLUDED.total_amount,
       failed_payments = s.failed_payments + EXCLUDED.failed_payments,
       pending_payments = s.pending_payments + EXCLUDED.pending_payments,
       last_payment_at = GREATEST(s.last_payment_at, EXCLUDED.last_payment_at)
"""

# Payments from before: each moves from what it counted as to what it counts as now.
CHANGED: LiteralString = f"""
WITH change AS (
    UPDATE summarised_payments AS p
    {TO_WHAT_IT_IS_NOW}
    RETURNING p.user_id, p.currency, failed(new.status) - failed(old.status) AS failed,
              pending(new.status) - pending(old.status) AS pending
), sums AS (
    SELECT user_id, currency, sum(failed) AS failed, sum(pending) AS pending FROM change
     GROUP BY user_id, currency HAVING sum(failed) <> 0 OR sum(pending) <> 0
)
UPDATE user_payment_summary AS s
   SET failed_payments = s.failed_payments + c.failed, pending_payments = s.pending_payments + c.pending
  FROM sums AS c WHERE s.user_id = c.user_id AND s.currency = c.currency
"""  # noqa: S608 – put together from constants

_OPENED = ("payment_id", "from_user", "currency", "amount", "status", "captured", "refunded", "created_at")
_CHANGED = ("payment_id", "status", "captured", "refunded")


def apply(batch: Batch) -> list[Statement]:
    """Only payments whose standing may have changed."""
    opened: list[Row] = []
    changed: list[Row] = []
    for row in batch.fold(fold).values():
        if "created_at" in row:
            opened.append({field: row[field] for field in _OPENED})
        elif "status" in row:
            changed.append({field: row[field] for field in _CHANGED if field in row})
    return [Statement(sql, rows) for sql, rows in ((OPENED, opened), (CHANGED, changed)) if rows]


VIEW = View("user_payment_summary", 1, ("user_payment_summary",), TABLES, WANTS, apply)
