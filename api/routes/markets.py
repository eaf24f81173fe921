"""/v1/instruments, /v1/order-books and /v1/trades: what is traded, at which prices."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from api.call import Call, Operating, Reading
from api.documented import BOOK, INSTRUMENT, TRADE, Items, reads, writes
from api.routes.accounts import Cursor, Limit
from api.strict import StrictRoute
from api.trading_bodies import Halt, NewInstrument
from commands.catalogue import COMMANDS
from commands.trading import InstrumentStep, MarketCommands
from domain.model import Id
from domain.streams import book_stream
from queries.paging import Page
from queries.trading import MAX_DEPTH, list_instruments, list_trades, order_book
from queries.trading_results import OrderBookView, TradeView

router = APIRouter(prefix="/v1", tags=["trading"], route_class=StrictRoute)

Symbol = Annotated[Id, Path(examples=["AAPL"])]


@router.post("/instruments", status_code=201, response_model=InstrumentStep, responses=writes(201, INSTRUMENT))
async def list_instrument(body: NewInstrument, call: Operating) -> Response:
    """An operator lists a share: from now on accounts can be opened in it, and orders placed."""

    async def command(market: MarketCommands) -> InstrumentStep:
        step: InstrumentStep = await COMMANDS["list_instrument"](
            market, body.symbol, body.name, body.money, body.lot
        )
        return step

    return await call.once(lambda: _told(call, body.symbol, command, 201), body.symbol)


@router.post("/instruments/{symbol}/halt", response_model=InstrumentStep, responses=writes(200, INSTRUMENT))
async def halt(symbol: Symbol, call: Operating, body: Halt | None = None) -> Response:
    """An operator halts trading: orders can leave, nothing else."""
    return await _switch(call, symbol, "halt_trading", body)


@router.post("/instruments/{symbol}/resume", response_model=InstrumentStep, responses=writes(200, INSTRUMENT))
async def resume(symbol: Symbol, call: Operating, body: Halt | None = None) -> Response:
    """Trading goes on with the orders that still wait."""
    return await _switch(call, symbol, "resume_trading", body)


@router.get(
    "/order-books", response_model=Items[OrderBookView], responses=reads({"items": [BOOK], "next_cursor": None})
)
async def books(call: Reading) -> Response:
    """Every share there is: its terms, its latest trade, its last 24 hours."""
    return await call.ask_items(list_instruments())


@router.get("/order-books/{symbol}", response_model=OrderBookView, responses=reads(BOOK, 404))
async def book(
    symbol: Symbol,
    call: Reading,
    depth: Annotated[int, Query(ge=1, le=MAX_DEPTH, description="Prices of each side.")] = 10,
) -> Response:
    """The best prices of each side with what waits there, the latest trade, the last 24 hours."""
    return await call.ask(order_book(symbol, depth))


@router.get("/trades", response_model=Page[TradeView], responses=reads({"items": [TRADE], "next_cursor": None}))
async def trades(
    call: Reading,
    symbol: Annotated[Id | None, Query(examples=["AAPL"])] = None,
    user_id: Annotated[Id | None, Query(description="Only this user's.")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Trades, the newest first. A key that is bound to a user does not see who the others are."""
    if not call.who.sees(user_id or call.who.user_id):
        call.not_there(f"user {user_id} does not exist")
    return await call.ask(list_trades(symbol, user_id, call.who.user_id, limit, cursor))


async def _switch(call: Call, symbol: str, name: str, body: Halt | None) -> Response:
    reason = body.reason if body else None

    async def command(market: MarketCommands) -> InstrumentStep:
        step: InstrumentStep = await COMMANDS[name](market, symbol, call.new_id("c"), reason)
        return step

    return await call.once(lambda: _told(call, symbol, command, 200))


async def _told(
    call: Call, symbol: str, command: Callable[[MarketCommands], Awaitable[InstrumentStep]], status: int
) -> Response:
    step = await command(call.market)
    lookups, stream = call.services.lookups, book_stream(symbol)
    [last] = await lookups.stream(stream, await lookups.version(stream) - 1, 1)
    return await call.written(step.model_dump(mode="json"), last, status)
