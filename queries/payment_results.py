"""What questions about payments are answered with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from queries.shares import Share


@dataclass(frozen=True)
class PaymentView:
    """`held` is what the payer's hold still holds. `dispute` and `review` are as recorded, None without one.

    `settled` is what the payee's side got of it, the fee included; it and the fee are in `settled_currency`, which
    a quote makes another one than the payer's.
    """

    payment_id: str
    status: str
    amount: str
    currency: str
    captured: str
    refunded: str
    fee: str
    settled: str
    settled_currency: str
    held: str
    from_account: str
    from_user: str
    to_account: str
    to_user: str
    fee_account: str
    capture: str
    reference: str | None
    description: str | None
    category: str | None
    quote: dict[str, Any] | None
    tags: tuple[str, ...]
    metadata: dict[str, str]
    failure_code: str | None
    failure_reason: str | None
    cancel_reason: str | None
    review: dict[str, Any] | None
    dispute: dict[str, Any] | None
    expires_at: datetime
    authorized_at: datetime | None
    processed_at: datetime | None
    created_at: datetime
    updated_at: datetime
    version: int


@dataclass(frozen=True)
class UserTotals:
    """One currency's part of a summary."""

    total_payments: int
    total_amount: str
    failed_payments: int
    pending_payments: int


@dataclass(frozen=True)
class UserPaymentSummary:
    """As payer. `total_amount` by currency: every payment initiated, whatever became of it."""

    user_id: str
    total_payments: int
    total_amount: dict[str, str]
    failed_payments: int
    pending_payments: int
    last_payment_date: datetime | None
    by_currency: dict[str, UserTotals]
    recent_payments: tuple[PaymentView, ...]


@dataclass(frozen=True)
class DailyVolume:
    date: date
    count: int
    amount: dict[str, str]


@dataclass(frozen=True)
class PaymentAnalytics:
    """Of payments created within [from_day, to_day]. Amounts by currency: they cannot be added up across them.

    `success_rate`: the share of payments of which money was captured, whatever happened to it later; 0 to 1, None
    without payments. `average_amount` is rounded half-even to the minor unit.
    """

    from_day: date
    to_day: date
    currency: str | None
    total_payments: int
    total_amount: dict[str, str]
    average_amount: dict[str, str]
    success_rate: Share | None
    payments_by_currency: dict[str, int]
    payments_by_status: dict[str, int]
    daily_volume: tuple[DailyVolume, ...]
