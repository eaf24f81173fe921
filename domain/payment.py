"""Payment: authorise and capture, from a payer to a payee, with a fee. The life of one payment's status.

Holds and postings on the accounts belong to the same append; `payment_legs` puts the two together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import assert_never

from domain.errors import Conflict, InvalidInput
from domain.exchange import exchange_account, share
from domain.money import Money, positive
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
    PaymentCommand,
    PaymentEvent,
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
from domain.quote_messages import Quote
from domain.review import ApproveReview, RejectReview, ReviewApproved, ReviewRejected, Suspicion
from domain.status import must_be_in


class PaymentStatus(StrEnum):
    NONE = "none"
    PENDING = "pending"
    IN_REVIEW = "in_review"
    AUTHORIZED = "authorized"
    PARTIALLY_CAPTURED = "partially_captured"
    PROCESSED = "processed"
    PARTIALLY_REFUNDED = "partially_refunded"
    REFUNDED = "refunded"
    DISPUTED = "disputed"
    CHARGED_BACK = "charged_back"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


S = PaymentStatus


@dataclass(frozen=True, slots=True)
class Dispute:
    """`amount` the payer wants back, in its currency; `held` of it, in the payee's currency, is reserved on the
    payee under `hold_id`. Minor units."""

    amount: int
    held: int
    hold_id: str
    prior: PaymentStatus


@dataclass(frozen=True, slots=True)
class Payment:
    """Amounts in minor units of `currency`, the payer's; `fee` in the payee's, which a quote makes another one."""

    payment_id: str = ""
    status: PaymentStatus = S.NONE
    from_account: str = ""
    from_user: str = ""
    to_account: str = ""
    fee_account: str = ""
    currency: str = ""
    amount: int = 0
    captured: int = 0
    fee: int = 0
    refunded: int = 0
    fee_rate: Decimal = Decimal(0)
    expires_at: datetime | None = None
    hold_id: str | None = None
    failure_code: str | None = None
    failure_reason: str | None = None
    dispute: Dispute | None = None
    suspicion: Suspicion | None = None
    quote: Quote | None = None

    def money(self, minor: int) -> Money:
        return Money(minor, self.currency)

    @property
    def payee_currency(self) -> str:
        return self.currency if self.quote is None else self.quote.buys.currency

    @property
    def accounts(self) -> tuple[str, ...]:
        """All that its steps may touch: with a quote, the platform's positions too."""
        theirs = (self.from_account, self.to_account, self.fee_account)
        if self.quote is None:
            return theirs
        return (*theirs, exchange_account(self.currency), exchange_account(self.payee_currency))

    def settled(self, captured: int) -> Money:
        """What so much captured comes to on the payee's side, the fee included."""
        return self.money(captured) if self.quote is None else share(self.quote.buys, captured, self.amount)

    def returned(self, refunded: int) -> Money:
        """What the payee has to give for so much refunded."""
        whole = self.settled(self.captured)
        return self.money(refunded) if self.quote is None else share(whole, refunded, self.captured)

    @property
    def uncaptured(self) -> int:
        return self.amount - self.captured

    @property
    def held(self) -> int:
        """What the payer's hold still holds."""
        return self.uncaptured if self.status in (S.AUTHORIZED, S.PARTIALLY_CAPTURED) else 0

    def must_be(self, *allowed: PaymentStatus) -> None:
        must_be_in(allowed, "payment", self.payment_id, self.status)


def initial() -> Payment:
    """A payment nobody has initiated."""
    return Payment()


def decide(command: PaymentCommand, payment: Payment) -> list[PaymentEvent]:
    """The events `command` causes, or a DomainError."""
    match command:
        case InitiatePayment():
            return [_initiate(command, payment)]
        case PassFraudCheck(score=score):
            payment.must_be(S.PENDING)
            return [FraudCheckPassed(score=score)]
        case HoldPaymentForReview(score=score, reasons=reasons, rules=rules):
            payment.must_be(S.PENDING)
            return [PaymentHeldForReview(score=score, reasons=reasons, rules=rules)]
        case ApproveReview(by=by, note=note):
            payment.must_be(S.IN_REVIEW)
            _must_not_have_expired(payment, command.at)
            return [ReviewApproved(by=by, note=note)]
        case RejectReview(by=by, note=note):
            payment.must_be(S.IN_REVIEW)
            return [ReviewRejected(by=by, note=note)]
        case AuthorizePayment(hold_id=hold_id):
            payment.must_be(S.PENDING)
            return [PaymentAuthorized(hold_id=hold_id)]
        case FailPayment(code=code, reason=reason):
            payment.must_be(S.PENDING)
            return [PaymentFailed(code=code, reason=reason)]
        case CancelPayment():
            return [_cancel(command, payment)]
        case ExpirePayment():
            return [_expire(command, payment)]
        case CapturePayment():
            return [_capture(command, payment)]
        case RefundPayment():
            return [_refund(command, payment)]
        case OpenDispute():
            return [_dispute(command, payment)]
        case ResolveDispute(outcome=outcome, by=by, note=note):
            payment.must_be(S.DISPUTED)
            return [DisputeWon(by=by, note=note) if outcome == "won" else DisputeLost(by=by, note=note)]
        case _:
            assert_never(command)


def _initiate(command: InitiatePayment, payment: Payment) -> PaymentInitiated:
    if payment.status is not S.NONE:
        raise Conflict("payment_exists", f"payment {command.payment_id} exists already")
    positive(command.amount)
    if command.from_account == command.to_account:
        raise InvalidInput("same_account", "cannot transfer to the same account", "to_account")
    if command.expires_at <= command.at:
        raise InvalidInput("invalid_expiry", "expires_at must lie in the future", "expires_at")
    if command.quote is not None and command.expires_at > command.quote.expires_at:
        raise InvalidInput("invalid_expiry", "a payment must not outlive its quote", "expires_at")
    return PaymentInitiated(**{name: value for name, value in command if name != "at"})


def _cancel(command: CancelPayment, payment: Payment) -> PaymentEvent:
    payment.must_be(S.PENDING, S.IN_REVIEW, S.AUTHORIZED, S.PARTIALLY_CAPTURED)
    voided = payment.money(payment.held)
    if payment.status is S.PARTIALLY_CAPTURED:
        return RemainderVoided(voided=voided, reason=command.reason)
    return PaymentCancelled(voided=voided, reason=command.reason)


def _expire(command: ExpirePayment, payment: Payment) -> PaymentExpired:
    payment.must_be(S.IN_REVIEW, S.AUTHORIZED, S.PARTIALLY_CAPTURED)
    if payment.expires_at is None or command.at < payment.expires_at:
        raise Conflict("payment_not_expired", f"payment {payment.payment_id} has not expired yet")
    return PaymentExpired(voided=payment.money(payment.held))


def _must_not_have_expired(payment: Payment, at: datetime) -> None:
    """Its time is up even before anybody has recorded that."""
    if payment.expires_at is not None and at >= payment.expires_at:
        raise Conflict("payment_expired", f"payment {payment.payment_id} expired at {payment.expires_at}")


def _capture(command: CapturePayment, payment: Payment) -> PaymentEvent:
    payment.must_be(S.AUTHORIZED, S.PARTIALLY_CAPTURED)
    _must_not_have_expired(payment, command.at)
    amount = positive(payment.money(payment.uncaptured) if command.amount is None else command.amount)
    if amount > payment.money(payment.uncaptured):
        raise Conflict(
            "capture_too_large",
            f"{amount} cannot be captured: {payment.money(payment.uncaptured)} of {payment.payment_id} is left",
        )
    captured = payment.money(payment.captured) + amount
    total = payment.settled(captured.minor)
    # The fee is taken of the total so far, so that many small captures pay what one large one does.
    fee = total.fraction(payment.fee_rate) - total.with_minor(payment.fee)
    settled = None if payment.quote is None else total - payment.settled(payment.captured)
    event = PaymentProcessed if captured.minor == payment.amount else PaymentPartiallyCaptured
    return event(amount=amount, fee=fee, captured=captured, settled=settled)


def _refund(command: RefundPayment, payment: Payment) -> PaymentRefunded:
    payment.must_be(S.PROCESSED, S.PARTIALLY_REFUNDED)
    left = payment.money(payment.captured - payment.refunded)
    amount = positive(left if command.amount is None else command.amount)
    if amount > left:
        raise Conflict("refund_too_large", f"{amount} cannot be refunded: {left} of {payment.payment_id} is left")
    refunded = payment.money(payment.refunded) + amount
    returned = payment.returned(refunded.minor) - payment.returned(payment.refunded)
    return PaymentRefunded(
        refund_id=command.refund_id,
        amount=amount,
        refunded=refunded,
        returned=None if payment.quote is None else returned,
        reason=command.reason,
    )


def _dispute(command: OpenDispute, payment: Payment) -> DisputeOpened:
    return DisputeOpened(
        amount=disputable(payment), held=command.held, hold_id=command.hold_id, reason=command.reason
    )


def disputable(payment: Payment) -> Money:
    """What a dispute is about: all that was captured and not refunded."""
    payment.must_be(S.PROCESSED, S.PARTIALLY_REFUNDED)
    return payment.money(payment.captured - payment.refunded)


def evolve(payment: Payment, event: PaymentEvent) -> Payment:
    """The payment after `event`."""
    match event:
        case PaymentInitiated():
            return Payment(
                payment_id=event.payment_id,
                status=S.PENDING,
                from_account=event.from_account,
                from_user=event.from_user,
                to_account=event.to_account,
                fee_account=event.fee_account,
                currency=event.amount.currency,
                amount=event.amount.minor,
                fee_rate=event.fee_rate,
                expires_at=event.expires_at,
                quote=event.quote,
            )
        case FraudCheckPassed():
            return payment
        case PaymentHeldForReview(score=score, reasons=reasons, rules=rules):
            return replace(payment, status=S.IN_REVIEW, suspicion=Suspicion(score, reasons, rules))
        case ReviewApproved():
            return replace(payment, status=S.PENDING)
        case ReviewRejected():
            return replace(
                payment,
                status=S.FAILED,
                failure_code="review_rejected",
                failure_reason=event.note or "rejected in review",
            )
        case PaymentAuthorized(hold_id=hold_id):
            return replace(payment, status=S.AUTHORIZED, hold_id=hold_id)
        case PaymentFailed(code=code, reason=reason):
            return replace(payment, status=S.FAILED, failure_code=code, failure_reason=reason)
        case PaymentCancelled():
            return replace(payment, status=S.CANCELLED)
        case PaymentExpired():
            captured_some = payment.status is S.PARTIALLY_CAPTURED
            return replace(payment, status=S.PROCESSED if captured_some else S.EXPIRED)
        case PaymentPartiallyCaptured() | PaymentProcessed():
            done = isinstance(event, PaymentProcessed)
            return replace(
                payment,
                status=S.PROCESSED if done else S.PARTIALLY_CAPTURED,
                captured=event.captured.minor,
                fee=payment.fee + event.fee.minor,
            )
        case RemainderVoided():
            return replace(payment, status=S.PROCESSED)
        case PaymentRefunded(refunded=refunded):
            whole = refunded.minor == payment.captured
            return replace(payment, status=S.REFUNDED if whole else S.PARTIALLY_REFUNDED, refunded=refunded.minor)
        case DisputeOpened():
            opened = Dispute(event.amount.minor, event.held.minor, event.hold_id, payment.status)
            return replace(payment, status=S.DISPUTED, dispute=opened)
        case DisputeWon():
            assert payment.dispute is not None
            return replace(payment, status=payment.dispute.prior, dispute=None)
        case DisputeLost():
            return replace(payment, status=S.CHARGED_BACK)
        case _:
            assert_never(event)
