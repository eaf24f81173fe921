"""What two orders agreed on, and what became of it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from domain.book_messages import Quantity, Side
from domain.model import Command, Event, Id, Name, Text
from domain.money import Money


class TradeSide(BaseModel):
    """One of the two: its order, and where it pays or delivers from and receives on. Both accounts are its own."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    order_id: Id
    user_id: Id
    cash_account: Id
    share_account: Id
    hold_id: Name


class TradeTerms(BaseModel):
    """`quantity` shares of `symbol` for `price` each."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    trade_id: Id
    symbol: Id
    price: Money
    quantity: Quantity
    buyer: TradeSide
    seller: TradeSide
    taker: Side

    @property
    def cost(self) -> Money:
        return self.price.with_minor(self.price.minor * self.quantity)

    @property
    def shares(self) -> Money:
        return Money(self.quantity, self.symbol)


class SettleTrade(Command):
    trade: TradeTerms


class BustTrade(Command):
    trade: TradeTerms
    code: Id
    reason: Text


class TradeSettled(Event):
    """Delivery versus payment is done: shares and cash have changed sides, in this very append."""

    trade: TradeTerms


class TradeBusted(Event):
    """One leg was refused, so neither is done: both sides' holds are given back."""

    trade: TradeTerms
    code: Id
    reason: Text


TradeCommand = SettleTrade | BustTrade
TradeEvent = TradeSettled | TradeBusted
