"""Questions about payments: one, a user's, and a user's summary."""

from __future__ import annotations

from typing import LiteralString

from queries.errors import NotFound
from queries.money import in_utc, wire
from queries.paging import NEWEST, Page, checked_limit, decode_cursor, page_of
from queries.payment_results import PaymentView, UserPaymentSummary, UserTotals
from queries.reader import Fetch, Question, Row

RECENT = 10

GET: LiteralString = "SELECT * FROM read.payments WHERE payment_id = %s"

# What the user paid and was paid, merged from the two indexes.
LIST_OF_USER: LiteralString = """
SELECT * FROM (
    (SELECT * FROM read.payments WHERE from_user = %(user_id)s AND created_position < %(before)s
      ORDER BY created_position DESC LIMIT %(rows)s)
    UNION ALL
    (SELECT * FROM read.payments
      WHERE to_user = %(user_id)s AND from_user <> %(user_id)s AND created_position < %(before)s
      ORDER BY created_position DESC LIMIT %(rows)s)
) AS mine ORDER BY created_position DESC LIMIT %(rows)s
"""

LIST: LiteralString = """
SELECT * FROM read.payments WHERE created_position < %(before)s ORDER BY created_position DESC LIMIT %(rows)s
"""

RECENT_OF_PAYER: LiteralString = """
SELECT * FROM read.payments WHERE from_user = %s ORDER BY created_position DESC LIMIT %s
"""

SUMMARY: LiteralString = "SELECT * FROM read.user_payment_summary WHERE user_id = %s ORDER BY currency"


def get_payment(payment_id: str) -> Question[PaymentView]:
    """Raises NotFound."""

    async def ask(fetch: Fetch) -> PaymentView:
        rows = await fetch(GET, (payment_id,))
        if not rows:
            raise NotFound(f"payment {payment_id} does not exist")
        return payment_of(rows[0])

    return Question("get_payment", ("payments",), ask)


def list_payments(limit: int = 50, cursor: str | None = None) -> Question[Page[PaymentView]]:
    """Everybody's, the newest first. Raises BadCursor, ValueError for a limit out of bounds."""
    checked_limit(limit)
    (before,) = decode_cursor("payments", cursor, (NEWEST,))

    async def ask(fetch: Fetch) -> Page[PaymentView]:
        rows = await fetch(LIST, {"before": before, "rows": limit + 1})
        return page_of(rows, limit, "payments", lambda row: (row["created_position"],), payment_of)

    return Question("list_payments", ("payments",), ask)


def list_user_payments(user_id: str, limit: int = 50, cursor: str | None = None) -> Question[Page[PaymentView]]:
    """As payer or payee, the newest first. Raises BadCursor, ValueError for a limit out of bounds."""
    checked_limit(limit)
    (before,) = decode_cursor("user_payments", cursor, (NEWEST,))

    async def ask(fetch: Fetch) -> Page[PaymentView]:
        rows = await fetch(LIST_OF_USER, {"user_id": user_id, "before": before, "rows": limit + 1})
        return page_of(rows, limit, "user_payments", lambda row: (row["created_position"],), payment_of)

    return Question("list_user_payments", ("payments",), ask)


def user_payment_summary(user_id: str) -> Question[UserPaymentSummary]:
    """As payer. A user without payments has a summary of zeros."""

    async def ask(fetch: Fetch) -> UserPaymentSummary:
        rows = await fetch(SUMMARY, (user_id,))
        recent = await fetch(RECENT_OF_PAYER, (user_id, RECENT))
        return UserPaymentSummary(
            user_id=user_id,
            total_payments=sum(row["total_payments"] for row in rows),
            total_amount={row["currency"]: wire(row["total_amount"], row["currency"]) for row in rows},
            failed_payments=sum(row["failed_payments"] for row in rows),
            pending_payments=sum(row["pending_payments"] for row in rows),
            last_payment_date=max((row["last_payment_at"] for row in rows), default=None),
            by_currency={row["currency"]: _totals(row) for row in rows},
            recent_payments=tuple(payment_of(row) for row in recent),
        )

    return Question("user_payment_summary", ("user_payment_summary", "payments"), ask)


def _totals(row: Row) -> UserTotals:
    return UserTotals(
        total_payments=row["total_payments"],
        total_amount=wire(row["total_amount"], row["currency"]),
        failed_payments=row["failed_payments"],
        pending_payments=row["pending_payments"],
    )


def payment_of(row: Row) -> PaymentView:
    """A row of the view, as it is told."""
    currency = row["currency"]
    held = row["amount"] - row["captured"] if row["status"] in ("authorized", "partially_captured") else 0
    money: Row = {name: wire(row[name], currency) for name in ("amount", "captured", "refunded")}
    settled = row["settled_currency"]
    as_they_are = (
        "payment_id status from_account from_user to_account to_user fee_account capture reference description "
        "category quote settled_currency metadata failure_code failure_reason cancel_reason "
        "expires_at authorized_at processed_at created_at updated_at version"
    )
    return PaymentView(
        **{name: row[name] for name in as_they_are.split()},
        **{name: in_utc(row[name]) for name in ("review", "dispute")},
        **money,
        currency=currency,
        held=wire(held, currency),
        fee=wire(row["fee"], settled),
        settled=wire(row["settled"], settled),
        tags=tuple(row["tags"]),
    )
