"""Questions about accounts and their statements."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString

from queries.errors import NotFound
from queries.money import wire
from queries.paging import NEWEST, Page, checked_limit, decode_cursor, page_of
from queries.reader import Fetch, Question, Row
from queries.statement_lines import NEWEST_FIRST, VIEWS, line_of
from queries.statement_results import StatementLine

GET: LiteralString = "SELECT * FROM read.accounts WHERE account_id = %s"

LIST: LiteralString = """
SELECT * FROM read.accounts
 WHERE created_position < %(before)s AND (%(user_id)s::text IS NULL OR user_id = %(user_id)s)
 ORDER BY created_position DESC LIMIT %(rows)s
"""

FIND_BY_IBAN: LiteralString = """
SELECT * FROM read.accounts WHERE iban = %(iban)s AND (%(currency)s::text IS NULL OR currency = %(currency)s)
 ORDER BY status = 'closed', created_position LIMIT 1
"""


@dataclass(frozen=True)
class AccountView:
    account_id: str
    user_id: str
    currency: str
    status: str
    balance: str
    held: str
    available: str
    overdraft_limit: str
    iban: str | None
    rail: str | None
    version: int
    opened_at: datetime
    updated_at: datetime


def get_account(account_id: str) -> Question[AccountView]:
    """Raises NotFound."""

    async def ask(fetch: Fetch) -> AccountView:
        rows = await fetch(GET, (account_id,))
        if not rows:
            raise NotFound(f"account {account_id} does not exist")
        return account_of(rows[0])

    return Question("get_account", ("accounts",), ask)


def list_accounts(
    user_id: str | None = None, limit: int = 50, cursor: str | None = None
) -> Question[Page[AccountView]]:
    """The newest first; of one user, or of all. Raises BadCursor, ValueError for a limit out of bounds."""
    checked_limit(limit)
    (before,) = decode_cursor("accounts", cursor, (NEWEST,))

    async def ask(fetch: Fetch) -> Page[AccountView]:
        rows = await fetch(LIST, {"user_id": user_id, "before": before, "rows": limit + 1})
        return page_of(rows, limit, "accounts", lambda row: (row["created_position"],), account_of)

    return Question("list_accounts", ("accounts",), ask)


def find_account_by_iban(iban: str, currency: str | None = None) -> Question[AccountView | None]:
    """Spaces do not matter. Where several share an IBAN: one that is not closed, then the oldest."""
    plain = iban.replace(" ", "").upper()

    async def ask(fetch: Fetch) -> AccountView | None:
        rows = await fetch(FIND_BY_IBAN, {"iban": plain, "currency": currency})
        return account_of(rows[0]) if rows else None

    return Question("find_account_by_iban", ("accounts",), ask)


def account_entries(account_id: str, limit: int = 50, cursor: str | None = None) -> Question[Page[StatementLine]]:
    """A statement, the newest line first. Raises NotFound, BadCursor, ValueError for a limit out of bounds."""
    checked_limit(limit)
    before, line = decode_cursor("entries", cursor, (NEWEST, 0))

    async def ask(fetch: Fetch) -> Page[StatementLine]:
        if not await fetch(GET, (account_id,)):
            raise NotFound(f"account {account_id} does not exist")
        wanted = {"account_id": account_id, "before": before, "line": line, "rows": limit + 1}
        rows = await fetch(NEWEST_FIRST, wanted)
        return page_of(rows, limit, "entries", lambda row: (row["position"], row["line"]), line_of)

    return Question("account_entries", VIEWS, ask)


def account_of(row: Row) -> AccountView:
    """A row of the view, as it is told."""
    currency = row["currency"]
    return AccountView(
        account_id=row["account_id"],
        user_id=row["user_id"],
        currency=currency,
        status=row["status"],
        balance=wire(row["balance"], currency),
        held=wire(row["held"], currency),
        available=wire(row["available"], currency),
        overdraft_limit=wire(row["overdraft_limit"], currency),
        iban=row["iban"],
        rail=row["rail"],
        version=row["version"],
        opened_at=row["opened_at"],
        updated_at=row["updated_at"],
    )
