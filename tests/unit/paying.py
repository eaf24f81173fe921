"""A payer, a payee and a payment between them, for tests of a payment's steps."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from domain.account_messages import Close, Deposit, Freeze, OpenAccount, Withdraw
from domain.payment import PaymentStatus
from domain.payment_legs import (
    capture_payment,
    open_dispute,
    open_payment,
)
from domain.payment_messages import (
    CapturePayment,
    PaymentTerms,
    RefundPayment,
    ResolveDispute,
)
from domain.screening import ScreeningLimits
from tests.fixtures.books import Books
from tests.unit.given import AT, LATER, eur

NO_LIMITS = ScreeningLimits(review_above=None)
REVIEW_ALL = ScreeningLimits(review_above=Decimal(0))
WON, LOST = (ResolveDispute(at=AT, outcome=outcome, by="ops") for outcome in ("won", "lost"))


@pytest.fixture
def books() -> Books:
    """a has 100.00, b and c nothing; x is at another bank; fees, yen and none are not open."""
    books = Books(*(f"account-{name}" for name in ("a", "b", "c", "x", "fees", "yen", "none")), "payment-p")
    for name in ("a", "b", "c", "x"):
        rail = "sepa" if name == "x" else None
        command = OpenAccount(at=AT, account_id=name, user_id=f"user-{name}", currency="EUR", rail=rail)
        books.leg(lambda leg, name=name, command=command: leg.on_account(name, command))  # type: ignore[misc]
    books.leg(lambda leg: leg.on_account("a", Deposit(at=AT, amount=eur("100.00"))))
    opening = OpenAccount(at=AT, account_id="yen", user_id="u", currency="JPY")
    books.leg(lambda leg: leg.on_account("yen", opening))
    return books


def terms(of: str = "60.00", **change: Any) -> PaymentTerms:
    fields: dict[str, Any] = {
        "payment_id": "p",
        "from_account": "a",
        "to_account": "b",
        "amount": eur(of),
        "fee_account": "fees",
        "expires_at": LATER,
        "capture": "manual",
    }
    return PaymentTerms(at=AT, **{**fields, **change})


def opened(books: Books, amount: str = "60.00", limits: ScreeningLimits = NO_LIMITS) -> list[str]:
    return books.leg(lambda leg: open_payment(leg, terms(amount), limits))


def captured(books: Books, amount: str | None = None) -> list[str]:
    command = CapturePayment(at=AT, amount=None if amount is None else eur(amount))
    return books.leg(lambda leg: capture_payment(leg, "p", command))


def refund(amount: str | None = None) -> RefundPayment:
    return RefundPayment(at=AT, refund_id="r", amount=None if amount is None else eur(amount))


def disputed(books: Books) -> list[str]:
    return books.leg(lambda leg: open_dispute(leg, "p", AT, "never came"))


def spend(books: Books, account_id: str, amount: str) -> None:
    books.leg(lambda leg: leg.on_account(account_id, Withdraw(at=AT, amount=eur(amount))))


def freeze(books: Books, account_id: str) -> None:
    books.leg(lambda leg: leg.on_account(account_id, Freeze(at=AT)))


def close(books: Books, account_id: str) -> None:
    books.leg(lambda leg: leg.on_account(account_id, Close(at=AT)))


def balances(books: Books) -> dict[str, int]:
    books.check()
    return {name: books.account(name).balance for name in ("a", "b", "fees")}


def status(books: Books) -> PaymentStatus:
    books.check()
    return books.payment("p").status
