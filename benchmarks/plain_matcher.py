"""A price-time matcher in memory and nothing more: the limit of what matching in Python can be."""

from __future__ import annotations

import heapq
from collections import deque
from typing import Literal

Side = Literal["buy", "sell"]


class PlainBook:
    """Prices in heaps, each with its line of [order, quantity]. No accounts, no log, no cancel."""

    def __init__(self) -> None:
        self._heaps: dict[Side, list[int]] = {"buy": [], "sell": []}
        self._lines: dict[Side, dict[int, deque[list[int]]]] = {"buy": {}, "sell": {}}

    def waiting(self, side: Side) -> int:
        """Shares that wait on one side, of all orders."""
        return sum(quantity for line in self._lines[side].values() for _, quantity in line)

    def place(self, order: int, side: Side, price: int, quantity: int) -> None:
        other: Side = "sell" if side == "buy" else "buy"
        heap, lines = self._heaps[other], self._lines[other]
        sign = 1 if other == "sell" else -1
        while quantity and heap:
            best = heap[0] * sign
            if (best > price) if side == "buy" else (best < price):
                break
            line = lines[best]
            while quantity and line:
                taken = min(quantity, line[0][1])
                quantity -= taken
                line[0][1] -= taken
                if not line[0][1]:
                    line.popleft()
            if not line:
                heapq.heappop(heap)
                del lines[best]
        if quantity:
            mine = self._lines[side]
            if price not in mine:
                mine[price] = deque()
                heapq.heappush(self._heaps[side], price if side == "sell" else -price)
            mine[price].append([order, quantity])
