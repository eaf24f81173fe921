"""/v1/users/{user_id}/payments: a user's payments, and their sum."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from api.call import Call, Reading
from api.documented import PAYMENT, reads
from api.routes.accounts import Cursor, Limit
from api.strict import StrictRoute
from domain.model import Id
from queries.paging import Page
from queries.payments import list_user_payments, user_payment_summary
from queries.results import PaymentView, UserPaymentSummary

router = APIRouter(prefix="/v1/users", tags=["users"], route_class=StrictRoute)

UserId = Annotated[Id, Path(examples=["ann"])]

SUMMARY = {
    "user_id": "ann",
    "total_payments": 3,
    "total_amount": {"EUR": "30.00"},
    "failed_payments": 1,
    "pending_payments": 0,
    "last_payment_date": "2026-03-01T09:32:00Z",
    "by_currency": {
        "EUR": {"total_payments": 3, "total_amount": "30.00", "failed_payments": 1, "pending_payments": 0}
    },
    "recent_payments": [PAYMENT],
}


@router.get(
    "/{user_id}/payments",
    response_model=Page[PaymentView],
    responses=reads({"items": [PAYMENT], "next_cursor": None}, 404),
)
async def payments(user_id: UserId, call: Reading, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """What the user paid and was paid, the newest first."""
    _must_be(call, user_id)
    return await call.ask(list_user_payments(user_id, limit, cursor))


@router.get("/{user_id}/payments/summary", response_model=UserPaymentSummary, responses=reads(SUMMARY, 404))
async def summary(user_id: UserId, call: Reading) -> Response:
    """Totals, failed and pending ones, the last date and the most recent ones, as payer."""
    _must_be(call, user_id)
    return await call.ask(user_payment_summary(user_id))


def _must_be(call: Call, user_id: str) -> None:
    if not call.who.sees(user_id):
        call.not_there(f"user {user_id} does not exist")
