"""What can follow a processed payment: RefundWorkflow and DisputeWorkflow, short and of their own."""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from activities.payments import PaymentActivities
from activities.steps import DisputeDecision, DisputeWish, PaymentRef, PaymentStep, RefundWish
from domain.payment import PaymentStatus
from workflows.inbox import Inbox
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
            step = await workflow.execute_local_activity_method(
                PaymentActivities.refund_payment, args=[ref, wish], **ledger_step("refund")
            )
        except STEP_FAILED as error:
            raise refusal_of(error) from None
        show(step.status, step.user, f"**{step.status}**: {step.refunded} of {step.captured} refunded")
        return step


@workflow.defn
class DisputeWorkflow:
    """Workflow id `dispute-<payment_id>`: opened, then waits for an operator's decision."""

    def __init__(self) -> None:
        self._inbox: Inbox[PaymentStep] = Inbox()
        self._step: PaymentStep | None = None
        self._refused: ApplicationError | None = None

    @workflow.run
    async def run(self, ref: PaymentRef, wish: DisputeWish) -> PaymentStep:
        try:
            return await survive_cancellation(self._live(ref, wish), lambda: None)
        except STEP_FAILED as error:
            self._refused = refusal_of(error)
            raise self._refused from None
        finally:
            self._inbox.close(
                ApplicationError(
                    f"payment is not in disputed status: {ref.payment_id}",
                    {"code": "wrong_payment_status", "field": None, "kind": "WrongState"},
                    type="wrong_payment_status",
                    non_retryable=True,
                )
            )
            await workflow.wait_condition(workflow.all_handlers_finished)

    @workflow.update
    async def request_resolution(self, wish: DisputeDecision) -> PaymentStep:
        """Won or lost. Refused while a lost dispute's payee cannot pay."""
        return await self._inbox.ask(wish)

    @workflow.update
    async def resting(self) -> PaymentStep:
        """Waits until the dispute is open, refused or over, and says where the payment stands then."""
        await workflow.wait_condition(lambda: self._step is not None or self._refused is not None)
        if self._refused is not None:
            raise self._refused
        assert self._step is not None
        return self._step

    async def _live(self, ref: PaymentRef, wish: DisputeWish) -> PaymentStep:
        step = self._step = await workflow.execute_local_activity_method(
            PaymentActivities.open_dispute, args=[ref, wish], **ledger_step("open the dispute")
        )
        while step.status is PaymentStatus.DISPUTED:
            show(step.status, step.user, f"**disputed**: {wish.reason}")
            asked = await self._inbox.next()
            assert asked is not None
            try:
                step = self._step = await workflow.execute_local_activity_method(
                    PaymentActivities.resolve_dispute,
                    args=[step.ref, asked.wish],
                    **ledger_step("resolve the dispute"),
                )
            except STEP_FAILED as error:
                asked.refuse(refusal_of(error))
            else:
                asked.grant(step)
        show(step.status, step.user, f"**{step.status}**")
        return step
