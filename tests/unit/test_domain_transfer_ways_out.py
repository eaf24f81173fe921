"""Stuck transfers and an operator's ways out, exchanges, other banks: where a transfer does not go straight."""

from __future__ import annotations

from typing import Any

import pytest

from domain.account import evolve
from domain.account_messages import FundsDeposited
from domain.money import MAX_BALANCE, Money
from domain.transfer_legs import (
    credit_destination,
)
from domain.transfer_messages import (
    CreditDestination,
)
from tests.fixtures.books import Books
from tests.unit.given import AT, eur
from tests.unit.transferring import (
    BLOCK,
    CANCEL,
    FINISH,
    REFUSE,
    SUSPENSE,
    books,
    close,
    credit,
    debit,
    debit_late,
    fund,
    now,
    opening,
    quoted,
    refund,
    release,
    resolve,
    run,
    tell,
)

__all__ = ["books"]


# --- stuck ------------------------------------------------------------


def stuck(books: Books, *then: Any) -> None:
    """The destination refused and the source is closed: the money is nowhere to go."""
    run(books, opening(amount=eur("100.00")), debit, close("a"), close("b"), credit)
    assert books.refusal(refund).code == "account_closed"
    run(books, tell(BLOCK), *then)


def test_stuck_money_goes_to_suspense_and_out_again(books: Books) -> None:
    stuck(books, SUSPENSE)
    assert books.transfer("t").location == "suspense"
    for action in ("retry", "return", "force_complete"):
        assert books.refusal(resolve(action)).code == "account_closed"
    types = run(books, resolve("return", "c"))
    assert types == ["ResolutionRequested", "SourceRefunded", "TransferCompensated", "AccountCredited"]
    assert (now(books)[0], books.account("c").balance) == ("compensated", 10_000)


def test_money_is_resolved_from_in_transit_too(books: Books) -> None:
    stuck(books)
    assert books.refusal(resolve("return", "none")).code == "account_not_found"
    assert books.refusal(resolve("return", "usd")).code == "currency_mismatch"
    assert books.refusal(resolve("retry", "c")).code == "account_closed", "only a return names another account"
    run(books, resolve("return", "c"))
    assert now(books)[0] == "compensated"


@pytest.mark.parametrize("then", [[], [SUSPENSE]])
def test_stuck_money_is_retried_or_force_completed(books: Books, then: list[Any]) -> None:
    run(books, opening(), debit, REFUSE, tell(BLOCK), *then)
    types = run(books, resolve("force_complete"))
    assert types == ["ResolutionRequested", "DestinationCredited", "AccountCredited"]
    assert now(books) == ("completed", 4000, 6000)


@pytest.mark.parametrize("action", ["retry", "return"])
def test_a_stuck_hold_is_released_never_delivered(books: Books, action: str) -> None:
    run(books, opening(), tell(CANCEL), tell(BLOCK), SUSPENSE)
    assert books.refusal(resolve("force_complete")).code == "money_not_under_way"
    run(books, resolve(action))
    assert (now(books), books.account("a").held) == (("compensated", 10_000, 0), 0)


def test_what_is_back_is_not_paid_twice(books: Books) -> None:
    run(books, opening(), debit, REFUSE, refund, tell(BLOCK))
    assert books.refusal(resolve("force_complete")).code == "money_not_under_way"
    run(books, resolve("return", "c"))
    assert (now(books), books.account("c").balance) == (("compensated", 10_000, 0), 0)


# --- quotes and rails ------------------------------------------------------------


def test_a_quote_passes_through_the_exchange_accounts(books: Books) -> None:
    fund(books, "66.00")
    run(books, opening(**quoted()), debit)
    types = run(books, credit)
    assert sorted(types) == [*["AccountCredited"] * 2, "AccountDebited", "AccountOpened", "DestinationCredited"]
    there = {name: books.account(name).balance for name in ("a", "usd", "fx-EUR", "fx-USD")}
    assert there == {"a": 4000, "usd": 6600, "fx-EUR": 6000, "fx-USD": 0}


@pytest.mark.parametrize(("dollars", "code"), [("65.99", "insufficient_funds"), (None, "account_not_found")])
def test_an_exchange_that_cannot_be_made_turns_the_money_back(
    books: Books, dollars: str | None, code: str
) -> None:
    if dollars is not None:
        fund(books, dollars)
    run(books, opening(**quoted()), debit)
    assert run(books, credit) == ["CreditRefused"]
    assert books.transfer("t").failure_code == code
    assert "account-fx-USD" in books.asked, "an attempt that was given up still rests on what it saw"
    run(books, refund, FINISH)
    assert now(books) == ("compensated", 10_000, 0)


def test_a_destination_refused_after_the_exchange_undoes_the_exchange(books: Books) -> None:
    fund(books, "66.00")
    run(books, opening(**quoted()), debit, close("usd"))
    assert run(books, credit) == ["CreditRefused"]
    assert books.account("fx-USD").balance == 6600


def test_an_expired_quote_releases_the_hold(books: Books) -> None:
    fund(books, "66.00")
    assert run(books, opening(**quoted()), debit_late) == ["QuoteExpired"]
    run(books, release, FINISH)
    assert now(books) == ("compensated", 10_000, 0)


def test_a_stuck_quote_is_force_completed_through_the_exchange(books: Books) -> None:
    run(books, opening(**quoted()), debit, credit, tell(BLOCK), SUSPENSE)
    assert books.refusal(resolve("force_complete")).code == "account_not_found"
    fund(books, "66.00")
    run(books, resolve("force_complete"))
    assert books.account("usd").balance == 6600


def test_a_transfer_to_another_bank_keeps_its_receipt(books: Books) -> None:
    run(books, opening(to_account="x"), debit)
    run(books, lambda leg: credit_destination(leg, "t", CreditDestination(at=AT, rail_reference="R-1")))
    assert books.account("x").balance == 6000
    assert books.transfer("t").rail == "sepa"


def test_once_the_other_bank_has_paid_there_is_no_way_back(books: Books) -> None:
    run(books, opening(to_account="x"), debit)
    full = FundsDeposited(amount=eur("1.00"), balance=Money(MAX_BALANCE, "EUR"), held=eur("0.00"))
    books.states["account-x"] = evolve(books.account("x"), full)
    assert books.refusal(credit).code == "balance_too_large"
    assert books.transfer("t").status == "in_transit"
