"""The life of a payment's status: every row of the design's table, and every pair that is not in it refused."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from domain.errors import Conflict, InvalidInput, NotFound, WrongState
from domain.model import Command, Event
from domain.money import Money
from domain.payment import Dispute, Payment, PaymentStatus
from domain.payment_messages import (
    AuthorizePayment,
    CancelPayment,
    CapturePayment,
    DisputeLost,
    DisputeOpened,
    DisputeWon,
    ExpirePayment,
    FailPayment,
    FraudCheckPassed,
    HoldPaymentForReview,
    InitiatePayment,
    OpenDispute,
    PassFraudCheck,
    PaymentAuthorized,
    PaymentCancelled,
    PaymentExpired,
    PaymentFailed,
    PaymentHeldForReview,
    PaymentInitiated,
    PaymentPartiallyCaptured,
    PaymentProcessed,
    PaymentRefunded,
    RefundPayment,
    RemainderVoided,
    ResolveDispute,
)
from domain.review import ApproveReview, RejectReview, ReviewApproved, ReviewRejected
from tests.unit.given import AT, LATER, Given, eur, payment, usd


def initiate(**change: Any) -> InitiatePayment:
    terms: dict[str, Any] = {
        "payment_id": "p-1",
        "from_account": "a-1",
        "from_user": "u-1",
        "to_account": "b-1",
        "to_user": "u-2",
        "amount": eur("100.00"),
        "fee_account": "fees",
        "expires_at": LATER,
    }
    return InitiatePayment(at=AT, **{**terms, **change})


def capture(amount: str | None = None) -> CapturePayment:
    return CapturePayment(at=AT, amount=None if amount is None else eur(amount))


def refund(amount: str | None = None) -> RefundPayment:
    return RefundPayment(at=AT, refund_id="r-1", amount=None if amount is None else eur(amount), reason="returned")


HOLD = HoldPaymentForReview(at=AT, score=60, reasons=("large",))
AUTHORIZE = AuthorizePayment(at=AT, hold_id="payment-p-1")
CANCEL = CancelPayment(at=AT, reason="changed my mind")
EXPIRE = ExpirePayment(at=LATER)
DISPUTE = OpenDispute(at=AT, reason="never came", held=eur("60.00"), hold_id="dispute-p-1")
WIN = ResolveDispute(at=AT, outcome="won", by="ops")
LOSE = ResolveDispute(at=AT, outcome="lost", by="ops")

COMMANDS: dict[str, Command] = {
    "initiate": initiate(),
    "pass fraud check": PassFraudCheck(at=AT, score=0),
    "hold for review": HOLD,
    "approve": ApproveReview(at=AT, by="ops"),
    "reject": RejectReview(at=AT, by="ops", note="no"),
    "authorize": AUTHORIZE,
    "fail": FailPayment(at=AT, code="insufficient_funds", reason="too little"),
    "cancel": CANCEL,
    "expire": EXPIRE,
    "capture some": capture("40.00"),
    "capture all": capture(),
    "refund some": refund("10.00"),
    "refund all": refund(),
    "dispute": DISPUTE,
    "win": WIN,
    "lose": LOSE,
}

_PENDING: list[Command] = [initiate()]
_AUTHORIZED = [*_PENDING, AUTHORIZE]
_PARTLY = [*_AUTHORIZED, capture("40.00")]
_PROCESSED = [*_AUTHORIZED, capture()]
PASTS: dict[str, list[Command]] = {
    "none": [],
    "pending": _PENDING,
    "in_review": [*_PENDING, HOLD],
    "authorized": _AUTHORIZED,
    "partially_captured": _PARTLY,
    "processed": _PROCESSED,
    "partially_refunded": [*_PROCESSED, refund("10.00")],
    "refunded": [*_PROCESSED, refund()],
    "disputed": [*_PROCESSED, DISPUTE],
    "charged_back": [*_PROCESSED, DISPUTE, LOSE],
    "failed": [*_PENDING, COMMANDS["fail"]],
    "cancelled": [*_PENDING, CANCEL],
    "expired": [*_AUTHORIZED, EXPIRE],
}

# (from, command) → the event and the status after it: of 100.00, captures of 40.00 and refunds of 10.00.
TABLE: dict[tuple[str, str], tuple[type[Event], str]] = {
    ("none", "initiate"): (PaymentInitiated, "pending"),
    ("pending", "pass fraud check"): (FraudCheckPassed, "pending"),
    ("pending", "hold for review"): (PaymentHeldForReview, "in_review"),
    ("pending", "authorize"): (PaymentAuthorized, "authorized"),
    ("pending", "fail"): (PaymentFailed, "failed"),
    ("pending", "cancel"): (PaymentCancelled, "cancelled"),
    ("in_review", "approve"): (ReviewApproved, "pending"),
    ("in_review", "reject"): (ReviewRejected, "failed"),
    ("in_review", "cancel"): (PaymentCancelled, "cancelled"),
    ("in_review", "expire"): (PaymentExpired, "expired"),
    ("authorized", "capture some"): (PaymentPartiallyCaptured, "partially_captured"),
    ("authorized", "capture all"): (PaymentProcessed, "processed"),
    ("authorized", "cancel"): (PaymentCancelled, "cancelled"),
    ("authorized", "expire"): (PaymentExpired, "expired"),
    ("partially_captured", "capture some"): (PaymentPartiallyCaptured, "partially_captured"),
    ("partially_captured", "capture all"): (PaymentProcessed, "processed"),
    ("partially_captured", "cancel"): (RemainderVoided, "processed"),
    ("partially_captured", "expire"): (PaymentExpired, "processed"),
    ("processed", "refund some"): (PaymentRefunded, "partially_refunded"),
    ("processed", "refund all"): (PaymentRefunded, "refunded"),
    ("processed", "dispute"): (DisputeOpened, "disputed"),
    ("partially_refunded", "refund some"): (PaymentRefunded, "partially_refunded"),
    ("partially_refunded", "refund all"): (PaymentRefunded, "refunded"),
    ("partially_refunded", "dispute"): (DisputeOpened, "disputed"),
    ("disputed", "win"): (DisputeWon, "processed"),
    ("disputed", "lose"): (DisputeLost, "charged_back"),
}
ILLEGAL = [(past, name) for past in PASTS for name in COMMANDS if (past, name) not in TABLE]


def given(past: str) -> Given[Payment]:
    return payment(*PASTS[past])


def test_the_pasts_cover_every_status() -> None:
    assert list(PASTS) == [status.value for status in PaymentStatus]
    for past in PASTS:
        assert given(past).state.status == past


@pytest.mark.parametrize(("past", "name"), TABLE)
def test_every_row_of_the_table(past: str, name: str) -> None:
    event, status = TABLE[past, name]
    assert given(past).when(COMMANDS[name]).then_types(event.__name__).status == status


@pytest.mark.parametrize(("past", "name"), ILLEGAL)
def test_every_pair_outside_the_table_is_refused(past: str, name: str) -> None:
    when = given(past).when(COMMANDS[name])
    if name == "initiate":
        assert isinstance(when.fails_with("payment_exists", "payment p-1 exists already"), Conflict)
    elif past == "none":
        assert isinstance(when.fails_with("payment_not_found", "payment does not exist"), NotFound)
    else:
        refusal = when.fails_with("wrong_payment_status", f"status: p-1 is {past}")
        assert isinstance(refusal, WrongState)
        assert refusal.message.startswith("payment is not in ")
        legal = [before for (before, command) in TABLE if command == name]
        assert refusal.message == f"payment is not in {' or '.join(legal)} status: p-1 is {past}"


# --- initiating ------------------------------------------------------------


def test_a_payment_records_what_the_payer_agreed_to() -> None:
    command = initiate(reference="INV-7", tags=("rent",), metadata={"flat": "3b"}, fee_rate=Decimal("0.02"))
    payment().when(command).then(
        PaymentInitiated(
            payment_id="p-1",
            from_account="a-1",
            from_user="u-1",
            to_account="b-1",
            to_user="u-2",
            amount=eur("100.00"),
            capture="automatic",
            fee_rate=Decimal("0.02"),
            fee_account="fees",
            expires_at=LATER,
            reference="INV-7",
            tags=("rent",),
            metadata={"flat": "3b"},
        )
    )


@pytest.mark.parametrize(
    ("change", "code", "message", "field"),
    [
        ({"amount": eur("0.00")}, "amount_not_positive", "amount must be positive", "amount"),
        ({"amount": eur("-1.00")}, "amount_not_positive", "amount must be positive", "amount"),
        ({"to_account": "a-1"}, "same_account", "cannot transfer to the same account", "to_account"),
        ({"expires_at": AT}, "invalid_expiry", "expires_at must lie in the future", "expires_at"),
    ],
)
def test_a_payment_that_makes_no_sense_is_refused(change: Any, code: str, message: str, field: str) -> None:
    refusal = payment().when(initiate(**change)).fails_with(code, message, field)
    assert isinstance(refusal, InvalidInput)
    assert refusal.message == message


@pytest.mark.parametrize("rate", ["-0.01", "1.01", "NaN"])
def test_a_fee_is_between_nothing_and_everything(rate: str) -> None:
    with pytest.raises(ValidationError, match="fee_rate"):
        initiate(fee_rate=Decimal(rate))


# --- capturing ------------------------------------------------------------


def test_a_capture_takes_its_fee_of_what_it_captures() -> None:
    given("authorized").when(capture("40.50")).then(
        PaymentPartiallyCaptured(amount=eur("40.50"), fee=eur("0.40"), captured=eur("40.50"))
    )
    given("partially_captured").when(capture()).then(
        PaymentProcessed(amount=eur("60.00"), fee=eur("0.60"), captured=eur("100.00"))
    )


@pytest.mark.parametrize(
    ("parts", "count"), [("0.01", 10_000), ("0.50", 200), ("33.33", 3), ("49.99", 2), ("100.00", 1)]
)
def test_many_small_captures_pay_the_same_fee_as_one(parts: str, count: int) -> None:
    given_ = given("authorized")
    fees = 0
    for _ in range(count):
        when = given_.when(capture(parts))
        assert when.events is not None
        fees += sum(event.fee.minor for event in when.events)  # type: ignore[attr-defined]
        given_ = given_.past(*when.events)
    if given_.state.uncaptured:
        given_ = given_.past(capture())
        fees = given_.state.fee
    assert given_.state.status is PaymentStatus.PROCESSED
    assert fees == given_.state.fee == 100


def test_no_more_is_captured_than_was_authorised() -> None:
    given("authorized").when(capture("100.01")).fails_with("capture_too_large", "100.00 EUR of p-1 is left")
    given("partially_captured").when(capture("60.01")).fails_with("capture_too_large", "60.00 EUR of p-1 is left")
    given("authorized").when(capture("0.00")).fails_with(
        "amount_not_positive", "amount must be positive", "amount"
    )
    given("authorized").when(CapturePayment(at=AT, amount=usd("1.00"))).fails_with("currency_mismatch")


def test_nothing_is_captured_after_the_expiry_and_nothing_expires_before_it() -> None:
    early, late = LATER - timedelta(microseconds=1), LATER
    for past in ("authorized", "partially_captured"):
        given(past).when(CapturePayment(at=late)).fails_with("payment_expired", "payment p-1 expired at")
        given(past).when(CapturePayment(at=early)).then_types("PaymentProcessed")
        given(past).when(ExpirePayment(at=early)).fails_with("payment_not_expired", "has not expired yet")


def test_nothing_is_approved_after_the_expiry() -> None:
    early, late = LATER - timedelta(microseconds=1), LATER
    given("in_review").when(ApproveReview(at=late, by="ops")).fails_with("payment_expired", "p-1 expired at")
    given("in_review").when(ApproveReview(at=early, by="ops")).then_types("ReviewApproved")


# --- cancelling ------------------------------------------------------------


@pytest.mark.parametrize(
    ("past", "voided"), [("pending", "0.00"), ("in_review", "0.00"), ("authorized", "100.00")]
)
def test_a_cancel_says_what_it_voided(past: str, voided: str) -> None:
    given(past).when(CANCEL).then(PaymentCancelled(voided=eur(voided), reason="changed my mind"))


def test_a_partly_captured_payment_keeps_what_is_captured() -> None:
    after = (
        given("partially_captured")
        .when(CANCEL)
        .then(RemainderVoided(voided=eur("60.00"), reason="changed my mind"))
    )
    assert (after.captured, after.held) == (4000, 0)
    given("partially_captured").when(EXPIRE).then(PaymentExpired(voided=eur("60.00")))
    processed = payment(*_PARTLY, CANCEL)
    processed.when(refund("40.01")).fails_with("refund_too_large", "40.00 EUR of p-1 is left")
    assert processed.when(refund()).then_types("PaymentRefunded").status is PaymentStatus.REFUNDED


def test_why_it_failed_is_kept() -> None:
    assert given("failed").state.failure_code == "insufficient_funds"
    assert given("failed").state.failure_reason == "too little"
    rejected = given("in_review").when(COMMANDS["reject"]).after
    assert (rejected.failure_code, rejected.failure_reason) == ("review_rejected", "no")
    silent = given("in_review").when(RejectReview(at=AT, by="ops")).after
    assert silent.failure_reason == "rejected in review"


# --- refunds and disputes ------------------------------------------------------------


def test_refunds_add_up_to_what_was_captured() -> None:
    once = given("processed").when(refund("10.00"))
    once.then(PaymentRefunded(refund_id="r-1", amount=eur("10.00"), refunded=eur("10.00"), reason="returned"))
    twice = given("partially_refunded").when(refund())
    twice.then(PaymentRefunded(refund_id="r-1", amount=eur("90.00"), refunded=eur("100.00"), reason="returned"))
    given("processed").when(refund("100.01")).fails_with("refund_too_large")
    given("partially_refunded").when(refund("90.01")).fails_with("refund_too_large", "90.00 EUR of p-1 is left")
    given("processed").when(refund("0.00")).fails_with("amount_not_positive")


def test_a_dispute_is_about_what_was_not_refunded() -> None:
    after = (
        given("partially_refunded")
        .when(DISPUTE)
        .then(DisputeOpened(amount=eur("90.00"), held=eur("60.00"), hold_id="dispute-p-1", reason="never came"))
    )
    assert after.dispute == Dispute(9000, 6000, "dispute-p-1", PaymentStatus.PARTIALLY_REFUNDED)


@pytest.mark.parametrize("prior", ["processed", "partially_refunded"])
def test_a_won_dispute_leaves_the_payment_as_it_was(prior: str) -> None:
    assert given(prior).past(DISPUTE, WIN).state == given(prior).state


def test_what_the_hold_holds_is_what_is_not_captured() -> None:
    held = {past: given(past).state.held for past in PASTS}
    assert {past for past, minor in held.items() if minor} == {"authorized", "partially_captured"}
    assert (held["authorized"], held["partially_captured"]) == (10_000, 6000)
    assert given("none").state == Payment()
    assert given("authorized").state.money(5) == Money(5, "EUR")
