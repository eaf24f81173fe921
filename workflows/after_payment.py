"""What can follow a processed payment: RefundWorkflow and DisputeWorkflow, short and of their own."""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from activities.payments import PaymentActivities
from activities.steps import DisputeDecision, DisputeWish, PaymentRef, PaymentStep, RefundWish
from domain.payment import PaymentStatus
from workflows.life import Life
from workflows.shield import survive_cancellation
from workflows.steps import STEP_FAILED, ledger_step, refusal_of, show


@workflow.defn
class RefundWorkflow:
    """Workflow id `refund-<payment_id>-<refund_id>`: one refund, done or refused."""

    @workflow.run
    async def run(self, ref: PaymentRef, wish: RefundWish) -> PaymentStep:
        # One durable step: a cancellation comes either before it or too late.
        return await survive_cancellation(self._refund(ref, wish), lambda: None)

    async def _refund(self, ref: PaymentRef, wish: RefundWish) -> PaymentStep:
        try:
            step = await ledger_step("refund", PaymentActivities.refund_payment, ref, wish)
        except STEP_FAILED as error:
            raise refusal_of(error) from None
        show(step.status, step.user, f"**{step.status}**: {step.refunded} of {step.captured} refunded")
        return step


@workflow.defn
class DisputeWorkflow:
    """Workflow id `dispute-<payment_id>`: opened, then waits for an operator's decision."""

    def __init__(self) -> None:
        self._life: Life[PaymentStep] = Life()

    @workflow.run
    async def run(self, ref: PaymentRef, wish: DisputeWish) -> PaymentStep:
        return await self._life.lead(self._course(ref, wish), lambda: self._over(ref))

    @workflow.update
    async def request_resolution(self, wish: DisputeDecision) -> PaymentStep:
        """Won or lost. Refused while a lost dispute's payee cannot pay."""
        return await self._life.inbox.ask(wish)

    @workflow.update
    async def resting(self) -> PaymentStep:
        """Waits until the dispute is open, refused or over, and says where the payment stands then."""
        return await self._life.rest()

    async def _course(self, ref: PaymentRef, wish: DisputeWish) -> PaymentStep:
        step = self._life.at(await ledger_step("open the dispute", PaymentActivities.open_dispute, ref, wish))
        while step.status is PaymentStatus.DISPUTED:
            show(step.status, step.user, f"**disputed**: {wish.reason}")
            asked = await self._life.next_wish()
            assert asked is not None
            assert isinstance(asked.wish, DisputeDecision)
            resolving = ledger_step("resolve the dispute", PaymentActivities.resolve_dispute, step.ref, asked.wish)
            step = await self._life.answer(asked, resolving)
        show(step.status, step.user, f"**{step.status}**")
        return step

    def _over(self, ref: PaymentRef) -> ApplicationError:
        return self._life.too_late("payment", f"payment is not in disputed status: {ref.payment_id}")
