"""OrderBook: a share's terms, and the orders that wait in it, by price and then by time.

The state is what a snapshot of a long stream must hold and no more: the levels. They are tuples, so that the state
after an event shares all but the one level it touches with the state before.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import assert_never

from domain.book_messages import (
    BookCommand,
    BookEvent,
    HaltTrading,
    InstrumentListed,
    ListInstrument,
    OrderLeft,
    OrderReduced,
    OrderRested,
    OrdersMatched,
    ResumeTrading,
    Side,
    TradingHalted,
    TradingResumed,
)
from domain.currencies import EXPONENTS, is_share
from domain.errors import Conflict, InvalidInput, NotFound, WrongState
from domain.money import Money, positive


class BookStatus(StrEnum):
    UNLISTED = "unlisted"
    OPEN = "open"
    HALTED = "halted"


@dataclass(frozen=True, slots=True)
class Resting:
    """An order that waits. `quantity` is what nobody has taken yet."""

    order_id: str
    user_id: str
    quantity: int
    cash_account: str
    share_account: str
    hold_id: str


@dataclass(frozen=True, slots=True)
class Level:
    """All orders at one price, in minor units of the book's currency; who came first is first."""

    price: int
    orders: tuple[Resting, ...]


@dataclass(frozen=True, slots=True)
class OrderBook:
    """`bids` and `asks` have the best price first. `last_price`: of the latest trade, None before the first."""

    symbol: str = ""
    name: str = ""
    currency: str = ""
    tick: int = 0
    lot: int = 0
    status: BookStatus = BookStatus.UNLISTED
    bids: tuple[Level, ...] = ()
    asks: tuple[Level, ...] = ()
    trades: int = 0
    last_price: int | None = None

    def side(self, side: Side) -> tuple[Level, ...]:
        return self.bids if side == "buy" else self.asks

    def money(self, minor: int) -> Money:
        return Money(minor, self.currency)

    def find(self, side: Side, price: int, order_id: str) -> Resting | None:
        """The order with this id where it would wait; None where it does not."""
        for level in self.side(side):
            if level.price == price:
                return next((order for order in level.orders if order.order_id == order_id), None)
        return None

    def must_be_listed(self, symbol: str) -> None:
        if self.status is BookStatus.UNLISTED:
            raise NotFound("instrument_not_found", f"there is no instrument {symbol}", "symbol")

    def must_trade(self) -> None:
        if self.status is BookStatus.HALTED:
            raise Conflict("trading_halted", f"trading in {self.symbol} is halted")

    def must_take(self, quantity: int, price: Money | None) -> None:
        """`quantity` is of whole lots and `price` of whole ticks, in the currency that the share is traded in."""
        if quantity % self.lot:
            raise InvalidInput(
                "wrong_lot", f"quantity must be a multiple of {self.lot}, the lot of {self.symbol}", "quantity"
            )
        if price is None:
            return
        positive(price)
        if price.currency != self.currency:
            raise InvalidInput(
                "currency_mismatch", f"{self.symbol} is traded in {self.currency}, not {price.currency}", "price"
            )
        if price.minor % self.tick:
            raise InvalidInput(
                "wrong_tick",
                f"price must be a multiple of {self.money(self.tick)}, the tick of {self.symbol}",
                "price",
            )


def initial() -> OrderBook:
    """The book of a share that is not listed."""
    return OrderBook()


def decide(command: BookCommand, book: OrderBook) -> list[BookEvent]:
    """The events `command` causes, or a DomainError."""
    match command:
        case ListInstrument():
            return [_list(command, book)]
        case HaltTrading(reason=reason):
            book.must_be_listed(book.symbol)
            if book.status is BookStatus.HALTED:
                raise WrongState("trading_halted", f"trading in {book.symbol} is halted already")
            return [TradingHalted(reason=reason)]
        case ResumeTrading(reason=reason):
            book.must_be_listed(book.symbol)
            if book.status is not BookStatus.HALTED:
                raise WrongState("trading_not_halted", f"trading in {book.symbol} is not halted")
            return [TradingResumed(reason=reason)]
        case _:
            assert_never(command)


def _list(command: ListInstrument, book: OrderBook) -> InstrumentListed:
    if book.status is not BookStatus.UNLISTED:
        raise Conflict("instrument_exists", f"{command.symbol} is listed already", "symbol")
    if not is_share(command.symbol):
        raise InvalidInput(
            "invalid_symbol",
            f"{command.symbol!r} is no share's code: 4 to 12 capitals and digits that do not begin with a "
            "currency's code, such as AAPL or US.IBM",
            "symbol",
        )
    if command.tick.currency not in EXPONENTS:
        raise InvalidInput("invalid_tick", "a share is traded in a currency", "tick")
    positive(command.tick)
    return InstrumentListed(symbol=command.symbol, name=command.name, tick=command.tick, lot=command.lot)


def evolve(book: OrderBook, event: BookEvent) -> OrderBook:
    """The book after `event`."""
    match event:
        case InstrumentListed(symbol=symbol, name=name, tick=tick, lot=lot):
            return OrderBook(symbol, name, tick.currency, tick.minor, lot, BookStatus.OPEN)
        case TradingHalted():
            return replace(book, status=BookStatus.HALTED)
        case TradingResumed():
            return replace(book, status=BookStatus.OPEN)
        case OrderRested():
            order = Resting(
                event.order_id,
                event.user_id,
                event.quantity,
                event.cash_account,
                event.share_account,
                event.hold_id,
            )
            return _at(book, event.side, event.price.minor, lambda orders: (*orders, order))
        case OrdersMatched(taker_side=side, price=price, quantity=quantity, number=number):
            other: Side = "sell" if side == "buy" else "buy"
            taken = _at(book, other, price.minor, lambda orders: _take(orders, quantity))
            return replace(taken, trades=number, last_price=price.minor)
        case OrderReduced(order_id=order_id, quantity=quantity):
            return _at(book, event.side, event.price.minor, lambda orders: _reduce(orders, order_id, quantity))
        case OrderLeft(order_id=order_id):
            return _at(
                book,
                event.side,
                event.price.minor,
                lambda orders: tuple(order for order in orders if order.order_id != order_id),
            )
        case _:
            assert_never(event)


Orders = tuple[Resting, ...]


def _at(book: OrderBook, side: Side, price: int, change: Callable[[Orders], Orders]) -> OrderBook:
    """The book with the orders at one price changed; a level that is empty is none."""
    levels = book.side(side)
    place = next((i for i, level in enumerate(levels) if _not_better(level.price, price, side)), len(levels))
    there = place < len(levels) and levels[place].price == price
    orders = change(levels[place].orders if there else ())
    level = (Level(price, orders),) if orders else ()
    levels = (*levels[:place], *level, *levels[place + there :])
    return replace(book, bids=levels) if side == "buy" else replace(book, asks=levels)


def _not_better(found: int, price: int, side: Side) -> bool:
    return found <= price if side == "buy" else found >= price


def _take(orders: Orders, quantity: int) -> Orders:
    first = orders[0]
    assert quantity <= first.quantity, "more was taken than the order waits for"
    return orders[1:] if quantity == first.quantity else (_less(first, first.quantity - quantity), *orders[1:])


def _reduce(orders: Orders, order_id: str, quantity: int) -> Orders:
    return tuple(_less(order, quantity) if order.order_id == order_id else order for order in orders)


def _less(order: Resting, quantity: int) -> Resting:
    return replace(order, quantity=quantity)
