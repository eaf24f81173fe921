"""Money, whatever the amounts: what is written is read back, and fees do not depend on how captures are cut."""

from __future__ import annotations

from contextlib import suppress
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from domain.currencies import EXPONENTS
from domain.errors import InvalidMoney
from domain.money import MAX_BALANCE, MAX_MINOR, Money, format_minor

currencies = st.sampled_from(sorted(EXPONENTS))
minors = st.integers(-MAX_MINOR, MAX_MINOR)
balances = st.builds(Money, st.integers(-MAX_BALANCE, MAX_BALANCE), currencies)
rates = st.decimals(0, 1, places=4)
WIRE: TypeAdapter[Money] = TypeAdapter(Money)


@given(balances)
def test_what_is_written_is_read_back(money: Money) -> None:
    assert Money.parse(money.amount, money.currency) == money
    assert WIRE.validate_json(WIRE.dump_json(money)) == money
    assert Decimal(money.amount).scaleb(EXPONENTS[money.currency]) == money.minor


@given(minors, currencies)
def test_decimals_are_read_exactly(minor: int, currency: str) -> None:
    money = Money(minor, currency)
    assert Money.from_decimal(money.amount, currency) == money
    assert Money.from_decimal(Decimal(money.amount), currency) == money
    assert Money.from_decimal(Decimal(money.amount).normalize(), currency) == money


@given(st.text(max_size=30), currencies)
def test_any_text_is_money_or_a_clear_error(text: str, currency: str) -> None:
    for read in (Money.parse, Money.from_decimal):
        with suppress(InvalidMoney):
            assert Decimal(read(text, currency).amount) == Decimal(text)


@given(st.decimals(allow_nan=True, allow_infinity=True), currencies)
def test_any_decimal_is_money_or_a_clear_error(number: Decimal, currency: str) -> None:
    with suppress(InvalidMoney):
        assert Decimal(Money.from_decimal(number, currency).amount) == number


@given(st.floats(), currencies)
def test_a_float_is_never_money(number: float, currency: str) -> None:
    for read in (Money.parse, Money.from_decimal):
        with pytest.raises(InvalidMoney):
            read(number, currency)  # type: ignore[arg-type]


@given(minors, minors, currencies)
def test_sums_are_those_of_whole_numbers(a: int, b: int, currency: str) -> None:
    left, right = Money(a, currency), Money(b, currency)
    assert (left + right).minor == a + b
    assert (left - right) == left + -right
    assert (left < right, left <= right, left > right, left >= right) == (a < b, a <= b, a > b, a >= b)
    assert format_minor(-a, currency) == (-left).amount


@given(st.integers(0, MAX_MINOR), rates)
def test_a_fraction_is_the_nearest_whole_number_even_when_halfway(minor: int, rate: Decimal) -> None:
    fee = Money(minor, "EUR").fraction(rate).minor
    ten_thousandths = minor * int(rate.scaleb(4))
    assert abs(fee * 10_000 - ten_thousandths) <= 5000
    assert ten_thousandths % 10_000 != 5000 or fee % 2 == 0


@given(st.lists(st.integers(1, 10**6), min_size=1, max_size=30), rates)
def test_the_fee_of_the_parts_is_the_fee_of_the_whole(parts: list[int], rate: Decimal) -> None:
    total = Money(sum(parts), "EUR").fraction(rate)
    so_far, fees = 0, []
    for part in parts:
        before, so_far = Money(so_far, "EUR").fraction(rate), so_far + part
        fees.append((Money(so_far, "EUR").fraction(rate) - before).minor)
        assert 0 <= fees[-1] <= part, "a part never pays more than it is, nor gets a fee back"
    assert sum(fees) == total.minor
