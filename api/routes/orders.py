"""/v1/orders: place, look, amend, cancel."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from activities.trading import place_key
from activities.trading_steps import AmendOrderWish, CancelOrderWish, TradingOrder
from api.call import Call, IfMatch, Reading, Writing
from api.documented import ORDER, reads, writes
from api.routes.accounts import Cursor, Limit
from api.routes.subject import Subject, wish_of
from api.routes.timeline import TimelineEvent
from api.strict import StrictRoute
from api.trading_bodies import Amendment, NewOrder, OrderCancel, price_in
from commands.catalogue import COMMANDS
from domain.book import OrderBook
from domain.errors import InvalidInput
from domain.model import Id
from domain.streams import book_stream, order_stream
from queries.paging import Page
from queries.standing import standing_order
from queries.trading import get_order, list_orders, trading_accounts
from queries.trading_results import OrderView

router = APIRouter(prefix="/v1/orders", tags=["trading"], route_class=StrictRoute)

ORDERS = Subject("order", order_stream, standing_order, get_order, lambda order: [order.user_id])
OrderId = Annotated[Id, Path(examples=["o-1"])]
Symbol = Annotated[Id | None, Query(examples=["AAPL"])]


@router.post("", status_code=201, response_model=OrderView, responses=writes(201, ORDER))
async def create(body: NewOrder, call: Writing) -> Response:
    """Place an order. The answer comes once it is covered and matched: `accepted` (it waits, or what it took is
    about to be settled), `cancelled` (nothing was to be had at once), or `rejected` with the reason."""
    orders = call.orders

    async def work() -> Response:
        book = await _book(call, body.symbol)
        order = await _order(call, body, book)
        return await ORDERS.begin(
            call,
            order.order_id,
            order,
            place_key(order.order_id),
            lambda: orders.check(order),
            lambda: COMMANDS["place_order"](orders, order),
            201,
        )

    return await call.once(work, body.order_id)


@router.get("", response_model=Page[OrderView], responses=reads({"items": [ORDER], "next_cursor": None}))
async def list_(
    call: Reading,
    symbol: Symbol = None,
    only_open: Annotated[bool, Query(alias="open", description="Only those that may still trade.")] = False,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Orders, the newest first: all that the key may see."""
    return await call.ask(list_orders(call.who.user_id, symbol, only_open, limit, cursor))


@router.get(
    "/{order_id}",
    response_model=OrderView,
    responses={**reads(ORDER, 404), 304: {"description": "Not changed."}},
)
async def get(order_id: OrderId, call: Reading) -> Response:
    """One order."""
    return await ORDERS.show(call, order_id)


@router.get(
    "/{order_id}/events",
    response_model=Page[TimelineEvent],
    responses=reads({"items": [], "next_cursor": None}, 404),
)
async def events(order_id: OrderId, call: Reading, limit: Limit = 200, cursor: Cursor = None) -> Response:
    """What happened to the order, event by event, straight from the log."""
    return await ORDERS.timeline(call, order_id, limit, cursor)


@router.post("/{order_id}/amend", response_model=OrderView, responses=writes(200, ORDER, 412))
async def amend(order_id: OrderId, body: Amendment, call: Writing, if_match: IfMatch = None) -> Response:
    """Another quantity or price of what waits. For less at the same price it keeps its place in the line."""

    async def command(found: OrderView) -> object:
        price = None if body.price is None else price_in(await _book(call, found.symbol), body.price)
        wish = AmendOrderWish(quantity=body.quantity, price=price, **wish_of(call, if_match))
        return await COMMANDS["amend_order"](call.orders, order_id, wish)

    return await ORDERS.carry_out(call, order_id, if_match, command)


@router.post(
    "/{order_id}/cancel",
    response_model=OrderView,
    responses=writes(200, ORDER | {"status": "cancelled", "cancelled": 100, "leaves": 0}, 412),
)
async def cancel(
    order_id: OrderId, call: Writing, body: OrderCancel | None = None, if_match: IfMatch = None
) -> Response:
    """Take out of the book what waits there; 409 where nothing does any more."""

    async def command(_found: OrderView) -> object:
        given = {} if body is None or body.reason is None else {"reason": body.reason}
        wish = CancelOrderWish(**given, **wish_of(call, if_match))
        return await COMMANDS["cancel_order"](call.orders, order_id, wish)

    return await ORDERS.carry_out(call, order_id, if_match, command)


async def _book(call: Call, symbol: str) -> OrderBook:
    book = await call.services.books.ledger.state(book_stream(symbol))
    assert isinstance(book, OrderBook)
    book.must_be_listed(symbol)
    return book


async def _order(call: Call, body: NewOrder, book: OrderBook) -> TradingOrder:
    cash, shares = await _accounts(call, body, book)
    return TradingOrder(
        order_id=body.order_id or call.new_id("ord"),
        cash_account=cash,
        share_account=shares,
        symbol=body.symbol,
        side=body.side,
        type=body.type,
        tif=body.time_in_force,
        quantity=body.quantity,
        price=None if body.price is None else price_in(book, body.price),
        actor=call.who.actor,
        trace=call.trace,
    )


async def _accounts(call: Call, body: NewOrder, book: OrderBook) -> tuple[str, str]:
    """The two that are named, or the only ones there are of the user. Raises InvalidInput."""
    if body.cash_account is not None and body.share_account is not None:
        return body.cash_account, body.share_account
    user_id = call.who.user_id or body.user_id
    if user_id is None:
        raise InvalidInput("account_missing", "say both accounts, or whose they are", "cash_account")
    if not call.who.sees(body.user_id or user_id):
        call.not_there(f"user {body.user_id} does not exist")
    found = (await call.services.reader.ask(trading_accounts(user_id, book.symbol))).value

    def one(given: str | None, asset: str, field: str) -> str:
        mine = [given] if given is not None else found.get(asset, [])
        if len(mine) != 1:
            raise InvalidInput("account_missing", f"user {user_id} has {len(mine)} accounts in {asset}", field)
        return mine[0]

    return one(body.cash_account, book.currency, "cash_account"), one(
        body.share_account, book.symbol, "share_account"
    )
