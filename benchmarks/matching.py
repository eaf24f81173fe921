"""How fast orders are matched, and how soon a book's view shows one: `python -m benchmarks.matching [--json]`.

The same random orders of one share, each way on its own:

    plain      a matcher in memory and nothing more (plain_matcher.py): the limit
    domain     place_order over states in memory: cover, match, events; no log
    log        place_order through the desk into the log on Postgres, CALLERS at once: durable
    settled    as `log`, and every trade settled (delivery versus payment) too
    workflow   an OrderWorkflow each, as a trader has it: started, covered, matched, settled

The lag is from the answer of a placed order (`log`) to the view that shows it, with a projector running.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import orjson

import stack
from activities.trading import TradingActivities, order_terms
from activities.trading_steps import TradingOrder
from benchmarks.plain_matcher import PlainBook
from cli.local import stack_config
from commands.accounts import AccountCommands
from commands.batch import in_parallel
from commands.trading import MarketCommands, OrderCommands
from domain import catalogue
from domain.leg import Leg, State
from domain.money import Money
from domain.order import Order
from domain.streams import account_stream, book_stream, category_of, order_stream
from domain.trading_legs import place_order
from eventstore.connect import open_pool
from settings import Settings
from wiring import Books, connect_temporal, leave, open_books

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
SYMBOL, TRADERS = "BENCH", 64
PLAIN, DOMAIN, LOG, WORKFLOW, LAG = 200_000, 5_000, 4_000, 400, 100
CALLERS = 64


def orders(count: int, name: str, symbol: str = SYMBOL) -> Iterator[TradingOrder]:
    """Around 100.00 EUR, half of them buys; about half of them meet somebody."""
    dice = Random(1)  # noqa: S311
    for number in range(count):
        trader = dice.randrange(TRADERS)
        yield TradingOrder(
            order_id=f"{name}-{number}",
            cash_account=f"cash-{trader}",
            share_account=f"shares-{symbol}-{trader}",
            symbol=symbol,
            side=dice.choice(("buy", "sell")),
            tif="GTC",
            quantity=dice.randint(1, 100),
            price=Money(dice.randint(9_950, 10_050), "EUR"),
        )


def plain() -> tuple[float, int]:
    """Orders a second, and trades."""
    book, dice = PlainBook(), Random(1)  # noqa: S311
    given = [
        (number, dice.choice(("buy", "sell")), dice.randint(9_950, 10_050), dice.randint(1, 100))
        for number in range(PLAIN)
    ]
    started = time.perf_counter()
    for order in given:
        book.place(*order)  # type: ignore[arg-type]
    return PLAIN / (time.perf_counter() - started), book.trades


async def domain(states: dict[str, State]) -> tuple[float, int]:
    """The same decisions as in `log`, over states in memory."""
    settings, given = Settings(), list(orders(DOMAIN, "domain"))
    started = time.perf_counter()
    for order in given:
        stream = order_stream(order.order_id)
        names = [stream, book_stream(SYMBOL), *map(account_stream, (order.cash_account, order.share_account))]
        leg = Leg({name: states.get(name, Order()) for name in names})
        place_order(leg, order_terms(order, AT, settings.trading_day_ends))
        for name, events in leg.events.items():
            for event in events:
                before = states.get(name) or catalogue.INITIAL[category_of(name)]()
                states[name] = catalogue.EVOLVE[category_of(name)](before, event)
    took = time.perf_counter() - started
    return DOMAIN / took, states[book_stream(SYMBOL)].trades  # type: ignore[union-attr]


async def through_log(trading: TradingActivities, count: int, name: str, settle: bool) -> tuple[float, int]:
    given, trades = list(orders(count, name, name)), 0

    async def one(order: TradingOrder) -> None:
        nonlocal trades
        step = await trading.place_order(order)
        trades += len(step.unsettled)
        for trade in step.unsettled if settle else ():
            await trading.settle_trade(order.order_id, trade)

    started = time.perf_counter()
    await in_parallel(CALLERS, given, one)
    return count / (time.perf_counter() - started), trades


async def through_workflows(commands: OrderCommands, name: str) -> tuple[float, int]:
    given, trades = list(orders(WORKFLOW, name, name)), 0

    async def one(order: TradingOrder) -> None:
        nonlocal trades
        trades += (await commands.place(order)).filled > 0

    started = time.perf_counter()
    await in_parallel(CALLERS, given, one)
    return WORKFLOW / (time.perf_counter() - started), trades


async def view_lag(trading: TradingActivities, reader_url: str, name: str) -> list[float]:
    """Milliseconds from the answer to the view, sorted; one order at a time."""
    pool = await open_pool(reader_url, max_size=2, application_name="tidemark-benchmark-reader")
    took = []
    async with pool:
        for order in orders(LAG, f"{name}-lag", name):
            resting = order.model_copy(update={"side": "buy", "price": Money(1, "EUR")})
            await trading.place_order(resting)
            started = time.perf_counter()
            while not await _shows(pool, resting.order_id):
                await asyncio.sleep(0.001)
            took.append((time.perf_counter() - started) * 1000)
    return sorted(took)


async def _shows(pool: Any, order_id: str) -> bool:
    async with pool.connection() as connection:
        row = await connection.execute("SELECT 1 FROM read.book_orders WHERE order_id = %s", (order_id,))
        return await row.fetchone() is not None


async def open_market(books: Books, symbols: Sequence[str]) -> None:
    """Shares, and traders with plenty of both."""
    accounts, market = AccountCommands(books.ledger, "benchmark"), MarketCommands(books.ledger, "benchmark")
    for symbol in symbols:
        await market.list_instrument(symbol, symbol, Money(1, "EUR"))
    for trader in range(TRADERS):
        owned = [(f"cash-{trader}", "EUR"), *((f"shares-{symbol}-{trader}", symbol) for symbol in symbols)]
        for account_id, asset in owned:
            await accounts.open(account_id, f"u{trader}", asset)
            await accounts.deposit(account_id, Money(10**12, asset), "opening")


async def measure() -> dict[str, Any]:
    """Starts a stack, measures, stops it."""
    found: dict[str, Any] = {"plain": plain()}
    with contextlib.ExitStack() as entered:
        data = Path(entered.enter_context(tempfile.TemporaryDirectory(prefix="tidemark-benchmark-")))
        info = entered.enter_context(stack.up(stack_config(data, stack.progress.no_progress))).info
        settings = Settings(database_url=info.database)
        async with open_books(settings, "tidemark-benchmark") as books:
            await open_market(books, [SYMBOL, "LOGGED", "SETTLED", "FLOWS"])
            names = [book_stream(SYMBOL)]
            names += [account_stream(f"cash-{t}") for t in range(TRADERS)]
            names += [account_stream(f"shares-{SYMBOL}-{t}") for t in range(TRADERS)]
            found["domain"] = await domain(await books.ledger.states(names))
            trading = TradingActivities(books.ledger, settings)
            found["log"] = await through_log(trading, LOG, "LOGGED", settle=False)
            found["settled"] = await through_log(trading, LOG // 4, "SETTLED", settle=True)
            client = await connect_temporal(info.temporal)
            found["workflow"] = await through_workflows(OrderCommands(client, books.ledger, settings), "FLOWS")
            lag = await view_lag(trading, info.read_database, "FLOWS")
            found["lag_ms"] = {"p50": lag[len(lag) // 2], "p90": lag[int(len(lag) * 0.9)], "max": lag[-1]}
    return found


def show(found: dict[str, Any]) -> None:
    """One line per way."""
    print(f"{'way':<10}{'orders/s':>12}{'of plain':>10}")
    for name in ("plain", "domain", "log", "settled", "workflow"):
        rate, _ = found[name]
        print(f"{name:<10}{rate:>12,.0f}{rate / found['plain'][0]:>10.2%}")
    lag = found["lag_ms"]
    print(f"\nfrom an order's answer to the book's view: p50 {lag['p50']:.1f} ms, p90 {lag['p90']:.1f} ms")


if __name__ == "__main__":
    result = asyncio.run(measure())
    if "--json" in sys.argv:
        print(orjson.dumps(result).decode())
    else:
        show(result)
    leave(0)
