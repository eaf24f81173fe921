"""PaymentWorkflow: one payment from its initiation to its last capture, cancel or expiry.

open (initiate, screen, authorise) ──► [review] ──► capture, at once or as asked ──► the end
"""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from activities.payments import OpenPayment, PaymentActivities
from activities.steps import (
    CancelWish,
    CaptureWish,
    ExpireWish,
    PaymentOrder,
    PaymentStep,
    ReviewWish,
    Wish,
)
from domain.payment import PaymentStatus
from domain.streams import payment_stream
from workflows.life import TEMPORAL_CANCEL, Life
from workflows.steps import STEP_FAILED, ledger_step, refusal_of, show
from workflows.suspicion import open_case, tell_case

S = PaymentStatus
OPEN = (S.PENDING, S.IN_REVIEW, S.AUTHORIZED, S.PARTIALLY_CAPTURED)


@workflow.defn
class PaymentWorkflow:
    """Workflow id `payment-<payment_id>`. Refunds and disputes come after it and are workflows of their own."""

    def __init__(self) -> None:
        self._life: Life[PaymentStep] = Life()

    @workflow.run
    async def run(self, order: PaymentOrder) -> PaymentStep:
        return await self._life.lead(self._course(order), lambda: self._over(order), TEMPORAL_CANCEL)

    # --- what can be asked of it ---------------------------------------------

    @workflow.signal
    def cancel(self, wish: CancelWish) -> None:
        """Cancel as soon as possible, without an answer."""
        self._life.inbox.put(wish)

    @workflow.signal
    def review(self, wish: ReviewWish) -> None:
        """A reviewer's decision, without an answer."""
        self._life.inbox.put(wish)

    @workflow.update
    async def request_cancel(self, wish: CancelWish) -> PaymentStep:
        """Cancel, and say what that achieved; refused when it is too late."""
        return await self._life.inbox.ask(wish)

    @workflow.update
    async def request_review(self, wish: ReviewWish) -> PaymentStep:
        """Approve or reject what is held for review."""
        return await self._life.inbox.ask(wish)

    @workflow.update
    async def request_capture(self, wish: CaptureWish) -> PaymentStep:
        """Capture all or a part of what is authorised."""
        return await self._life.inbox.ask(wish)

    @workflow.update
    async def resting(self) -> PaymentStep:
        """Waits until the payment is over or waits for somebody, and says where it stands then."""
        return await self._life.rest()

    @workflow.query
    def status(self) -> PaymentStep | None:
        """Where the payment stands; None before its first step."""
        return self._life.step

    # --- its life ------------------------------------------------------------

    async def _course(self, order: PaymentOrder) -> PaymentStep:
        step = await self._open(order)
        subject, in_case = payment_stream(order.payment_id), False
        if step.status is S.IN_REVIEW or step.failure_code == "review_rejected":
            in_case = await open_case(subject, order.trace)
        while step.status in OPEN:
            asked = self._life.inbox.take()
            if asked is None and step.status is S.AUTHORIZED and order.capture == "automatic":
                step = self._life.at(await self._capture_all(order, step))
                continue
            if asked is None:
                self._show(order, step)
                asked = await self._life.next_wish(until=step.expires_at)
            if asked is None:
                step = self._life.at(await self._expire(step))
            else:
                step = await self._life.answer(asked, self._do(asked.wish, step))
            if in_case and step.status is not S.IN_REVIEW:
                await tell_case(subject, step.status)
                in_case = False
        self._show(order, step)
        return step

    async def _open(self, order: PaymentOrder) -> PaymentStep:
        return await self._life.open(
            lambda cancelled: ledger_step(
                "initiate, screen, authorise",
                PaymentActivities.open_payment,
                OpenPayment(order=order, cancelled=cancelled),
            )
        )

    async def _capture_all(self, order: PaymentOrder, step: PaymentStep) -> PaymentStep:
        """Automatic capture. Where an account refuses it, the payer gets its hold back."""
        try:
            return await self._do(CaptureWish(wish_id="automatic", trace=order.trace), step)
        except STEP_FAILED as error:
            refusal = refusal_of(error)
            return await self._do(CancelWish(wish_id="capture-refused", reason=refusal.message), step)

    async def _expire(self, step: PaymentStep) -> PaymentStep:
        assert step.expires_at is not None
        return await self._do(ExpireWish(wish_id="deadline", expired_at=step.expires_at), step)

    async def _do(self, wish: Wish, step: PaymentStep) -> PaymentStep:
        match wish:
            case CancelWish():
                return await ledger_step("cancel", PaymentActivities.cancel_payment, step.ref, wish)
            case CaptureWish():
                return await ledger_step("capture", PaymentActivities.capture_payment, step.ref, wish)
            case ReviewWish():
                return await ledger_step("review", PaymentActivities.review_payment, step.ref, wish)
            case ExpireWish():
                return await ledger_step("expire", PaymentActivities.expire_payment, step.ref, wish)
            case _:
                raise AssertionError(f"not a wish about a payment: {wish!r}")

    def _show(self, order: PaymentOrder, step: PaymentStep) -> None:
        why = f" ({step.failure_reason})" if step.failure_reason else ""
        show(
            step.status,
            step.user,
            f"**{step.status}**{why}: {step.captured} of {step.amount} captured, "
            f"{order.from_account} → {order.to_account}",
        )

    def _over(self, order: PaymentOrder) -> ApplicationError:
        return self._life.too_late("payment", f"payment is not in an open status: {order.payment_id}")
