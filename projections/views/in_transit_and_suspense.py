"""in_transit_and_suspense: money that left a source account and is in no account now, where, and since when."""

from __future__ import annotations

from typing import LiteralString

from projections.model import Batch, Statement, View
from projections.views.under_way import MONEY_MOVES, fold

TABLES: LiteralString = """
CREATE TABLE in_transit_and_suspense (
    transfer_id text COLLATE "C" PRIMARY KEY,
    currency text NOT NULL,
    amount bigint NOT NULL,
    place text NOT NULL,
    debited_at timestamptz NOT NULL,
    since timestamptz NOT NULL,
    position bigint NOT NULL
);
CREATE INDEX in_transit_and_suspense_by_age ON in_transit_and_suspense (since);
"""

SET_OUT: LiteralString = """
INSERT INTO in_transit_and_suspense (transfer_id, currency, amount, place, debited_at, since, position)
SELECT transfer_id, currency, amount, place, debited_at, since, position
  FROM json_to_recordset(%s::json) AS r (
       transfer_id text, currency text, amount bigint, place text, debited_at timestamptz, since timestamptz,
       position bigint)
"""

MOVED: LiteralString = """
UPDATE in_transit_and_suspense AS i SET place = r.place, since = r.since
  FROM json_to_recordset(%s::json) AS r (transfer_id text, place text, since timestamptz)
 WHERE i.transfer_id = r.transfer_id
"""

ARRIVED: LiteralString = """
DELETE FROM in_transit_and_suspense AS i
 USING json_to_recordset(%s::json) AS r (transfer_id text) WHERE i.transfer_id = r.transfer_id
"""


def apply(batch: Batch) -> list[Statement]:
    """What set out, what was moved aside, what arrived."""
    rows = batch.fold(fold)
    made = (
        (SET_OUT, [row for row in rows if "currency" in row]),
        (MOVED, [row for row in rows if "currency" not in row and row["place"] is not None]),
        (ARRIVED, [row for row in rows if row["place"] is None]),
    )
    return [Statement(sql, found) for sql, found in made if found]


VIEW = View("in_transit_and_suspense", 1, ("in_transit_and_suspense",), TABLES, MONEY_MOVES, apply)
