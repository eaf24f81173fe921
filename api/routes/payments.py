"""/v1/payments: pay, look, and everything that can follow."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any

from fastapi import APIRouter, Path
from starlette.responses import Response

from activities.ledger import fingerprint
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
from api.call import Call, IfMatch, Operating, Reading, Writing, answer, must_match
from api.documented import PAYMENT, reads, writes
from api.idempotency import REPLAYED
from api.problems import Problem
from api.routes.accounts import Cursor, Limit
from api.routes.timeline import TimelineEvent, timeline
from api.strict import StrictRoute
from commands.catalogue import COMMANDS
from commands.payments import authorize_key
from domain.errors import NotFound
from domain.model import Id
from domain.streams import payment_stream
from eventstore.events import RecordedEvent
from queries.paging import Page
from queries.payments import get_payment, list_payments, list_user_payments
from queries.results import PaymentView
from queries.standing import standing_payment

router = APIRouter(prefix="/v1/payments", tags=["payments"], route_class=StrictRoute)

PaymentId = Annotated[Id, Path(examples=["p-1"])]


@router.post("", status_code=201, response_model=PaymentView, responses=writes(201, PAYMENT))
async def create(body: NewPayment, call: Writing) -> Response:
    """Pay. The answer comes once the first durable step is in the log and says where the payment stands:
    `authorized` or `processed`, `in_review`, or `failed` with the reason. What follows goes on meanwhile."""
    payment_id = body.payment_id or call.new_id("pay")
    order = PaymentOrder(
        payment_id=payment_id,
        from_account=body.from_account,
        to_account=body.to_account,
        amount=body.money,
        capture=body.capture,
        expires_in_s=body.expires_in_s,
        reference=body.reference,
        description=body.description,
        tags=tuple(body.tags),
        metadata=body.metadata,
        actor=call.who.actor,
        trace=call.trace,
    )

    async def work() -> Response:
        await call.must_own(order.from_account, "from_account")
        payments = call.payments
        new = await call.services.first_step.taken(
            payment_stream(payment_id),
            authorize_key(payment_id),
            fingerprint(order),
            lambda: payments.check(order),
            lambda: COMMANDS["create_payment"](payments, order),
        )
        repeated = {} if new else {REPLAYED: "true"}
        return await _written(call, payment_id, 201, Location=f"/v1/payments/{payment_id}", **repeated)

    return await call.once(work, body.payment_id)


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
    return await call.ask(
        get_payment(payment_id),
        seen_by=lambda payment: [payment.from_user, payment.to_user],
        missing=f"payment {payment_id} does not exist",
        etag=True,
    )


@router.get(
    "/{payment_id}/events",
    response_model=Page[TimelineEvent],
    responses=reads({"items": [], "next_cursor": None}, 404),
)
async def events(payment_id: PaymentId, call: Reading, limit: Limit = 200, cursor: Cursor = None) -> Response:
    """What happened to the payment, event by event, straight from the log."""
    await _existing(call, payment_id)
    return answer(await timeline(call.services.lookups, payment_stream(payment_id), limit, cursor))


@router.post("/{payment_id}/capture", response_model=PaymentView, responses=writes(200, PAYMENT, 412))
async def capture(
    payment_id: PaymentId, call: Writing, body: Capture | None = None, if_match: IfMatch = None
) -> Response:
    """Take all or a part of what is authorised (the seed's "process")."""

    async def command(found: PaymentView) -> object:
        money = body.money(found.currency) if body else None
        wish = CaptureWish(amount=money, **_wish(call))
        return await COMMANDS["capture"](call.payments, payment_id, wish)

    return await _do(call, payment_id, if_match, command)


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
        wish = CancelWish(reason=body.reason if body else None, **_wish(call))
        return await COMMANDS["cancel_payment"](call.payments, payment_id, wish)

    return await _do(call, payment_id, if_match, command)


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
        wish = RefundWish(amount=money, reason=body.reason if body else None, **_wish(call))
        return await COMMANDS["refund"](call.payments, payment_id, wish)

    return await _do(call, payment_id, if_match, command)


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
            call.payments, payment_id, DisputeWish(reason=body.reason, **_wish(call))
        )

    return await _do(call, payment_id, if_match, command)


@router.post("/{payment_id}/disputes/resolve", response_model=PaymentView, responses=writes(200, PAYMENT, 412))
async def resolve_dispute(
    payment_id: PaymentId, body: DisputeEnd, call: Operating, if_match: IfMatch = None
) -> Response:
    """An operator decides a dispute: won by the payee, or lost."""

    async def command(_found: PaymentView) -> object:
        decision = DisputeDecision(outcome=body.outcome, note=body.note, **_wish(call))
        return await COMMANDS["resolve_dispute"](call.payments, payment_id, decision)

    return await _do(call, payment_id, if_match, command)


@router.post("/{payment_id}/review", response_model=PaymentView, responses=writes(200, PAYMENT, 412))
async def review(payment_id: PaymentId, body: Review, call: Operating, if_match: IfMatch = None) -> Response:
    """An operator approves or rejects what screening held."""

    async def command(_found: PaymentView) -> object:
        wish = ReviewWish(approve=body.decision == "approve", note=body.note, **_wish(call))
        return await COMMANDS["review_payment"](call.payments, payment_id, wish)

    return await _do(call, payment_id, if_match, command)


async def _do(
    call: Call, payment_id: str, if_match: str | None, command: Callable[[PaymentView], Awaitable[object]]
) -> Response:
    """One wish about a payment that the caller may see, at the version asked for if one was."""

    async def work() -> Response:
        found = await _existing(call, payment_id)
        must_match(if_match, found.version)
        await command(found)
        return await _written(call, payment_id, 200)

    return await call.once(work)


def _wish(call: Call) -> dict[str, Any]:
    return {"wish_id": call.new_id("c"), "actor": call.who.actor, "trace": call.trace}


def _must_be(call: Call, user_id: str, what: str) -> None:
    """Seeing a payment is not owning both of its ends."""
    if not call.who.sees(user_id):
        raise Problem(403, "not_yours", f"only the other party of the payment may {what}")


async def _events(call: Call, payment_id: str) -> list[RecordedEvent]:
    found = await call.services.lookups.stream(payment_stream(payment_id))
    if not found:
        raise NotFound("payment_not_found", f"payment {payment_id} does not exist", "payment_id")
    return found


async def _existing(call: Call, payment_id: str) -> PaymentView:
    """As the log has it. Raises NotFound also where it is not the caller's to see."""
    found = standing_payment(await _events(call, payment_id))
    if not call.who.sees(found.from_user, found.to_user):
        raise NotFound("payment_not_found", f"payment {payment_id} does not exist", "payment_id")
    return found


async def _written(call: Call, payment_id: str, status: int, **headers: str) -> Response:
    found = await _events(call, payment_id)
    return await call.written(standing_payment(found), found[-1], status, **headers)
