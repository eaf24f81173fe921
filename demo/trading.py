"""How each kind of order is played, on a share of its own. Each function returns the status its order ended in."""

from __future__ import annotations

from activities.trading_steps import AmendOrderWish, CancelOrderWish, OrderStep, TradingOrder
from commands.running import result_of
from demo.acts import ACTOR, Act, Stage
from domain.money import Money
from domain.streams import order_stream

CASH, SHARES = "10000.00", 100


def symbol_of(act: Act) -> str:
    """A share that no other act trades."""
    number = int(act.subject_id.rpartition("-")[2])
    return f"D{number:04}.{act.subject_id.split('-')[1].upper()}"


async def _open(stage: Stage, act: Act) -> None:
    """The share, a seller who has it, and a buyer who has money."""
    symbol, tick = symbol_of(act), Money.from_decimal("0.01", "EUR")
    await stage.market.list_instrument(symbol, "Demo plc", tick)
    for who in ("seller", "buyer"):
        for kind, asset in (("cash", "EUR"), ("shares", symbol)):
            await stage.accounts.open(_account(act, who, kind), f"{who}-{act.subject_id}", asset)
    funds = ((_account(act, "buyer", "cash"), CASH, "EUR"), (_account(act, "seller", "shares"), SHARES, symbol))
    for account_id, amount, asset in funds:
        deposit = Money.from_decimal(amount, asset)
        await stage.accounts.deposit(account_id, deposit, act.subject_id, "opening deposit")


def _account(act: Act, who: str, kind: str) -> str:
    return f"{who}-{kind}-{act.subject_id}"


def _order(  # noqa: PLR0917 – what an order consists of
    act: Act, who: str, quantity: int, price: str | None, order_id: str, tif: str = "GTC"
) -> TradingOrder:
    return TradingOrder.model_validate(
        {
            "order_id": order_id,
            "cash_account": _account(act, who, "cash"),
            "share_account": _account(act, who, "shares"),
            "symbol": symbol_of(act),
            "side": "sell" if who == "seller" else "buy",
            "type": "limit" if price else "market",
            "tif": tif if price else "IOC",
            "quantity": quantity,
            "price": None if price is None else Money.from_decimal(price, "EUR"),
            "actor": ACTOR,
        }
    )


async def _end(stage: Stage, order_id: str) -> str:
    handle = stage.temporal.get_workflow_handle(order_stream(order_id), result_type=OrderStep)
    step: OrderStep = await result_of(handle)
    return step.status


async def sold(stage: Stage, act: Act) -> str:
    """Two buyers' orders take it, one of them at the market; each trade is delivered against payment."""
    await _open(stage, act)
    await stage.orders.place(_order(act, "seller", 50, "20.00", act.subject_id))
    await stage.orders.place(_order(act, "buyer", 30, "20.50", f"{act.subject_id}-b1"))
    await stage.orders.place(_order(act, "buyer", 20, None, f"{act.subject_id}-b2"))
    return await _end(stage, act.subject_id)


async def cancelled(stage: Stage, act: Act) -> str:
    """A part is sold, the rest is taken back."""
    await _open(stage, act)
    await stage.orders.place(_order(act, "seller", 50, "20.00", act.subject_id))
    await stage.orders.place(_order(act, "buyer", 10, "20.00", f"{act.subject_id}-b1"))
    wish = CancelOrderWish(wish_id=f"{act.subject_id}-cancel", reason="no longer for sale", actor=ACTOR)
    await stage.orders.cancel(act.subject_id, wish)
    return await _end(stage, act.subject_id)


async def amended(stage: Stage, act: Act) -> str:
    """The price is lowered until it meets the buyer who waits."""
    await _open(stage, act)
    await stage.orders.place(_order(act, "buyer", 50, "19.00", f"{act.subject_id}-b1"))
    await stage.orders.place(_order(act, "seller", 50, "20.00", act.subject_id))
    price = Money.from_decimal("19.00", "EUR")
    wish = AmendOrderWish(wish_id=f"{act.subject_id}-amend", price=price, actor=ACTOR)
    await stage.orders.amend(act.subject_id, wish)
    return await _end(stage, act.subject_id)


async def uncovered(stage: Stage, act: Act) -> str:
    """More than there is money for."""
    await _open(stage, act)
    return (await stage.orders.place(_order(act, "buyer", 1000, "20.00", act.subject_id))).status


async def killed(stage: Stage, act: Act) -> str:
    """Fill or kill, and not all of it is there."""
    await _open(stage, act)
    await stage.orders.place(_order(act, "seller", 50, "20.00", f"{act.subject_id}-s1"))
    ended = (await stage.orders.place(_order(act, "buyer", 60, "20.00", act.subject_id, tif="FOK"))).status
    wish = CancelOrderWish(wish_id=f"{act.subject_id}-tidy", reason="the act is over", actor=ACTOR)
    await stage.orders.cancel(f"{act.subject_id}-s1", wish)
    return ended


async def halted(stage: Stage, act: Act) -> str:
    """While trading is halted nothing comes in."""
    await _open(stage, act)
    await stage.market.halt(symbol_of(act), f"{act.subject_id}-halt", "news pending")
    return (await stage.orders.place(_order(act, "buyer", 10, "20.00", act.subject_id))).status
