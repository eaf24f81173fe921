"""/v1/payments: pay, look, and everything that can follow."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from activities.steps import (
    CancelWish,
    CaptureWish,
    DisputeDecision,
    DisputeWish,
    PaymentOrder,
    RefundWish,
    ReviewWish,
)
from api.bodies import Cancel, Capture, Dispute, DisputeEnd, NewPayment, Refund, Review
from api.call import Call, IfMatch, Operating, Reading, Writing
from api.documented import PAYMENT, reads, writes
from api.problems import Problem
from api.routes.accounts import Cursor, Limit
from api.routes.subject import Subject, wish_of
from api.routes.timeline import TimelineEvent
from api.strict import StrictRoute
from commands.catalogue import COMMANDS
from commands.payments import authorize_key
from domain.model import Id
from domain.streams import payment_stream
from queries.paging import Page
from queries.payment_results import PaymentView
from queries.payments import get_payment, list_payments, list_user_payments
from queries.standing import standing_payment

router = APIRouter(prefix="/v1/payments", tags=["payments"], route_class=StrictRoute)

PAYMENTS = Subject(
    "payment", payment_stream, standing_payment, get_payment, lambda payment: [payment.from_user, payment.to_user]
)
PaymentId = Annotated[Id, Path(examples=["p-1"])]


@router.post("", status_code=201, response_model=PaymentView, responses=writes(201, PAYMENT))
async def create(body: NewPayment, call: Writing) -> Response:
    """Pay. The answer comes once the first durable step is in the log and says where the payment stands:
    `processed` (automatic capture), `authorized` (manual), `in_review`, or `failed` with the reason."""
    payment_id = body.payment_id or call.new_id("pay")

    payments = call.payments

    async def work() -> Response:
        order = PaymentOrder(
            payment_id=payment_id,
            from_account=body.from_account,
            to_account=body.to_account,
            amount=body.money,
            quote=await call.quotes.promised(body.quote_id, call.who.user_id),
            capture=body.capture,
            expires_in_s=body.expires_in_s,
            reference=body.reference,
            description=body.description,
            category=body.category,
            tags=tuple(body.tags),
            metadata=body.metadata,
            actor=call.who.actor,
            trace=call.trace,
        )
        return await PAYMENTS.begin(
            call,
            payment_id,
            order,
            authorize_key(payment_id),
            lambda: payments.check(order),
            lambda: COMMANDS["create_payment"](payments, order),
            201,
        )

    return await call.once(work, body.payment_id, from_log=True)


@router.get("", response_model=Page[PaymentView], responses=reads({"items": [PAYMENT], "next_cursor": None}))
async def list_(call: Reading, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """Payments, the newest first: all that the key may see."""
    mine = call.who.user_id
    return await call.ask(
        list_payments(limit, cursor) if mine is None else list_user_payments(mine, limit, cursor)
    )


@router.get(
    "/{payment_id}",
    response_model=PaymentView,
    responses={**reads(PAYMENT, 404), 304: {"description": "Not changed."}},
)
async def get(payment_id: PaymentId, call: Reading) -> Response:
    """One payment."""
    return await PAYMENTS.show(call, payment_id)


@router.get(
    "/{payment_id}/events",
    response_model=Page[TimelineEvent],
    responses=reads({"items": [], "next_cursor": None}, 404),
)
async def events(payment_id: PaymentId, call: Reading, limit: Limit = 200, cursor: Cursor = None) -> Response:
    """What happened to the payment, event by event, straight from the log."""
    return await PAYMENTS.timeline(call, payment_id, limit, cursor)


@router.post("/{payment_id}/capture", response_model=PaymentView, responses=writes(200, PAYMENT, 412))
async def capture(
    payment_id: PaymentId, call: Writing, body: Capture | None = None, if_match: IfMatch = None
) -> Response:
    """Take all or a part of what is authorised (the seed's "process")."""

    async def command(found: PaymentView) -> object:
        money = body.money(found.currency) if body else None
        wish = CaptureWish(amount=money, **wish_of(call, if_match))
        return await COMMANDS["capture"](call.payments, payment_id, wish)

    return await PAYMENTS.carry_out(call, payment_id, if_match, command)


@router.post(
    "/{payment_id}/cancel",
    response_model=PaymentView,
    responses=writes(200, PAYMENT | {"status": "cancelled"}, 412),
)
async def cancel(
    payment_id: PaymentId, call: Writing, body: Cancel | None = None, if_match: IfMatch = None
) -> Response:
    """Cancel, or give up what is left to capture."""

    async def command(_found: PaymentView) -> object:
        wish = CancelWish(reason=body.reason if body else None, **wish_of(call, if_match))
        return await COMMANDS["cancel_payment"](call.payments, payment_id, wish)

    return await PAYMENTS.carry_out(call, payment_id, if_match, command)


@router.post(
    "/{payment_id}/refunds",
    response_model=PaymentView,
    responses=writes(200, PAYMENT | {"status": "refunded"}, 412),
)
async def refund(
    payment_id: PaymentId, call: Writing, body: Refund | None = None, if_match: IfMatch = None
) -> Response:
    """Give back all or a part of what was captured, from the payee's account."""

    async def command(found: PaymentView) -> object:
        _must_be(call, found.to_user, "refund it")
        money = body.money(found.currency) if body else None
        wish = RefundWish(amount=money, reason=body.reason if body else None, **wish_of(call, if_match))
        return await COMMANDS["refund"](call.payments, payment_id, wish)

    return await PAYMENTS.carry_out(call, payment_id, if_match, command)


@router.post(
    "/{payment_id}/disputes",
    response_model=PaymentView,
    responses=writes(200, PAYMENT | {"status": "disputed"}, 412),
)
async def dispute(payment_id: PaymentId, body: Dispute, call: Writing, if_match: IfMatch = None) -> Response:
    """The payer disputes a processed payment."""

    async def command(found: PaymentView) -> object:
        _must_be(call, found.from_user, "dispute it")
        return await COMMANDS["open_dispute"](
            call.payments, payment_id, DisputeWish(reason=body.reason, **wish_of(call, if_match))
        )

    return await PAYMENTS.carry_out(call, payment_id, if_match, command)


@router.post("/{payment_id}/disputes/resolve", response_model=PaymentView, responses=writes(200, PAYMENT, 412))
async def resolve_dispute(
    payment_id: PaymentId, body: DisputeEnd, call: Operating, if_match: IfMatch = None
) -> Response:
    """An operator decides a dispute: won by the payee, or lost."""

    async def command(_found: PaymentView) -> object:
        decision = DisputeDecision(outcome=body.outcome, note=body.note, **wish_of(call, if_match))
        return await COMMANDS["resolve_dispute"](call.payments, payment_id, decision)

    return await PAYMENTS.carry_out(call, payment_id, if_match, command)


@router.post("/{payment_id}/review", response_model=PaymentView, responses=writes(200, PAYMENT, 412))
async def review(payment_id: PaymentId, body: Review, call: Operating, if_match: IfMatch = None) -> Response:
    """An operator approves or rejects what screening held."""

    async def command(_found: PaymentView) -> object:
        wish = ReviewWish(approve=body.decision == "approve", note=body.note, **wish_of(call, if_match))
        return await COMMANDS["review_payment"](call.payments, payment_id, wish)

    return await PAYMENTS.carry_out(call, payment_id, if_match, command)


def _must_be(call: Call, user_id: str, what: str) -> None:
    """Seeing a payment is not owning both of its ends."""
    if not call.who.sees(user_id):
        raise Problem(403, "not_yours", f"only the other party of the payment may {what}")
