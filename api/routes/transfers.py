"""/v1/transfers: start a saga, look at it, cancel it, and an operator's ways out."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from activities.steps import CancelWish, ResolveWish, ReviewWish, TransferOrder
from api.bodies import Cancel, NewTransfer, Resolve, Review
from api.call import IfMatch, Operating, Reading, Writing
from api.documented import TRANSFER, reads, writes
from api.problems import Problem
from api.routes.accounts import Cursor, Limit
from api.routes.subject import Subject, wish_of
from api.routes.timeline import TimelineEvent
from api.strict import StrictRoute
from commands.catalogue import COMMANDS
from commands.transfers import reserve_key
from domain.model import Id
from domain.streams import transfer_stream
from queries.paging import Page
from queries.standing import standing_transfer
from queries.transfer_results import TransferView
from queries.transfers import get_transfer, list_transfers

router = APIRouter(prefix="/v1/transfers", tags=["transfers"], route_class=StrictRoute)

TRANSFERS = Subject(
    "transfer",
    transfer_stream,
    standing_transfer,
    get_transfer,
    lambda transfer: [transfer.from_user, transfer.to_user],
)
TransferId = Annotated[Id, Path(examples=["t-1"])]
Status = Literal[
    "initiated",
    "in_review",
    "reserved",
    "in_transit",
    "compensating",
    "stuck",
    "completed",
    "compensated",
    "rejected",
    "cancelled",
]


@router.post(
    "", status_code=202, response_model=TransferView, responses=writes(202, TRANSFER | {"status": "reserved"})
)
async def create(body: NewTransfer, call: Writing) -> Response:
    """Move money between accounts. The answer comes once the source is reserved, or the transfer is held for
    review or rejected; the saga goes on from there. Look at it with GET."""
    transfer_id = body.transfer_id or call.new_id("tr")

    transfers = call.transfers

    async def work() -> Response:
        order = TransferOrder(
            transfer_id=transfer_id,
            from_account=body.from_account,
            to_account=body.to_account,
            amount=body.money,
            quote=await call.quotes.promised(body.quote_id, call.who.user_id),
            reference=body.reference,
            purpose=body.purpose,
            category=body.category,
            tags=tuple(body.tags),
            metadata=body.metadata,
            actor=call.who.actor,
            trace=call.trace,
        )
        return await TRANSFERS.begin(
            call,
            transfer_id,
            order,
            reserve_key(transfer_id),
            lambda: transfers.check(order),
            lambda: COMMANDS["create_transfer"](transfers, order),
            202,
        )

    return await call.once(work, body.transfer_id, from_log=True)


@router.get("", response_model=Page[TransferView], responses=reads({"items": [TRANSFER], "next_cursor": None}))
async def list_(
    call: Reading,
    status: Annotated[list[Status] | None, Query()] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Transfers, the newest first: all that the key may see, in any of these statuses."""
    return await call.ask(list_transfers(status, call.who.user_id, limit, cursor))


@router.get(
    "/{transfer_id}",
    response_model=TransferView,
    responses={**reads(TRANSFER, 404), 304: {"description": "Not changed."}},
)
async def get(transfer_id: TransferId, call: Reading) -> Response:
    """One transfer, with the time line of its legs."""
    return await TRANSFERS.show(call, transfer_id)


@router.get(
    "/{transfer_id}/events",
    response_model=Page[TimelineEvent],
    responses=reads({"items": [], "next_cursor": None}, 404),
)
async def events(transfer_id: TransferId, call: Reading, limit: Limit = 200, cursor: Cursor = None) -> Response:
    """What happened to the transfer, event by event, straight from the log."""
    return await TRANSFERS.timeline(call, transfer_id, limit, cursor)


@router.post(
    "/{transfer_id}/cancel",
    response_model=TransferView,
    responses=writes(200, TRANSFER | {"status": "compensated"}, 412),
)
async def cancel(
    transfer_id: TransferId, call: Writing, body: Cancel | None = None, if_match: IfMatch = None
) -> Response:
    """Cancel, and say what that achieved: cancelled or compensated; 409 past the point of no return."""

    async def command(found: TransferView) -> object:
        if not call.who.sees(found.from_user):
            raise Problem(403, "not_yours", "only the sender may cancel it")
        wish = CancelWish(reason=body.reason if body else None, **wish_of(call, if_match))
        return await COMMANDS["cancel_transfer"](call.transfers, transfer_id, wish)

    return await TRANSFERS.carry_out(call, transfer_id, if_match, command)


@router.post("/{transfer_id}/review", response_model=TransferView, responses=writes(200, TRANSFER, 412))
async def review(transfer_id: TransferId, body: Review, call: Operating, if_match: IfMatch = None) -> Response:
    """An operator approves or rejects what screening held."""

    async def command(_found: TransferView) -> object:
        wish = ReviewWish(approve=body.decision == "approve", note=body.note, **wish_of(call, if_match))
        return await COMMANDS["review_transfer"](call.transfers, transfer_id, wish)

    return await TRANSFERS.carry_out(call, transfer_id, if_match, command)


@router.post("/{transfer_id}/resolve", response_model=TransferView, responses=writes(200, TRANSFER, 412))
async def resolve(transfer_id: TransferId, body: Resolve, call: Operating, if_match: IfMatch = None) -> Response:
    """An operator's way out for a stuck transfer."""

    async def command(_found: TransferView) -> object:
        wish = ResolveWish(
            action=body.action, to_account=body.to_account, note=body.note, **wish_of(call, if_match)
        )
        return await COMMANDS["resolve_transfer"](call.transfers, transfer_id, wish)

    return await TRANSFERS.carry_out(call, transfer_id, if_match, command)
