"""Orders, their books and their trades: what each append leaves must be whole, and at the end nothing hangs.

Prices and values are in minor units, quantities in whole shares. What two orders agreed on is taken from the book
and the orders themselves, so that a settlement is compared with what it settles, not with what it says of itself.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from tests.chaos.checker.money import minor

if TYPE_CHECKING:
    from tests.chaos.checker.books import Books, Row

Wrong = Callable[[str, str, str], None]
WAITING_TIFS: Final = ("DAY", "GTC")


@dataclass
class Resting:
    """What of an order waits in the book, at which price."""

    side: str
    price: int
    quantity: int


@dataclass
class Order:
    """`done`: what its own stream says became of its trades. `holds`: the names of what covers it."""

    stream: str
    placed: dict[str, Any] = field(default_factory=dict)
    limit: int | None = None
    quantity: int = 0
    filled: int = 0
    busted: int = 0
    cancelled: int = 0
    rejected: bool = False
    refused: bool = False
    holds: list[str] = field(default_factory=list)
    done: dict[str, str] = field(default_factory=dict)
    agreed: dict[str, Trade] = field(default_factory=dict)
    """Its trades that are neither settled nor busted."""

    @property
    def id(self) -> str:
        return self.stream.partition("-")[2]

    @property
    def buys(self) -> bool:
        return bool(self.placed["side"] == "buy")

    @property
    def leaves(self) -> int:
        return 0 if self.rejected else self.quantity - self.filled - self.busted - self.cancelled

    @property
    def paying(self) -> str:
        return str(self.placed["cash_account" if self.buys else "share_account"])

    def see(self, row: Row, wrong: Wrong) -> None:
        """The next event of its stream."""
        where, data = f"{row.stream}@{row.version}", row.data
        if self.placed and not self.leaves:
            wrong("order", where, f"{row.type} after it was over")
        match row.type:
            case "OrderPlaced":
                self.placed, self.quantity = data, data["quantity"]
                self.limit = minor(data["price"]) if data.get("price") else None
            case "OrderAccepted":
                self.holds += [data["hold_id"]] if data.get("hold_id") else []
            case "OrderRejected":
                self.rejected = True
            case "OrderAmended":
                self.quantity, self.limit = data["quantity"], minor(data["price"])
                self.holds += [data["hold_id"]] if data["hold_id"] not in self.holds else []
            case "OrderTradeBusted":
                self.busted += data["quantity"]
                self.refused |= data["refused_here"]
                self._became(data["trade_id"], "busted", where, wrong)
            case "OrderCancelled" | "OrderExpired":
                self.cancelled += data["quantity"]
            case "OrderPartiallyFilled" | "OrderFilled":
                self.filled += data["quantity"]
                self._became(data["trade_id"], "settled", where, wrong)
        if self.filled > self.quantity:
            wrong("effect as asked", where, f"is over {self.quantity} shares, and {self.filled} are filled")
        elif self.leaves < 0:
            wrong("effect as asked", where, f"is over {self.quantity} shares, {-self.leaves} more are done with")

    def _became(self, trade: str, what: str, where: str, wrong: Wrong) -> None:
        if trade in self.done:
            wrong("effect once", where, f"trade {trade} is {what}, and was {self.done[trade]}")
        self.done[trade] = what


@dataclass
class Trade:
    """As the book agreed it."""

    stream: str
    price: int
    quantity: int
    buyer: Order
    seller: Order
    status: str = "agreed"
    moved: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Account → what came (above zero) or went in its name."""

    @property
    def id(self) -> str:
        return self.stream.partition("-")[2]

    def due(self) -> dict[str, int]:
        """What its settlement moves: cash one way, shares the other."""
        cost = self.price * self.quantity
        return {
            self.buyer.placed["cash_account"]: -cost,
            self.seller.placed["cash_account"]: cost,
            self.seller.placed["share_account"]: -self.quantity,
            self.buyer.placed["share_account"]: self.quantity,
        }


class Market:
    """Fed with events in order. `whole` at the end of each append: what it touched must be right then."""

    def __init__(self, wrong: Wrong) -> None:
        self.orders: dict[str, Order] = {}
        self.trades: dict[str, Trade] = {}
        self.books: dict[str, dict[str, Resting]] = defaultdict(dict)
        self.halted: set[str] = set()
        self.halts = 0
        self._wrong = wrong
        self._touched: dict[str, Order] = {}
        self._told: dict[str, Trade] = {}
        self._matched: list[Trade] = []
        self._moved: list[tuple[str, str, int]] = []

    def order(self, row: Row) -> None:
        self._order(row.stream.partition("-")[2]).see(row, self._wrong)

    def book(self, row: Row) -> None:
        """The next event of a book: who waits there, in which order."""
        symbol, data, where = row.stream.partition("-")[2], row.data, f"{row.stream}@{row.version}"
        line = self.books[symbol]
        if symbol in self.halted and row.type in ("OrderRested", "OrdersMatched", "TradingHalted"):
            self._wrong("halt", where, f"{row.type} while trading in {symbol} was halted")
        match row.type:
            case "TradingHalted":
                self.halted.add(symbol)
                self.halts += 1
            case "TradingResumed":
                self.halted.discard(symbol)
            case "OrderRested":
                self._order(data["order_id"])
                line[data["order_id"]] = Resting(data["side"], minor(data["price"]), data["quantity"])
            case "OrdersMatched":
                self._match(line, data, where)
            case "OrderReduced":
                self._order(data["order_id"])
                line[data["order_id"]].quantity = data["quantity"]
            case "OrderLeft":
                self._order(data["order_id"])
                left = line.pop(data["order_id"], None)
                if left is None or left.quantity != data["quantity"]:
                    self._wrong("order", where, f"{data['quantity']} of {data['order_id']} leave, of {left}")

    def trade(self, row: Row) -> None:
        """Settled or busted, once."""
        where, trade = f"{row.stream}@{row.version}", self.trades.get(row.stream)
        if trade is None:
            self._wrong("asked for", where, "no two orders have agreed on it")
            return
        if trade.status != "agreed":
            self._wrong("effect once", where, f"{row.type} after it was {trade.status}")
        trade.status = {"TradeSettled": "settled", "TradeBusted": "busted"}[row.type]
        self._told[trade.stream] = trade
        for order in (trade.buyer, trade.seller):
            order.agreed.pop(trade.id, None)
            self._touched[order.id] = order

    def moved(self, stream: str, account: str, change: int) -> None:
        """A posting in the name of a trade."""
        self._moved.append((stream, account, change))

    def whole(self, books: Books) -> None:
        """After an append, whose rows come in any order: trades as agreed, both legs or none, orders covered."""
        for stream, account, change in self._moved:
            if stream in self.trades:
                self.trades[stream].moved[account] += change
                self._told[stream] = self.trades[stream]
            else:
                self._wrong("asked for", stream, f"{change} at {account}, and no two orders have agreed on it")
        for trade in self._matched:
            self._allowed(trade)
        for trade in self._told.values():
            self._legs(trade)
        for order in self._touched.values():
            self.covered(order, books)
        for seen in (self._moved, self._matched, self._told, self._touched):
            seen.clear()

    def waits(self, order: Order) -> Resting | None:
        return self.books[order.placed["symbol"]].get(order.id) if order.placed else None

    def covered(self, order: Order, books: Books) -> None:
        """What is held for it is what is open: what waits at its price, what is agreed at the trade's."""
        if not order.placed:
            self._wrong("asked for", order.stream, "is in a book, and was never placed")
            return
        rest = self.waits(order)
        open_ = [(trade.quantity, trade.price) for trade in order.agreed.values()]
        open_ += [(rest.quantity, rest.price)] if rest is not None else []
        due = sum(quantity * price if order.buys else quantity for quantity, price in open_)
        holds = books.accounts[order.paying].holds
        held = sum(holds.get(hold, 0) for hold in order.holds)
        if held != due:
            self._wrong("holds", order.stream, f"{due} of it is open, and {held} is held at {order.paying}")

    def _order(self, id_: str) -> Order:
        return self._touched.setdefault(id_, self.orders.setdefault(id_, Order(f"order-{id_}")))

    def _match(self, line: dict[str, Resting], data: dict[str, Any], where: str) -> None:
        maker, taker = self._order(data["maker_order"]), self._order(data["taker_order"])
        rest, price, quantity = line.get(maker.id), minor(data["price"]), data["quantity"]
        if rest is None or rest.side == data["taker_side"] or rest.price != price or rest.quantity < quantity:
            self._wrong("priority", where, f"{quantity} at {price} of {maker.id}, of which there is {rest}")
            return
        # The first of the best price: `line` is in the order in which they came.
        there = [(one.price, id_) for id_, one in line.items() if one.side == rest.side]
        best = (min if rest.side == "sell" else max)(found for found, _ in there)
        first = next(id_ for found, id_ in there if found == best)
        if first != maker.id:
            self._wrong("priority", where, f"{maker.id} was matched, and {first} was before it")
        rest.quantity -= quantity
        if not rest.quantity:
            del line[maker.id]
        buyer, seller = (taker, maker) if data["taker_side"] == "buy" else (maker, taker)
        trade = Trade(f"trade-{data['trade_id']}", price, quantity, buyer, seller)
        if trade.stream in self.trades:
            self._wrong("effect once", where, f"trade {trade.id} is agreed a second time")
        self.trades[trade.stream] = maker.agreed[trade.id] = taker.agreed[trade.id] = trade
        self._matched.append(trade)

    def _allowed(self, trade: Trade) -> None:
        """Within both limits, and between two users."""
        buyer, seller = trade.buyer, trade.seller
        if not buyer.placed or not seller.placed:
            return  # said of the order
        for order, through in ((buyer, 1), (seller, -1)):
            if order.limit is not None and (trade.price - order.limit) * through > 0:
                self._wrong(
                    "effect as asked", trade.stream, f"{trade.price} is through {order.id}'s {order.limit}"
                )
        if (buyer.placed["side"], seller.placed["side"]) != ("buy", "sell"):
            self._wrong(
                "effect as asked", trade.stream, f"{buyer.id} buys and {seller.id} sells, by the book alone"
            )
        if buyer.placed["user_id"] == seller.placed["user_id"]:
            self._wrong("effect as asked", trade.stream, f"{buyer.id} and {seller.id} are of one user")

    def _legs(self, trade: Trade) -> None:
        """Both, exactly, and both orders told; or none."""
        moved = {account: change for account, change in trade.moved.items() if change}
        if moved != (trade.due() if trade.status == "settled" else {}):
            shown = ", ".join(f"{change} at {account}" for account, change in sorted(moved.items())) or "nothing"
            message = f"{trade.quantity} for {trade.price} each, {trade.status}: moved {shown}"
            self._wrong("both legs", trade.stream, message)
        for order in (trade.buyer, trade.seller):
            said = order.done.get(trade.id, "agreed")
            if said != trade.status:
                self._wrong("both legs", trade.stream, f"is {trade.status}, and {said} by {order.stream}")


def drives_on(order: Order, market: Market) -> bool:
    """Whether something still has to happen to it. What waits in the book does so for as long as nobody comes."""
    if order.agreed:
        return True
    rest = market.waits(order)
    return order.leaves != (rest.quantity if rest is not None else 0) or (order.refused and rest is not None)


def check(order: Order, asked: dict[str, Any], books: Books, wrong: Wrong) -> None:
    """At the end: it is what was sent, and over, or waits in the book and is covered."""
    market, placed = books.market, order.placed
    terms = {name: placed.get(name) for name in ("symbol", "side", "type", "tif", "quantity")}
    sent = {name: asked[name] for name in terms}
    if terms != sent or (placed.get("price") or {}).get("amount") != asked.get("price"):
        wrong("effect as asked", order.stream, f"was sent as {sent}, and placed as {terms}")
    if drives_on(order, market):
        rest = market.waits(order)
        where = f"{rest.quantity if rest else 0} in the book and {len(order.agreed)} trades to settle"
        wrong("ends", order.stream, f"has {order.leaves} left, with {where}")
    if market.waits(order) is not None and placed["tif"] not in WAITING_TIFS:
        wrong("effect as asked", order.stream, f"is {placed['tif']}, and waits in the book")
    market.covered(order, books)


def check_holds(books: Books, wrong: Wrong) -> None:
    """Nothing is held in the name of an order that the order does not know."""
    known = {hold for order in books.market.orders.values() for hold in order.holds}
    for name, account in books.accounts.items():
        for hold, amount in account.holds.items():
            if amount and hold.startswith("order-") and hold not in known:
                wrong("holds", name, f"{amount} is held as {hold}, which no order knows")
