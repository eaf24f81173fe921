"""The arithmetic of foreign exchange. Exact fractions inside, whole minor units outside, never a float.

Rule of rounding: of a quote the side that was asked for is exact, the other is worked out at the customer's rate
and rounded half-even to its currency's minor unit. From then on only these two amounts are posted. A part of a
quoted amount is the difference of two running totals, each its exact share rounded half-even: so parts add up to
the whole, whatever their number, and the last one settles what rounding left.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction

from domain.currencies import exponent
from domain.errors import InvalidInput
from domain.money import MAX_MINOR, Money

RATE_DIGITS = 10
"""Significant digits of a customer's rate."""

_CONTEXT = Context(prec=RATE_DIGITS, rounding=ROUND_HALF_EVEN)


def exchange_account(currency: str) -> str:
    """The platform's position in a currency, through which quoted orders pass: `fx-EUR`."""
    return f"fx-{currency}"


def customer_rate(mid: Decimal, spread: Decimal) -> Decimal:
    """What one major unit sold buys: the mid-market rate less the platform's spread."""
    return _CONTEXT.multiply(mid, 1 - spread)


def bought_for(sells: Money, currency: str, rate: Decimal) -> Money:
    """What `sells` buys in `currency`. Raises InvalidInput where that is less than its minor unit."""
    return _whole(Fraction(sells.minor) * Fraction(rate) * _scale(sells.currency, currency), currency)


def sold_for(buys: Money, currency: str, rate: Decimal) -> Money:
    """What has to be sold in `currency` for `buys`."""
    return _whole(Fraction(buys.minor) / Fraction(rate) * _scale(buys.currency, currency), currency)


def share(total: Money, part: int, whole: int) -> Money:
    """`part` of `whole` of `total`, rounded half-even; all of it for all of it."""
    return total.with_minor(round(Fraction(total.minor * part, whole)) if whole else 0)


def _scale(from_currency: str, to_currency: str) -> Fraction:
    return Fraction(10) ** (exponent(to_currency) - exponent(from_currency))


def _whole(minor: Fraction, currency: str) -> Money:
    found = round(minor)
    if found <= 0:
        raise InvalidInput("amount_too_small", f"the amount is worth less than {Money(1, currency)}", "amount")
    if found > MAX_MINOR:
        raise InvalidInput("amount_too_large", f"the amount is worth more than {MAX_MINOR} minor units", "amount")
    return Money(found, currency)
