"""standing_orders: each as it stands, with its next run; and every run that came, with what became of it."""

from __future__ import annotations

from typing import LiteralString, get_args

from domain.standing_order_messages import (
    RunFailed,
    RunMade,
    RunMissed,
    RunSkipped,
    StandingOrderAmended,
    StandingOrderCancelled,
    StandingOrderCreated,
    StandingOrderEnded,
    StandingOrderEvent,
    StandingOrderPaused,
    StandingOrderResumed,
)
from domain.streams import STANDING_ORDER
from projections.model import Batch, Row, Seen, Statement, View, wanted

TABLES: LiteralString = """
CREATE TABLE standing_orders (
    standing_order_id text COLLATE "C" PRIMARY KEY,
    user_id text COLLATE "C" NOT NULL,
    status text NOT NULL,
    from_account text COLLATE "C" NOT NULL,
    to_account text COLLATE "C" NOT NULL,
    currency text NOT NULL,
    amount bigint NOT NULL,
    frequency text NOT NULL,
    first_at timestamptz NOT NULL,
    time_zone text NOT NULL,
    every_s bigint,
    day_of_month int,
    end_at timestamptz,
    missed_runs text NOT NULL,
    reference text,
    purpose text,
    category text,
    tags text[] NOT NULL,
    metadata jsonb NOT NULL,
    next_at timestamptz,
    last_at timestamptz,
    last_outcome text,
    last_transfer text,
    made int NOT NULL,
    failed int NOT NULL,
    missed int NOT NULL,
    skipped int NOT NULL,
    reason text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    version bigint NOT NULL,
    created_position bigint NOT NULL UNIQUE
) WITH (fillfactor = 70);
CREATE INDEX standing_orders_of_user ON standing_orders (user_id, created_position);
CREATE TABLE standing_order_runs (
    standing_order_id text COLLATE "C" NOT NULL,
    run_at timestamptz NOT NULL,
    outcome text NOT NULL,
    transfer_id text,
    code text,
    reason text,
    recorded_at timestamptz NOT NULL,
    position bigint NOT NULL UNIQUE,
    PRIMARY KEY (standing_order_id, run_at)
);
CREATE INDEX runs_of_standing_order ON standing_order_runs (standing_order_id, position);
"""

CREATE: LiteralString = """
INSERT INTO standing_orders (standing_order_id, user_id, status, from_account, to_account, currency, amount,
                             frequency, first_at, time_zone, every_s, day_of_month, end_at, missed_runs, reference,
                             purpose, category, tags, metadata, next_at, made, failed, missed, skipped, created_at,
                             updated_at, version, created_position)
SELECT standing_order_id, user_id, 'active', from_account, to_account, currency, amount, frequency, first_at,
       time_zone, every_s, day_of_month, end_at, missed_runs, reference, purpose, category,
       ARRAY(SELECT json_array_elements_text(tags)), metadata, next_at, 0, 0, 0, 0, created_at, created_at, 1,
       created_position
  FROM json_to_recordset(%s::json) AS r (
       standing_order_id text, user_id text, from_account text, to_account text, currency text, amount bigint,
       frequency text, first_at timestamptz, time_zone text, every_s bigint, day_of_month int, end_at timestamptz,
       missed_runs text, reference text, purpose text, category text, tags json, metadata jsonb,
       next_at timestamptz, created_at timestamptz, created_position bigint)
"""

# What changed, null where it did not. `moved`: there was an event that says when the next run is.
CHANGE: LiteralString = """
UPDATE standing_orders AS o
   SET status = COALESCE(r.status, o.status),
       next_at = CASE WHEN r.moved THEN r.next_at ELSE o.next_at END,
       last_at = COALESCE(r.last_at, o.last_at),
       last_outcome = COALESCE(r.last_outcome, o.last_outcome),
       last_transfer = CASE WHEN r.last_at IS NULL THEN o.last_transfer ELSE r.last_transfer END,
       amount = COALESCE(r.amount, o.amount),
       reference = COALESCE(r.reference, o.reference),
       purpose = COALESCE(r.purpose, o.purpose),
       end_at = COALESCE(r.end_at, o.end_at),
       made = o.made + r.made,
       failed = o.failed + r.failed,
       missed = o.missed + r.missed,
       skipped = o.skipped + r.skipped,
       reason = CASE WHEN r.status IS NULL THEN o.reason ELSE r.reason END,
       updated_at = r.updated_at,
       version = r.version
  FROM json_to_recordset(%s::json) AS r (
       standing_order_id text, status text, moved boolean, next_at timestamptz, last_at timestamptz,
       last_outcome text, last_transfer text, made int, failed int, missed int, skipped int, reason text,
       amount bigint, reference text, purpose text, end_at timestamptz, updated_at timestamptz, version bigint)
 WHERE o.standing_order_id = r.standing_order_id
"""

RUNS: LiteralString = """
INSERT INTO standing_order_runs (standing_order_id, run_at, outcome, transfer_id, code, reason, recorded_at,
                                 position)
SELECT standing_order_id, run_at, outcome, transfer_id, code, reason, recorded_at, position
  FROM json_to_recordset(%s::json) AS r (
       standing_order_id text, run_at timestamptz, outcome text, transfer_id text, code text, reason text,
       recorded_at timestamptz, position bigint)
"""

OUTCOMES = {RunMade: "made", RunFailed: "failed", RunMissed: "missed", RunSkipped: "skipped"}
STATUSES = {
    StandingOrderPaused: "paused",
    StandingOrderResumed: "active",
    StandingOrderEnded: "ended",
    StandingOrderCancelled: "cancelled",
}


def apply(batch: Batch) -> list[Statement]:
    """What was created, then what changed of these and of others, and the runs."""
    created: list[Row] = []
    changed: dict[str, Row] = {}
    runs: list[Row] = []
    for seen in batch.events:
        if isinstance(seen.event, StandingOrderCreated):
            created.append(_created(seen, seen.event))
            continue
        row = changed.setdefault(seen.id, _unchanged(seen.id))
        row["updated_at"], row["version"] = seen.at, seen.version
        if isinstance(seen.event, RunMade | RunFailed | RunMissed | RunSkipped):
            run = _run(seen, seen.event)
            runs.append(run)
            row[run["outcome"]] += 1
            row |= {"last_at": run["run_at"], "last_outcome": run["outcome"], "last_transfer": run["transfer_id"]}
            row |= {"moved": True, "next_at": seen.event.next_at}
            continue
        if isinstance(seen.event, StandingOrderAmended):
            terms = {name: value for name, value in seen.event if value is not None}
            row |= terms | {"amount": seen.event.amount.minor, "moved": True, "next_at": seen.event.next_at}
            continue
        assert isinstance(seen.event, tuple(STATUSES)), f"not an event of a standing order: {seen.event!r}"
        row |= {"status": STATUSES[type(seen.event)], "reason": getattr(seen.event, "reason", None)}
        if isinstance(seen.event, StandingOrderResumed):
            row |= {"moved": True, "next_at": seen.event.next_at}
    made = ((CREATE, created), (CHANGE, list(changed.values())), (RUNS, runs))
    return [Statement(sql, rows) for sql, rows in made if rows]


def _unchanged(standing_order_id: str) -> Row:
    return {
        "standing_order_id": standing_order_id,
        "moved": False,
        **dict.fromkeys(OUTCOMES.values(), 0),
    }


def _created(seen: Seen, event: StandingOrderCreated) -> Row:
    instruction = event.instruction
    return {
        "standing_order_id": event.standing_order_id,
        "user_id": event.user_id,
        "currency": instruction.amount.currency,
        "amount": instruction.amount.minor,
        **{name: value for name, value in instruction if name != "amount"},
        **dict(event.timetable),
        "missed_runs": event.missed_runs,
        "next_at": event.next_at,
        "created_at": seen.at,
        "created_position": seen.record.position,
    }


def _run(seen: Seen, event: RunMade | RunFailed | RunMissed | RunSkipped) -> Row:
    reason = getattr(event, "reason", None)
    if isinstance(event, RunMissed):
        reason = f"{event.late_s} s late"
    return {
        "standing_order_id": seen.id,
        "run_at": event.run_at,
        "outcome": OUTCOMES[type(event)],
        "transfer_id": getattr(event, "transfer_id", None),
        "code": getattr(event, "code", None),
        "reason": reason,
        "recorded_at": seen.at,
        "position": seen.record.position,
    }


VIEW = View(
    "standing_orders",
    1,
    ("standing_orders", "standing_order_runs"),
    TABLES,
    wanted(STANDING_ORDER, get_args(StandingOrderEvent)),
    apply,
)
