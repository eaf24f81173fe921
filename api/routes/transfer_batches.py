"""/v1/transfer-batches: many transfers as one; their progress, each item's outcome; pause, resume and cancel."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from activities.steps import CancelWish, PauseWish, ResumeWish
from api.batch_body import BatchId, Sent, received
from api.bodies import Cancel
from api.call import Call, IfMatch, Reading, Writing, must_match
from api.documented import BATCH, BATCH_ITEM, reads, writes
from api.idempotency import REPLAYED
from api.routes.accounts import Cursor, Limit
from api.strict import StrictRoute
from commands.catalogue import COMMANDS
from commands.transfer_batches import BatchTerms
from domain.account import Account
from domain.batch import MAX_ITEMS
from domain.errors import NotFound
from domain.streams import account_stream, batch_stream
from eventstore.events import RecordedEvent
from queries.batches import get_batch, list_batch_items, list_batches
from queries.paging import Page
from queries.results import BatchItemView, BatchView
from queries.standing import standing_batch

router = APIRouter(prefix="/v1/transfer-batches", tags=["transfer batches"], route_class=StrictRoute)

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
            return await _written(call, batch_id, 202, Location=f"/v1/transfer-batches/{batch_id}", **repeated)

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
    return await call.ask(
        get_batch(batch_id),
        seen_by=lambda batch: [batch.user_id],
        missing=f"batch {batch_id} does not exist",
        etag=True,
    )


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
    await _existing(call, batch_id)
    return await call.ask(list_batch_items(batch_id, status, limit, cursor))


@router.post(
    "/{batch_id}/pause", response_model=BatchView, responses=writes(200, BATCH | {"status": "paused"}, 412)
)
async def pause(batch_id: Id, call: Writing, body: Cancel | None = None, if_match: IfMatch = None) -> Response:
    """Settle nothing more until it is resumed; what is under way goes on for a second at most."""
    wish = PauseWish(reason=body.reason if body else None, **_wish(call))
    return await _do(call, batch_id, if_match, lambda: COMMANDS["pause_batch"](call.batches, batch_id, wish))


@router.post("/{batch_id}/resume", response_model=BatchView, responses=writes(200, BATCH, 412))
async def resume(batch_id: Id, call: Writing, if_match: IfMatch = None) -> Response:
    """Go on with a paused batch."""
    wish = ResumeWish(**_wish(call))
    return await _do(call, batch_id, if_match, lambda: COMMANDS["resume_batch"](call.batches, batch_id, wish))


@router.post(
    "/{batch_id}/cancel", response_model=BatchView, responses=writes(200, BATCH | {"status": "cancelled"}, 412)
)
async def cancel(batch_id: Id, call: Writing, body: Cancel | None = None, if_match: IfMatch = None) -> Response:
    """Carry out nothing more, and say what that achieved: what is settled stays; an atomic batch is undone."""
    wish = CancelWish(reason=body.reason if body else None, **_wish(call))
    return await _do(call, batch_id, if_match, lambda: COMMANDS["cancel_batch"](call.batches, batch_id, wish))


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


async def _do(
    call: Call, batch_id: str, if_match: str | None, command: Callable[[], Awaitable[object]]
) -> Response:
    async def work() -> Response:
        found = await _existing(call, batch_id)
        must_match(if_match, found.version)
        await command()
        return await _written(call, batch_id, 200)

    return await call.once(work)


def _wish(call: Call) -> dict[str, Any]:
    return {"wish_id": call.new_id("c"), "actor": call.who.actor, "trace": call.trace}


async def _events(call: Call, batch_id: str) -> list[RecordedEvent]:
    found = await call.services.lookups.stream(batch_stream(batch_id))
    if not found:
        raise NotFound("batch_not_found", f"batch {batch_id} does not exist", "batch_id")
    return found


async def _existing(call: Call, batch_id: str) -> BatchView:
    """As the log has it. Raises NotFound also where it is not the caller's to see."""
    found = standing_batch(await _events(call, batch_id))
    if not call.who.sees(found.user_id):
        raise NotFound("batch_not_found", f"batch {batch_id} does not exist", "batch_id")
    return found


async def _written(call: Call, batch_id: str, status: int, **headers: str) -> Response:
    found = await _events(call, batch_id)
    return await call.written(standing_batch(found), found[-1], status, **headers)
