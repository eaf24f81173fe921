"""transfers: each transfer's terms, status, where its money is, and the time line of its legs."""

from __future__ import annotations

from datetime import datetime
from typing import Any, LiteralString, NamedTuple, get_args

from domain.leg import AnyEvent
from domain.review import ReviewApproved, ReviewRejected
from domain.streams import TRANSFER
from domain.transfer import FINAL, Location
from domain.transfer import TransferStatus as S
from domain.transfer_messages import (
    CancelRefused,
    CancelRequested,
    CompensationBlocked,
    CreditRefused,
    DestinationCredited,
    FundsMovedToSuspense,
    LegOutcomeUnknown,
    QuoteExpired,
    ReservationExpired,
    ResolutionRequested,
    SourceDebited,
    SourceRefunded,
    SourceReleased,
    SourceReserved,
    TransferCancelled,
    TransferCompensated,
    TransferEvent,
    TransferHeldForReview,
    TransferInitiated,
    TransferRejected,
)
from projections.model import Batch, Row, Seen, Statement, View, wanted

# The terms are null on a tombstone: a transfer that was undone before it was initiated.
TABLES: LiteralString = """
CREATE TABLE transfers (
    transfer_id text COLLATE "C" PRIMARY KEY,
    status text NOT NULL,
    location text NOT NULL,
    currency text,
    amount bigint,
    quote jsonb,
    rail text,
    from_account text,
    from_user text COLLATE "C",
    to_account text,
    to_user text COLLATE "C",
    reference text,
    purpose text,
    category text,
    tags jsonb,
    metadata jsonb,
    failure_code text,
    failure_reason text,
    hold_id text,
    reserved_until timestamptz,
    legs jsonb NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    finished_at timestamptz,
    version bigint NOT NULL,
    created_position bigint NOT NULL UNIQUE
) WITH (fillfactor = 60);
CREATE INDEX transfers_by_status ON transfers (status, created_position);
CREATE INDEX transfers_of_source ON transfers (from_user, created_position);
CREATE INDEX transfers_of_destination ON transfers (to_user, created_position);
"""

# Transfers that began in this batch, as they are at its end.
INSERT: LiteralString = """
INSERT INTO transfers (transfer_id, status, location, currency, amount, quote, rail, from_account, from_user,
                       to_account, to_user, reference, purpose, category, tags, metadata, failure_code,
                       failure_reason, hold_id, reserved_until, legs, created_at, updated_at, finished_at, version,
                       created_position)
SELECT transfer_id, status, COALESCE(location, 'source'), currency, amount, quote, rail, from_account, from_user,
       to_account, to_user, reference, purpose, category, tags, metadata, failure_code, failure_reason, hold_id,
       reserved_until, legs, created_at, updated_at, finished_at, version, created_position
  FROM json_to_recordset(%s::json) AS r (
       transfer_id text, status text, location text, currency text, amount bigint, quote jsonb, rail text,
       from_account text, from_user text, to_account text, to_user text, reference text, purpose text,
       category text, tags jsonb, metadata jsonb, failure_code text, failure_reason text, hold_id text,
       reserved_until timestamptz, legs jsonb, created_at timestamptz, updated_at timestamptz,
       finished_at timestamptz, version bigint, created_position bigint)
"""

# Transfers from before: what changed, null where it did not, and the legs that were added.
UPDATE: LiteralString = """
UPDATE transfers AS t
   SET status = COALESCE(r.status, t.status),
       location = CASE WHEN r.refunded_to <> t.from_account THEN 'returned'
                       ELSE COALESCE(r.location, t.location) END,
       failure_code = COALESCE(r.failure_code, t.failure_code),
       failure_reason = COALESCE(r.failure_reason, t.failure_reason),
       hold_id = COALESCE(r.hold_id, t.hold_id),
       reserved_until = COALESCE(r.reserved_until, t.reserved_until),
       legs = t.legs || r.legs,
       updated_at = r.updated_at,
       finished_at = COALESCE(r.finished_at, t.finished_at),
       version = r.version
  FROM json_to_recordset(%s::json) AS r (
       transfer_id text, status text, location text, refunded_to text, failure_code text, failure_reason text,
       hold_id text, reserved_until timestamptz, legs jsonb, updated_at timestamptz, finished_at timestamptz,
       version bigint)
 WHERE t.transfer_id = r.transfer_id
"""


class _Step(NamedTuple):
    """What an event means for the time line (name, outcome), the status and the money's place."""

    name: str
    outcome: str
    status: S | None = None
    location: Location | None = None


STEPS: dict[type[AnyEvent], _Step] = {
    TransferInitiated: _Step("initiated", "done", S.INITIATED, Location.SOURCE),
    TransferRejected: _Step("initiated", "rejected", S.REJECTED),
    TransferHeldForReview: _Step("review", "held", S.IN_REVIEW),
    ReviewApproved: _Step("review", "approved", S.INITIATED),
    ReviewRejected: _Step("review", "rejected", S.REJECTED),
    SourceReserved: _Step("source_reserved", "done", S.RESERVED, Location.HELD),
    TransferCancelled: _Step("cancelled", "done", S.CANCELLED),
    CancelRequested: _Step("cancel", "accepted", S.COMPENSATING),
    CancelRefused: _Step("cancel", "refused"),
    QuoteExpired: _Step("source_debited", "quote_expired", S.COMPENSATING),
    ReservationExpired: _Step("source_debited", "reservation_expired", S.COMPENSATING),
    SourceDebited: _Step("source_debited", "done", S.IN_TRANSIT, Location.IN_TRANSIT),
    DestinationCredited: _Step("destination_credited", "done", S.COMPLETED, Location.DESTINATION),
    CreditRefused: _Step("destination_credited", "refused", S.COMPENSATING),
    LegOutcomeUnknown: _Step("leg_outcome", "unknown"),
    SourceReleased: _Step("source_released", "done", None, Location.SOURCE),
    SourceRefunded: _Step("source_refunded", "done", None, Location.SOURCE),
    TransferCompensated: _Step("compensated", "done", S.COMPENSATED),
    CompensationBlocked: _Step("compensation", "blocked", S.STUCK),
    FundsMovedToSuspense: _Step("moved_to_suspense", "done", None, Location.SUSPENSE),
    ResolutionRequested: _Step("resolution", "requested"),
}

_TOLD = (
    "code",
    "reason",
    "note",
    "by",
    "action",
    "to_account",
    "rail_reference",
    "suspense_account",
    "leg",
    "step",
    "key",
)
# What of an event goes into its leg: looked up once per type, since asking an event for a field it lacks is slow.
# The initial event's fields are the transfer's own columns.
_DETAILS: dict[type[AnyEvent], tuple[tuple[str, ...], bool]] = {
    type_: (tuple(name for name in _TOLD if name in type_.model_fields), "amount" in type_.model_fields)
    for type_ in STEPS
} | {TransferInitiated: ((), False)}


def apply(batch: Batch) -> list[Statement]:
    """One row per transfer of the batch."""
    rows: dict[str, Row] = {}
    for seen in batch.events:
        event, record = seen.event, seen.record
        row = rows.get(record.stream)
        if row is None:
            row = rows[record.stream] = {"transfer_id": seen.id, "legs": []}
            if record.version == 1:
                row["created_at"], row["created_position"] = record.recorded_at, record.position
        if isinstance(event, TransferInitiated):
            row.update(_initiated(event))
        elif isinstance(event, SourceReserved):
            row["hold_id"], row["reserved_until"] = event.hold_id, event.expires_at
        step = STEPS[type(event)]
        row["legs"].append(_leg(seen, step))
        row.update(_failure(event))
        if step.status is not None:
            row["status"] = step.status.value
            if step.status in FINAL:
                row["finished_at"] = record.recorded_at
        if step.location is not None:
            row["location"] = step.location.value
        if isinstance(event, SourceRefunded):
            row["refunded_to"] = event.to_account
            if event.to_account != row.get("from_account", event.to_account):
                row["location"] = Location.RETURNED.value
        row["version"], row["updated_at"] = record.version, record.recorded_at
    begun = [row for row in rows.values() if "created_at" in row]
    changed = [row for row in rows.values() if "created_at" not in row]
    return [Statement(sql, found) for sql, found in ((INSERT, begun), (UPDATE, changed)) if found]


def _leg(seen: Seen, step: _Step) -> dict[str, Any]:
    """`{name, outcome, at, position, …}` with the event's own details where it has any."""
    leg: dict[str, Any] = {
        "name": step.name,
        "outcome": step.outcome,
        "at": seen.record.recorded_at,
        "position": seen.record.position,
    }
    event = seen.event
    details, has_amount = _DETAILS[type(event)]
    for detail in details:
        value = getattr(event, detail)
        if value is not None:
            leg[detail] = value
    if has_amount:
        leg.update(event.amount.wire())  # type: ignore[union-attr]
    return leg


def _initiated(event: TransferInitiated) -> Row:
    quote = None if event.quote is None else event.quote.model_dump(mode="json")
    return {
        "currency": event.amount.currency,
        "amount": event.amount.minor,
        "quote": quote,
        "rail": event.rail,
        "from_account": event.from_account,
        "from_user": event.from_user,
        "to_account": event.to_account,
        "to_user": event.to_user,
        "reference": event.reference,
        "purpose": event.purpose,
        "category": event.category,
        "tags": event.tags,
        "metadata": event.metadata,
    }


def _failure(event: AnyEvent) -> Row:
    match event:
        case TransferRejected(code=code, reason=reason) | CreditRefused(code=code, reason=reason):
            return {"failure_code": code, "failure_reason": reason}
        case ReviewRejected(note=note):
            return {"failure_code": "review_rejected", "failure_reason": note or "rejected in review"}
        case CancelRequested(reason=reason) | TransferCancelled(reason=reason):
            return {"failure_code": "cancelled", "failure_reason": reason or "cancelled"}
        case QuoteExpired(expired_at=at):
            return {"failure_code": "quote_expired", "failure_reason": f"the quote expired at {_time(at)}"}
        case ReservationExpired(expired_at=at):
            return {
                "failure_code": "reservation_expired",
                "failure_reason": f"the reservation expired at {_time(at)}",
            }
        case _:
            return {}


def _time(at: datetime) -> str:
    return at.isoformat()


VIEW = View("transfers", 2, ("transfers",), TABLES, wanted(TRANSFER, get_args(TransferEvent)), apply)
