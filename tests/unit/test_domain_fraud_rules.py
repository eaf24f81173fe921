"""The rules that look at more than the amount: pace, payees, round trips, structuring, dormancy, country."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from domain.account import Account
from domain.account_messages import AccountLimits, Deposit, OpenAccount, Reserve, SetLimits
from domain.errors import DomainError
from domain.money import Money
from domain.screening import SCORES, Rule, Screening, ScreeningLimits, screen
from tests.unit.given import AT, account, eur

DAY = 24 * 3600
OFF = {"review_above": None}


def holder(*holds: tuple[int, str, str], name: str = "a", iban: str | None = None) -> Account:
    """An account that reserved (seconds ago, payee, amount)."""
    opening = OpenAccount(at=AT, account_id=name, user_id="u", currency="EUR", iban=iban)
    past: list[Any] = [opening, Deposit(at=AT, amount=eur("1000000.00"))]
    for number, (ago, payee, amount) in enumerate(holds):
        at = AT - timedelta(seconds=ago)
        past.append(Reserve(at=at, hold_id=f"h{number}", amount=eur(amount), counterparty=payee))
    return account(*past).state


def screened(amount: str, payer: Account, limits: dict[str, Any], **known: Any) -> Screening:
    return screen(eur(amount), payer, "shop", AT, ScreeningLimits.model_validate({**OFF, **limits}), **known)


@pytest.mark.parametrize(("payees", "fires"), [(("shop", "shop"), True), (("shop", "other"), False)])
def test_many_debits_to_one_payee(payees: tuple[str, ...], fires: bool) -> None:
    payer = holder(*((10, payee, "1.00") for payee in payees))
    found = screened("1.00", payer, {"payee_velocity_max": 2})
    assert found.rules == (("payee_velocity",) if fires else ())


@pytest.mark.parametrize(
    ("ago", "to", "amount", "fires"),
    [(60, "a", "50.01", True), (60, "a", "50.00", False), (60, "b", "50.01", False), (DAY, "a", "50.01", False)],
)
def test_money_that_goes_back_where_it_came_from(ago: int, to: str, amount: str, fires: bool) -> None:
    shop = holder((ago, to, "70.00"), name="shop")
    found = screened(amount, holder(), {"round_trip_above": 50}, payee=shop)
    assert found.rules == (("round_trip",) if fires else ())
    assert screened(amount, holder(), {"round_trip_above": 50}).rules == (), "an account at another bank"


@pytest.mark.parametrize(
    ("before", "amount", "fires"),
    [
        ((("950.00", 60), ("900.00", 30)), "800.00", True),
        ((("950.00", 60), ("900.00", 30)), "1000.00", True),
        ((("950.00", 60), ("900.00", 30)), "799.99", False),
        ((("950.00", 60), ("799.99", 30)), "900.00", False),
        ((("950.00", DAY), ("900.00", 30)), "900.00", False),
        ((("950.00", 60), ("1000.01", 30)), "900.00", False),
    ],
)
def test_many_debits_just_below_the_limit(before: tuple[tuple[str, int], ...], amount: str, fires: bool) -> None:
    payer = holder(*((ago, f"p{number}", of) for number, (of, ago) in enumerate(before)))
    found = screened(amount, payer, {"review_above": 1000, "structuring_count": 3})
    assert found.rules == (("structuring",) if fires else ())


def test_what_is_above_the_limit_is_caught_by_the_amount_not_by_structuring() -> None:
    payer = holder((60, "p", "950.00"), (30, "p", "900.00"))
    found = screened("1000.01", payer, {"review_above": 1000, "structuring_count": 3})
    assert found.rules == ("amount",)


@pytest.mark.parametrize(
    ("days", "amount", "fires"), [(91, "100.01", True), (90, "100.01", False), (91, "100.00", False)]
)
def test_an_account_that_wakes_up(days: int, amount: str, fires: bool) -> None:
    found = screened(amount, holder((days * DAY, "p", "1.00")), {"dormant_above": 100})
    assert found.rules == (("dormant",) if fires else ())


def test_an_account_that_never_paid_is_new_not_dormant() -> None:
    assert screened("500.00", holder(), {"dormant_above": 100}).rules == ()


@pytest.mark.parametrize(
    ("iban", "country", "fires"),
    [
        ("DE02120300000000202051", "FR", True),
        ("DE02120300000000202051", "DE", False),
        ("DE02120300000000202051", None, False),
        (None, "FR", False),
    ],
)
def test_an_order_from_another_country(iban: str | None, country: str | None, fires: bool) -> None:
    found = screened("5.00", holder(iban=iban), {"foreign_above": 0}, country=country)
    assert found.rules == (("country",) if fires else ())


@pytest.mark.parametrize(
    ("limits", "verdict"),
    [
        ({}, "review"),
        ({"review_at": 60}, "review"),
        ({"review_at": 61}, "pass"),
        ({"decline_at": 60}, "decline"),
        ({"decline_at": 61}, "review"),
        ({"scores": {"amount": 100}, "decline_at": 100}, "decline"),
        ({"scores": {"amount": 0}}, "pass"),
    ],
)
def test_the_score_decides(limits: dict[str, Any], verdict: str) -> None:
    found = screened("100.01", holder(), {"review_above": 100, **limits})
    assert found.verdict == verdict
    assert (found.held, found.declined) == (verdict != "pass", verdict == "decline")


def test_every_rule_has_a_score_that_alone_is_reviewed() -> None:
    assert set(SCORES) == set(Rule)
    assert min(SCORES.values()) >= ScreeningLimits().review_at


def test_an_account_may_have_limits_of_its_own() -> None:
    own = SetLimits(at=AT, limits=AccountLimits(review_above=Decimal(5)), by="ops")
    strict = account(OpenAccount(at=AT, account_id="a", user_id="u", currency="EUR"), own).state
    assert screened("5.01", strict, {"review_above": 100}).rules == ("amount",)
    lifted = account(
        OpenAccount(at=AT, account_id="a", user_id="u", currency="EUR"),
        own,
        SetLimits(at=AT, limits=AccountLimits(), by="ops"),
    ).state
    assert lifted.limits is None
    assert screened("5.01", lifted, {"review_above": 100}).rules == ()


def test_limits_of_an_account_that_does_not_exist_are_refused() -> None:
    with pytest.raises(DomainError, match="does not exist"):
        account(SetLimits(at=AT, limits=AccountLimits(), by="ops"))


@pytest.mark.parametrize(
    "limits",
    [
        {"structuring_count": 1},
        {"structuring_share": 1},
        {"review_at": 0},
        {"decline_at": 101},
        {"scores": {"x": 1}},
    ],
)
def test_limits_that_cannot_work_are_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ScreeningLimits.model_validate(limits)


@pytest.mark.parametrize("at", [AT, AT + timedelta(days=400)])
def test_the_same_order_at_the_same_time_gets_the_same_answer(at: datetime) -> None:
    limits = ScreeningLimits(velocity_max=1, dormant_above=Decimal(0))
    payer = holder((5, "shop", "1.00"))
    assert screen(Money(100, "EUR"), payer, "shop", at, limits) == screen(
        Money(100, "EUR"), payer, "shop", at, limits
    )
