"""What a batch does to each payment; the three views of payments fold it once and each takes what it needs.

A payment's status mostly follows from its last event alone. Where it follows from what was captured and refunded
before as well, the fold says so with a mark, and `present_status` (SQL, in each of the three views) settles it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import LiteralString, get_args

from domain.leg import AnyEvent
from domain.payment import PaymentStatus as S
from domain.payment_messages import (
    Capture,
    DisputeLost,
    DisputeOpened,
    DisputeWon,
    FraudCheckPassed,
    PaymentAuthorized,
    PaymentCancelled,
    PaymentEvent,
    PaymentExpired,
    PaymentFailed,
    PaymentHeldForReview,
    PaymentInitiated,
    PaymentPartiallyCaptured,
    PaymentProcessed,
    PaymentRefunded,
    RemainderVoided,
)
from domain.review import ReviewApproved, ReviewRejected
from domain.streams import PAYMENT
from projections.model import Row, Seen, wanted

WANTS = wanted(PAYMENT, get_args(PaymentEvent))

# `captured` and `refunded` are the totals after the event. A mark is no status, so it begins with a question mark.
PRESENT_STATUS: LiteralString = """
CREATE FUNCTION present_status(status text, captured bigint, refunded bigint) RETURNS text
    LANGUAGE sql IMMUTABLE RETURN CASE status
        WHEN '?expired' THEN CASE WHEN captured > 0 THEN 'processed' ELSE 'expired' END
        WHEN '?refunded' THEN CASE WHEN refunded = captured THEN 'refunded' ELSE 'partially_refunded' END
        WHEN '?won' THEN CASE WHEN refunded > 0 THEN 'partially_refunded' ELSE 'processed' END
        ELSE status
    END;
"""

TO_WHAT_IT_IS_NOW: LiteralString = """
       SET status = present_status(COALESCE(r.status, p.status), COALESCE(r.captured, p.captured),
                                   COALESCE(r.refunded, p.refunded)),
           captured = COALESCE(r.captured, p.captured), refunded = COALESCE(r.refunded, p.refunded)
      FROM json_to_recordset(%s::json) AS r (payment_id text, status text, captured bigint, refunded bigint)
     WHERE p.payment_id = r.payment_id
"""
"""Of an UPDATE of a table `p` of payments that a view has counted before."""

STATUS: dict[type[AnyEvent], str] = {
    PaymentInitiated: S.PENDING.value,
    PaymentHeldForReview: S.IN_REVIEW.value,
    ReviewApproved: S.PENDING.value,
    ReviewRejected: S.FAILED.value,
    PaymentAuthorized: S.AUTHORIZED.value,
    PaymentFailed: S.FAILED.value,
    PaymentCancelled: S.CANCELLED.value,
    PaymentExpired: "?expired",
    PaymentPartiallyCaptured: S.PARTIALLY_CAPTURED.value,
    PaymentProcessed: S.PROCESSED.value,
    RemainderVoided: S.PROCESSED.value,
    PaymentRefunded: "?refunded",
    DisputeOpened: S.DISPUTED.value,
    DisputeWon: "?won",
    DisputeLost: S.CHARGED_BACK.value,
}

_PLAIN = frozenset({PaymentInitiated, FraudCheckPassed, ReviewApproved})
"""What tells no more than a status, or is a row of its own."""


def fold(events: Sequence[Seen]) -> dict[str, Row]:
    """By stream: the columns that changed. A payment initiated in this batch has them all, and `created_at`."""
    rows: dict[str, Row] = {}
    for seen in events:
        event, record = seen.event, seen.record
        at = record.recorded_at
        row = rows.get(record.stream)
        if type(event) is PaymentInitiated:
            row = rows[record.stream] = _initiated(event)
            row["created_at"], row["created_position"] = at, record.position
        elif row is None:
            row = rows[record.stream] = {"payment_id": seen.id}
        if type(event) not in _PLAIN:
            _tell(row, event, at)
        if type(event) in STATUS:
            row["status"] = STATUS[type(event)]
        row["version"], row["updated_at"] = record.version, at
    return rows


def _tell(row: Row, event: AnyEvent, at: datetime) -> None:
    """The columns that follow from what this one event says."""
    match event:
        case PaymentAuthorized(hold_id=hold_id):
            row["hold_id"], row["authorized_at"] = hold_id, at
        case Capture():
            row["captured"] = event.captured.minor
            row["fee"] = row.get("fee", 0) + event.fee.minor
            settled = event.amount if event.settled is None else event.settled
            row["settled"] = row.get("settled", 0) + settled.minor
            if isinstance(event, PaymentProcessed):
                row["processed_at"] = at
        case PaymentFailed(code=code, reason=reason):
            row["failure_code"], row["failure_reason"] = code, reason
        case ReviewRejected(note=note):
            row["failure_code"], row["failure_reason"] = "review_rejected", note or "rejected in review"
        case PaymentCancelled(reason=reason):
            row["cancel_reason"] = reason
        case RemainderVoided(reason=reason):
            row["cancel_reason"], row["processed_at"] = reason, at
        case PaymentExpired():
            row["expired_at"] = at
        case PaymentRefunded(refunded=refunded):
            row["refunded"] = refunded.minor
        case DisputeOpened():
            row["dispute"] = {
                "reason": event.reason,
                "amount": event.amount.wire(),
                "held": event.held.wire(),
                "opened_at": at,
                "outcome": None,
            }
            row.pop("dispute_end", None)
        case DisputeWon(by=by, note=note) | DisputeLost(by=by, note=note):
            outcome = "won" if isinstance(event, DisputeWon) else "lost"
            row["dispute_end"] = {"outcome": outcome, "by": by, "note": note, "resolved_at": at}
        case PaymentHeldForReview(score=score, reasons=reasons):
            row["review"] = {"score": score, "reasons": reasons, "held_at": at}
        case _:
            pass


def _initiated(event: PaymentInitiated) -> Row:
    return {
        "payment_id": event.payment_id,
        "currency": event.amount.currency,
        "amount": event.amount.minor,
        "captured": 0,
        "refunded": 0,
        "fee": 0,
        "settled": 0,
        "settled_currency": event.amount.currency if event.quote is None else event.quote.buys.currency,
        "quote": None if event.quote is None else event.quote.model_dump(mode="json"),
        "from_account": event.from_account,
        "from_user": event.from_user,
        "to_account": event.to_account,
        "to_user": event.to_user,
        "fee_account": event.fee_account,
        "capture": event.capture,
        "reference": event.reference,
        "description": event.description,
        "category": event.category,
        "tags": event.tags,
        "metadata": event.metadata,
        "expires_at": event.expires_at,
    }
