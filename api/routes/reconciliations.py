"""/v1/reconciliations: a bank's statement against the ledger. Nothing is written: the report is the answer."""

from __future__ import annotations

from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, Query
from starlette.responses import Response

from api.call import Reading, answer
from api.documented import reads
from api.problems import Problem
from api.reconciliation_report import ReconciliationReport
from api.strict import StrictRoute
from commands.statements import Unreadable, as_report, reconciled_file
from domain.model import Id
from queries.reader import Question

router = APIRouter(prefix="/v1/reconciliations", tags=["statements"], route_class=StrictRoute)

T = TypeVar("T")
MAX_STATEMENTS: Final = 50
"""Of one file: each is compared with a whole period of an account."""

_BOOKING: Final[dict[str, Any]] = {
    "entry": "BANK-7",
    "booked": "2026-03-03",
    "amount": "-12.51",
    "currency": "EUR",
    "end_to_end_id": "coffee-1",
    "reference": None,
    "counterparty": "bakery",
}
REPORT: Final[dict[str, Any]] = {
    "agrees": False,
    "statements": [
        {
            "statement_id": "stm-2026-03",
            "format": "camt.053",
            "account_id": "acc-ann",
            "currency": "EUR",
            "from_at": "2026-03-01T00:00:00Z",
            "to_at": "2026-04-01T00:00:00Z",
            "agrees": False,
            "matched": [],
            "differing": [
                {
                    "by": "reference",
                    "statement": _BOOKING,
                    "ledger": _BOOKING
                    | {"entry": "TM-31", "booked": "2026-03-03T09:30:00+00:00", "amount": "-12.50"},
                }
            ],
            "missing_in_ledger": [],
            "missing_in_statement": [],
            "balances": [{"which": "closing", "statement": "87.49", "ledger": "87.50"}],
            "warnings": [],
        }
    ],
}
BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "application/xml": {
                "schema": {"type": "string", "description": "ISO 20022 camt.053, any version."},
                "example": '<Document xmlns="urn:iso:std:iso:20022:tech:xsd:camt.053.001.08">…</Document>',
            },
            "text/csv": {
                "schema": {
                    "type": "string",
                    "description": "A header with `booked_at` and `amount`, a line each.",
                },
                "example": "booked_at,amount,currency,reference\n2026-03-03,-12.51,EUR,coffee-1\n",
            },
        },
    }
}
"""The route reads it itself."""


@router.post(
    "",
    response_model=ReconciliationReport,
    responses=reads(REPORT, 400, 404, 413, 415),
    openapi_extra=BODY,
)
async def compare(
    call: Reading,
    account_id: Annotated[
        Id | None, Query(description="The account it is of, where the file does not say so.", examples=["acc-ann"])
    ] = None,
    days: Annotated[
        int, Query(ge=0, le=10, description="How far apart equal amounts of no common name may be booked.")
    ] = 0,
) -> Response:
    """Compare a bank's statement (camt.053 or CSV) with the ledger: matched, missing, differing. Changes nothing.

    The account is the one that the file names, by IBAN and currency or by id, or `account_id`; one that the key
    may not see is as one that does not exist. 422 with every place where the file cannot be read.
    """
    headers: dict[str, str] = {}

    async def ask(question: Question[T]) -> T:
        value, told = await call.found(question)
        headers.update(told)
        return value

    try:
        found = await reconciled_file(
            await call.request.body(),
            ask,
            account_id,
            days,
            sees=lambda account: call.who.sees(account.user_id),
            most=MAX_STATEMENTS,
        )
    except Unreadable as refusal:
        errors = [{"field": p.location, "code": p.code, "message": p.message} for p in refusal.problems]
        raise Problem(422, refusal.code, str(refusal), errors=errors) from None
    return answer(as_report(found), headers=headers)
