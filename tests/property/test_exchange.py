"""Foreign exchange neither loses nor makes a cent, in any currency, however an order is cut up and undone."""

from __future__ import annotations

import contextlib
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from domain.account_messages import Deposit, OpenAccount
from domain.errors import DomainError
from domain.exchange import bought_for, customer_rate, share, sold_for
from domain.leg import Leg
from domain.money import Money
from domain.payment_legs import capture_payment, expire_payment, open_payment, refund_payment
from domain.payment_messages import CapturePayment, ExpirePayment, PaymentTerms, RefundPayment
from domain.quote_messages import IssueQuote, Quote
from domain.screening import ScreeningLimits
from domain.transfer_legs import (
    credit_destination,
    debit_source,
    open_transfer,
    refund_source,
    release_source,
)
from domain.transfer_messages import (
    CreditDestination,
    DebitSource,
    FinishCompensation,
    RefundSource,
    ReleaseSource,
    TransferTerms,
)
from tests.fixtures.books import Books
from tests.unit.given import AT

PLACES = {"EUR": 2, "USD": 2, "JPY": 0, "KWD": 3, "CLF": 4}
pairs = st.sampled_from([(a, b) for a in PLACES for b in PLACES if a != b])
amounts = st.integers(1, 10**12)
rates = st.decimals("0.00001", "100000", places=6, allow_nan=False)
NO_LIMITS = ScreeningLimits(review_above=None)
UNTIL = AT + timedelta(seconds=10)


@given(total=st.integers(0, 10**15), cuts=st.lists(st.integers(1, 10**6), min_size=1, max_size=12))
def test_parts_add_up_to_the_whole(total: int, cuts: list[int]) -> None:
    whole, bought = sum(cuts), Money(total, "JPY")
    running, parts = 0, []
    for cut in cuts:
        before, running = share(bought, running, whole), running + cut
        parts.append(share(bought, running, whole) - before)
    assert sum(part.minor for part in parts) == total
    for cut, part in zip(cuts, parts, strict=True):
        assert abs(part.minor - Fraction(total * cut, whole)) <= 1, "no part is more than a unit off its share"
        assert part.minor >= 0


@given(minor=amounts, mid=rates, pair=pairs)
def test_a_priced_amount_is_the_exact_one_rounded(minor: int, mid: Decimal, pair: tuple[str, str]) -> None:
    rate = customer_rate(mid, Decimal("0.005"))
    scale = Fraction(10) ** (PLACES[pair[1]] - PLACES[pair[0]])
    for price, given_, wanted, exact in (
        (bought_for, pair[0], pair[1], Fraction(minor) * Fraction(rate) * scale),
        (sold_for, pair[1], pair[0], Fraction(minor) / Fraction(rate) / scale),
    ):
        try:
            assert abs(price(Money(minor, given_), wanted, rate).minor - exact) <= Fraction(1, 2)
        except DomainError:
            assert exact <= Fraction(1, 2) or exact > 10**15, "refused without need"


def books(sells: int, buys: int, platform: int) -> tuple[Books, Quote]:
    """A payer in euros, a payee in yen, what the platform has of both, and its promise."""
    book = Books(
        *(f"account-{name}" for name in ("payer", "payee", "fees", "fx-EUR", "fx-JPY")),
        "payment-p", "transfer-t", "quote-q",
    )  # fmt: skip
    for name, currency, minor in (
        ("payer", "EUR", sells), ("payee", "JPY", 0), ("fx-JPY", "JPY", platform), ("fx-EUR", "EUR", 1),
    ):  # fmt: skip
        opening = OpenAccount(at=AT, account_id=name, user_id=name, currency=currency)
        book.leg(lambda leg, name=name, opening=opening: leg.on_account(name, opening))  # type: ignore[misc]
        if minor:
            deposit = Deposit(at=AT, amount=Money(minor, currency))
            book.leg(lambda leg, name=name, deposit=deposit: leg.on_account(name, deposit))  # type: ignore[misc]
    quote = Quote(quote_id="q", buys=Money(buys, "JPY"), rate=Decimal(1), expires_at=UNTIL)
    issue = IssueQuote(at=AT, sells=Money(sells, "EUR"), mid=Decimal(1), spread=Decimal(0), **dict(quote))
    book.leg(lambda leg: leg.on_quote("q", issue))
    return book, quote


def total(book: Books) -> Counter[str]:
    """By currency, over all accounts."""
    found: Counter[str] = Counter()
    for name in ("payer", "payee", "fees", "fx-EUR", "fx-JPY"):
        account = book.account(name)
        found[account.currency] += account.balance
    return found


steps = st.lists(
    st.tuples(
        st.sampled_from(("capture", "refund", "expire")),
        st.none() | st.integers(1, 60),
        st.sampled_from((0, 0, 0, 9, 10, 11)),
    ),
    max_size=12,
)


@given(sells=st.integers(1, 100), buys=st.integers(1, 100), platform=st.integers(0, 120), steps=steps)
def test_a_quoted_payment_conserves_each_currency(
    sells: int, buys: int, platform: int, steps: list[tuple[str, int | None, int]]
) -> None:
    """Captured, refunded, expired in any parts, before and after its quote is over, the platform rich or poor."""
    book, quote = books(sells, buys, platform)
    before = total(book)
    terms = PaymentTerms(
        at=AT, payment_id="p", from_account="payer", to_account="payee", amount=Money(sells, "EUR"), quote=quote,
        fee_rate=Decimal("0.1"), fee_account="fees", expires_at=UNTIL,
    )  # fmt: skip
    book.leg(lambda leg: open_payment(leg, terms, NO_LIMITS))
    for number, (step, minor, late) in enumerate(steps):
        at, amount = AT + timedelta(seconds=late), None if minor is None else Money(minor, "EUR")

        def act(
            leg: Leg, step: str = step, at: object = at, amount: object = amount, number: int = number
        ) -> None:
            match step:
                case "capture":
                    capture_payment(leg, "p", CapturePayment(at=at, amount=amount))
                case "refund":
                    refund = RefundPayment(at=at, refund_id=f"r{number}", amount=amount)
                    refund_payment(leg, "p", refund)
                case _:
                    expire_payment(leg, "p", ExpirePayment(at=at))

        captured = book.payment("p").captured
        with contextlib.suppress(DomainError):
            book.leg(act)
        assert late < 10 or book.payment("p").captured == captured, "nothing is captured at a rate that is over"
        book.check()
        assert total(book) == before
    payment = book.payment("p")
    if payment.captured == sells:
        assert payment.settled(payment.captured) == quote.buys, "the last capture settles what was promised"


@given(
    sells=st.integers(1, 100),
    buys=st.integers(1, 100),
    platform=st.integers(0, 120),
    waits=st.tuples(st.integers(0, 12), st.integers(0, 12), st.integers(0, 12)),
)
def test_a_quoted_transfer_conserves_each_currency_whenever_it_expires(
    sells: int, buys: int, platform: int, waits: tuple[int, int, int]
) -> None:
    """The quote is over before the start, between reservation and debit, after the debit, or not at all."""
    opened, debited, credited = waits
    book, quote = books(sells, buys, platform)
    before, seconds = total(book), timedelta(seconds=1)
    terms = TransferTerms(
        at=AT + opened * seconds, transfer_id="t", from_account="payer", to_account="payee",
        amount=Money(sells, "EUR"), quote=quote,
    )  # fmt: skip
    pivot = AT + (opened + debited) * seconds
    end = pivot + credited * seconds
    if opened >= 10:
        refusal = book.refusal(lambda leg: open_transfer(leg, terms, AT + 99 * seconds, NO_LIMITS))
        assert refusal.code == "quote_expired"
        return
    book.leg(lambda leg: open_transfer(leg, terms, AT + 99 * seconds, NO_LIMITS))
    book.leg(lambda leg: debit_source(leg, "t", DebitSource(at=pivot)))
    book.check()
    book.leg(lambda leg: credit_destination(leg, "t", CreditDestination(at=end)))
    book.check()
    if book.transfer("t").status == "compensating":
        book.leg(lambda leg: refund_source(leg, "t", RefundSource(at=end, to_account="payer")))
        book.leg(lambda leg: release_source(leg, "t", ReleaseSource(at=end)))
        book.leg(lambda leg: leg.on_transfer("t", FinishCompensation(at=end)))
    done = opened + debited < 10 and platform >= buys
    assert book.transfer("t").status == ("completed" if done else "compensated")
    assert book.account("payee").balance == (buys if done else 0)
    assert book.account("payer").balance == (0 if done else sells)
    book.check()
    assert total(book) == before
