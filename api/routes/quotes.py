"""/v1/quotes: a rate promised for one exchange; a payment or transfer names it by its id."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from starlette.responses import Response

from api.bodies import NewQuote
from api.call import Reading, Writing, answer
from api.documented import QUOTE, reads, writes
from api.routes.accounts import Cursor, Limit
from api.strict import StrictRoute
from commands.catalogue import COMMANDS
from commands.quotes import QuoteRequest, QuoteStep
from domain.model import Id
from domain.streams import quote_stream
from queries.paging import Page
from queries.quotes import QuoteView, list_quotes

router = APIRouter(prefix="/v1/quotes", tags=["quotes"], route_class=StrictRoute)

QuoteId = Annotated[Id, Path(examples=["q-1"])]


@router.post("", status_code=201, response_model=QuoteView, responses=writes(201, QUOTE))
async def create(body: NewQuote, call: Writing) -> Response:
    """Ask for a rate. It is good for one payment or transfer of exactly this amount, until it expires; a quote of
    a key that is bound to a user, for that user only."""
    request = QuoteRequest(
        quote_id=body.quote_id or call.new_id("q"),
        from_currency=str(body.from_currency),
        to_currency=str(body.to_currency),
        amount=body.money,
        valid_for_s=body.valid_for_s,
        user_id=call.who.user_id,
    )

    async def work() -> Response:
        await COMMANDS["issue_quote"](call.quotes, request)
        quote_id = request.quote_id
        events = await call.services.lookups.stream(quote_stream(quote_id))
        step = await call.quotes.show(quote_id, call.who.user_id)
        return await call.written(view_of(step), events[-1], 201, Location=f"/v1/quotes/{quote_id}")

    return await call.once(work, body.quote_id)


@router.get("", response_model=Page[QuoteView], responses=reads({"items": [QUOTE], "next_cursor": None}))
async def list_(call: Reading, limit: Limit = 50, cursor: Cursor = None) -> Response:
    """Quotes, the newest first: all that the key may see."""
    return await call.ask(list_quotes(call.who.user_id, limit, cursor))


@router.get("/{quote_id}", response_model=QuoteView, responses=reads(QUOTE, 404))
async def get(quote_id: QuoteId, call: Reading) -> Response:
    """A quote, straight from the log."""
    return answer(view_of(await call.quotes.show(quote_id, call.who.user_id)))


def view_of(step: QuoteStep) -> QuoteView:
    return QuoteView(
        quote_id=step.quote_id,
        status=step.status,
        from_currency=step.sells.currency,
        to_currency=step.buys.currency,
        sells=step.sells.amount,
        buys=step.buys.amount,
        rate=step.rate,
        expires_at=step.expires_at,
        used_by=step.used_by,
    )
