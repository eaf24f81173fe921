"""Totals over payments by the day of their creation."""

from __future__ import annotations

from collections import Counter
from datetime import date
from decimal import Decimal
from typing import Any, LiteralString

from queries.money import average, wire
from queries.payment_results import DailyVolume, PaymentAnalytics
from queries.reader import Fetch, Question, Row

BUCKETS: LiteralString = """
SELECT day, currency, status, payments, amount FROM read.payment_analytics
 WHERE day BETWEEN %(from_day)s AND %(to_day)s AND (%(currency)s::text IS NULL OR currency = %(currency)s)
 ORDER BY day, currency, status
"""

SUCCEEDED = frozenset(
    {"partially_captured", "processed", "partially_refunded", "refunded", "disputed", "charged_back"}
)
"""Money was captured, whatever happened to it later."""


def payment_analytics(from_day: date, to_day: date, currency: str | None = None) -> Question[PaymentAnalytics]:
    """Days are UTC, both ends included. Raises ValueError where they are the wrong way round."""
    if to_day < from_day:
        raise ValueError("to must not be before from")

    async def ask(fetch: Fetch) -> PaymentAnalytics:
        rows = await fetch(BUCKETS, {"from_day": from_day, "to_day": to_day, "currency": currency})
        return _analytics(rows, from_day, to_day, currency)

    return Question("payment_analytics", ("payment_analytics",), ask)


def _analytics(rows: list[Row], from_day: date, to_day: date, currency: str | None) -> PaymentAnalytics:
    counts: Counter[str] = Counter()
    statuses: Counter[str] = Counter()
    amounts: dict[str, Any] = {}
    days: dict[date, tuple[int, dict[str, Any]]] = {}
    for row in rows:
        counts[row["currency"]] += row["payments"]
        statuses[row["status"]] += row["payments"]
        amounts[row["currency"]] = amounts.get(row["currency"], 0) + row["amount"]
        count, daily = days.get(row["day"], (0, {}))
        daily[row["currency"]] = daily.get(row["currency"], 0) + row["amount"]
        days[row["day"]] = (count + row["payments"], daily)
    total = counts.total()
    succeeded = sum(number for status, number in statuses.items() if status in SUCCEEDED)
    return PaymentAnalytics(
        from_day=from_day,
        to_day=to_day,
        currency=currency,
        total_payments=total,
        total_amount=_wires(amounts),
        average_amount={code: average(amount, counts[code], code) for code, amount in amounts.items()},
        success_rate=round(Decimal(succeeded) / total, 4) if total else None,
        payments_by_currency=dict(counts),
        payments_by_status=dict(sorted(statuses.items())),
        daily_volume=tuple(DailyVolume(day, count, _wires(daily)) for day, (count, daily) in days.items()),
    )


def _wires(amounts: dict[str, Any]) -> dict[str, str]:
    return {currency: wire(amount, currency) for currency, amount in amounts.items()}
