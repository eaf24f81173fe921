"""Each leg of a transfer, on the transfer and on an account at once: the money is never off the books."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from domain.account_messages import Withdraw
from domain.review import ApproveReview
from domain.transfer_legs import (
    approve_transfer,
    debit_source,
)
from domain.transfer_messages import (
    DebitSource,
)
from tests.fixtures.books import Books
from tests.unit.given import AT, LATER, eur, usd
from tests.unit.transferring import (
    CANCEL,
    FINISH,
    REVIEW_ALL,
    books,
    close,
    credit,
    debit,
    freeze,
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


# --- opening ------------------------------------------------------------


def test_from_the_source_to_the_destination(books: Books) -> None:
    assert run(books, opening()) == ["TransferInitiated", "SourceReserved", "FundsReserved"]
    assert now(books) == ("reserved", 10_000, 0)
    assert run(books, debit) == ["SourceDebited", "AccountDebited"]
    assert now(books) == ("in_transit", 4000, 0)
    assert run(books, credit) == ["AccountCredited", "DestinationCredited"]
    assert now(books) == ("completed", 4000, 6000)


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        ({"from_account": "none"}, "account_not_found", "from_account"),
        ({"to_account": "none"}, "account_not_found", "to_account"),
        ({"to_account": "a"}, "same_account", "to_account"),
        ({"to_account": "usd"}, "quote_required", "quote_id"),
        ({"amount": usd("1.00")}, "currency_mismatch", "currency"),
        ({"amount": eur("0.00")}, "amount_not_positive", "amount"),
        ({"from_account": "x"}, "account_external", "from_account"),
        ({**quoted(), "to_account": "b"}, "currency_mismatch", "currency"),
        (quoted(buys=eur("66.00")), "same_currency", "to_currency"),
        (quoted(buys=usd("0.00")), "amount_not_positive", "amount"),
        ({**quoted(), "to_account": "y"}, "quote_not_possible", "quote_id"),
    ],
)
def test_a_transfer_that_cannot_be_leaves_no_trace(books: Books, change: Any, code: str, field: str) -> None:
    refusal = books.refusal(opening(**change))
    assert (refusal.code, refusal.field) == (code, field)
    assert now(books) == ("none", 10_000, 0)


def test_a_source_that_cannot_pay_rejects_the_transfer(books: Books) -> None:
    assert run(books, opening(amount=eur("100.01"))) == ["TransferInitiated", "TransferRejected"]
    assert (now(books)[0], books.transfer("t").failure_code) == ("rejected", "insufficient_funds")
    assert "account-a" in books.asked, "decided on the source's balance: its version is checked"


def test_a_frozen_or_closed_source_rejects_the_transfer(books: Books) -> None:
    run(books, freeze("a"), opening())
    assert (now(books)[0], books.transfer("t").failure_code) == ("rejected", "account_frozen")


def test_review_comes_before_the_reservation(books: Books) -> None:
    assert run(books, opening(REVIEW_ALL)) == ["TransferInitiated", "TransferHeldForReview"]
    assert books.account("a").held == 0
    approve = ApproveReview(at=AT, by="ops")
    types = run(books, lambda leg: approve_transfer(leg, "t", approve, LATER))
    assert types == ["ReviewApproved", "SourceReserved", "FundsReserved"]


def test_an_approved_transfer_is_reserved_on_what_is_there_now(books: Books) -> None:
    run(books, opening(REVIEW_ALL), lambda leg: leg.on_account("a", Withdraw(at=AT, amount=eur("50.00"))))
    run(books, lambda leg: approve_transfer(leg, "t", ApproveReview(at=AT, by="ops"), LATER))
    assert now(books)[0] == "rejected"


# --- tombstones and repeats ------------------------------------------------------------


def test_an_undo_before_its_original_leaves_a_tombstone(books: Books) -> None:
    assert run(books, release) == ["TransferCancelled"]
    assert run(books, opening()) == [], "the late original finds it and does nothing"
    assert "transfer-t" in books.asked
    assert now(books) == ("cancelled", 10_000, 0)
    assert run(books, release, debit, credit) == []
    assert books.account("a").held == 0


def test_a_cancel_that_came_first_cancels_at_once(books: Books) -> None:
    assert run(books, opening(cancelled=CANCEL)) == ["TransferInitiated", "TransferCancelled"]
    assert (now(books)[0], books.account("a").held) == ("cancelled", 0)


def test_a_leg_that_was_done_before_does_nothing_again(books: Books) -> None:
    run(books, opening(), debit)
    assert run(books, debit) == run(books, release) == []
    assert run(books, opening()) == [], "with the same terms it has been done; a batch does it for its items"
    assert books.refusal(opening(amount=eur("1.00"))).code == "transfer_exists"
    run(books, credit)
    assert run(books, debit) == run(books, credit) == run(books, release) == run(books, refund) == []
    assert now(books) == ("completed", 4000, 6000)


def test_legs_of_a_transfer_that_is_not_there(books: Books) -> None:
    for leg in (debit, credit, refund, resolve("return"), tell(CANCEL), FINISH):
        assert books.refusal(leg).code == "transfer_not_found"


def test_an_undo_of_a_reservation_that_is_not_on_its_way_back_does_nothing(books: Books) -> None:
    run(books, opening())
    assert run(books, release) == []
    assert (now(books)[0], books.account("a").held) == ("reserved", 6000)


# --- compensation ------------------------------------------------------------


def test_a_cancel_before_the_pivot_releases_the_hold(books: Books) -> None:
    run(books, opening(), tell(CANCEL))
    assert run(books, refund) == []
    assert run(books, release) == ["SourceReleased", "HoldReleased"]
    assert run(books, FINISH) == ["TransferCompensated"]
    assert (now(books), books.account("a").available) == (("compensated", 10_000, 0), 10_000)


def test_a_debit_of_an_expired_reservation_moves_nothing(books: Books) -> None:
    run(books, opening())
    late = DebitSource(at=LATER + timedelta(seconds=1))
    assert run(books, lambda leg: debit_source(leg, "t", late)) == ["ReservationExpired"]
    run(books, release, FINISH)
    assert now(books) == ("compensated", 10_000, 0)


def test_a_hold_is_debited_from_an_account_frozen_since(books: Books) -> None:
    assert run(books, opening(), freeze("a"), debit) == ["SourceDebited", "AccountDebited"]


def test_a_frozen_destination_takes_a_credit_and_a_frozen_source_its_money_back(books: Books) -> None:
    run(books, freeze("b"), opening(), debit, credit)
    assert now(books) == ("completed", 4000, 6000)


def test_a_closed_destination_turns_the_money_back(books: Books) -> None:
    run(books, opening(), close("b"), debit)
    assert run(books, credit) == ["CreditRefused"]
    assert "account-b" in books.asked, "decided on the destination's status: its version is checked"
    assert (now(books)[0], books.transfer("t").failure_code) == ("compensating", "account_closed")
    assert run(books, freeze("a"), refund) == ["SourceRefunded", "AccountCredited"]
    assert run(books, refund) == run(books, release) == []
    run(books, FINISH)
    assert now(books) == ("compensated", 10_000, 0)
