"""`starter.py instrument|book|trades|portfolio`: what is traded, at which prices, and what users have of it."""

from __future__ import annotations

from typing import Annotated

import typer

from activities.ledger import utc_now
from cli.arguments import CursorOption, LimitOption, ReasonOption
from cli.ids import new_id
from cli.orders import SymbolArgument, UserOption, print_orders
from cli.output import JsonOption, console, print_json, print_more, print_table
from cli.reading import run_query
from cli.session import DATA, DataOption, Session, run
from commands.trading import InstrumentStep
from domain.money import Money
from queries.trading import list_instruments, list_trades, order_book, portfolio

instruments_app = typer.Typer(help="Shares that are traded: add, halt, resume, list.", no_args_is_help=True)


def register(app: typer.Typer) -> None:
    """Puts the commands of this module on the main application."""
    app.add_typer(instruments_app, name="instrument")
    app.command()(book)
    app.command()(trades)
    app.command("portfolio")(show_portfolio)


@instruments_app.command()
def add(
    symbol: SymbolArgument,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    currency: Annotated[str, typer.Argument(metavar="CURRENCY", help="What it is traded in.")],
    tick: Annotated[str, typer.Option("--tick", help="What every price is a multiple of.")] = "0.01",
    lot: Annotated[int, typer.Option("--lot", min=1, help="What every quantity is a multiple of.")] = 1,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """List a share: accounts can be opened in it then, and orders placed."""

    async def work(session: Session) -> InstrumentStep:
        return await session.market.list_instrument(symbol, name, Money.from_decimal(tick, currency.upper()), lot)

    _say_instrument(run(data, as_json, work), as_json)


@instruments_app.command()
def halt(
    symbol: SymbolArgument, reason: ReasonOption = None, as_json: JsonOption = False, data: DataOption = DATA
) -> None:
    """Halt trading: orders can leave, nothing else."""
    step = run(data, as_json, lambda session: session.market.halt(symbol, new_id(), reason))
    _say_instrument(step, as_json)


@instruments_app.command()
def resume(
    symbol: SymbolArgument, reason: ReasonOption = None, as_json: JsonOption = False, data: DataOption = DATA
) -> None:
    """Let trading go on."""
    step = run(data, as_json, lambda session: session.market.resume(symbol, new_id(), reason))
    _say_instrument(step, as_json)


def _say_instrument(step: InstrumentStep, as_json: bool) -> None:
    if as_json:
        print_json(step)
    else:
        console.print(f"[bold]{step.symbol}[/bold] {step.name}: {step.status}, in {step.currency} by {step.tick}")


@instruments_app.command("list")
def list_listed(as_json: JsonOption = False, data: DataOption = DATA) -> None:
    """Every share there is, with its latest trade and the last 24 hours."""
    found = run_query(data, as_json, list_instruments())
    if as_json:
        print_json({"items": found})
        return
    print_table(
        "Shares",
        ["symbol", "name", "status", "currency", "last", "change", "volume"],
        [(b.symbol, b.name, b.status, b.currency, b.last_price, b.day.change, b.day.volume) for b in found],
        right=["last", "change", "volume"],
    )


def book(
    symbol: SymbolArgument,
    depth: Annotated[int, typer.Option("--depth", min=1, max=100)] = 10,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """What waits to be bought and sold, the best price first, and the last 24 hours."""
    found = run_query(data, as_json, order_book(symbol, depth))
    if as_json:
        print_json(found)
        return
    rows = []
    for number in range(max(len(found.bids), len(found.asks))):
        bid = found.bids[number] if number < len(found.bids) else None
        ask = found.asks[number] if number < len(found.asks) else None
        rows.append(
            (
                bid.quantity if bid else "",
                bid.price if bid else "",
                ask.price if ask else "",
                ask.quantity if ask else "",
            )
        )
    columns = ["wanted", "bid", "ask", "offered"]
    print_table(f"{symbol} ({found.name}), {found.status}, in {found.currency}", columns, rows, right=columns)
    day = found.day
    console.print(
        f"last {found.last_price or '–'}; 24 h: {day.trades} trades, {day.volume} shares for {day.turnover}, "
        f"high {day.high or '–'}, low {day.low or '–'}, change {day.change or '–'}"
    )


def trades(
    symbol: Annotated[str | None, typer.Option("--symbol", help="Only of this share.")] = None,
    user: UserOption = None,
    limit: LimitOption = 50,
    cursor: CursorOption = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Trades, the newest first, from the view."""
    page = run_query(data, as_json, list_trades(symbol, user, None, limit, cursor))
    if as_json:
        print_json(page)
        return
    print_table(
        "Trades",
        ["trade", "at", "quantity", "price", "buyer", "seller", "status"],
        [
            (
                t.trade_id,
                t.matched_at.strftime("%Y-%m-%d %H:%M:%S"),
                t.quantity,
                t.price,
                t.buyer,
                t.seller,
                t.status,
            )
            for t in page.items
        ],
        right=["quantity", "price"],
    )
    print_more(page.next_cursor)


def show_portfolio(
    user: Annotated[str, typer.Argument(metavar="USER")], as_json: JsonOption = False, data: DataOption = DATA
) -> None:
    """Cash and shares of a user, what they are worth, and what the day gained."""
    found = run_query(data, as_json, portfolio(user, utc_now().date()))
    if as_json:
        print_json(found)
        return
    columns = ["share", "quantity", "average cost", "last", "value", "gained", "open gain", "day"]
    print_table(
        f"Portfolio of {user}",
        columns,
        [
            (p.symbol, p.quantity, p.average_cost, p.last_price, p.value, p.gained, p.open_gain, p.day_gain)
            for p in found.positions
        ],
        right=columns[1:],
    )
    for cash in found.cash:
        total, gain = found.total_value[cash.currency], found.day_gain.get(cash.currency, "0")
        console.print(
            f"{cash.currency}: {cash.balance} cash, {cash.available} to trade with, {total} in all, {gain} today"
        )
    if found.open_orders:
        print_orders(found.open_orders)
