"""quotes: every rate that was promised, and what became of it."""

from __future__ import annotations

from typing import LiteralString, get_args

from domain.quote_messages import QuoteEvent, QuoteIssued, QuoteUsed
from domain.streams import QUOTE
from projections.model import Batch, Row, Statement, View, wanted

TABLES: LiteralString = """
CREATE TABLE quotes (
    quote_id text COLLATE "C" PRIMARY KEY,
    user_id text COLLATE "C",
    from_currency text NOT NULL,
    sells bigint NOT NULL,
    to_currency text NOT NULL,
    buys bigint NOT NULL,
    rate numeric NOT NULL,
    mid numeric NOT NULL,
    spread numeric NOT NULL,
    issued_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    used_by text,
    used_at timestamptz,
    created_position bigint NOT NULL UNIQUE
) WITH (fillfactor = 80);
CREATE INDEX quotes_of_user ON quotes (user_id, created_position);
"""

ISSUED: LiteralString = """
INSERT INTO quotes (quote_id, user_id, from_currency, sells, to_currency, buys, rate, mid, spread, issued_at,
                    expires_at, created_position)
SELECT quote_id, user_id, from_currency, sells, to_currency, buys, rate, mid, spread, issued_at, expires_at,
       created_position
  FROM json_to_recordset(%s::json) AS r (
       quote_id text, user_id text, from_currency text, sells bigint, to_currency text, buys bigint, rate numeric,
       mid numeric, spread numeric, issued_at timestamptz, expires_at timestamptz, created_position bigint)
"""

USED: LiteralString = """
UPDATE quotes AS q SET used_by = r.used_by, used_at = r.used_at
  FROM json_to_recordset(%s::json) AS r (quote_id text, used_by text, used_at timestamptz)
 WHERE q.quote_id = r.quote_id
"""


def apply(batch: Batch) -> list[Statement]:
    """What was issued, then what was used."""
    issued: list[Row] = []
    used: list[Row] = []
    for seen in batch.events:
        match seen.event:
            case QuoteIssued() as event:
                issued.append(
                    {
                        "quote_id": event.quote_id,
                        "user_id": event.user_id,
                        "from_currency": event.sells.currency,
                        "sells": event.sells.minor,
                        "to_currency": event.buys.currency,
                        "buys": event.buys.minor,
                        "rate": str(event.rate),
                        "mid": str(event.mid),
                        "spread": str(event.spread),
                        "issued_at": seen.at,
                        "expires_at": event.expires_at,
                        "created_position": seen.record.position,
                    }
                )
            case QuoteUsed(by=by):
                used.append({"quote_id": seen.id, "used_by": by, "used_at": seen.at})
            case _:
                raise AssertionError(f"not wanted: {seen.record.type}")
    return [Statement(sql, rows) for sql, rows in ((ISSUED, issued), (USED, used)) if rows]


VIEW = View("quotes", 1, ("quotes",), TABLES, wanted(QUOTE, get_args(QuoteEvent)), apply)
