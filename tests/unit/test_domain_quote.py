"""A quote: promised once, used once, by whom and for what it was promised."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain import quote as quotes
from domain.exchange import bought_for, customer_rate, share, sold_for
from domain.money import Money
from domain.quote_messages import IssueQuote, Quote, QuoteUsed, UseQuote
from tests.unit.given import AT, LATER, Given, eur, jpy, usd

PROMISE = Quote(quote_id="q-1", buys=usd("107.80"), rate=Decimal("1.078"), expires_at=LATER)
ISSUE = IssueQuote(at=AT, sells=eur("100.00"), mid=Decimal("1.0834"), spread=Decimal("0.005"), **dict(PROMISE))


def issued(**change: Any) -> Given[quotes.IssuedQuote]:
    return Given(quotes.initial(), quotes.decide, quotes.evolve).past(ISSUE.model_copy(update=change))


def use(**change: Any) -> UseQuote:
    fields = {"by": "transfer-t", "user_id": "u-1", "sells": eur("100.00"), "quote": PROMISE, "at": AT}
    return UseQuote(**{**fields, **change})


def test_a_quote_is_good_for_one_order() -> None:
    used = issued().past(use())
    assert (used.state.status, used.state.used_by) == ("used", "transfer-t")
    used.when(use(by="payment-p")).fails_with("quote_used", field="quote_id")
    issued().when(use()).then(QuoteUsed(by="transfer-t"))


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"at": LATER}, "quote_expired"),
        ({"sells": eur("100.01")}, "quote_mismatch"),
        ({"sells": usd("100.00")}, "quote_mismatch"),
        ({"quote": PROMISE.model_copy(update={"buys": usd("1000.00")})}, "quote_mismatch"),
        ({"quote": PROMISE.model_copy(update={"expires_at": LATER + timedelta(days=1)})}, "quote_mismatch"),
    ],
)
def test_an_order_gets_what_was_promised_and_nothing_else(change: dict[str, Any], code: str) -> None:
    issued().when(use(**change)).fails_with(code)


def test_a_user_s_quote_is_his() -> None:
    assert issued(user_id="u-1").when(use()).events
    refusal = issued(user_id="u-2").when(use()).fails_with("quote_not_found")
    nobody = Given(quotes.initial(), quotes.decide, quotes.evolve).when(use()).fails_with("quote_not_found")
    assert refusal.message == nobody.message, "somebody else's is not there, in the very same words"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"sells": usd("1.00")}, "same_currency"),
        ({"sells": eur("0.00")}, "amount_not_positive"),
        ({"buys": usd("0.00")}, "amount_not_positive"),
        ({"expires_at": AT}, "invalid_expiry"),
    ],
)
def test_what_cannot_be_promised(change: dict[str, Any], code: str) -> None:
    nothing = Given(quotes.initial(), quotes.decide, quotes.evolve)
    nothing.when(ISSUE.model_copy(update=change)).fails_with(code)
    issued().when(ISSUE).fails_with("quote_exists")


def test_prices_are_rounded_half_even_to_the_minor_unit() -> None:
    rate = customer_rate(Decimal("1.0842"), Decimal("0.005"))
    assert rate == Decimal("1.078779000")
    assert bought_for(eur("100.00"), "USD", rate) == usd("107.88")
    assert bought_for(eur("0.25"), "JPY", Decimal(10)) == jpy("2"), "2.5 goes to the even one"
    assert bought_for(eur("0.35"), "JPY", Decimal(10)) == jpy("4"), "and so does 3.5"
    assert sold_for(jpy("1000"), "EUR", Decimal("162.07")) == eur("6.17")
    assert bought_for(eur("10.00"), "KWD", Decimal("0.3329")) == Money(3329, "KWD")
    assert share(jpy("100"), 1, 3) + (share(jpy("100"), 2, 3) - share(jpy("100"), 1, 3)) == jpy("67")
