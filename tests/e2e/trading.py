"""Ways of an order, for the tests that kill workers on the way and for the recorded histories."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

from activities.trading_steps import AmendOrderWish, CancelOrderWish, OrderStep, TradingOrder
from domain.money import Money
from tests.e2e.system import Program, System, eur


def symbol_of(run: str) -> str:
    """A share of the run's own."""
    return f"TIDE.{run[-6:].upper()}"


def order(run: str, who: str, side: str, quantity: int, price: str | None, **more: object) -> TradingOrder:
    return TradingOrder.model_validate(
        {
            "order_id": f"{run}-{who}",
            "cash_account": f"{run}-{who}-cash",
            "share_account": f"{run}-{who}-shares",
            "symbol": symbol_of(run),
            "side": side,
            "type": "limit" if price else "market",
            "tif": "GTC" if price else "IOC",
            "quantity": quantity,
            "price": eur(price) if price else None,
            **more,
        }
    )


async def market(under_test: System, run: str, *sellers: str, buyers: tuple[str, ...] = ("ann",)) -> None:
    """Sellers have 100 shares each, buyers 1000.00 EUR."""
    symbol = symbol_of(run)
    await under_test.market.list_instrument(symbol, "Tide", eur("0.01"))
    for who in (*sellers, *buyers):
        for kind, asset in (("cash", "EUR"), ("shares", symbol)):
            await under_test.accounts.open(f"{run}-{who}-{kind}", f"{run}-{who}", asset)
    for who in sellers:
        await under_test.accounts.deposit(f"{run}-{who}-shares", Money(100, symbol), "opening")
    for who in buyers:
        await under_test.accounts.deposit(f"{run}-{who}-cash", eur("1000.00"), "opening")


async def ended(under_test: System, order_id: str) -> OrderStep:
    handle = under_test.client.get_workflow_handle(f"order-{order_id}", result_type=OrderStep)
    step: OrderStep = await handle.result()
    return step


async def traded(under_test: System, run: str, _gate: Path) -> None:
    """Sold in two parts, the second at the market; what is left is cancelled."""
    await market(under_test, run, "bob", buyers=("ann", "cyd"))
    step = await under_test.orders.place(order(run, "bob", "sell", 100, "2.00"))
    assert (step.status, step.leaves) == ("accepted", 100)
    step = await under_test.orders.place(order(run, "ann", "buy", 60, "2.50"))
    assert (step.status, step.filled) == ("filled", 60)
    step = await under_test.orders.place(order(run, "cyd", "buy", 10, None))
    assert (step.status, step.filled) == ("filled", 10)
    step = await under_test.orders.cancel(f"{run}-bob", CancelOrderWish(wish_id="c1"))
    assert (step.status, step.filled, step.cancelled) == ("cancelled", 70, 30)
    assert await under_test.balance(f"{run}-bob-cash") == ("140.00", "0.00")
    assert await under_test.balance(f"{run}-bob-shares") == ("30", "0")
    assert await under_test.balance(f"{run}-ann-cash") == ("880.00", "0.00")
    assert await under_test.balance(f"{run}-ann-shares") == ("60", "0")
    assert (await ended(under_test, f"{run}-bob")).status == "cancelled"


async def amended(under_test: System, run: str, _gate: Path) -> None:
    """The new price meets who waits on the other side: the maker's workflow is told that it is filled."""
    await market(under_test, run, "bob")
    await under_test.orders.place(order(run, "bob", "sell", 50, "2.00"))
    step = await under_test.orders.place(order(run, "ann", "buy", 50, "1.00"))
    assert step.status == "accepted"
    wish = AmendOrderWish(wish_id="a1", price=eur("2.00"), quantity=80)
    await under_test.orders.amend(f"{run}-ann", wish)
    step = await under_test.orders.resting(f"{run}-ann")
    assert (step.status, step.filled, step.leaves) == ("partially_filled", 50, 30)
    assert await under_test.balance(f"{run}-ann-cash") == ("900.00", "60.00")
    assert (await ended(under_test, f"{run}-bob")).status == "filled"
    await under_test.orders.signal_cancel(f"{run}-ann", CancelOrderWish(wish_id="c1"))
    assert (await ended(under_test, f"{run}-ann")).status == "cancelled"


async def start(worker: Program, scenario: object) -> None:
    """Starts the worker; for `expired` with a trading day that ends soon, yet not before it is up."""
    left_s = 8.0
    while scenario is expired:
        ends = datetime.now(UTC) + timedelta(seconds=left_s)
        await worker.start(TIDEMARK_TRADING_DAY_ENDS=ends.time().isoformat())
        if datetime.now(UTC) + timedelta(seconds=left_s / 2) < ends:
            return
        await worker.stop()
        left_s *= 2
    await worker.start()


async def expired(under_test: System, run: str, _gate: Path) -> None:
    await market(under_test, run, "bob")
    step = await under_test.orders.place(order(run, "bob", "sell", 50, "2.00", tif="DAY"))
    assert step.status in ("accepted", "expired")
    assert (await ended(under_test, f"{run}-bob")).status == "expired"
    assert await under_test.balance(f"{run}-bob-shares") == ("100", "0")


async def busted(under_test: System, run: str, gate: Path) -> None:
    """The buyer's account for the shares is closed between match and settlement."""
    await market(under_test, run, "bob")
    await under_test.orders.place(order(run, "bob", "sell", 100, "2.00"))
    await under_test.orders.start(order(run, "ann", "buy", 60, "2.00"))
    reached = Path(f"{gate}.reached")
    while not reached.exists():
        await asyncio.sleep(0.02)
    await under_test.accounts.close(f"{run}-ann-shares", "closed")
    gate.touch()
    step = await ended(under_test, f"{run}-ann")
    assert (step.status, step.busted, step.failure_code) == ("cancelled", 60, "account_closed")
    assert await under_test.balance(f"{run}-ann-cash") == ("1000.00", "0.00")
    assert await under_test.balance(f"{run}-bob-shares") == ("100", "40")
    await under_test.orders.cancel(f"{run}-bob", CancelOrderWish(wish_id="c1"))
    assert (await ended(under_test, f"{run}-bob")).cancelled == 40


def environment(scenario: object, gate: Path) -> dict[str, str]:
    """What a worker needs for it."""
    if scenario is busted:
        return {"TIDEMARK_FAILPOINT": f"trade.settle:before_commit=pause:{gate}"}
    return {}
