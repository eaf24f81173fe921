"""transfer_batches: how far each batch of transfers has come, and the items whose outcome is not the plain one.

An item without a note needs no row: what became of it follows from the batch's status and counts (see
queries/batches.py), and what it asked for is in table batch_items.
"""

from __future__ import annotations

from typing import LiteralString, get_args

from domain.batch import BatchStatus
from domain.batch_messages import (
    BatchAccepted,
    BatchCancelled,
    BatchCompensated,
    BatchCompleted,
    BatchEvent,
    BatchFailed,
    BatchItemsReleased,
    BatchItemsSettled,
    BatchItemsUndone,
    BatchPaused,
    BatchResumed,
    ItemNote,
    ItemSum,
)
from domain.streams import BATCH
from projections.model import Batch, Row, Seen, Statement, View, wanted

TABLES: LiteralString = """
CREATE TABLE transfer_batches (
    batch_id text COLLATE "C" PRIMARY KEY,
    user_id text COLLATE "C",
    status text NOT NULL,
    atomic boolean NOT NULL,
    items int NOT NULL,
    settled int NOT NULL,
    released int NOT NULL,
    standing int,
    reference text,
    failure_code text,
    failure_reason text,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    finished_at timestamptz,
    version bigint NOT NULL,
    created_position bigint NOT NULL UNIQUE
) WITH (fillfactor = 60);
CREATE INDEX transfer_batches_of_user ON transfer_batches (user_id, created_position);
CREATE TABLE transfer_batch_sums (
    batch_id text COLLATE "C" NOT NULL,
    status text NOT NULL,
    currency text NOT NULL,
    count int NOT NULL,
    amount numeric NOT NULL,
    PRIMARY KEY (batch_id, status, currency)
) WITH (fillfactor = 60);
CREATE TABLE transfer_batch_notes (
    batch_id text COLLATE "C" NOT NULL,
    item int NOT NULL,
    status text NOT NULL,
    code text NOT NULL,
    reason text NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (batch_id, item)
);
CREATE TABLE transfer_batch_chunks (
    batch_id text COLLATE "C" NOT NULL,
    first int NOT NULL,
    last int NOT NULL,
    position bigint NOT NULL,
    at timestamptz NOT NULL,
    PRIMARY KEY (batch_id, last)
);
"""

INSERT: LiteralString = """
INSERT INTO transfer_batches (batch_id, user_id, status, atomic, items, settled, released, standing, reference,
                              failure_code, failure_reason, created_at, updated_at, finished_at, version,
                              created_position)
SELECT batch_id, user_id, status, atomic, items, COALESCE(settled, 0), COALESCE(released, 0), standing, reference,
       failure_code, failure_reason, created_at, updated_at, finished_at, version, created_position
  FROM json_to_recordset(%s::json) AS r (
       batch_id text, user_id text, status text, atomic boolean, items int, settled int, released int,
       standing int, reference text, failure_code text, failure_reason text, created_at timestamptz,
       updated_at timestamptz, finished_at timestamptz, version bigint, created_position bigint)
"""

# A cancelled plain batch is over at once, an atomic one turns back; which it is stands in its row.
UPDATE: LiteralString = """
UPDATE transfer_batches AS b
   SET status = CASE WHEN r.status = 'cancelled' AND b.atomic THEN 'compensating'
                     WHEN COALESCE(r.status, b.status) = 'running' AND b.atomic AND r.settled = b.items
                     THEN 'releasing' ELSE COALESCE(r.status, b.status) END,
       settled = COALESCE(r.settled, b.settled), released = COALESCE(r.released, b.released),
       standing = COALESCE(r.standing, b.standing),
       failure_code = COALESCE(r.failure_code, b.failure_code),
       failure_reason = COALESCE(r.failure_reason, b.failure_reason),
       finished_at = CASE WHEN r.status = 'cancelled' AND b.atomic THEN b.finished_at
                          ELSE COALESCE(r.finished_at, b.finished_at) END,
       updated_at = r.updated_at, version = r.version
  FROM json_to_recordset(%s::json) AS r (
       batch_id text, status text, settled int, released int, standing int, failure_code text, failure_reason text,
       updated_at timestamptz, finished_at timestamptz, version bigint)
 WHERE b.batch_id = r.batch_id
"""

SUMS: LiteralString = """
INSERT INTO transfer_batch_sums AS s (batch_id, status, currency, count, amount)
SELECT batch_id, status, currency, sum(count), sum(amount)
  FROM json_to_recordset(%s::json) AS r (batch_id text, status text, currency text, count int, amount numeric)
 GROUP BY batch_id, status, currency
ON CONFLICT (batch_id, status, currency) DO UPDATE
   SET count = s.count + EXCLUDED.count, amount = s.amount + EXCLUDED.amount
"""

# An item that was settled and is stuck when it is undone has one note: the last one.
NOTES: LiteralString = """
INSERT INTO transfer_batch_notes AS n (batch_id, item, status, code, reason, position)
SELECT DISTINCT ON (batch_id, item) batch_id, item, status, code, reason, position
  FROM json_to_recordset(%s::json) AS r (
       batch_id text, item int, status text, code text, reason text, position bigint)
 ORDER BY batch_id, item, position DESC
ON CONFLICT (batch_id, item) DO UPDATE
   SET status = EXCLUDED.status, code = EXCLUDED.code, reason = EXCLUDED.reason, position = EXCLUDED.position
"""

CHUNKS: LiteralString = """
INSERT INTO transfer_batch_chunks (batch_id, first, last, position, at)
SELECT batch_id, first, last, position, at
  FROM json_to_recordset(%s::json) AS r (batch_id text, first int, last int, position bigint, at timestamptz)
"""

S = BatchStatus


def apply(batch: Batch) -> list[Statement]:
    """One row per batch; a row per chunk, per note, and per sum of a chunk."""
    rows: dict[str, Row] = {}
    found = _Found()
    for seen in batch.events:
        stream = seen.record.stream
        row = rows.get(stream)
        if row is None:
            row = rows[stream] = {"batch_id": seen.id}
        _fold(seen, row, found)
        row["version"], row["updated_at"] = seen.version, seen.at
    begun = [row for row in rows.values() if "created_at" in row]
    changed = [row for row in rows.values() if "created_at" not in row]
    made = (
        (INSERT, begun), (UPDATE, changed), (SUMS, found.sums), (NOTES, found.notes), (CHUNKS, found.chunks)
    )  # fmt: skip
    return [Statement(sql, some) for sql, some in made if some]


class _Found:
    def __init__(self) -> None:
        self.sums: list[Row] = []
        self.notes: list[Row] = []
        self.chunks: list[Row] = []

    def add_sums(self, batch_id: str, sums: tuple[ItemSum, ...]) -> None:
        for part in sums:
            amount = part.amount
            self.sums.append(
                {
                    "batch_id": batch_id,
                    "status": part.status,
                    "currency": amount.currency,
                    "count": part.count,
                    "amount": str(amount.minor),
                }
            )

    def add_notes(self, seen: Seen, notes: tuple[ItemNote, ...]) -> None:
        for note in notes:
            self.notes.append({"batch_id": seen.id, "position": seen.record.position, **note.model_dump()})


def _fold(seen: Seen, row: Row, found: _Found) -> None:
    match seen.event:
        case BatchAccepted() as event:
            row.update(event.model_dump(include={"user_id", "atomic", "items", "reference"}))
            row.update(status=S.RUNNING, created_at=seen.at, created_position=seen.record.position)
            found.add_sums(seen.id, event.submitted)
        case BatchItemsSettled(first=first, last=last, sums=sums, notes=notes):
            row["settled"] = last
            if row.get("atomic") and last == row["items"]:
                row["status"] = S.RELEASING
            found.add_sums(seen.id, sums)
            found.add_notes(seen, notes)
            found.chunks.append(
                {
                    "batch_id": seen.id,
                    "first": first,
                    "last": last,
                    "position": seen.record.position,
                    "at": seen.at,
                }
            )
        case BatchFailed(item=item, code=code, reason=reason):
            row.update(status=S.COMPENSATING, failure_code=code, failure_reason=f"item {item}: {reason}")
            found.add_notes(seen, (ItemNote(item=item, status="rejected", code=code, reason=reason),))
        case BatchPaused():
            row["status"] = S.PAUSED
        case BatchResumed():
            row["status"] = S.RUNNING
        case BatchCancelled(reason=reason):
            row.update(failure_code="cancelled", failure_reason=reason or "cancelled")
            if row.get("atomic"):
                row["status"] = S.COMPENSATING
            else:
                row.update(status=S.CANCELLED, finished_at=seen.at)
        case BatchItemsReleased(last=last):
            row["released"] = last
        case BatchItemsUndone(first=first, sums=sums, notes=notes):
            row["standing"] = first - 1
            found.add_sums(seen.id, sums)
            found.add_notes(seen, notes)
            undone = (part.model_copy(update=_less(part)) for part in sums)
            found.add_sums(seen.id, tuple(undone))
        case BatchCompleted():
            row.update(status=S.COMPLETED, finished_at=seen.at)
        case BatchCompensated(stuck=stuck):
            row.update(status=S.STUCK if stuck else S.COMPENSATED, finished_at=seen.at)
        case _:
            raise AssertionError(f"not wanted: {seen.record.type}")


def _less(part: ItemSum) -> dict[str, object]:
    """What was undone is completed no more."""
    return {"status": "completed", "count": -part.count, "amount": -part.amount}


VIEW = View(
    "transfer_batches",
    1,
    ("transfer_batches", "transfer_batch_sums", "transfer_batch_notes", "transfer_batch_chunks"),
    TABLES,
    wanted(BATCH, get_args(BatchEvent)),
    apply,
)
