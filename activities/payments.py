"""The steps of a payment. Each is one append over the payment's stream and the accounts it touches."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from pydantic import BaseModel
from temporalio import activity

from activities.ledger import Ledger, LedgerCommand, opening_streams, utc_now
from activities.refusals import refusals
from activities.steps import (
    CancelWish,
    CaptureWish,
    DisputeDecision,
    DisputeWish,
    ExpireWish,
    PaymentOrder,
    PaymentRef,
    PaymentStep,
    RefundWish,
    ReviewWish,
    Wish,
)
from domain.errors import NotFound
from domain.exchange import exchange_account
from domain.fraud_legs import settle_with_review
from domain.leg import Leg
from domain.payment import Payment, PaymentStatus
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
    PaymentTerms,
    RefundPayment,
    ResolveDispute,
)
from domain.review import ApproveReview, RejectReview
from domain.streams import account_stream, fraud_case_stream, payment_stream
from settings import Settings


class OpenPayment(BaseModel):
    """`cancelled` is a cancel that came before the payment was opened."""

    order: PaymentOrder
    cancelled: CancelWish | None = None


def payment_terms(order: PaymentOrder, settings: Settings, now: datetime) -> PaymentTerms:
    """What the payer agrees to: the order, and the fee and expiry that the settings add."""
    expires_in = settings.payment_expires_in_s if order.expires_in_s is None else order.expires_in_s
    expires_at, settles_in = now + timedelta(seconds=expires_in), order.amount.currency
    if order.quote is not None:  # the rate is locked for so long and no longer
        expires_at, settles_in = min(expires_at, order.quote.expires_at), order.quote.buys.currency
    return PaymentTerms(
        at=now,
        expires_at=expires_at,
        fee_rate=settings.fee_rate,
        fee_account=settings.fee_account_for(settles_in),
        **{name: value for name, value in order if name not in ("expires_in_s", "actor", "trace")},
    )


def opening_accounts(terms: PaymentTerms) -> tuple[str, ...]:
    """What an opening that captures at once touches beside the two parties."""
    if terms.quote is None:
        return (terms.fee_account,)
    sold, bought = terms.amount.currency, terms.quote.buys.currency
    return terms.fee_account, exchange_account(sold), exchange_account(bought)


class PaymentActivities:
    """Bound to a process's ledger and settings in worker.py."""

    def __init__(self, ledger: Ledger, settings: Settings) -> None:
        self._ledger = ledger
        self._settings = settings

    @activity.defn
    async def open_payment(self, request: OpenPayment) -> PaymentStep:
        """Initiate, screen, authorise and, where that is automatic, capture.

        Ends processed, authorized, in_review, failed or (cancelled before) cancelled.
        """
        order, cancelled, now, settings = request.order, request.cancelled, utc_now(), self._settings
        terms = payment_terms(order, settings, now)
        cancel = None if cancelled is None else CancelPayment(at=now, reason=cancelled.reason)
        stream = payment_stream(order.payment_id)
        with refusals():
            return await self._ledger.run(
                LedgerCommand(
                    name="payment.open",
                    key=f"{stream}:payer:authorize",
                    content=order,
                    streams=opening_streams(stream, order, *opening_accounts(terms)),
                    act=lambda leg: open_payment(leg, terms, settings.screening, cancel),
                    result=lambda leg: PaymentStep.of(leg.payment(order.payment_id)),
                    returns=PaymentStep,
                    actor=order.actor,
                    trace=order.trace,
                    begins=True,
                    repeat_shows_now=True,
                )
            )

    @activity.defn
    async def capture_payment(self, ref: PaymentRef, wish: CaptureWish) -> PaymentStep:
        """Capture all or some of what is authorised."""
        command = CapturePayment(at=utc_now(), amount=wish.amount)
        return await self._step("capture", ref, wish, lambda leg: capture_payment(leg, ref.payment_id, command))

    @activity.defn
    async def cancel_payment(self, ref: PaymentRef, wish: CancelWish) -> PaymentStep:
        """Cancel, or void the rest of a partly captured payment."""
        command = CancelPayment(at=utc_now(), reason=wish.reason)
        return await self._step("cancel", ref, wish, lambda leg: cancel_payment(leg, ref.payment_id, command))

    @activity.defn
    async def review_payment(self, ref: PaymentRef, wish: ReviewWish) -> PaymentStep:
        """A reviewer's decision; an approval authorises at once."""
        at, by, note = utc_now(), wish.actor, wish.note

        stream = payment_stream(ref.payment_id)

        def act(leg: Leg) -> None:
            review = (ApproveReview if wish.approve else RejectReview)(at=at, by=by, note=note)
            if isinstance(review, ApproveReview):
                approve_payment(leg, ref.payment_id, review)
            else:
                reject_payment(leg, ref.payment_id, review)
            settle_with_review(leg, stream, review)

        return await self._step("review", ref, wish, act, fraud_case_stream(stream))

    @activity.defn
    async def expire_payment(self, ref: PaymentRef, wish: ExpireWish) -> PaymentStep:
        """Void what is left when the time is up."""
        command = ExpirePayment(at=max(wish.expired_at, utc_now()))
        return await self._step("expire", ref, wish, lambda leg: expire_payment(leg, ref.payment_id, command))

    @activity.defn
    async def refund_payment(self, ref: PaymentRef, wish: RefundWish) -> PaymentStep:
        """Give back all or some of what was captured, from the payee."""
        command = RefundPayment(at=utc_now(), refund_id=wish.wish_id, amount=wish.amount, reason=wish.reason)
        return await self._step("refund", ref, wish, lambda leg: refund_payment(leg, ref.payment_id, command))

    @activity.defn
    async def open_dispute(self, ref: PaymentRef, wish: DisputeWish) -> PaymentStep:
        """The payer disputes; what the payee has of the amount is reserved."""
        at = utc_now()
        return await self._step(
            "dispute", ref, wish, lambda leg: open_dispute(leg, ref.payment_id, at, wish.reason)
        )

    @activity.defn
    async def resolve_dispute(self, ref: PaymentRef, wish: DisputeDecision) -> PaymentStep:
        """Won: the reserve is voided. Lost: the payer gets the money back."""
        command = ResolveDispute(at=utc_now(), outcome=wish.outcome, by=wish.actor, note=wish.note)
        return await self._step(
            "resolve_dispute", ref, wish, lambda leg: resolve_dispute(leg, ref.payment_id, command)
        )

    async def _step(
        self, name: str, ref: PaymentRef, wish: Wish, act: Callable[[Leg], object], *more: str
    ) -> PaymentStep:
        stream = payment_stream(ref.payment_id)
        with refusals():
            accounts = ref.accounts or await self._accounts(ref.payment_id)
            return await self._ledger.run(
                LedgerCommand(
                    name=f"payment.{name}",
                    key=f"{stream}:{name}:{wish.wish_id}",
                    content=wish,
                    streams=[stream, *dict.fromkeys(map(account_stream, accounts)), *more],
                    act=act,
                    result=lambda leg: PaymentStep.of(leg.payment(ref.payment_id)),
                    returns=PaymentStep,
                    actor=wish.actor,
                    trace=wish.trace,
                    if_version=wish.if_version,
                    repeat_shows_now=True,
                )
            )

    async def _accounts(self, payment_id: str) -> tuple[str, ...]:
        payment = await self._ledger.state(payment_stream(payment_id))
        assert isinstance(payment, Payment)
        if payment.status is PaymentStatus.NONE:
            raise NotFound("payment_not_found", f"payment {payment_id} does not exist", "payment_id")
        return payment.accounts
