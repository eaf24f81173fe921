"""screenings: how many payments and transfers were screened and held, by day (UTC); what rule hit rates rest on.

A payment or transfer counts once, on the day it was initiated, also where it was cancelled before it was screened.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date
from typing import LiteralString

from domain.payment_messages import PaymentHeldForReview, PaymentInitiated
from domain.streams import PAYMENT, TRANSFER
from domain.transfer_messages import TransferHeldForReview, TransferInitiated
from projections.model import Batch, Row, Statement, View, wanted

TABLES: LiteralString = """
CREATE TABLE screenings (
    day date PRIMARY KEY,
    screened bigint NOT NULL,
    held bigint NOT NULL
) WITH (fillfactor = 80);
"""

ADD: LiteralString = """
INSERT INTO screenings AS s (day, screened, held)
SELECT day, screened, held FROM json_to_recordset(%s::json) AS r (day date, screened bigint, held bigint)
ON CONFLICT (day) DO UPDATE SET screened = s.screened + EXCLUDED.screened, held = s.held + EXCLUDED.held
"""


def apply(batch: Batch) -> list[Statement]:
    """Sums by day."""
    screened: Counter[date] = Counter()
    held: Counter[date] = Counter()
    for seen in batch.events:
        counted = screened if isinstance(seen.event, PaymentInitiated | TransferInitiated) else held
        counted[seen.at.astimezone(UTC).date()] += 1
    rows: list[Row] = [
        {"day": day, "screened": screened[day], "held": held[day]} for day in sorted(screened | held)
    ]
    return [Statement(ADD, rows)] if rows else []


WANTS = wanted(PAYMENT, (PaymentInitiated, PaymentHeldForReview)) | wanted(
    TRANSFER, (TransferInitiated, TransferHeldForReview)
)
VIEW = View("screenings", 1, ("screenings",), TABLES, WANTS, apply)
