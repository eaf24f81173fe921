"""/v1/transfer-batches: many transfers as one; their progress, each item's outcome; pause, resume and cancel."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from activities.steps import CancelWish, PauseWish, ResumeWish
from api.batch_body import BatchId, Sent, received
from api.bodies import Cancel
from api.call import Call, IfMatch, Reading, Writing
from api.documented import BATCH, BATCH_ITEM, reads, writes
from api.idempotency import REPLAYED
from api.routes.accounts import Cursor, Limit
from api.routes.subject import Subject, wish_of
from api.strict import StrictRoute
from commands.catalogue import COMMANDS
from commands.transfer_batches import BatchTerms
from domain.account import Account
from domain.batch import MAX_ITEMS
from domain.errors import NotFound
from domain.streams import account_stream, batch_stream
from queries.batches import get_batch, list_batch_items, list_batches
from queries.paging import Page
from queries.standing import standing_batch
from queries.transfer_results import BatchItemView, BatchView

router = APIRouter(prefix="/v1/transfer-batches", tags=["transfer batches"], route_class=StrictRoute)

BATCHES = Subject("batch", batch_stream, standing_batch, get_batch, lambda batch: [batch.user_id])
Id = Annotated[BatchId, Path(examples=["payroll-11"])]
Status = Literal[
    "running", "paused", "releasing", "compensating", "completed", "cancelled", "compensated", "stuck"
]
ItemStatus = Literal["pending", "held", "completed", "rejected", "started", "cancelled", "compensated", "stuck"]
BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/NewBatchDocument"}},
            "application/x-ndjson": {
                "schema": {"type": "string", "description": "One item a line."},
                "example": '{"from_account": "acme", "to_account": "ann", "amount": "1.00", "currency": "EUR"}\n',
            },
        },
    }
}
"""The route reads it itself, as it comes."""

_AT_ONCE: Final = 500


@router.post(
    "",
    status_code=202,
    response_model=BatchView,
    responses=writes(202, BATCH | {"status": "running", "settled": 0, "outcomes": [], "finished_at": None}),
    openapi_extra=BODY,
)
async def create(
    call: Writing,
    _batch_id: Annotated[BatchId | None, Query(alias="batch_id", description="With NDJSON.")] = None,
    _atomic: Annotated[bool, Query(alias="atomic", description="With NDJSON.")] = False,
    _reference: Annotated[str | None, Query(alias="reference", description="With NDJSON.")] = None,
) -> Response:
    """Take in many transfers at once. The answer comes when all of them are on disk; each gets its own outcome
    from then on, in the order sent. A body that cannot be read is refused whole, with the number of the item."""
    async with received(call.request, call.services.api.max_batch_document_bytes) as sent:
        batch_id = sent.head.batch_id or call.new_id("b")
        terms = BatchTerms(
            batch_id=batch_id, user_id=call.who.user_id, atomic=sent.head.atomic, reference=sent.head.reference
        )

        async def work() -> Response:
            await _must_own_sources(call, sent)
            taken = await COMMANDS["create_batch"](call.batches, terms, sent.items(), call.who.actor, call.trace)
            repeated = {} if taken.new else {REPLAYED: "true"}
            headers = {"Location": f"/v1/transfer-batches/{batch_id}", **repeated}
            return await BATCHES.written(call, batch_id, 202, **headers)

        return await call.once(work, sent.head.batch_id, content=sent.fingerprint)


@router.get("", response_model=Page[BatchView], responses=reads({"items": [BATCH], "next_cursor": None}))
async def list_(
    call: Reading,
    status: Annotated[list[Status] | None, Query()] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Batches, the newest first: all that the key may see, in any of these statuses."""
    return await call.ask(list_batches(status, call.who.user_id, limit, cursor))


@router.get(
    "/{batch_id}",
    response_model=BatchView,
    responses={**reads(BATCH, 404), 304: {"description": "Not changed."}},
)
async def get(batch_id: Id, call: Reading) -> Response:
    """One batch: how far it has come, and its outcomes by status and currency."""
    return await BATCHES.show(call, batch_id)


@router.get(
    "/{batch_id}/items",
    response_model=Page[BatchItemView],
    responses=reads({"items": [BATCH_ITEM], "next_cursor": None}, 404),
)
async def items(
    batch_id: Id,
    call: Reading,
    status: Annotated[list[ItemStatus] | None, Query()] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """What became of each item, in the order sent; those in any of these statuses."""
    await BATCHES.existing(call, batch_id)
    return await call.ask(list_batch_items(batch_id, status, limit, cursor))


@router.post(
    "/{batch_id}/pause", response_model=BatchView, responses=writes(200, BATCH | {"status": "paused"}, 412)
)
async def pause(batch_id: Id, call: Writing, body: Cancel | None = None, if_match: IfMatch = None) -> Response:
    """Settle nothing more until it is resumed; what is under way goes on for a second at most."""

    async def command(_found: BatchView) -> object:
        wish = PauseWish(reason=body.reason if body else None, **wish_of(call, if_match))
        return await COMMANDS["pause_batch"](call.batches, batch_id, wish)

    return await BATCHES.carry_out(call, batch_id, if_match, command)


@router.post("/{batch_id}/resume", response_model=BatchView, responses=writes(200, BATCH, 412))
async def resume(batch_id: Id, call: Writing, if_match: IfMatch = None) -> Response:
    """Go on with a paused batch."""

    async def command(_found: BatchView) -> object:
        wish = ResumeWish(**wish_of(call, if_match))
        return await COMMANDS["resume_batch"](call.batches, batch_id, wish)

    return await BATCHES.carry_out(call, batch_id, if_match, command)


@router.post(
    "/{batch_id}/cancel", response_model=BatchView, responses=writes(200, BATCH | {"status": "cancelled"}, 412)
)
async def cancel(batch_id: Id, call: Writing, body: Cancel | None = None, if_match: IfMatch = None) -> Response:
    """Carry out nothing more, and say what that achieved: what is settled stays; an atomic batch is undone."""

    async def command(_found: BatchView) -> object:
        wish = CancelWish(reason=body.reason if body else None, **wish_of(call, if_match))
        return await COMMANDS["cancel_batch"](call.batches, batch_id, wish)

    return await BATCHES.carry_out(call, batch_id, if_match, command)


async def _must_own_sources(call: Call, sent: Sent) -> None:
    """A key that is bound to a user moves this user's money only."""
    if call.who.user_id is None:
        return
    first_of: dict[str, int] = {}
    for item in sent.items():
        if item.item > MAX_ITEMS:
            break  # too many: taking it in says so
        first_of.setdefault(item.from_account, item.item)
    sources = list(first_of)
    for start in range(0, len(sources), _AT_ONCE):
        some = sources[start : start + _AT_ONCE]
        states = await call.services.books.ledger.states([account_stream(account) for account in some])
        for account, state in zip(some, states.values(), strict=True):
            assert isinstance(state, Account)
            if state.user_id != call.who.user_id:
                number = first_of[account]
                raise NotFound(
                    "account_not_found",
                    f"item {number}: account {account} does not exist",
                    f"items[{number}].from_account",
                )
