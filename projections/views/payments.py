"""payments: everything a payment's page shows."""

from __future__ import annotations

from typing import LiteralString

from projections.model import Batch, Statement, View
from projections.views.payment_fold import PRESENT_STATUS, WANTS, fold

TABLES: LiteralString = (
    PRESENT_STATUS
    + """
CREATE TABLE payments (
    payment_id text COLLATE "C" PRIMARY KEY,
    status text NOT NULL,
    currency text NOT NULL,
    amount bigint NOT NULL,
    captured bigint NOT NULL,
    refunded bigint NOT NULL,
    fee bigint NOT NULL,
    settled bigint NOT NULL,
    settled_currency text NOT NULL,
    quote jsonb,
    from_account text NOT NULL,
    from_user text COLLATE "C" NOT NULL,
    to_account text NOT NULL,
    to_user text COLLATE "C" NOT NULL,
    fee_account text NOT NULL,
    capture text NOT NULL,
    reference text,
    description text,
    category text,
    tags jsonb NOT NULL,
    metadata jsonb NOT NULL,
    hold_id text,
    failure_code text,
    failure_reason text,
    cancel_reason text,
    review jsonb,
    dispute jsonb,
    expires_at timestamptz NOT NULL,
    authorized_at timestamptz,
    processed_at timestamptz,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    created_position bigint NOT NULL UNIQUE
) WITH (fillfactor = 70);
CREATE INDEX payments_of_payer ON payments (from_user, created_position);
CREATE INDEX payments_of_payee ON payments (to_user, created_position);
"""
)

# Payments initiated in this batch, as they are at its end.
INSERT: LiteralString = """
INSERT INTO payments (payment_id, status, currency, amount, captured, refunded, fee, settled, settled_currency,
                      quote, from_account, from_user, to_account, to_user, fee_account, capture, reference,
                      description, category, tags, metadata, hold_id, failure_code, failure_reason, cancel_reason,
                      review, dispute, expires_at, authorized_at, processed_at, created_at, updated_at, version,
                      created_position)
SELECT payment_id, present_status(status, captured, refunded), currency, amount, captured, refunded, fee, settled,
       settled_currency, quote, from_account, from_user, to_account, to_user, fee_account, capture, reference,
       description, category, tags, metadata, hold_id, failure_code, failure_reason, cancel_reason, review,
       dispute || COALESCE(dispute_end, '{}'), expires_at, authorized_at,
       COALESCE(processed_at, CASE WHEN captured > 0 THEN expired_at END),
       created_at, updated_at, version, created_position
  FROM json_to_recordset(%s::json) AS r (
       payment_id text, status text, currency text, amount bigint, captured bigint, refunded bigint, fee bigint,
       settled bigint, settled_currency text, quote jsonb, from_account text, from_user text, to_account text,
       to_user text, fee_account text, capture text, reference text, description text, category text, tags jsonb,
       metadata jsonb, hold_id text, failure_code text, failure_reason text, cancel_reason text, review jsonb,
       dispute jsonb, dispute_end jsonb, expires_at timestamptz, authorized_at timestamptz,
       processed_at timestamptz, expired_at timestamptz, created_at timestamptz, updated_at timestamptz,
       version bigint, created_position bigint)
"""

# Payments from before: what changed, null where it did not. `fee` and `settled` are what was added.
UPDATE: LiteralString = """
UPDATE payments AS p
   SET status = present_status(COALESCE(r.status, p.status), COALESCE(r.captured, p.captured),
                               COALESCE(r.refunded, p.refunded)),
       captured = COALESCE(r.captured, p.captured),
       refunded = COALESCE(r.refunded, p.refunded),
       fee = p.fee + COALESCE(r.fee, 0),
       settled = p.settled + COALESCE(r.settled, 0),
       hold_id = COALESCE(r.hold_id, p.hold_id),
       failure_code = COALESCE(r.failure_code, p.failure_code),
       failure_reason = COALESCE(r.failure_reason, p.failure_reason),
       cancel_reason = COALESCE(r.cancel_reason, p.cancel_reason),
       review = COALESCE(r.review, p.review),
       dispute = COALESCE(r.dispute, p.dispute) || COALESCE(r.dispute_end, '{}'),
       authorized_at = COALESCE(r.authorized_at, p.authorized_at),
       processed_at = COALESCE(p.processed_at, r.processed_at,
                               CASE WHEN COALESCE(r.captured, p.captured) > 0 THEN r.expired_at END),
       updated_at = r.updated_at,
       version = r.version
  FROM json_to_recordset(%s::json) AS r (
       payment_id text, status text, captured bigint, refunded bigint, fee bigint, settled bigint, hold_id text,
       failure_code text, failure_reason text, cancel_reason text, review jsonb, dispute jsonb, dispute_end jsonb,
       authorized_at timestamptz, processed_at timestamptz, expired_at timestamptz, updated_at timestamptz,
       version bigint)
 WHERE p.payment_id = r.payment_id
"""


def apply(batch: Batch) -> list[Statement]:
    """One row per payment of the batch."""
    rows = batch.fold(fold).values()
    opened = [row for row in rows if "created_at" in row]
    changed = [row for row in rows if "created_at" not in row]
    return [Statement(sql, found) for sql, found in ((INSERT, opened), (UPDATE, changed)) if found]


VIEW = View("payments", 2, ("payments",), TABLES, WANTS, apply)
