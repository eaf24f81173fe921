"""/v1/accounts/{account_id}/statement and /summary: an account over a period, and at a glance."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from fastapi.concurrency import run_in_threadpool
from pydantic import AwareDatetime, BeforeValidator
from starlette.responses import Response

from activities.ledger import utc_now
from api.bodies import written_out
from api.call import Reading
from api.documented import ENTRY, reads
from api.routes.accounts import AccountId, Cursor, Limit
from api.strict import StrictRoute
from commands.statements import MEDIA_TYPES, Format, exported
from queries.periods import months_back, period
from queries.statement_results import AccountSummary, Statement
from queries.statements import MAX_MONTHS, account_statement, account_summary, whole_statement

router = APIRouter(prefix="/v1/accounts", tags=["statements"], route_class=StrictRoute)

Instant = Annotated[
    date | AwareDatetime | None,
    BeforeValidator(written_out),
    Query(description="An instant (RFC 3339), or a day (UTC), which is its beginning.", examples=["2026-03-01"]),
]
From = Annotated[Instant, Query(alias="from")]

STATEMENT: dict[str, Any] = {
    "account_id": "acc-ann",
    "user_id": "ann",
    "iban": None,
    "currency": "EUR",
    "from_at": "2026-03-01T00:00:00Z",
    "to_at": "2026-04-01T00:00:00Z",
    "opening_balance": "100.00",
    "closing_balance": "90.00",
    "credits": "0.00",
    "credit_count": 0,
    "debits": "10.00",
    "debit_count": 1,
    "items": [ENTRY],
    "next_cursor": None,
}
SUMMARY: dict[str, Any] = {
    "account_id": "acc-ann",
    "user_id": "ann",
    "currency": "EUR",
    "status": "open",
    "balance": "90.00",
    "held": "0.00",
    "available": "90.00",
    "overdraft_limit": "0.00",
    "recent": [ENTRY],
    "spending": [{"month": "2026-03", "category": "leisure", "entries": 1, "amount": "10.00"}],
}
FILES: dict[str, Any] = reads(STATEMENT)[200] | {
    "description": "The file.",
    "content": {
        "text/csv": {"example": "# account=acc-ann currency=EUR …"},
        "application/xml": {"example": "<Document><BkToCstmrStmt>…</BkToCstmrStmt></Document>"},
    },
}


@router.get("/{account_id}/statement", response_model=Statement, responses=reads(STATEMENT, 404))
async def statement(  # noqa: PLR0917 – a query's parameters
    account_id: AccountId,
    call: Reading,
    from_: From = None,
    to: Instant = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """What was booked from `from` on and before `to`, the oldest first, between opening and closing balance.

    Without `to` until now; without `from` since the beginning of the month (UTC) that `to` ends.
    """
    await call.must_own(account_id, None)
    since, until = period(from_, to, utc_now())
    return await call.ask(account_statement(account_id, since, until, limit, cursor))


@router.get(
    "/{account_id}/statement/{form}",
    response_class=Response,
    responses={**reads(STATEMENT, 404), 200: FILES},
)
async def statement_file(
    account_id: AccountId,
    form: Annotated[Format, Path(examples=["csv"])],
    call: Reading,
    from_: From = None,
    to: Instant = None,
) -> Response:
    """The whole statement as a file: CSV, or ISO 20022 camt.053.001.08. 422 beyond 20,000 lines."""
    await call.must_own(account_id, None)
    since, until = period(from_, to, utc_now())
    found, headers = await call.found(whole_statement(account_id, since, until))
    content = await run_in_threadpool(exported, found, form)
    name = f"{account_id}-{since:%Y%m%d}-{until:%Y%m%d}.{'csv' if form == 'csv' else 'xml'}"
    headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return Response(content, 200, headers, media_type=MEDIA_TYPES[form])


@router.get("/{account_id}/summary", response_model=AccountSummary, responses=reads(SUMMARY, 404))
async def summary(
    account_id: AccountId,
    call: Reading,
    months: Annotated[int, Query(ge=1, le=MAX_MONTHS, description="Of spending, this one included.")] = 3,
) -> Response:
    """Balance, available, the newest entries, and what was spent by month (UTC) and category.

    Spent is what was paid, transferred or withdrawn, less what came back of it in that month.
    """
    await call.must_own(account_id, None)
    return await call.ask(account_summary(account_id, months_back(utc_now(), months)))
