"""A matcher as plain as can be, to compare with: one list of orders, searched from one end to the other.

Written from the rules, not from domain/matching.py, and it shares nothing with it.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Waiting:
    order_id: str
    user: str
    buys: bool
    price: int
    left: int
    turn: int


class NaiveBook:
    """`trades`: (maker, taker, price, quantity), in the order in which they came about."""

    def __init__(self) -> None:
        self.waiting: list[Waiting] = []
        self.trades: list[tuple[str, str, int, int]] = []
        self._turn = 0

    def place(self, order_id: str, user: str, buys: bool, price: int | None, quantity: int, tif: str) -> None:
        """Price None: at any."""
        found, left = self._could_take(user, buys, price, quantity)
        if tif == "FOK" and left:
            return
        for maker, taken in found:
            self.trades.append((maker.order_id, order_id, maker.price, taken))
            maker.left -= taken
        met_itself = bool(left) and self._would_meet_itself(user, buys, price)
        self.waiting = [order for order in self.waiting if order.left]
        if left and tif in ("DAY", "GTC") and price is not None and not met_itself:
            self._turn += 1
            self.waiting.append(Waiting(order_id, user, buys, price, left, self._turn))

    def cancel(self, order_id: str) -> None:
        self.waiting = [order for order in self.waiting if order.order_id != order_id]

    def amend(self, order_id: str, price: int, left: int) -> None:
        """`left`: what shall wait from now on."""
        [order] = [order for order in self.waiting if order.order_id == order_id]
        if price == order.price and left <= order.left:
            order.left = left
            return
        self.cancel(order_id)
        self.place(order_id, order.user, order.buys, price, left, "GTC")

    def left_of(self, order_id: str) -> int:
        return sum(order.left for order in self.waiting if order.order_id == order_id)

    def side(self, buys: bool) -> list[tuple[int, str, int]]:
        """(price, order, left), the first in line first."""
        orders = [order for order in self.waiting if order.buys == buys]
        orders.sort(key=lambda order: (-order.price if buys else order.price, order.turn))
        return [(order.price, order.order_id, order.left) for order in orders]

    def _could_take(
        self, user: str, buys: bool, price: int | None, quantity: int
    ) -> tuple[list[tuple[Waiting, int]], int]:
        found = []
        for maker in self._against(buys, price):
            if not quantity or maker.user == user:
                break
            taken = min(quantity, maker.left)
            found.append((maker, taken))
            quantity -= taken
        return found, quantity

    def _against(self, buys: bool, price: int | None) -> list[Waiting]:
        others = [order for order in self.waiting if order.buys != buys and order.left]
        if price is not None:
            others = [order for order in others if (order.price <= price if buys else order.price >= price)]
        return sorted(others, key=lambda order: (order.price if buys else -order.price, order.turn))

    def _would_meet_itself(self, user: str, buys: bool, price: int | None) -> bool:
        against = self._against(buys, price)
        return bool(against) and against[0].user == user
