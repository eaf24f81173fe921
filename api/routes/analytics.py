"""/v1/analytics/payments: totals over everybody's payments."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BeforeValidator
from starlette.responses import Response

from api.bodies import written_out
from api.call import Reading
from api.documented import reads
from api.strict import StrictRoute
from domain.currencies import exponent
from domain.errors import InvalidInput
from queries.analytics import payment_analytics
from queries.payment_results import PaymentAnalytics

router = APIRouter(prefix="/v1/analytics", tags=["analytics"], route_class=StrictRoute)

DAYS = 30
Day = Annotated[
    date | AwareDatetime | None,
    BeforeValidator(written_out),
    Query(description="A day (UTC), or an instant of it."),
]

ANALYTICS = {
    "from_day": "2026-03-01",
    "to_day": "2026-03-31",
    "currency": "EUR",
    "total_payments": 4,
    "total_amount": {"EUR": "40.00"},
    "average_amount": {"EUR": "10.00"},
    "success_rate": 0.75,
    "payments_by_currency": {"EUR": 4},
    "payments_by_status": {"failed": 1, "processed": 3},
    "daily_volume": [{"date": "2026-03-01", "count": 4, "amount": {"EUR": "40.00"}}],
}


@router.get("/payments", response_model=PaymentAnalytics, responses=reads(ANALYTICS))
async def payments(
    call: Reading,
    from_: Annotated[Day, Query(alias="from")] = None,
    to: Day = None,
    currency: Annotated[str | None, Query(pattern="^[A-Z]{3}$", examples=["EUR"])] = None,
) -> Response:
    """Payments by the day they were created on, both ends included; the last 30 days where nothing is said.

    `success_rate` is the share of which money was captured. Amounts are by currency: they do not add up.
    """
    call.must_be_unbound("see everybody's payments")
    if currency is not None:
        exponent(currency)
    last = day_of(to) or datetime.now(UTC).date()
    first = day_of(from_) or max(date.min + timedelta(DAYS), last) - timedelta(DAYS)
    if last < first:
        raise InvalidInput("invalid_range", "to must not be before from", "to")
    return await call.ask(payment_analytics(first, last, currency))


def day_of(given: date | datetime | None) -> date | None:
    if isinstance(given, datetime):
        try:
            return given.astimezone(UTC).date()
        except OverflowError:
            return given.date()
    return given
