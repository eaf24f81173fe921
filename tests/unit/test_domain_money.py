"""Money: what is read, what is refused and why, and arithmetic that stays exact."""

from __future__ import annotations

import pickle
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel, TypeAdapter, ValidationError

from domain.currencies import EXPONENTS, exponent
from domain.errors import DomainError, InvalidInput, InvalidMoney
from domain.money import MAX_BALANCE, MAX_MINOR, Money, format_minor, positive, zero
from tests.unit.given import eur, jpy


class Wire(BaseModel):
    amount: Money


@pytest.mark.parametrize(
    ("currency", "places", "amount", "minor"),
    [
        ("JPY", 0, "1234", 1234),
        ("EUR", 2, "12.34", 1234),
        ("KWD", 3, "1.234", 1234),
        ("CLF", 4, "0.1234", 1234),
        ("EUR", 2, "-0.05", -5),
        ("EUR", 2, "0.00", 0),
    ],
)
def test_a_currency_has_its_own_decimals(currency: str, places: int, amount: str, minor: int) -> None:
    assert exponent(currency) == places
    assert Money.parse(amount, currency) == Money(minor, currency)
    assert Money(minor, currency).amount == amount
    assert str(Money(minor, currency)) == f"{amount} {currency}"


def test_codes_that_are_no_money_are_not_in_the_list() -> None:
    assert len(EXPONENTS) > 160
    assert not EXPONENTS.keys() & {"XAU", "XXX", "XTS", "BTC", "DEM", "HRK"}


@pytest.mark.parametrize(
    ("amount", "currency", "code", "words", "field"),
    [
        (10.0, "EUR", "invalid_amount", 'must be a decimal string such as "10.00"', "amount"),
        (10, "JPY", "invalid_amount", 'must be a decimal string such as "10"', "amount"),
        (True, "EUR", "invalid_amount", "must be a decimal string", "amount"),
        (None, "EUR", "invalid_amount", "must be a decimal string", "amount"),
        (Decimal("10.00"), "EUR", "invalid_amount", "must be a decimal string", "amount"),
        ("NaN", "EUR", "invalid_amount", "not a plain decimal number", "amount"),
        ("Infinity", "EUR", "invalid_amount", "not a plain decimal number", "amount"),
        ("-inf", "EUR", "invalid_amount", "not a plain decimal number", "amount"),
        ("1e3", "EUR", "invalid_amount", "not a plain decimal number", "amount"),
        ("1,00", "EUR", "invalid_amount", "not a plain decimal number", "amount"),
        (" 1.00", "EUR", "invalid_amount", "not a plain decimal number", "amount"),
        ("1.00\n", "EUR", "invalid_amount", "not a plain decimal number", "amount"),
        ("+1.00", "EUR", "invalid_amount", "not a plain decimal number", "amount"),
        ("1_000.00", "EUR", "invalid_amount", "not a plain decimal number", "amount"),
        ("٣.٠٠", "EUR", "invalid_amount", "not a plain decimal number", "amount"),
        ("", "EUR", "invalid_amount", "not a plain decimal number", "amount"),
        (".50", "EUR", "invalid_amount", "not a plain decimal number", "amount"),
        ("10", "EUR", "wrong_decimals", "must have 2 decimals: EUR has 2", "amount"),
        ("10.0", "EUR", "wrong_decimals", "must have 2 decimals", "amount"),
        ("10.000", "EUR", "wrong_decimals", "must have 2 decimals", "amount"),
        ("10.00", "JPY", "wrong_decimals", "must have 0 decimals", "amount"),
        ("10.00", "KWD", "wrong_decimals", "must have 3 decimals", "amount"),
        ("10.00", "eur", "unknown_currency", "unknown currency 'eur'", "currency"),
        ("10.00", "XXX", "unknown_currency", "expected an ISO 4217 code", "currency"),
        ("10.00", "", "unknown_currency", "unknown currency", "currency"),
        ("10.00", None, "unknown_currency", "must be a string", "currency"),
        ("10.00", ["EUR"], "unknown_currency", "must be a string", "currency"),
        ("90000000000000000.01", "EUR", "amount_too_large", "above", "amount"),
        ("9" * 50, "JPY", "amount_too_large", "above", "amount"),
    ],
)
def test_what_cannot_be_read_is_refused_with_a_reason(
    amount: object, currency: object, code: str, words: str, field: str
) -> None:
    with pytest.raises(InvalidMoney) as refusal:
        Money.parse(amount, currency)
    assert (refusal.value.code, refusal.value.field) == (code, field)
    assert words in refusal.value.message


@pytest.mark.parametrize("minor", [1.0, True, "1", None, Decimal(1)])
def test_minor_units_are_whole_numbers(minor: Any) -> None:
    with pytest.raises(InvalidMoney, match="whole number"):
        Money(minor, "EUR")


@pytest.mark.parametrize(
    ("value", "currency", "amount"),
    [
        ("5", "EUR", "5.00"),
        ("5.5", "EUR", "5.50"),
        (7, "KWD", "7.000"),
        (Decimal("5E+2"), "JPY", "500"),
        (Decimal("1.0"), "JPY", "1"),
        (Decimal("0E+50"), "EUR", "0.00"),
        (Decimal("1." + "0" * 40), "EUR", "1.00"),
    ],
)
def test_as_people_write_it(value: Decimal | str | int, currency: str, amount: str) -> None:
    assert Money.from_decimal(value, currency).amount == amount


@pytest.mark.parametrize(
    ("value", "code"),
    [
        ("1.001", "wrong_decimals"),
        (Decimal("1." + "0" * 40 + "1"), "wrong_decimals"),
        (Decimal("1E-999999"), "wrong_decimals"),
        (Decimal("NaN"), "invalid_amount"),
        (Decimal("sNaN"), "invalid_amount"),
        (Decimal("-Infinity"), "invalid_amount"),
        ("ten", "invalid_amount"),
        ("1e2", "invalid_amount"),
        (0.5, "invalid_amount"),
        (True, "invalid_amount"),
        ("1" * 30, "amount_too_large"),
        (Decimal("1E+999999"), "amount_too_large"),
        ("10000000000000.01", "amount_too_large"),
        ("-10000000000000.01", "amount_too_large"),
    ],
)
def test_what_people_must_not_write(value: Any, code: str) -> None:
    with pytest.raises(InvalidMoney) as refusal:
        Money.from_decimal(value, "EUR")
    assert refusal.value.code == code


def test_one_command_moves_a_positive_amount_that_is_not_too_large() -> None:
    assert positive(Money(MAX_MINOR, "EUR")) == Money(MAX_MINOR, "EUR")
    for minor in (0, -1):
        with pytest.raises(InvalidInput, match=r"^amount must be positive$") as refusal:
            positive(Money(minor, "EUR"))
        assert (refusal.value.code, refusal.value.field) == ("amount_not_positive", "amount")
    with pytest.raises(InvalidInput) as refusal:
        positive(Money(MAX_MINOR + 1, "EUR"))
    assert refusal.value.code == "amount_too_large"


def test_a_balance_may_be_larger_than_any_one_amount() -> None:
    largest = Money(MAX_BALANCE, "EUR")
    assert Wire.model_validate_json(Wire(amount=largest).model_dump_json()).amount == largest


def test_arithmetic_stays_in_its_currency() -> None:
    assert eur("1.10") + eur("2.20") == eur("3.30")
    assert eur("1.10") - eur("2.20") == eur("-1.10")
    assert -eur("1.10") == eur("-1.10")
    assert eur("1.00") < eur("1.01") <= eur("1.01")
    assert eur("1.01") > eur("1.00") >= eur("1.00")
    assert zero("EUR") == eur("0.00") != zero("USD")
    assert eur("5.00").with_minor(1) == eur("0.01")
    for mix in (Money.__add__, Money.__sub__, Money.__lt__, Money.__le__, Money.__gt__, Money.__ge__):
        with pytest.raises(InvalidInput, match="the amount is in JPY, but EUR is needed") as refusal:
            mix(eur("1.00"), jpy("1"))
        assert refusal.value.code == "currency_mismatch"


@pytest.mark.parametrize(
    ("amount", "fee"),
    [("0.50", "0.00"), ("1.50", "0.02"), ("2.50", "0.02"), ("2.51", "0.03"), ("100.00", "1.00"), ("0.01", "0.00")],
)
def test_a_fee_is_rounded_half_even(amount: str, fee: str) -> None:
    assert eur(amount).fraction(Decimal("0.01")) == eur(fee)


def test_on_the_wire_it_is_two_strings_and_nothing_more() -> None:
    assert Wire(amount=eur("10.00")).model_dump(mode="json") == {"amount": {"amount": "10.00", "currency": "EUR"}}
    assert Wire.model_validate({"amount": {"amount": "10.00", "currency": "EUR"}}).amount == eur("10.00")
    assert format_minor(-5, "KWD") == "-0.005"
    schema = TypeAdapter(Money).json_schema()
    assert schema["required"] == ["amount", "currency"]
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize(
    "value",
    ["10.00", 10, None, {"amount": "10.00"}, {"amount": "1.00", "currency": "EUR", "x": 1}, {"amount": 1.5}],
)
def test_anything_else_on_the_wire_is_refused_with_its_field(value: object) -> None:
    with pytest.raises(ValidationError, match="money must be") as refusal:
        Wire.model_validate({"amount": value})
    assert refusal.value.errors()[0]["loc"] == ("amount",)


def test_a_float_on_the_wire_is_refused_with_its_field() -> None:
    with pytest.raises(ValidationError, match="amount must be a decimal string") as refusal:
        Wire.model_validate_json('{"amount": {"amount": 10.00, "currency": "EUR"}}')
    assert refusal.value.errors()[0]["loc"] == ("amount",)


def test_a_refusal_survives_a_process_border() -> None:
    refusal = InvalidMoney("wrong_decimals", "too many", "amount")
    back = pickle.loads(pickle.dumps(refusal))  # noqa: S301
    assert type(back) is InvalidMoney
    assert isinstance(back, DomainError)
    assert (back.code, back.message, back.field) == ("wrong_decimals", "too many", "amount")
