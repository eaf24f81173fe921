"""`starter.py order`: place, amend, cancel and look at orders."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from activities.trading_steps import AmendOrderWish, CancelOrderWish, OrderStep, TradingOrder
from cli.arguments import CursorOption, KeyOption, LimitOption, ReasonOption
from cli.ids import new_id
from cli.output import REFUSED, JsonOption, console, errors, print_fields, print_json, print_more, print_table
from cli.reading import run_query
from cli.session import ACTOR, DATA, DataOption, Session, run
from domain.book import OrderBook
from domain.errors import InvalidInput
from domain.money import Money
from domain.order import OrderStatus
from domain.streams import book_stream
from queries.trading import list_orders, trading_accounts
from queries.trading_results import OrderView

orders_app = typer.Typer(help="Orders: place, amend, cancel, look.", no_args_is_help=True)

OrderArgument = Annotated[str, typer.Argument(metavar="ORDER", help="The order's id.")]
SymbolArgument = Annotated[str, typer.Argument(metavar="SYMBOL", help="A share's code such as AAPL.")]
UserOption = Annotated[str | None, typer.Option("--user", help="Only this user's.")]


def register(app: typer.Typer) -> None:
    """Puts the commands of this module on the main application."""
    app.add_typer(orders_app, name="order")


async def _book_of(session: Session, symbol: str) -> OrderBook:
    state = await session.books.ledger.state(book_stream(symbol))
    assert isinstance(state, OrderBook)
    state.must_be_listed(symbol)
    return state


def _say(step: OrderStep, as_json: bool) -> None:
    if as_json:
        print_json(step)
        return
    console.print(
        f"order [bold]{step.order_id}[/bold] {step.status}: {step.filled} of {step.quantity} {step.symbol} "
        f"filled, {step.leaves} left",
        soft_wrap=True,
    )
    if step.failure_reason:
        errors.print(
            f"[red]{step.failure_code or 'cancelled'}[/red]: {escape(step.failure_reason)}", soft_wrap=True
        )


@orders_app.command()
def place(
    user: Annotated[str, typer.Argument(metavar="USER", help="Whose order.")],
    side: Annotated[str, typer.Argument(metavar="buy|sell")],
    quantity: Annotated[int, typer.Argument(min=1)],
    symbol: SymbolArgument,
    price: Annotated[str | None, typer.Argument(metavar="[PRICE]", help="The limit.")] = None,
    tif: Annotated[str | None, typer.Option("--tif", help="DAY, GTC, IOC or FOK.")] = None,
    cash: Annotated[str | None, typer.Option("--cash", help="The cash account, of several.")] = None,
    shares: Annotated[str | None, typer.Option("--shares", help="The share account, of several.")] = None,
    order_id: Annotated[str | None, typer.Option("--id", help="The order's id: repeating it orders once.")] = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Buy or sell, at a limit or at the market."""
    accounts = {} if cash and shares else run_query(data, as_json, trading_accounts(user, symbol))

    async def work(session: Session) -> OrderStep:
        listed = await _book_of(session, symbol)
        order = TradingOrder.model_validate(
            {
                "order_id": new_id(order_id),
                "cash_account": cash or _only(accounts, user, listed.currency),
                "share_account": shares or _only(accounts, user, symbol),
                "symbol": symbol,
                "side": side,
                "type": "market" if price is None else "limit",
                "tif": tif or ("IOC" if price is None else "DAY"),
                "quantity": quantity,
                "price": None if price is None else Money.from_decimal(price, listed.currency),
                "actor": ACTOR,
            }
        )
        return await session.orders.place(order)

    step = run(data, as_json, work)
    _say(step, as_json)
    if step.status is OrderStatus.REJECTED:
        raise typer.Exit(REFUSED)


def _only(accounts: dict[str, list[str]], user: str, asset: str) -> str:
    found = accounts.get(asset, [])
    if len(found) != 1:
        raise InvalidInput(
            "account_missing",
            f"user {user} has {len(found)} accounts in {asset}: name one with --cash or --shares",
        )
    return found[0]


@orders_app.command()
def amend(
    order_id: OrderArgument,
    quantity: Annotated[int | None, typer.Option("--quantity", min=1, help="Of the whole order.")] = None,
    price: Annotated[str | None, typer.Option("--price")] = None,
    command_id: KeyOption = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Another quantity or price of what waits in the book."""

    async def work(session: Session) -> OrderStep:
        order = await session.orders.show(order_id)
        listed = await _book_of(session, order.symbol)
        money = None if price is None else Money.from_decimal(price, listed.currency)
        wish = AmendOrderWish(wish_id=new_id(command_id), quantity=quantity, price=money, actor=ACTOR)
        await session.orders.amend(order_id, wish)
        return await session.orders.resting(order_id)

    _say(run(data, as_json, work), as_json)


@orders_app.command()
def cancel(
    order_id: OrderArgument,
    reason: ReasonOption = None,
    command_id: KeyOption = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Take out of the book what waits there."""

    async def work(session: Session) -> OrderStep:
        given = {} if reason is None else {"reason": reason}
        wish = CancelOrderWish(wish_id=new_id(command_id), actor=ACTOR, **given)
        return await session.orders.cancel(order_id, wish)

    _say(run(data, as_json, work), as_json)


@orders_app.command()
def show(order_id: OrderArgument, as_json: JsonOption = False, data: DataOption = DATA) -> None:
    """An order now, straight from the log."""
    step = run(data, as_json, lambda session: session.orders.show(order_id))
    if as_json:
        print_json(step)
    else:
        print_fields(f"order {order_id}", step.model_dump(mode="json", exclude={"unsettled", "must_leave"}))


@orders_app.command("list")
def list_all(
    user: UserOption = None,
    symbol: Annotated[str | None, typer.Option("--symbol")] = None,
    only_open: Annotated[bool, typer.Option("--open", help="Only those that may still trade.")] = False,
    limit: LimitOption = 50,
    cursor: CursorOption = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Orders, the newest first, from the view."""
    page = run_query(data, as_json, list_orders(user, symbol, only_open, limit, cursor))
    if as_json:
        print_json(page)
        return
    print_orders(page.items)
    print_more(page.next_cursor)


def print_orders(orders: tuple[OrderView, ...]) -> None:
    """As a table."""
    print_table(
        "Orders",
        ["order", "user", "what", "price", "tif", "status", "filled", "left"],
        [
            (
                o.order_id,
                o.user_id,
                f"{o.side} {o.quantity} {o.symbol}",
                o.price or "market",
                o.tif,
                o.status.replace("_", " "),
                o.filled,
                o.leaves,
            )
            for o in orders
        ],
        right=["price", "filled", "left"],
    )
