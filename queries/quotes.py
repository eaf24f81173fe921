"""Questions about quotes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from queries.money import wire
from queries.paging import NEWEST, Page, checked_limit, decode_cursor, page_of
from queries.reader import Fetch, Question, Row

LIST: LiteralString = """
SELECT * FROM read.quotes
 WHERE created_position < %(before)s AND (%(user_id)s::text IS NULL OR user_id = %(user_id)s)
 ORDER BY created_position DESC LIMIT %(rows)s
"""


@dataclass(frozen=True)
class QuoteView:
    """`sells` of from_currency buy `buys` of to_currency, until `expires_at`. `status`: open or used, `used_by` an
    order's stream."""

    quote_id: str
    status: str
    from_currency: str
    to_currency: str
    sells: str
    buys: str
    rate: str
    expires_at: datetime
    used_by: str | None


def list_quotes(
    user_id: str | None = None, limit: int = 50, cursor: str | None = None
) -> Question[Page[QuoteView]]:
    """The newest first; of one user, or of all. Raises BadCursor, ValueError for a limit out of bounds."""
    checked_limit(limit)
    (before,) = decode_cursor("quotes", cursor, (NEWEST,))

    async def ask(fetch: Fetch) -> Page[QuoteView]:
        rows = await fetch(LIST, {"user_id": user_id, "before": before, "rows": limit + 1})
        return page_of(rows, limit, "quotes", lambda row: (row["created_position"],), _quote_of)

    return Question("list_quotes", ("quotes",), ask)


def _quote_of(row: Row) -> QuoteView:
    return QuoteView(
        quote_id=row["quote_id"],
        status="open" if row["used_by"] is None else "used",
        from_currency=row["from_currency"],
        to_currency=row["to_currency"],
        sells=wire(row["sells"], row["from_currency"]),
        buys=wire(row["buys"], row["to_currency"]),
        rate=f"{row['rate']:f}",
        expires_at=row["expires_at"],
        used_by=row["used_by"],
    )
