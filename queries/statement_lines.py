"""An account's ledger entries with what their payment or transfer says of them."""

from __future__ import annotations

from typing import Final, LiteralString

from queries.money import wire
from queries.reader import Row
from queries.statement_results import StatementLine

VIEWS: Final = ("ledger_entries", "accounts", "payments", "transfers")
"""What a question about entries rests on."""

# The order that an entry belongs to, if it has one of its own.
ORDERS: LiteralString = """
  LEFT JOIN read.payments AS p ON p.payment_id = substr(e.source, 9) AND e.source LIKE 'payment-%%'
  LEFT JOIN read.transfers AS t ON t.transfer_id = substr(e.source, 10) AND e.source LIKE 'transfer-%%'
"""

LINES: LiteralString = (
    """
SELECT e.position, e.line, e.recorded_at, e.currency, e.amount, e.balance_after, e.category AS kind,
       COALESCE(p.category, t.category, e.category) AS category, e.counterparty, e.source,
       COALESCE(e.reference, p.reference, t.reference) AS reference, p.description, t.purpose,
       COALESCE(p.metadata, t.metadata) ->> 'location' AS location, COALESCE(p.tags, t.tags) AS tags,
       COALESCE(p.metadata, t.metadata) ->> 'end_to_end_id' AS end_to_end_id
  FROM read.ledger_entries AS e
"""
    + ORDERS
)

NEWEST_FIRST: LiteralString = (
    LINES
    + """
 WHERE e.account_id = %(account_id)s AND (e.position, e.line) < (%(before)s, %(line)s)
 ORDER BY e.position DESC, e.line DESC LIMIT %(rows)s
"""
)


def line_of(row: Row) -> StatementLine:
    currency = row["currency"]
    return StatementLine(
        position=row["position"],
        at=row["recorded_at"],
        amount=wire(row["amount"], currency),
        balance=wire(row["balance_after"], currency),
        currency=currency,
        kind=row["kind"],
        category=row["category"],
        counterparty=row["counterparty"],
        source=row["source"],
        reference=row["reference"],
        description=row["description"],
        purpose=row["purpose"],
        location=row["location"],
        end_to_end_id=row["end_to_end_id"],
        tags=tuple(row["tags"] or ()),
    )
