"""Price-time priority: what an incoming order takes from a book. Pure, and all there is to the order of trades.

The best price first, at one price who came first, each at the waiting order's price. An order never meets one of
its own user: there it stops, and what is left of it leaves (self-trade prevention, "cancel newest").
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from domain.book import OrderBook, Resting
from domain.book_messages import Side
from domain.order_messages import TimeInForce

MAX_MATCHES = 250
"""So many waiting orders an incoming one meets at the most; what is left leaves. It bounds an append."""

Ended = Literal["immediate_or_cancel", "fill_or_kill", "self_trade", "too_many_trades"]
"""Why the rest of an order does not wait in the book."""


@dataclass(frozen=True, slots=True)
class Incoming:
    """`price`: its limit in minor units; None takes whatever there is."""

    user_id: str
    side: Side
    price: int | None
    quantity: int
    tif: TimeInForce


@dataclass(frozen=True, slots=True)
class Match:
    """`quantity` of `maker`, at the maker's price."""

    maker: Resting
    price: int
    quantity: int


@dataclass(frozen=True, slots=True)
class Matching:
    """What is taken, in order; `rest` is left, and waits in the book unless it `ended`."""

    matches: tuple[Match, ...]
    rest: int
    ended: Ended | None

    @property
    def cost(self) -> int:
        """Of all matches, in minor units."""
        return sum(match.price * match.quantity for match in self.matches)


def match(book: OrderBook, incoming: Incoming) -> Matching:
    """What `incoming` takes from the other side of `book`."""
    matches, rest, stopped = _sweep(book, incoming)
    if rest == 0:
        return Matching(tuple(matches), 0, None)
    if incoming.tif == "FOK":
        return Matching((), incoming.quantity, stopped or "fill_or_kill")
    if incoming.tif == "IOC" or incoming.price is None:
        stopped = stopped or "immediate_or_cancel"
    return Matching(tuple(matches), rest, stopped)


def _sweep(book: OrderBook, incoming: Incoming) -> tuple[list[Match], int, Ended | None]:
    matches: list[Match] = []
    rest = incoming.quantity
    for level in book.asks if incoming.side == "buy" else book.bids:
        if incoming.price is not None and _beyond(level.price, incoming.price, incoming.side):
            break
        for maker in level.orders:
            if rest == 0:
                return matches, 0, None
            if maker.user_id == incoming.user_id:
                return matches, rest, "self_trade"
            if len(matches) == MAX_MATCHES:
                return matches, rest, "too_many_trades"
            taken = min(rest, maker.quantity)
            matches.append(Match(maker, level.price, taken))
            rest -= taken
    return matches, rest, None


def _beyond(price: int, limit: int, side: Side) -> bool:
    return price > limit if side == "buy" else price < limit
