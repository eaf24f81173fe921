"""Numbers as files write them: plain decimals, never floats, always positive where money is meant."""

from __future__ import annotations

import re
from decimal import Context, Decimal

from domain.errors import DomainError
from domain.money import Money, positive
from payfiles.errors import PaymentFileError

_DECIMAL = re.compile(r"\+?(?=\.?[0-9])([0-9]{0,24})(?:\.([0-9]{0,17}))?", re.ASCII)
_COUNT = re.compile(r"[0-9]{1,15}", re.ASCII)
_EXACT = Context(prec=64)  # 100,000 amounts of 24 digits and 17 decimals still add up exactly


def decimal(text: str, what: str, location: str) -> Decimal:
    """An unsigned plain decimal (the xs:decimal of the standard without a minus); `what` names it in the error."""
    if _DECIMAL.fullmatch(text) is None:
        raise PaymentFileError(
            "invalid_amount", f"{what} {text[:40]!r} is not a plain number: write it like 1234.50", location
        )
    return Decimal(text)


def whole(text: str, what: str, location: str) -> int:
    """A count."""
    if _COUNT.fullmatch(text) is None:
        raise PaymentFileError("invalid_count", f"{what} {text[:40]!r} is not a whole number", location)
    return int(text)


def money(text: str, currency: str, location: str) -> Money:
    """A positive amount that fits its currency's decimals; missing decimals are filled in (500000 EUR)."""
    number = decimal(text, "amount", location)
    try:
        return positive(Money.from_decimal(number, currency))
    except DomainError as error:
        raise PaymentFileError(error.code, error.message, location) from error


def add(total: Decimal, more: Decimal) -> Decimal:
    """Exact, whatever the size."""
    return _EXACT.add(total, more)


def plain(number: Decimal) -> str:
    """Without an exponent and without needless zeros at the end, for messages: 38.00 → 38."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
