"""Leg: the decisions of several aggregates, recorded together or not at all."""

from __future__ import annotations

import pytest

from domain.account_messages import Deposit, OpenAccount, Reserve, Withdraw
from domain.errors import DomainError
from domain.leg import Leg
from tests.unit.given import AT, account, eur

OPEN = OpenAccount(at=AT, account_id="a", user_id="u", currency="EUR")
DEPOSIT, WITHDRAW = Deposit(at=AT, amount=eur("5.00")), Withdraw(at=AT, amount=eur("2.00"))


@pytest.fixture
def leg() -> Leg:
    return Leg({"account-a": account(OPEN).state, "account-b": account(OPEN).state})


def types(leg: Leg) -> dict[str, list[str]]:
    return {stream: [type(event).__name__ for event in events] for stream, events in leg.events.items()}


def test_each_decision_sees_what_the_one_before_it_did(leg: Leg) -> None:
    leg.on_account("a", DEPOSIT)
    leg.on_account("a", WITHDRAW)
    assert leg.account("a").balance == 300
    assert types(leg) == {"account-a": ["FundsDeposited", "FundsWithdrawn"]}
    assert leg.asked == {"account-a"}, "looking alone asks nothing"


def test_a_refusal_records_nothing_but_was_asked(leg: Leg) -> None:
    with pytest.raises(DomainError):
        leg.on_account("b", WITHDRAW)
    assert (leg.events, leg.asked) == ({}, {"account-b"})


def test_an_attempt_is_all_or_nothing(leg: Leg) -> None:
    leg.on_account("a", DEPOSIT)

    def attempt() -> None:
        with leg.attempt():
            leg.on_account("a", WITHDRAW)
            leg.on_account("b", DEPOSIT)
            leg.on_account("b", Reserve(at=AT, hold_id="h", amount=eur("5.01"), counterparty="c"))

    with pytest.raises(DomainError):
        attempt()
    assert types(leg) == {"account-a": ["FundsDeposited"]}
    assert (leg.account("a").balance, leg.account("b").balance) == (500, 0)
    assert leg.asked == {"account-a", "account-b"}, "what was given up rested on b all the same"


def test_an_attempt_that_works_stays(leg: Leg) -> None:
    with leg.attempt():
        leg.on_account("a", DEPOSIT)
    assert types(leg) == {"account-a": ["FundsDeposited"]}


def test_the_states_it_was_given_are_not_touched() -> None:
    states = {"account-a": account(OPEN).state}
    Leg(states).on_account("a", DEPOSIT)
    assert states == {"account-a": account(OPEN).state}


def test_a_stream_that_was_not_loaded_is_a_mistake_of_the_caller(leg: Leg) -> None:
    with pytest.raises(KeyError, match="account-z"):
        leg.on_account("z", DEPOSIT)
