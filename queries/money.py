"""Minor units in the views, decimal strings in answers."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal

from domain.money import format_minor


def wire(minor: int | Decimal, currency: str) -> str:
    """A sum may be a numeric; it is whole all the same."""
    whole = int(minor)
    assert whole == minor, "a fraction of a minor unit"
    return format_minor(whole, currency)


def average(total: int | Decimal, count: int, currency: str) -> str:
    """Rounded half-even to the minor unit; nothing of nothing is zero."""
    mean = Decimal(total) / count if count else Decimal(0)
    return format_minor(int(mean.quantize(Decimal(1), ROUND_HALF_EVEN)), currency)
