"""Each step of a payment, on the payment and on the accounts at once."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from domain.account_messages import Reserve
from domain.errors import NotFound
from domain.payment_legs import (
    approve_payment,
    cancel_payment,
    capture_payment,
    expire_payment,
    open_dispute,
    open_payment,
    refund_payment,
    reject_payment,
    resolve_dispute,
)
from domain.payment_messages import (
    CancelPayment,
    CapturePayment,
    ExpirePayment,
)
from domain.review import ApproveReview, RejectReview
from tests.fixtures.books import Books
from tests.unit.given import AT, LATER, eur
from tests.unit.paying import (
    NO_LIMITS,
    REVIEW_ALL,
    WON,
    balances,
    books,
    captured,
    close,
    freeze,
    opened,
    refund,
    spend,
    status,
    terms,
)

__all__ = ["books"]


# --- opening ------------------------------------------------------------


def test_opening_reserves_at_the_payer(books: Books) -> None:
    assert opened(books) == ["PaymentInitiated", "FraudCheckPassed", "PaymentAuthorized", "FundsReserved"]
    assert status(books) == "authorized"
    assert books.account("a").held == 6000


@pytest.mark.parametrize(
    ("amount", "code"),
    [("100.01", "insufficient_funds"), ("100.00", None)],
)
def test_a_payer_that_cannot_pay_fails_the_payment(books: Books, amount: str, code: str | None) -> None:
    opened(books, amount)
    assert books.payment("p").failure_code == code
    assert status(books) == ("failed" if code else "authorized")
    assert "account-a" in books.asked, "decided on the payer's balance: its version is checked"


def test_an_automatic_capture_is_part_of_the_opening(books: Books) -> None:
    types = books.leg(lambda leg: open_payment(leg, terms(capture="automatic"), NO_LIMITS))
    assert types == [
        "PaymentInitiated", "FraudCheckPassed", "PaymentAuthorized", "PaymentProcessed",
        "FundsReserved", "AccountDebited", "AccountCredited", "AccountOpened", "AccountCredited",
    ]  # fmt: skip
    assert status(books) == "processed"
    assert [books.account(name).balance for name in ("a", "b", "fees")] == [40_00, 59_40, 60]
    assert books.account("a").held == 0


def test_an_automatic_capture_that_is_refused_leaves_the_payment_authorised(books: Books) -> None:
    books.leg(lambda leg: open_payment(leg, terms(capture="automatic", fee_account="yen"), NO_LIMITS))
    assert status(books) == "authorized"
    assert [books.account(name).balance for name in ("a", "b", "yen")] == [100_00, 0, 0]
    assert books.account("a").held == 60_00
    assert "account-yen" in books.asked, "decided on the fee account: its version is checked"


def test_an_automatic_capture_waits_for_a_review(books: Books) -> None:
    books.leg(lambda leg: open_payment(leg, terms(capture="automatic"), REVIEW_ALL))
    assert status(books) == "in_review"


def test_a_frozen_payer_or_a_closed_payee_fails_the_payment(books: Books) -> None:
    freeze(books, "a")
    opened(books)
    assert status(books) == "failed"
    assert books.payment("p").failure_code == "account_frozen"
    assert books.account("a").held == 0


def test_a_closed_payee_fails_the_payment(books: Books) -> None:
    close(books, "b")
    opened(books)
    assert (status(books), books.payment("p").failure_code) == ("failed", "account_closed")
    assert books.account("a").held == 0


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"from_account": "none"}, "account_not_found", "from_account"),
        ({"to_account": "none"}, "account_not_found", "to_account"),
        ({"to_account": "yen"}, "quote_required", "quote_id"),
        ({"to_account": "x"}, "account_external", "to_account"),
        ({"to_account": "a"}, "same_account", "to_account"),
        ({"amount": eur("0.00")}, "amount_not_positive", "amount"),
        ({"expires_at": AT}, "invalid_expiry", "expires_at"),
    ],
)
def test_a_payment_that_cannot_be_leaves_no_trace(books: Books, change: Any, code: str, field: str) -> None:
    refusal = books.refusal(lambda leg: open_payment(leg, terms(**change), NO_LIMITS))
    assert (refusal.code, refusal.field) == (code, field)
    assert status(books) == "none"


def test_a_cancel_that_came_before_the_payment_cancels_it(books: Books) -> None:
    cancel = CancelPayment(at=AT, reason="no")
    types = books.leg(lambda leg: open_payment(leg, terms(), NO_LIMITS, cancel))
    assert types == ["PaymentInitiated", "PaymentCancelled"]
    assert books.account("a").held == 0
    assert books.refusal(lambda leg: open_payment(leg, terms(), NO_LIMITS)).code == "payment_exists"


# --- review ------------------------------------------------------------


def test_what_screening_finds_waits_for_a_person(books: Books) -> None:
    assert opened(books, limits=REVIEW_ALL) == ["PaymentInitiated", "PaymentHeldForReview"]
    assert books.account("a").held == 0
    types = books.leg(lambda leg: approve_payment(leg, "p", ApproveReview(at=AT, by="ops")))
    assert types == ["ReviewApproved", "PaymentAuthorized", "FundsReserved"]
    assert status(books) == "authorized"


def test_an_approved_payment_is_authorised_on_what_is_there_now(books: Books) -> None:
    opened(books, limits=REVIEW_ALL)
    spend(books, "a", "50.00")
    books.leg(lambda leg: approve_payment(leg, "p", ApproveReview(at=AT, by="ops")))
    assert (status(books), books.payment("p").failure_code) == ("failed", "insufficient_funds")


def test_a_rejected_payment_never_touches_an_account(books: Books) -> None:
    opened(books, limits=REVIEW_ALL)
    assert books.leg(lambda leg: reject_payment(leg, "p", RejectReview(at=AT, by="ops"))) == ["ReviewRejected"]
    assert status(books) == "failed"


def test_a_payment_in_review_expires_without_a_hold(books: Books) -> None:
    opened(books, limits=REVIEW_ALL)
    assert books.leg(lambda leg: expire_payment(leg, "p", ExpirePayment(at=LATER))) == ["PaymentExpired"]


# --- capturing ------------------------------------------------------------


def test_a_capture_pays_the_payee_and_the_fee(books: Books) -> None:
    opened(books)
    types = captured(books)
    assert types == ["PaymentProcessed", "AccountDebited", "AccountCredited", "AccountOpened", "AccountCredited"]
    assert balances(books) == {"a": 4000, "b": 5940, "fees": 60}
    assert books.account("fees").user_id == "tidemark"
    assert status(books) == "processed"


def test_a_payment_is_captured_in_parts(books: Books) -> None:
    opened(books)
    captured(books, "20.00")
    assert (balances(books), books.account("a").held) == ({"a": 8000, "b": 1980, "fees": 20}, 4000)
    captured(books, "40.00")
    assert balances(books) == {"a": 4000, "b": 5940, "fees": 60}


@pytest.mark.parametrize(
    ("rate", "expected"),
    [("0", {"a": 4000, "b": 6000, "fees": 0}), ("1", {"a": 4000, "b": 0, "fees": 6000})],
)
def test_nothing_is_posted_where_there_is_nothing_to_post(books: Books, rate: str, expected: Any) -> None:
    books.leg(lambda leg: open_payment(leg, terms(fee_rate=Decimal(rate)), NO_LIMITS))
    assert captured(books).count("AccountCredited") == 1
    assert balances(books) == expected


def test_a_hold_is_captured_from_an_account_frozen_since(books: Books) -> None:
    opened(books)
    freeze(books, "a")
    captured(books)
    assert status(books) == "processed"


def test_a_capture_for_a_payee_closed_since_is_refused_whole(books: Books) -> None:
    opened(books)
    close(books, "b")
    assert books.refusal(lambda leg: capture_payment(leg, "p", CapturePayment(at=AT))).code == "account_closed"
    assert (status(books), books.account("a").held) == ("authorized", 6000)


# --- voiding ------------------------------------------------------------


def test_a_cancel_voids_the_hold_even_of_a_frozen_account(books: Books) -> None:
    opened(books)
    freeze(books, "a")
    types = books.leg(lambda leg: cancel_payment(leg, "p", CancelPayment(at=AT)))
    assert types == ["PaymentCancelled", "HoldReleased"]
    assert (books.account("a").held, status(books)) == (0, "cancelled")


def test_a_cancel_after_a_part_voids_the_rest(books: Books) -> None:
    opened(books)
    captured(books, "20.00")
    types = books.leg(lambda leg: cancel_payment(leg, "p", CancelPayment(at=AT)))
    assert types == ["RemainderVoided", "HoldReleased"]
    assert (books.account("a").available, status(books)) == (8000, "processed")


@pytest.mark.parametrize(("first", "after"), [(None, "expired"), ("20.00", "processed")])
def test_an_expiry_voids_what_is_left(books: Books, first: str | None, after: str) -> None:
    opened(books)
    if first:
        captured(books, first)
    types = books.leg(lambda leg: expire_payment(leg, "p", ExpirePayment(at=LATER)))
    assert types == ["PaymentExpired", "HoldExpired"]
    assert (books.account("a").held, status(books)) == (0, after)


# --- out of order ------------------------------------------------------------


@pytest.mark.parametrize(
    "step",
    [
        lambda leg: capture_payment(leg, "p", CapturePayment(at=AT)),
        lambda leg: cancel_payment(leg, "p", CancelPayment(at=AT)),
        lambda leg: expire_payment(leg, "p", ExpirePayment(at=LATER)),
        lambda leg: refund_payment(leg, "p", refund()),
        lambda leg: open_dispute(leg, "p", AT, "never came"),
        lambda leg: resolve_dispute(leg, "p", WON),
        lambda leg: approve_payment(leg, "p", ApproveReview(at=AT, by="ops")),
        lambda leg: reject_payment(leg, "p", RejectReview(at=AT, by="ops")),
    ],
)
def test_no_step_of_a_payment_that_is_not_there_or_over(books: Books, step: Any) -> None:
    assert isinstance(books.refusal(step), NotFound)
    opened(books)
    books.leg(lambda leg: cancel_payment(leg, "p", CancelPayment(at=AT)))
    assert books.refusal(step).code == "wrong_payment_status"
    assert balances(books) == {"a": 10_000, "b": 0, "fees": 0}


def test_a_strange_hold_of_the_same_name_fails_the_payment(books: Books) -> None:
    strange = Reserve(at=AT, hold_id="payment-p", amount=eur("1.00"), counterparty="c")
    books.leg(lambda leg: leg.on_account("a", strange))
    opened(books)
    assert books.payment("p").failure_code == "hold_exists"
