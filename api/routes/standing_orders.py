"""/v1/standing-orders: transfers by a timetable, or once at a later time."""

from __future__ import annotations

from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from activities.standing_order_steps import (
    AmendStandingOrderWish,
    CancelStandingOrderWish,
    PauseOrderWish,
    ResumeOrderWish,
    SkipRunWish,
    StandingOrderRequest,
)
from api.call import IfMatch, Reading, Writing
from api.documented import reads, writes
from api.routes.accounts import Cursor, Limit
from api.routes.subject import Subject, wish_of
from api.routes.timeline import TimelineEvent
from api.standing_order_bodies import AmendStanding, NewStandingOrder, Reason, SkipOne
from api.strict import StrictRoute
from commands.catalogue import COMMANDS
from domain.money import Money
from domain.standing_order_messages import StandingOrderId
from domain.streams import standing_order_stream
from queries.paging import Page
from queries.standing import standing_standing_order
from queries.standing_orders import (
    StandingOrderRun,
    StandingOrderView,
    get_standing_order,
    list_runs,
    list_standing_orders,
)

router = APIRouter(prefix="/v1/standing-orders", tags=["standing orders"], route_class=StrictRoute)

STANDING_ORDERS = Subject(
    "standing_order",
    standing_order_stream,
    standing_standing_order,
    get_standing_order,
    lambda order: [order.user_id],
)
OrderId = Annotated[StandingOrderId, Path(examples=["rent"])]
Status = Literal["active", "paused", "ended", "cancelled"]

STANDING_ORDER: Final[dict[str, Any]] = {
    "standing_order_id": "rent",
    "user_id": "ann",
    "status": "active",
    "from_account": "acc-ann",
    "to_account": "acc-bob",
    "amount": "850.00",
    "currency": "EUR",
    "frequency": "monthly",
    "first_at": "2026-03-31T06:00:00Z",
    "time_zone": "Europe/Berlin",
    "every_s": None,
    "day_of_month": 31,
    "end_at": None,
    "missed_runs": "catch_up",
    "reference": "flat 3b",
    "purpose": None,
    "category": "home",
    "tags": ["rent"],
    "metadata": {},
    "next_at": "2026-04-30T06:00:00Z",
    "last_at": "2026-03-31T06:00:00Z",
    "last_outcome": "made",
    "last_transfer": "rent-20260331T060000Z",
    "made": 1,
    "failed": 0,
    "missed": 0,
    "skipped": 0,
    "reason": None,
    "created_at": "2026-03-01T09:33:00Z",
    "updated_at": "2026-03-31T06:00:00Z",
    "version": 2,
}
RUN: Final[dict[str, Any]] = {
    "run_at": "2026-03-31T06:00:00Z",
    "outcome": "made",
    "transfer_id": "rent-20260331T060000Z",
    "transfer_status": "completed",
    "code": None,
    "reason": None,
    "recorded_at": "2026-03-31T06:00:00Z",
}


@router.post("", status_code=201, response_model=StandingOrderView, responses=writes(201, STANDING_ORDER))
async def create(body: NewStandingOrder, call: Writing) -> Response:
    """Transfer by a timetable: once at a later time, at a fixed distance, or daily, weekly, monthly, quarterly,
    yearly by the clock of a time zone. Each run is a transfer of its own, named after its time."""
    order_id = body.standing_order_id or call.new_id("so")

    async def work() -> Response:
        await call.must_own(body.from_account, "from_account")
        request = StandingOrderRequest(
            standing_order_id=order_id,
            instruction=body.instruction,
            timetable=body.timetable,
            missed_runs=body.missed_runs,
            actor=call.who.actor,
            trace=call.trace,
        )
        await COMMANDS["create_standing_order"](call.standing_orders, request)
        [created, *_] = await call.services.lookups.stream(standing_order_stream(order_id))
        view = standing_standing_order([created])
        return await call.written(view, created, 201, Location=f"/v1/standing-orders/{order_id}")

    return await call.once(work, body.standing_order_id)


@router.get(
    "", response_model=Page[StandingOrderView], responses=reads({"items": [STANDING_ORDER], "next_cursor": None})
)
async def list_(
    call: Reading,
    status: Annotated[Status | None, Query()] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Standing orders, the newest first: all that the key may see."""
    return await call.ask(list_standing_orders(call.who.user_id, status, limit, cursor))


@router.get(
    "/{standing_order_id}",
    response_model=StandingOrderView,
    responses={**reads(STANDING_ORDER, 404), 304: {"description": "Not changed."}},
)
async def get(standing_order_id: OrderId, call: Reading) -> Response:
    """A standing order: its next run, its last one, and how many were made, refused, missed and skipped."""
    return await STANDING_ORDERS.show(call, standing_order_id)


@router.get(
    "/{standing_order_id}/runs",
    response_model=Page[StandingOrderRun],
    responses=reads({"items": [RUN], "next_cursor": None}, 404),
)
async def runs(standing_order_id: OrderId, call: Reading, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """Its runs, the latest first, each with how its transfer stands."""
    await STANDING_ORDERS.existing(call, standing_order_id)
    return await call.ask(list_runs(standing_order_id, limit, cursor))


@router.get(
    "/{standing_order_id}/events",
    response_model=Page[TimelineEvent],
    responses=reads({"items": [], "next_cursor": None}, 404),
)
async def events(standing_order_id: OrderId, call: Reading, limit: Limit = 200, cursor: Cursor = None) -> Response:
    """What happened to the standing order, event by event, straight from the log."""
    return await STANDING_ORDERS.timeline(call, standing_order_id, limit, cursor)


@router.post(
    "/{standing_order_id}/pause",
    response_model=StandingOrderView,
    responses=writes(200, STANDING_ORDER | {"status": "paused", "next_at": None}, 412),
)
async def pause(
    standing_order_id: OrderId, call: Writing, body: Reason | None = None, if_match: IfMatch = None
) -> Response:
    """No run until it is resumed."""

    async def command(_found: StandingOrderView) -> object:
        wish = PauseOrderWish(reason=body.reason if body else None, **wish_of(call, if_match))
        return await COMMANDS["pause_standing_order"](call.standing_orders, standing_order_id, wish)

    return await STANDING_ORDERS.carry_out(call, standing_order_id, if_match, command)


@router.post(
    "/{standing_order_id}/resume", response_model=StandingOrderView, responses=writes(200, STANDING_ORDER, 412)
)
async def resume(standing_order_id: OrderId, call: Writing, if_match: IfMatch = None) -> Response:
    """On with the next run from now on; what came due meanwhile is passed over."""

    async def command(_found: StandingOrderView) -> object:
        wish = ResumeOrderWish(**wish_of(call, if_match))
        return await COMMANDS["resume_standing_order"](call.standing_orders, standing_order_id, wish)

    return await STANDING_ORDERS.carry_out(call, standing_order_id, if_match, command)


@router.post(
    "/{standing_order_id}/amend",
    response_model=StandingOrderView,
    responses=writes(200, STANDING_ORDER | {"amount": "900.00"}, 412),
)
async def amend(
    standing_order_id: OrderId, body: AmendStanding, call: Writing, if_match: IfMatch = None
) -> Response:
    """Another amount, reference, purpose or end, for the runs to come; what is left out stays. Transfers that were
    made stay as they are. An end before the next run ends the standing order."""

    async def command(found: StandingOrderView) -> object:
        amount = None if body.amount is None else Money.parse(body.amount, found.currency)
        terms = {"reference": body.reference, "purpose": body.purpose, "end_at": body.end_at}
        wish = AmendStandingOrderWish(amount=amount, **terms, **wish_of(call, if_match))
        return await COMMANDS["amend_standing_order"](call.standing_orders, standing_order_id, wish)

    return await STANDING_ORDERS.carry_out(call, standing_order_id, if_match, command)


@router.post(
    "/{standing_order_id}/skip",
    response_model=StandingOrderView,
    responses=writes(200, STANDING_ORDER | {"skipped": 1, "last_outcome": "skipped"}, 412),
)
async def skip(
    standing_order_id: OrderId, call: Writing, body: SkipOne | None = None, if_match: IfMatch = None
) -> Response:
    """Leave out the next run."""
    given = body or SkipOne()

    async def command(_found: StandingOrderView) -> object:
        wish = SkipRunWish(run_at=given.run_at, reason=given.reason, **wish_of(call, if_match))
        return await COMMANDS["skip_run"](call.standing_orders, standing_order_id, wish)

    return await STANDING_ORDERS.carry_out(call, standing_order_id, if_match, command)


@router.post(
    "/{standing_order_id}/cancel",
    response_model=StandingOrderView,
    responses=writes(200, STANDING_ORDER | {"status": "cancelled", "next_at": None}, 412),
)
async def cancel(
    standing_order_id: OrderId, call: Writing, body: Reason | None = None, if_match: IfMatch = None
) -> Response:
    """No run more. A transfer that a run has started goes on: cancel it by itself."""

    async def command(_found: StandingOrderView) -> object:
        wish = CancelStandingOrderWish(reason=body.reason if body else None, **wish_of(call, if_match))
        return await COMMANDS["cancel_standing_order"](call.standing_orders, standing_order_id, wish)

    return await STANDING_ORDERS.carry_out(call, standing_order_id, if_match, command)
