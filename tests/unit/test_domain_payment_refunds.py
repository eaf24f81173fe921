"""What can still happen to a processed payment: refunds and disputes, paid by the payee from what it has."""

from __future__ import annotations

import pytest

from domain.account_messages import Deposit
from domain.payment_legs import (
    refund_payment,
    resolve_dispute,
)
from tests.fixtures.books import Books
from tests.unit.given import AT, eur
from tests.unit.paying import (
    LOST,
    WON,
    balances,
    books,
    captured,
    close,
    disputed,
    freeze,
    opened,
    refund,
    spend,
    status,
)

__all__ = ["books"]


# --- refunds ------------------------------------------------------------


def test_a_refund_is_paid_by_the_payee_and_the_fee_is_kept(books: Books) -> None:
    opened(books)
    captured(books)
    types = books.leg(lambda leg: refund_payment(leg, "p", refund("10.00")))
    assert types == ["PaymentRefunded", "AccountDebited", "AccountCredited"]
    assert balances(books) == {"a": 5000, "b": 4940, "fees": 60}
    assert status(books) == "partially_refunded"
    assert books.refusal(lambda leg: refund_payment(leg, "p", refund())).code == "insufficient_funds"
    books.leg(lambda leg: leg.on_account("b", Deposit(at=AT, amount=eur("0.60"))))
    books.leg(lambda leg: refund_payment(leg, "p", refund()))
    assert balances(books) == {"a": 10_000, "b": 0, "fees": 60}
    assert status(books) == "refunded"


def test_a_frozen_payee_does_not_refund(books: Books) -> None:
    opened(books)
    captured(books)
    freeze(books, "b")
    assert books.refusal(lambda leg: refund_payment(leg, "p", refund("1.00"))).code == "account_frozen"
    assert status(books) == "processed"


# --- disputes ------------------------------------------------------------


def test_a_dispute_holds_what_the_payee_has(books: Books) -> None:
    opened(books)
    captured(books)
    assert disputed(books) == ["DisputeOpened", "FundsReserved"]
    assert (books.account("b").held, books.account("b").available, status(books)) == (5940, 0, "disputed")
    assert books.leg(lambda leg: resolve_dispute(leg, "p", WON)) == ["DisputeWon", "HoldReleased"]
    assert (books.account("b").available, status(books)) == (5940, "processed")
    disputed(books)
    assert books.account("b").held == 5940, "disputed again: held again"


def test_a_lost_dispute_is_paid_from_the_hold_and_the_rest_from_the_balance(books: Books) -> None:
    opened(books)
    captured(books)
    disputed(books)
    assert books.refusal(lambda leg: resolve_dispute(leg, "p", LOST)).code == "insufficient_funds"
    assert status(books) == "disputed"
    books.leg(lambda leg: leg.on_account("b", Deposit(at=AT, amount=eur("0.60"))))
    types = books.leg(lambda leg: resolve_dispute(leg, "p", LOST))
    assert types == ["DisputeLost", *["AccountDebited"] * 2, *["AccountCredited"] * 2]
    assert balances(books) == {"a": 10_000, "b": 0, "fees": 60}
    assert status(books) == "charged_back"


@pytest.mark.parametrize("how", ["frozen", "spent", "closed"])
def test_a_dispute_opens_where_nothing_can_be_held(books: Books, how: str) -> None:
    opened(books)
    captured(books)
    if how == "frozen":
        freeze(books, "b")
    else:
        spend(books, "b", "59.40")
    if how == "closed":
        close(books, "b")
    assert disputed(books) == ["DisputeOpened"]
    assert "account-b" in books.asked, "decided on the payee's balance: its version is checked"
    assert books.leg(lambda leg: resolve_dispute(leg, "p", WON)) == ["DisputeWon"]
    assert status(books) == "processed"


def test_only_what_was_not_refunded_is_disputed(books: Books) -> None:
    opened(books)
    captured(books)
    books.leg(lambda leg: refund_payment(leg, "p", refund("50.00")))
    disputed(books)
    assert (books.account("b").held, books.account("b").balance) == (940, 940)
    books.leg(lambda leg: leg.on_account("b", Deposit(at=AT, amount=eur("0.60"))))
    books.leg(lambda leg: resolve_dispute(leg, "p", LOST))
    assert balances(books) == {"a": 10_000, "b": 0, "fees": 60}
