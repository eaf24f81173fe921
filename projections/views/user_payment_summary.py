"""user_payment_summary: what each user has paid, as the payer, by currency.

`total_payments` and `total_amount` count every payment the user initiated, whatever became of it. `pending` ones
are not decided yet (pending, in review, authorized); `failed` ones failed.
"""

from __future__ import annotations

from typing import LiteralString

from projections.model import Batch, Row, Statement, View
from projections.views.payment_fold import PRESENT_STATUS, WANTS, fold

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

# A new payment counts for its user; an older one moves from what it counted as to what it counts as now. The parts
# of one statement all see the tables as they were before it: `old` is what stood there.
APPLY: LiteralString = """
WITH r AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%s::json) AS r (
           payment_id text, from_user text, currency text, amount bigint, status text, captured bigint,
           refunded bigint, created_at timestamptz)
), old AS (
    SELECT p.* FROM r JOIN summarised_payments AS p USING (payment_id)
), new AS (
    INSERT INTO summarised_payments AS p (payment_id, user_id, currency, status, captured, refunded)
    SELECT r.payment_id, COALESCE(r.from_user, o.user_id), COALESCE(r.currency, o.currency),
           present_status(COALESCE(r.status, o.status), COALESCE(r.captured, o.captured, 0),
                          COALESCE(r.refunded, o.refunded, 0)),
           COALESCE(r.captured, o.captured, 0), COALESCE(r.refunded, o.refunded, 0)
      FROM r LEFT JOIN old AS o USING (payment_id)
    ON CONFLICT (payment_id) DO UPDATE
       SET status = EXCLUDED.status, captured = EXCLUDED.captured, refunded = EXCLUDED.refunded
    RETURNING payment_id, user_id, currency, status
), change AS (
    SELECT user_id, currency, 0 AS payments, 0::numeric AS amount, -failed(status) AS failed,
           -pending(status) AS pending, NULL::timestamptz AS created_at
      FROM old
    UNION ALL
    SELECT n.user_id, n.currency, (r.created_at IS NOT NULL)::int, COALESCE(r.amount, 0), failed(n.status),
           pending(n.status), r.created_at
      FROM new AS n JOIN r USING (payment_id)
), sums AS (
    SELECT user_id, currency, sum(payments) AS payments, sum(amount) AS amount, sum(failed) AS failed,
           sum(pending) AS pending, max(created_at) AS last
      FROM change GROUP BY user_id, currency
    HAVING sum(payments) <> 0 OR sum(failed) <> 0 OR sum(pending) <> 0
)
MERGE INTO user_payment_summary AS s USING sums AS c ON s.user_id = c.user_id AND s.currency = c.currency
WHEN MATCHED THEN UPDATE
    SET total_payments = s.total_payments + c.payments, total_amount = s.total_amount + c.amount,
        failed_payments = s.failed_payments + c.failed, pending_payments = s.pending_payments + c.pending,
        last_payment_at = GREATEST(s.last_payment_at, c.last)
WHEN NOT MATCHED THEN INSERT VALUES (c.user_id, c.currency, c.payments, c.amount, c.failed, c.pending, c.last)
"""

_FIELDS = ("payment_id", "from_user", "currency", "amount", "status", "captured", "refunded", "created_at")


def apply(batch: Batch) -> list[Statement]:
    """Only payments whose standing may have changed."""
    rows: list[Row] = [
        {field: row[field] for field in _FIELDS if field in row}
        for row in batch.fold(fold).values()
        if "status" in row
    ]
    return [Statement(APPLY, rows)] if rows else []


VIEW = View("user_payment_summary", 1, ("user_payment_summary",), TABLES, WANTS, apply)
