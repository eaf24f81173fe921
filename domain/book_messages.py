"""The commands an order book takes and the events it records. One book, one stream per symbol.

Quantities are whole shares. A price is that of one share, in the book's currency.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from domain.model import Command, Event, Id, Name, Text
from domain.money import Money

Side = Literal["buy", "sell"]
Quantity = Annotated[int, Field(ge=1, le=10**12)]
LeftReason = Literal["cancelled", "expired", "amended"]


# --- commands ------------------------------------------------------------


class ListInstrument(Command):
    """Opens trading in a share. `tick`: what every price is a multiple of; `lot`: what every quantity is."""

    symbol: Id
    name: Text
    tick: Money
    lot: Quantity


class HaltTrading(Command):
    reason: Text | None = None


class ResumeTrading(Command):
    reason: Text | None = None


BookCommand = ListInstrument | HaltTrading | ResumeTrading
"""What orders do to a book is decided by `matching` and recorded by the legs (trading_legs.py)."""


# --- events ------------------------------------------------------------


class InstrumentListed(Event):
    symbol: Id
    name: Text
    tick: Money
    lot: Quantity


class TradingHalted(Event):
    reason: Text | None = None


class TradingResumed(Event):
    reason: Text | None = None


class OrderRested(Event):
    """An order waits at its price, behind all that were there before it."""

    order_id: Id
    user_id: Id
    side: Side
    price: Money
    quantity: Quantity
    cash_account: Id
    share_account: Id
    hold_id: Name


class OrdersMatched(Event):
    """`quantity` of the first order at `price` on the other side was taken. `number`: the book's trades so far."""

    trade_id: Id
    number: int
    maker_order: Id
    taker_order: Id
    taker_side: Side
    price: Money
    quantity: Quantity


class OrderReduced(Event):
    """It waits for less now, and keeps its place. `quantity` is what it waits for."""

    order_id: Id
    side: Side
    price: Money
    quantity: Quantity


class OrderLeft(Event):
    """It waits no longer. `quantity` is what it waited for."""

    order_id: Id
    side: Side
    price: Money
    quantity: Quantity
    reason: LeftReason


BookEvent = (
    InstrumentListed | TradingHalted | TradingResumed | OrderRested | OrdersMatched | OrderReduced | OrderLeft
)
