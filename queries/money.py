"""Minor units in the views, decimal strings in answers; and times inside of JSON."""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

from domain.money import format_minor

Json = Any
"""A value that a view keeps as JSON."""


def wire(minor: int | Decimal, currency: str) -> str:
    """A sum may be a numeric; it is whole all the same."""
    whole = int(minor)
    assert whole == minor, "a fraction of a minor unit"
    return format_minor(whole, currency)


def in_utc(kept: Json) -> Json:
    """JSON of a view, with its own times (`at`, `opened_at`) written as those beside it are."""
    match kept:
        case dict():
            return {name: _zulu(value) if _is_time(name, value) else in_utc(value) for name, value in kept.items()}
        case list():
            return [in_utc(value) for value in kept]
        case _:
            return kept


def _is_time(name: str, value: Json) -> bool:
    return isinstance(value, str) and (name == "at" or name.endswith("_at"))


def _zulu(instant: str) -> str:
    return instant.removesuffix("+00:00") + "Z" if instant.endswith("+00:00") else instant


def average(total: int | Decimal, count: int, currency: str) -> str:
    """Rounded half-even to the minor unit; nothing of nothing is zero."""
    mean = Decimal(total) / count if count else Decimal(0)
    return format_minor(int(mean.quantize(Decimal(1), ROUND_HALF_EVEN)), currency)
