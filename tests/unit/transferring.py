"""A source, a destination and a transfer between them, for tests of a transfer's legs."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.account_messages import Close, Deposit, Freeze, OpenAccount
from domain.leg import Leg
from domain.quote_messages import IssueQuote, Quote
from domain.screening import ScreeningLimits
from domain.transfer import TransferStatus
from domain.transfer_legs import (
    credit_destination,
    debit_source,
    open_transfer,
    refund_source,
    release_source,
    resolve_transfer,
)
from domain.transfer_messages import (
    BlockCompensation,
    CancelTransfer,
    CreditDestination,
    DebitSource,
    FinishCompensation,
    MoveToSuspense,
    RefundSource,
    RefuseCredit,
    ReleaseSource,
    RequestResolution,
    TransferTerms,
)
from tests.fixtures.books import Books
from tests.unit.given import AT, LATER, eur, usd

NO_LIMITS = ScreeningLimits(review_above=None)
REVIEW_ALL = ScreeningLimits(review_above=Decimal(0))
BEFORE = AT - timedelta(hours=1)
CANCEL, BLOCK = CancelTransfer(at=AT), BlockCompensation(at=AT, step="s", code="c", reason="r")
NAMES = ("a", "b", "c", "x", "y", "usd", "fx-EUR", "fx-USD", "none")


@pytest.fixture
def books() -> Books:
    """a has 100.00 EUR, b and c nothing; usd is in dollars; x and y (dollars) are at another bank; no exchange
    account is open."""
    books = Books(*(f"account-{name}" for name in NAMES), "transfer-t", "quote-q")
    for name in ("a", "b", "c", "x", "y", "usd"):
        currency, rail = "USD" if name in ("y", "usd") else "EUR", "sepa" if name in ("x", "y") else None
        opening = OpenAccount(at=AT, account_id=name, user_id=f"user-{name}", currency=currency, rail=rail)
        books.leg(lambda leg, name=name, opening=opening: leg.on_account(name, opening))  # type: ignore[misc]
    books.leg(lambda leg: leg.on_account("a", Deposit(at=AT, amount=eur("100.00"))))
    return books


def terms(**change: Any) -> TransferTerms:
    fields = {"transfer_id": "t", "from_account": "a", "to_account": "b", "amount": eur("60.00")}
    return TransferTerms(at=AT, **{**fields, **change})


def quoted(**change: Any) -> dict[str, Any]:
    quote = {"quote_id": "q", "buys": usd("66.00"), "rate": Decimal("1.1"), "expires_at": LATER, **change}
    return {"to_account": "usd", "quote": Quote(**quote)}


def opening(limits: ScreeningLimits = NO_LIMITS, cancelled: CancelTransfer | None = None, **change: Any) -> Any:
    """With a quote, the platform has promised just that before."""

    def leg_of(leg: Leg) -> None:
        promised(leg, terms(**change))
        open_transfer(leg, terms(**change), LATER, limits, cancelled)

    return leg_of


def promised(leg: Leg, wanted: TransferTerms) -> None:
    quote = wanted.quote
    if quote is not None:
        issue = IssueQuote(at=BEFORE, sells=wanted.amount, mid=quote.rate, spread=Decimal(0), **dict(quote))
        leg.on_quote(quote.quote_id, issue)


def debit(leg: Leg) -> None:
    debit_source(leg, "t", DebitSource(at=AT))


def debit_late(leg: Leg) -> None:
    """When quotes and reservations are over."""
    debit_source(leg, "t", DebitSource(at=LATER))


def credit(leg: Leg) -> None:
    credit_destination(leg, "t", CreditDestination(at=AT))


def release(leg: Leg) -> None:
    release_source(leg, "t", ReleaseSource(at=AT))


def refund(leg: Leg) -> None:
    refund_source(leg, "t", RefundSource(at=AT, to_account="a"))


def tell(command: Any) -> Any:
    return lambda leg: leg.on_transfer("t", command)


def resolve(action: Any, to_account: str | None = None) -> Any:
    command = RequestResolution(at=AT, action=action, by="ops", to_account=to_account)
    return lambda leg: resolve_transfer(leg, "t", command)


FINISH, SUSPENSE = tell(FinishCompensation(at=AT)), tell(MoveToSuspense(at=AT))
REFUSE = tell(RefuseCredit(at=AT, code="rail_refused", reason="no"))


def close(account_id: str) -> Any:
    return lambda leg: leg.on_account(account_id, Close(at=AT))


def freeze(account_id: str) -> Any:
    return lambda leg: leg.on_account(account_id, Freeze(at=AT))


def fund(books: Books, amount: str) -> None:
    """Dollars for the platform to sell."""
    books.leg(
        lambda leg: leg.on_account(
            "fx-USD", OpenAccount(at=AT, account_id="fx-USD", user_id="tidemark", currency="USD")
        )
    )
    books.leg(lambda leg: leg.on_account("fx-USD", Deposit(at=AT, amount=usd(amount))))


def run(books: Books, *legs: Any) -> list[str]:
    """The legs one after another, the promises checked after each; the events of the last."""
    types: list[str] = []
    for leg in legs:
        types = books.leg(leg)
        books.check()
    return types


def now(books: Books) -> tuple[TransferStatus, int, int]:
    return books.transfer("t").status, books.account("a").balance, books.account("b").balance
