"""Money: an integer count of minor units and a currency. Never a float.

On the wire it is `{"amount": "10.00", "currency": "EUR"}` with exactly the currency's own number of decimals.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from domain.currencies import exponent
from domain.errors import InvalidInput, InvalidMoney

MAX_MINOR = 10**15
"""The largest amount of one command, in minor units: far above any payment, far below a bigint's edge."""

MAX_BALANCE = 9 * 10**18
"""The largest balance, in minor units. What events say must be readable: many amounts add up to more than one."""

_AMOUNT = re.compile(r"(-?)(\d{1,60})(?:\.(\d{1,8}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Money:
    """`minor` units (cents, yen, fils) of `currency`. Arithmetic never mixes currencies."""

    minor: int
    currency: str

    def __post_init__(self) -> None:
        if type(self.minor) is not int:
            raise InvalidMoney("invalid_amount", "minor units must be a whole number", "amount")
        exponent(self.currency)

    @classmethod
    def parse(cls, amount: object, currency: object) -> Money:
        """The wire form: `amount` a decimal string with exactly the currency's decimals, a balance at most."""
        if not isinstance(currency, str):
            raise InvalidMoney("unknown_currency", "currency must be a string such as EUR", "currency")
        places = exponent(currency)
        if not isinstance(amount, str):
            raise InvalidMoney(
                "invalid_amount",
                f'amount must be a decimal string such as "{format_minor(10 ** (places + 1), currency)}"',
                "amount",
            )
        match = _AMOUNT.fullmatch(amount)
        if match is None:
            raise InvalidMoney("invalid_amount", f"amount {amount[:40]!r} is not a plain decimal number", "amount")
        sign, whole, fraction = match.groups()
        if len(fraction or "") != places:
            raise InvalidMoney(
                "wrong_decimals",
                f"amount {amount!r} must have {places} decimals: {currency} has {places}",
                "amount",
            )
        return cls._limited(int(f"{sign}{whole}{fraction or ''}"), currency, MAX_BALANCE)

    @classmethod
    def from_decimal(cls, amount: Decimal | str | int, currency: str) -> Money:
        """As people and files write it: missing decimals are filled in, too many are refused, exactly."""
        places = exponent(currency)
        if type(amount) not in (Decimal, str, int):
            raise InvalidMoney("invalid_amount", "amount must be a decimal, never a float", "amount")
        if isinstance(amount, str) and _AMOUNT.fullmatch(amount) is None:
            raise InvalidMoney("invalid_amount", f"amount {amount[:40]!r} is not a plain decimal number", "amount")
        value = Decimal(amount)
        if not value.is_finite():
            raise InvalidMoney("invalid_amount", f"amount {value} is not a number", "amount")
        # Looked at before any arithmetic, which would round to the context's 28 digits or overflow.
        if value and value.adjusted() >= 20:
            raise _too_large(MAX_MINOR)
        if value % Decimal(1).scaleb(-places):
            raise InvalidMoney(
                "wrong_decimals", f"amount {amount} has too many decimals: {currency} has {places}", "amount"
            )
        return cls._limited(int(value.scaleb(places)), currency, MAX_MINOR)

    @classmethod
    def _limited(cls, minor: int, currency: str, limit: int) -> Money:
        if abs(minor) > limit:
            raise _too_large(limit)
        return cls(minor, currency)

    @property
    def amount(self) -> str:
        """The decimal string of the wire form."""
        return format_minor(self.minor, self.currency)

    def wire(self) -> dict[str, str]:
        """`{"amount": …, "currency": …}`."""
        return {"amount": format_minor(self.minor, self.currency), "currency": self.currency}

    def with_minor(self, minor: int) -> Money:
        """Another amount of the same currency."""
        return Money(minor, self.currency)

    def __str__(self) -> str:
        return f"{self.amount} {self.currency}"

    def __add__(self, other: Money) -> Money:
        return Money(self.minor + self._same(other).minor, self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.minor - self._same(other).minor, self.currency)

    def __neg__(self) -> Money:
        return Money(-self.minor, self.currency)

    def __lt__(self, other: Money) -> bool:
        return self.minor < self._same(other).minor

    def __le__(self, other: Money) -> bool:
        return self.minor <= self._same(other).minor

    def __gt__(self, other: Money) -> bool:
        return self.minor > self._same(other).minor

    def __ge__(self, other: Money) -> bool:
        return self.minor >= self._same(other).minor

    def _same(self, other: Money) -> Money:
        if other.currency != self.currency:
            raise InvalidInput(
                "currency_mismatch",
                f"the amount is in {other.currency}, but {self.currency} is needed",
                "currency",
            )
        return other

    def fraction(self, rate: Decimal) -> Money:
        """`rate` of this amount, rounded half-even to a whole minor unit (fees)."""
        return self.with_minor(int((Decimal(self.minor) * rate).quantize(Decimal(1), ROUND_HALF_EVEN)))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            _from_wire,
            serialization=core_schema.plain_serializer_function_ser_schema(cls.wire),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {
            "type": "object",
            "properties": {
                "amount": {"type": "string", "pattern": r"^-?\d{1,20}(\.\d{1,8})?$", "examples": ["10.00"]},
                "currency": {"type": "string", "pattern": "^[A-Z][A-Z0-9.]{2,11}$", "examples": ["EUR"]},
            },
            "required": ["amount", "currency"],
            "additionalProperties": False,
        }


def _from_wire(value: object) -> Money:
    if isinstance(value, Money):
        return value
    if isinstance(value, dict) and value.keys() == {"amount", "currency"}:
        amount, currency = value["amount"], value["currency"]
        return _known(amount, currency) if type(amount) is type(currency) is str else Money.parse(amount, currency)
    raise InvalidMoney(
        "invalid_amount", 'money must be {"amount": "10.00", "currency": "EUR"}, nothing more', "amount"
    )


@lru_cache(maxsize=2**14)
def _known(amount: str, currency: str) -> Money:
    """A log says the same amounts again and again; parsing one costs as much as the rest of its event."""
    return Money.parse(amount, currency)


def _too_large(limit: int) -> InvalidMoney:
    return InvalidMoney("amount_too_large", f"amount is above {limit} minor units", "amount")


@lru_cache(maxsize=4096)
def format_minor(minor: int, currency: str) -> str:
    """1234 EUR → `12.34`; 1234 JPY → `1234`. Remembered: an amount is written on both sides, and 0.00 often."""
    places = exponent(currency)
    if places == 0:
        return str(minor)
    digits = str(abs(minor))
    if len(digits) <= places:
        digits = digits.rjust(places + 1, "0")
    return f"{'-' if minor < 0 else ''}{digits[:-places]}.{digits[-places:]}"


def zero(currency: str) -> Money:
    """Nothing, in `currency`."""
    return Money(0, currency)


def positive(money: Money) -> Money:
    """`money` itself, as one command may move it. Raises InvalidInput "amount must be positive" or too large."""
    if money.minor <= 0:
        raise InvalidInput("amount_not_positive", "amount must be positive", "amount")
    if money.minor > MAX_MINOR:
        raise _too_large(MAX_MINOR)
    return money
