"""Commands about payments: each starts a workflow or asks a running one."""

from __future__ import annotations

from temporalio.client import Client
from temporalio.common import WorkflowIDReusePolicy

from activities.ledger import Ledger, opening_streams, utc_now
from activities.payments import opening_accounts, payment_terms
from activities.search import search_attributes
from activities.steps import (
    CancelWish,
    CaptureWish,
    DisputeDecision,
    DisputeWish,
    PaymentOrder,
    PaymentRef,
    PaymentStep,
    RefundWish,
    ReviewWish,
    Wish,
)
from commands.running import WorkflowOver, ask, resting, result_of, start_workflow, update_id, workflow_missing
from domain import payment
from domain.errors import Conflict, NotFound
from domain.leg import Leg
from domain.money import positive
from domain.payment import Payment, PaymentStatus
from domain.payment_legs import open_payment
from domain.payment_messages import CancelPayment, CapturePayment
from domain.review import ApproveReview
from domain.streams import payment_stream
from domain.transfer import must_move
from settings import Settings
from workflows.after_payment import DisputeWorkflow, RefundWorkflow
from workflows.payment import PaymentWorkflow


def authorize_key(payment_id: str) -> str:
    """The command id of a payment's first step."""
    return f"{payment_stream(payment_id)}:payer:authorize"


_TURNS = 5
"""How many disputes of others, each opened and decided while one is being asked for, it waits out."""


class PaymentCommands:
    """`ledger` is only read: every change of a payment goes through its workflow."""

    def __init__(self, client: Client, ledger: Ledger, settings: Settings) -> None:
        self._client = client
        self._ledger = ledger
        self._settings = settings

    async def start(self, order: PaymentOrder) -> bool:
        """Starts the payment's workflow; False where it had been started before with the same content."""
        must_move(order.amount, order.from_account, order.to_account)
        stream = payment_stream(order.payment_id)
        _, started = await start_workflow(
            self._client,
            self._settings,
            PaymentWorkflow.run,
            order,
            workflow_id=stream,
            summary=f"{order.amount} {order.from_account} → {order.to_account}",
            search_attributes=search_attributes("payment", "pending", order.from_account, order.to_account),
        )
        if not started:
            await self._ledger.repeats(authorize_key(order.payment_id), order)
        return started

    async def check(self, order: PaymentOrder) -> None:
        """Raises the refusal that this order would meet as things stand, before anything is started for it.

        A payment that fails for want of funds is no refusal: it is started, and its failure recorded.
        """
        must_move(order.amount, order.from_account, order.to_account)
        stream, terms = payment_stream(order.payment_id), payment_terms(order, self._settings, utc_now())
        states = await self._ledger.states(opening_streams(stream, order, *opening_accounts(terms)))
        open_payment(Leg({**states, stream: Payment()}), terms, self._settings.screening)

    async def pay(self, order: PaymentOrder) -> PaymentStep:
        """Starts it and says where it stands once it is over or waits for somebody."""
        await self.start(order)
        return await self.resting(order.payment_id)

    async def resting(self, payment_id: str) -> PaymentStep:
        """Where a started payment stands once it is over or waits for somebody."""
        handle = self._client.get_workflow_handle(payment_stream(payment_id), result_type=PaymentStep)
        step: PaymentStep = await resting(handle, PaymentWorkflow.resting)
        return step

    async def capture(self, payment_id: str, wish: CaptureWish) -> PaymentStep:
        """Capture all or a part of a payment with manual capture."""
        return await self._ask(payment_id, "capture", PaymentWorkflow.request_capture, wish)

    async def cancel(self, payment_id: str, wish: CancelWish) -> PaymentStep:
        """Cancel, or void what is left; refused when it is too late."""
        return await self._ask(payment_id, "cancel", PaymentWorkflow.request_cancel, wish)

    async def signal_cancel(self, payment_id: str, wish: CancelWish) -> None:
        """Cancel without waiting for an answer."""
        handle = self._client.get_workflow_handle(payment_stream(payment_id))
        await handle.signal(PaymentWorkflow.cancel, wish)

    async def review(self, payment_id: str, wish: ReviewWish) -> PaymentStep:
        """A reviewer's decision, and where the payment stands once it has been carried out."""
        await self._ask(payment_id, "review", PaymentWorkflow.request_review, wish)
        return await self.resting(payment_id)

    async def refund(self, payment_id: str, wish: RefundWish) -> PaymentStep:
        """Give back all or a part of what was captured."""
        if wish.amount is not None:
            positive(wish.amount)
        found = await self._existing(payment_id)
        workflow_id = f"refund-{payment_id}-{wish.wish_id}"
        handle, started = await start_workflow(
            self._client,
            self._settings,
            RefundWorkflow.run,
            _ref(found),
            wish,
            workflow_id=workflow_id,
            summary=f"refund of {payment_id}",
            search_attributes=search_attributes("refund", "pending", found.from_account, found.to_account),
        )
        if not started:
            await self._ledger.repeats(f"{payment_stream(payment_id)}:refund:{wish.wish_id}", wish)
        handle = self._client.get_workflow_handle(workflow_id, result_type=PaymentStep)
        step: PaymentStep = await result_of(handle)
        return step

    async def dispute(self, payment_id: str, wish: DisputeWish) -> PaymentStep:
        """The payer disputes a processed payment. Refused where another dispute of it is open."""
        found = await self._existing(payment_id)
        workflow_id, key = f"dispute-{payment_id}", f"{payment_stream(payment_id)}:dispute:{wish.wish_id}"
        for _ in range(_TURNS):
            _, started = await start_workflow(
                self._client,
                self._settings,
                DisputeWorkflow.run,
                _ref(found),
                wish,
                workflow_id=workflow_id,
                summary=f"dispute of {payment_id}",
                search_attributes=search_attributes("dispute", "pending", found.from_account, found.to_account),
                reuse=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            )
            handle = self._client.get_workflow_handle(workflow_id, result_type=PaymentStep)
            step: PaymentStep = await resting(handle, DisputeWorkflow.resting)
            if started or await self._ledger.repeats(key, wish):
                return step
            # Somebody else's was joined. Where it has been decided in the meantime, it is this one's turn.
            payment.disputable(await self._existing(payment_id))
        raise workflow_missing(workflow_id)

    async def resolve_dispute(self, payment_id: str, wish: DisputeDecision) -> PaymentStep:
        """An operator decides a dispute."""
        found = await self._existing(payment_id)
        handle = self._client.get_workflow_handle(f"dispute-{payment_id}")
        try:
            step: PaymentStep = await ask(
                handle, DisputeWorkflow.request_resolution, wish, update_id=update_id(wish)
            )
        except WorkflowOver:
            if await self._ledger.repeats(f"{payment_stream(payment_id)}:resolve_dispute:{wish.wish_id}", wish):
                return PaymentStep.of(found)
            found.must_be(PaymentStatus.DISPUTED)
            raise workflow_missing(handle.id) from None
        return step

    async def _ask(self, payment_id: str, name: str, update: object, wish: Wish) -> PaymentStep:
        """`name` is the step's in its key: a wish that was granted before is answered with what there is now."""
        stream = payment_stream(payment_id)
        handle = self._client.get_workflow_handle(stream)
        try:
            step: PaymentStep = await ask(handle, update, wish, update_id=update_id(wish))
        except WorkflowOver:
            if await self._ledger.repeats(f"{stream}:{name}:{wish.wish_id}", wish):
                return PaymentStep.of(await self._existing(payment_id))
            raise await self._too_late(payment_id, wish) from None
        return step

    async def _too_late(self, payment_id: str, wish: Wish) -> Conflict:
        """Why the wish cannot be granted, in the words of the domain over the payment as it is now."""
        found, now = await self._existing(payment_id), utc_now()
        match wish:
            case CaptureWish(amount=amount):
                payment.decide(CapturePayment(at=now, amount=amount), found)
            case ReviewWish(actor=actor):
                payment.decide(ApproveReview(at=now, by=actor), found)
            case _:
                payment.decide(CancelPayment(at=now), found)
        return workflow_missing(payment_stream(payment_id))

    async def _existing(self, payment_id: str) -> Payment:
        found = await self._ledger.state(payment_stream(payment_id))
        assert isinstance(found, Payment)
        if found.status is PaymentStatus.NONE:
            raise NotFound("payment_not_found", f"payment {payment_id} does not exist", "payment_id")
        return found


def _ref(found: Payment) -> PaymentRef:
    return PaymentRef(payment_id=found.payment_id, accounts=found.accounts)
