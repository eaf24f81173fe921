"""/v1/lag, /v1/conservation, /v1/dead-letters: for operators."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from api.call import Operating, OperatorReading, answer
from api.documented import Items, problems, reads
from api.routes.accounts import Cursor, Limit
from api.strict import StrictRoute
from commands.catalogue import COMMANDS
from projections.dead_letters import Retried
from queries.operation_results import Conservation, DeadLetterView, ViewLag
from queries.operations import conservation, dead_letters, lag
from queries.paging import Page

router = APIRouter(prefix="/v1", tags=["operations"], route_class=StrictRoute)

LAG = {
    "view": "payments",
    "build": 4,
    "version": 1,
    "status": "live",
    "position": 120,
    "head_position": 120,
    "unsequenced_events": 0,
    "lag_events": 0,
    "lag_ms": 0.0,
    "dead_letters": 0,
}
CONSERVATION = {
    "currency": "EUR",
    "accounts": "90.00",
    "in_transit": "10.00",
    "in_suspense": "0.00",
    "deposits": "100.00",
    "withdrawals": "0.00",
    "difference": "0.00",
    "holds": True,
}
LETTER = {
    "id": 3,
    "view": "accounts",
    "stream": "account-acc-ann",
    "position": 118,
    "event_id": "0f8fad5b-d9cb-569f-a165-708f0f8fad5b",
    "type": "AccountOpened",
    "status": "parked",
    "error_class": "CheckViolation",
    "error": 'new row for relation "accounts" violates check constraint "readable"',
    "attempts": 5,
    "first_failed_at": "2026-03-01T09:30:00Z",
    "last_failed_at": "2026-03-01T09:30:02Z",
}
RETRIED = {"view": "payments", "stream": "payment-p-1", "done": 2, "waiting": 0, "error": None}

LetterId = Annotated[int, Path(ge=1, le=2**62)]
_ITEMS: dict[str, Any] = {"next_cursor": None}


@router.get("/lag", response_model=Items[ViewLag], responses=reads({"items": [LAG], **_ITEMS}))
async def show_lag(call: OperatorReading) -> Response:
    """How far each view is behind the log. A projector that is dead shows as growing lag."""
    answered = await call.services.reader.ask(lag())
    live = [view for view in answered.value if view.status == "live"]
    headers = {
        "Projection-Position": str(min((view.position for view in live), default=0)),
        "Projection-Lag-Events": str(max((view.lag_events for view in live), default=0)),
    }
    return answer(Items(answered.value), headers=headers)


@router.get(
    "/conservation", response_model=Items[Conservation], responses=reads({"items": [CONSERVATION], **_ITEMS})
)
async def show_conservation(call: OperatorReading) -> Response:
    """Per currency: accounts + in transit + in suspense = deposits − withdrawals."""
    return await call.ask_items(conservation())


@router.get("/dead-letters", response_model=Page[DeadLetterView], responses=reads({"items": [LETTER], **_ITEMS}))
async def list_dead_letters(
    call: OperatorReading,
    view: Annotated[str | None, Query(pattern="^[a-z_]{1,50}$")] = None,
    everything: Annotated[bool, Query(alias="all", description="Also those dealt with.")] = False,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Events that a view could not take in (`parked`), and what waits behind them in their stream (`follower`)."""
    return await call.ask(dead_letters(view, everything, limit, cursor))


@router.post(
    "/dead-letters/{letter_id}/retry",
    response_model=Retried,
    responses={
        200: {"content": {"application/json": {"example": RETRIED}}},
        **problems(400, 401, 403, 404, 413, 415, 422, 429, 503),
    },
)
async def retry_dead_letter(letter_id: LetterId, call: Operating) -> Response:
    """Take the event in after all, then what waits behind it. `waiting` above 0: it failed again, and why."""
    settings = call.services.settings
    url = settings.projector_database_url or settings.database_url

    async def work() -> Response:
        return answer(await COMMANDS["retry_dead_letter"](url, call.services.books.store, letter_id))

    return await call.once(work)
