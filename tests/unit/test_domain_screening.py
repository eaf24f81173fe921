"""The fraud rules: what is held for a person's review, and why."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from pydantic import ValidationError

from domain.account import RECENT_HOLDS, Account
from domain.account_messages import Deposit, OpenAccount, Reserve
from domain.money import Money
from domain.screening import ScreeningLimits, screen
from tests.unit.given import AT, account, eur, jpy

OFF = ScreeningLimits(review_above=None)


def payer(*reserved_s_ago: int) -> Account:
    """An account that reserved 1.00 for `known` so many seconds ago."""
    past: list[OpenAccount | Deposit | Reserve] = [
        OpenAccount(at=AT, account_id="a", user_id="u", currency="EUR"),
        Deposit(at=AT, amount=eur("1000.00")),
    ]
    for number, seconds in enumerate(reserved_s_ago):
        at = AT - timedelta(seconds=seconds)
        past.append(Reserve(at=at, hold_id=f"h{number}", amount=eur("1.00"), counterparty="known"))
    return account(*past).state


@pytest.mark.parametrize(
    ("amount", "held"),
    [
        (eur("10000.00"), False),
        (eur("10000.01"), True),
        (jpy("10000"), False),
        (jpy("10001"), True),
        (Money(10_000_000, "KWD"), False),
        (Money(10_000_001, "KWD"), True),
    ],
)
def test_by_default_only_a_large_amount_is_held(amount: Money, held: bool) -> None:
    found = screen(amount, payer(), "stranger", AT, ScreeningLimits())
    assert found.held is held
    assert (found.score, found.reasons) == ((60, (f"amount above 10000 {amount.currency}",)) if held else (0, ()))


def test_every_rule_can_be_off() -> None:
    assert screen(eur("1000000.00"), payer(*range(60)), "stranger", AT, OFF).reasons == ()


@pytest.mark.parametrize(
    ("ago", "held"), [((1, 2), False), ((1, 2, 3), True), ((1, 2, 60), False), ((1, 2, 59), True)]
)
def test_too_many_debits_within_the_window_are_held(ago: tuple[int, ...], held: bool) -> None:
    limits = OFF.model_copy(update={"velocity_max": 3, "velocity_window_s": 60})
    found = screen(eur("1.00"), payer(*sorted(ago, reverse=True)), "known", AT, limits)
    assert found.held is held
    assert found.score == (50 if held else 0)
    assert not held or found.reasons == ("3 debits reserved within 60 s",)


@pytest.mark.parametrize(
    ("payee", "amount", "held"),
    [("stranger", "50.01", True), ("stranger", "50.00", False), ("known", "50.01", False)],
)
def test_a_large_first_debit_to_a_payee_is_held(payee: str, amount: str, held: bool) -> None:
    limits = OFF.model_copy(update={"new_payee_above": Decimal(50)})
    found = screen(eur(amount), payer(1), payee, AT, limits)
    assert (found.held, found.score) == ((True, 30) if held else (False, 0))


def test_every_rule_that_fires_adds_its_reason_and_the_score_ends_at_100() -> None:
    limits = ScreeningLimits(review_above=Decimal(10), velocity_max=1, new_payee_above=Decimal(5))
    found = screen(eur("10.01"), payer(1), "stranger", AT, limits)
    assert (len(found.reasons), found.score) == (3, 100)


@pytest.mark.parametrize(
    "limits",
    [
        {"review_above": -1},
        {"velocity_max": 0},
        {"velocity_max": RECENT_HOLDS + 1},
        {"velocity_window_s": 0},
        {"x": 1},
    ],
)
def test_limits_that_cannot_work_are_refused(limits: dict[str, int]) -> None:
    with pytest.raises(ValidationError):
        ScreeningLimits.model_validate(limits)
