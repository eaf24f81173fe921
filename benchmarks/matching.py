"""Row 12: how fast orders are matched, and how soon a book's view shows one.

The same random orders of one share, against a matcher in memory and nothing more (plain_matcher.py), the limit:

    memory     the domain alone, over states in memory: cover, match, events, delivery versus payment; no log
    log        as activities do it, into the log, trades settled, CALLERS at once: durable and in every view
    workflow   an OrderWorkflow each, as a trader has it: started, covered, matched, settled, in every view

The lag is from the answer of a placed order, which is durable by then, to the view that shows it waiting.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from datetime import time as datetime_time
from random import Random

import psycopg

from activities.trading import TradingActivities, order_terms
from activities.trading_steps import CancelOrderWish, OrderStep, TradingOrder
from benchmarks.measuring import BrokenInvariant, Row, alternate, share, tell
from benchmarks.plain_matcher import PlainBook
from benchmarks.prober import COMMIT, LOOK_EVERY_S
from benchmarks.stand import Stand
from commands.accounts import AccountCommands
from commands.batch import in_parallel
from commands.trading import MarketCommands, OrderCommands
from domain import catalogue
from domain.account import Account
from domain.errors import Conflict
from domain.leg import Leg, State
from domain.money import Money
from domain.settlement_legs import settle_trade, streams_of
from domain.streams import account_stream, book_stream, category_of, order_stream
from domain.trading_legs import place_order
from settings import Settings
from wiring import connect_temporal

AT = datetime(2026, 3, 2, 12, tzinfo=UTC)
SYMBOL, TRADERS, CALLERS = "BENCH", 64, 64
PLAIN = 50_000
"""Orders of the plain matcher in one round: enough for its clock."""
ENDS_WITHIN_S = 60.0
OPENING = 10**10
"""Of each trader's cash and shares, in minor units: no order lacks cover."""
IN_BOOK = "SELECT 1 FROM read.book_orders WHERE order_id = %s"
PLAIN_MATCHER = "plain matcher in memory: the limit"
MEMORY_GOAL, LOG_GOAL, WORKFLOW_GOAL = 0.001, 0.0002, 0.00002


async def matching(stand: Stand, rounds: int, size: int, probes: int) -> list[Row]:
    """`size`: orders through the log in a round, and a quarter of them as workflows; `probes` of the lag."""
    market = await Market.opened(stand)
    sides = {
        "plain": plain,
        "memory": lambda: market.in_memory(size),
        "log": lambda: market.through_log(size),
        "workflow": lambda: market.through_workflows(size // 4),
    }
    tell("warming up")
    for measure in (market.through_log, market.through_workflows):
        await measure(CALLERS)
    found = await alternate(rounds, sides, market.conserved)
    asked = "orders matched and settled"
    rows = [
        Row("12a", f"{asked}, in memory", PLAIN_MATCHER, "orders/s", MEMORY_GOAL),
        Row("12b", f"{asked}, durable and in every view", PLAIN_MATCHER, "orders/s", LOG_GOAL),
        Row("12c", f"{asked}, a workflow each", PLAIN_MATCHER, "orders/s", WORKFLOW_GOAL),
    ]
    filled = [row.fill(found[name], found["plain"]) for row, name in zip(rows, list(sides)[1:], strict=True)]
    return [*filled, *await view_lag(market, rounds, probes)]


def orders(count: int, name: str) -> Iterator[TradingOrder]:
    """Around 100.00 EUR, half of them buys; about half of them meet somebody."""
    dice = Random(1)  # noqa: S311
    for number in range(count):
        trader = dice.randrange(TRADERS)
        yield TradingOrder(
            order_id=f"{name}-{number}",
            cash_account=f"cash-{trader}",
            share_account=f"shares-{trader}",
            symbol=SYMBOL,
            side=dice.choice(("buy", "sell")),
            tif="GTC",
            quantity=dice.randint(1, 100),
            price=Money(dice.randint(9_950, 10_050), "EUR"),
        )


async def plain() -> float:
    """Orders a second of the limit. Raises BrokenInvariant where it made or lost a share."""
    book = PlainBook()
    given = [(n, o.side, o.price.minor, o.quantity) for n, o in enumerate(orders(PLAIN, "plain")) if o.price]
    started = time.perf_counter()
    for order in given:
        book.place(*order)
    took = time.perf_counter() - started
    asked: Counter[str] = Counter()
    for _, side, _, quantity in given:
        asked[side] += quantity
    if asked["buy"] - book.waiting("buy") != asked["sell"] - book.waiting("sell"):
        raise BrokenInvariant("the plain matcher bought another quantity than it sold")
    return PLAIN / took


class Market:
    """One share and its traders on a stand. Get one from `opened`."""

    def __init__(self, stand: Stand, commands: OrderCommands) -> None:
        self.stand = stand
        self.trading = TradingActivities(stand.books.ledger, Settings(database_url=stand.info.database))
        self._commands = commands
        self._runs = iter(range(10**6))

    @classmethod
    async def opened(cls, stand: Stand) -> Market:
        """Lists the share, and gives every trader plenty of it and of cash."""
        ledger, settings = stand.books.ledger, Settings(database_url=stand.info.database)
        await MarketCommands(ledger, "benchmark").list_instrument(SYMBOL, "Benchmark", Money(1, "EUR"))
        accounts = AccountCommands(ledger, "benchmark")

        async def one(trader: int) -> None:
            for account_id, asset in ((f"cash-{trader}", "EUR"), (f"shares-{trader}", SYMBOL)):
                await accounts.open(account_id, f"trader-{trader}", asset)
                await accounts.deposit(account_id, Money(OPENING, asset), "opening")

        await in_parallel(CALLERS, range(TRADERS), one)
        return cls(stand, OrderCommands(await connect_temporal(stand.info.temporal), ledger, settings))

    def named(self, way: str) -> str:
        """A name that no other run's orders have."""
        return f"{way}-{next(self._runs)}"

    async def in_memory(self, count: int) -> float:
        """Orders a second of the decisions alone; what they book must add up."""
        names = [account_stream(f"{kind}-{trader}") for trader in range(TRADERS) for kind in ("cash", "shares")]
        return decided(await self.stand.books.ledger.states([book_stream(SYMBOL), *names]), count)

    async def through_log(self, count: int) -> float:
        """Orders a second, durable, settled and in every view."""
        given = list(orders(count, self.named("log")))

        async def one(order: TradingOrder) -> None:
            step = await self.trading.place_order(order)
            for trade in step.unsettled:
                await self.trading.settle_trade(order.order_id, trade)

        started = time.perf_counter()
        await in_parallel(CALLERS, given, one)
        await self.stand.caught_up()
        took = time.perf_counter() - started
        await in_parallel(CALLERS, given, self.take_out)
        return count / took

    async def through_workflows(self, count: int) -> float:
        """Orders a second, as clients place them."""
        given = list(orders(count, self.named("workflow")))

        async def one(order: TradingOrder) -> None:
            await self._commands.place(order)

        started = time.perf_counter()
        await in_parallel(CALLERS, given, one)
        await self.stand.caught_up()
        took = time.perf_counter() - started
        await in_parallel(CALLERS, given, self._end)
        return count / took

    async def take_out(self, order: TradingOrder) -> None:
        """So that the next round finds an empty book, and the audit nothing open."""
        step = await self.trading.look_at_order(order.order_id)
        if not step.over:
            await self.trading.cancel_order(step, CancelOrderWish(wish_id="round-over"))

    async def _end(self, order: TradingOrder) -> None:
        """As `take_out`, by the order's own workflow. One whose last trade is just settling needs a moment."""
        wish, deadline = CancelOrderWish(wish_id="round-over"), time.monotonic() + ENDS_WITHIN_S
        step: OrderStep = await self._commands.show(order.order_id)
        while not step.over:
            if time.monotonic() > deadline:
                raise BrokenInvariant(f"order {order.order_id} did not end within {ENDS_WITHIN_S:g} s")
            try:
                step = await self._commands.cancel(order.order_id, wish)
            except Conflict:
                await asyncio.sleep(0.02)
                step = await self._commands.show(order.order_id)

    async def conserved(self) -> None:
        """Cash and shares by `verify`'s own audit; every trade settled. Raises BrokenInvariant."""
        await self.stand.conserved()
        if SYMBOL not in self.stand.audit.conservation():
            raise BrokenInvariant(f"no {SYMBOL} was counted")
        if self.stand.audit.open_trades:
            raise BrokenInvariant(f"{len(self.stand.audit.open_trades)} trades neither settled nor busted")


async def view_lag(market: Market, rounds: int, probes: int) -> list[Row]:
    """Rows 12d and 12e: one order in flight, then one durable commit on the same server, and so on."""
    lags: list[float] = []
    commits: list[float] = []
    medians: tuple[list[float], list[float]] = ([], [])
    elsewhere = market.stand.database("peer_commits_of_orders")
    async with (
        await psycopg.AsyncConnection.connect(market.stand.info.read_database, autocommit=True) as reading,
        await psycopg.AsyncConnection.connect(elsewhere, autocommit=True) as single,
    ):
        await single.execute("CREATE TABLE commits (number bigint PRIMARY KEY)")
        await single.execute("SET synchronous_commit = on")
        for number in range(rounds):
            given = [_that_waits(order) for order in orders(probes, market.named("lag"))]
            late, single_ms = [], []
            for probe, order in enumerate(given):
                late.append(await _shown_after_ms(market, reading, order))
                started = time.perf_counter()
                await single.execute(COMMIT, (number * probes + probe,), prepare=True)
                single_ms.append((time.perf_counter() - started) * 1000)
            await in_parallel(CALLERS, given, market.take_out)
            await market.conserved()
            lags += late
            commits += single_ms
            medians[0].append(share(late, 0.5))
            medians[1].append(share(single_ms, 0.5))
            tell(f"  round {number + 1}/{rounds}: lag {medians[0][-1]:.1f} ms, commit {medians[1][-1]:.1f} ms")
    what, against = "order's answer to book view", "one durable commit of one row, median"
    return [
        Row("12d", f"{what}, p50", against, "ms", 5.0, at_most=True).fill(*medians),
        Row("12e", f"{what}, p99", against, "ms", 50.0, at_most=True).fill(
            [share(lags, 0.99)], [share(commits, 0.5)]
        ),
    ]


def _that_waits(order: TradingOrder) -> TradingOrder:
    """A bid that nobody meets."""
    return order.model_copy(update={"side": "buy", "price": Money(1, "EUR")})


async def _shown_after_ms(market: Market, reading: psycopg.AsyncConnection, order: TradingOrder) -> float:
    await market.trading.place_order(order)
    done = time.perf_counter()
    while await (await reading.execute(IN_BOOK, (order.order_id,), prepare=True)).fetchone() is None:
        await asyncio.sleep(LOOK_EVERY_S)
    return (time.perf_counter() - done) * 1000


def decided(states: dict[str, State], count: int) -> float:
    """Orders a second over `states` alone, which are advanced. Raises BrokenInvariant."""
    before, given, day_ends = _on_accounts(states), list(orders(count, "memory")), Settings().trading_day_ends
    started = time.perf_counter()
    for order in given:
        _decide(states, order, day_ends)
    took = time.perf_counter() - started
    if _on_accounts(states) != before:
        raise BrokenInvariant(f"in memory, {before} became {_on_accounts(states)}")
    return count / took


def _decide(states: dict[str, State], order: TradingOrder, day_ends: datetime_time) -> None:
    """Places it and settles its trades."""
    stream = order_stream(order.order_id)
    accounts = map(account_stream, (order.cash_account, order.share_account))
    leg = _leg(states, [stream, book_stream(SYMBOL), *accounts])
    place_order(leg, order_terms(order, AT, day_ends))
    states.update(leg.states)
    for trade in leg.order(order.order_id).unsettled.values():
        settlement = _leg(states, streams_of(trade))
        settle_trade(settlement, trade, AT)
        states.update(settlement.states)


def _leg(states: dict[str, State], names: list[str]) -> Leg:
    for name in names:
        if name not in states:
            states[name] = catalogue.INITIAL[category_of(name)]()
    return Leg({name: states[name] for name in names})


def _on_accounts(states: dict[str, State]) -> dict[str, int]:
    """What is on the accounts of `states`, by asset."""
    found: Counter[str] = Counter()
    for state in states.values():
        if isinstance(state, Account):
            found[state.currency] += state.balance
    return dict(found)
