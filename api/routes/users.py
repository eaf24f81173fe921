"""/v1/users/{user_id}: a user's payments, their sum, and the portfolio."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from activities.ledger import utc_now
from api.call import Call, Reading
from api.documented import ORDER, PAYMENT, reads
from api.routes.accounts import Cursor, Limit
from api.strict import StrictRoute
from domain.model import Id
from queries.paging import Page
from queries.payment_results import PaymentView, UserPaymentSummary
from queries.payments import list_user_payments, user_payment_summary
from queries.trading import portfolio as ask_portfolio
from queries.trading_results import Portfolio

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


PORTFOLIO = {
    "user_id": "ann",
    "cash": [{"currency": "USD", "balance": "5000.00", "held": "1872.50", "available": "3127.50"}],
    "positions": [
        {
            "symbol": "AAPL",
            "name": "Apple",
            "quantity": 30,
            "held": 0,
            "currency": "USD",
            "average_cost": "187.25",
            "cost": "5617.50",
            "last_price": "188.00",
            "value": "5640.00",
            "gained": "0.00",
            "open_gain": "22.50",
            "day_gain": "22.50",
        }
    ],
    "total_value": {"USD": "10640.00"},
    "day_gain": {"USD": "22.50"},
    "trading_power": {"USD": "3127.50"},
    "open_orders": [ORDER],
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


@router.get("/{user_id}/portfolio", response_model=Portfolio, responses=reads(PORTFOLIO, 404))
async def portfolio(user_id: UserId, call: Reading) -> Response:
    """Cash and shares at the latest prices, what the day (UTC) gained, open orders, what new ones may spend."""
    _must_be(call, user_id)
    return await call.ask(ask_portfolio(user_id, utc_now().date()))


def _must_be(call: Call, user_id: str) -> None:
    if not call.who.sees(user_id):
        call.not_there(f"user {user_id} does not exist")
