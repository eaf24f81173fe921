"""A market in memory: users with cash and shares, one book, and the naive matcher beside it."""

from __future__ import annotations

from collections import Counter
from typing import Any

from domain import account_messages as am
from domain.account import Account
from domain.book import OrderBook
from domain.book_messages import HaltTrading, ListInstrument, OrdersMatched, ResumeTrading, Side
from domain.errors import DomainError
from domain.money import Money
from domain.order import OVER, Order, OrderStatus
from domain.order_messages import OrderMatched, OrderTerms
from domain.settlement_legs import bust_trade, settle_trade
from domain.streams import account_stream, book_stream, order_stream
from domain.trade_messages import TradeTerms
from domain.trading_legs import amend_order, cancel_order, expire_order, open_account, place_order
from tests.fixtures.books import Books
from tests.property.naive_matcher import NaiveBook
from tests.unit.given import AT, LATER

SYMBOL = "TIDE"
USERS = ("ann", "bob", "cyd", "dan")
CASH, SHARES = 5_000, {"ann": 40, "bob": 40, "cyd": 40, "dan": 0}
"""Who has no shares can close the account for them while a purchase is under way."""
TICK, LOT = 5, 2


class Market:
    """`size` orders at most, called o0, o1, …; whatever is refused must leave nothing behind."""

    def __init__(self, size: int) -> None:
        self.orders = tuple(f"o{number}" for number in range(size))
        streams = [account_stream(f"{user}-{kind}") for user in USERS for kind in ("cash", "shares")]
        streams += [order_stream(order_id) for order_id in self.orders]
        streams += [f"trade-{SYMBOL}-{number}" for number in range(1, 40 * size)]
        self.books = Books(*streams, book_stream(SYMBOL))
        self.naive = NaiveBook()
        self.unsettled: list[TradeTerms] = []
        self.ask(lambda leg: leg.on_book_command(SYMBOL, LISTING))
        for user in USERS:
            for kind, asset, minor in (("cash", "EUR", CASH), ("shares", SYMBOL, SHARES[user])):
                account_id = f"{user}-{kind}"
                opening = am.OpenAccount(at=AT, account_id=account_id, user_id=user, currency=asset)
                self.ask(lambda leg, opening=opening: open_account(leg, opening))
                self.tell(account_id, am.Deposit(at=AT, amount=Money(minor, asset)))

    @property
    def book(self) -> OrderBook:
        state = self.books.states[book_stream(SYMBOL)]
        assert isinstance(state, OrderBook)
        return state

    def order(self, order_id: str) -> Order:
        state = self.books.states[order_stream(order_id)]
        assert isinstance(state, Order)
        return state

    def ask(self, act: Any) -> bool:
        """Whether it was accepted. Keeps the trades it brought about."""
        seen = len(self.books.log)
        before = dict(self.books.states)
        try:
            self.books.leg(act)
        except DomainError:
            assert self.books.states == before
            return False
        for _, event in self.books.log[seen:]:
            if isinstance(event, OrderMatched):
                self.unsettled.append(event.trade)
        return True

    def tell(self, account_id: str, command: am.AccountCommand) -> bool:
        return self.ask(lambda leg: leg.on_account(account_id, command))

    # --- what can be asked -----------------------------------------------------

    def place(self, number: int, user: str, side: Side, price: int | None, quantity: int, tif: str) -> None:
        order_id = self.orders[number]
        terms = OrderTerms.model_validate(
            {
                "at": AT,
                "order_id": order_id,
                "cash_account": f"{user}-cash",
                "share_account": f"{user}-shares",
                "symbol": SYMBOL,
                "side": side,
                "type": "market" if price is None else "limit",
                "tif": tif,
                "quantity": quantity,
                "price": None if price is None else Money(price, "EUR"),
                "expires_at": LATER if tif == "DAY" else None,
            }
        )
        taken = self.ask(lambda leg: place_order(leg, terms))
        if taken and self.order(order_id).status is not OrderStatus.REJECTED:
            self.naive.place(order_id, user, side == "buy", price, quantity, tif)

    def cancel(self, number: int) -> None:
        order_id = self.orders[number]
        waits = self.naive.left_of(order_id)
        done = self.ask(lambda leg: cancel_order(leg, order_id, "changed my mind", AT))
        assert done == bool(waits), "a cancel achieves something exactly where something waits"
        self.naive.cancel(order_id)

    def expire(self, number: int) -> None:
        order_id = self.orders[number]
        if self.order(order_id).expires_at is not None:
            self.ask(lambda leg: expire_order(leg, order_id, LATER))
            self.naive.cancel(order_id)

    def amend(self, number: int, price: int | None, quantity: int | None) -> None:
        order_id = self.orders[number]
        order = self.order(order_id)
        money = None if price is None else Money(price, "EUR")
        if self.ask(lambda leg: amend_order(leg, order_id, quantity, money, AT)):
            rest = (quantity or order.quantity) - (order.quantity - self.naive.left_of(order.order_id))
            self.naive.amend(order.order_id, price or order.price or 0, rest)

    def halt(self, on: bool) -> None:
        command = HaltTrading(at=AT) if on else ResumeTrading(at=AT)
        self.ask(lambda leg: leg.on_book_command(SYMBOL, command))

    def freeze(self, account_id: str, on: bool) -> None:
        self.tell(account_id, am.Freeze(at=AT) if on else am.Unfreeze(at=AT))

    def empty_and_close(self, account_id: str) -> None:
        """What is not held is taken out; closed where nothing was."""
        account = self.books.account(account_id)
        if account.available > 0:
            self.tell(account_id, am.Withdraw(at=AT, amount=Money(account.available, account.currency)))
        self.tell(account_id, am.Close(at=AT))

    def settle(self, choice: int) -> None:
        """One of the trades that are agreed: delivered versus paid, or else busted. Either twice over."""
        if not self.unsettled:
            return
        trade = self.unsettled.pop(choice % len(self.unsettled))
        if not self.ask(lambda leg: settle_trade(leg, trade, AT)):
            closed = [self._closed(trade.buyer.share_account), self._closed(trade.seller.cash_account)]
            assert any(closed), "settlement was refused although nothing is closed"
            assert self.ask(lambda leg: bust_trade(leg, trade, "account_closed", "closed", AT))
        before = len(self.books.log)
        assert self.ask(lambda leg: bust_trade(leg, trade, "late", "a late undo", AT))
        assert self.ask(lambda leg: settle_trade(leg, trade, AT))
        assert len(self.books.log) == before, "settled or busted once"

    def _closed(self, account_id: str) -> bool:
        return self.books.account(account_id).status == "closed"

    # --- what must hold ----------------------------------------------------------

    def check(self) -> None:
        self.books.check()
        self._the_book_is_the_naive_one()
        self._every_share_and_cent_held_is_for_an_order()
        for order_id in self.orders:
            self._no_more_than_was_ordered(self.order(order_id))

    def _the_book_is_the_naive_one(self) -> None:
        for side, buys in (("buy", True), ("sell", False)):
            levels = self.book.side(side)  # type: ignore[arg-type]
            there = [(level.price, o.order_id, o.quantity) for level in levels for o in level.orders]
            assert there == self.naive.side(buys)
        trades = [
            (event.maker_order, event.taker_order, event.price.minor, event.quantity)
            for _, event in self.books.log
            if isinstance(event, OrdersMatched)
        ]
        assert trades == self.naive.trades
        if self.book.bids and self.book.asks:
            best = self.book.asks[0].price
            crossed = self.book.bids[0].price >= best
            mine = {o.user_id for o in self.book.bids[0].orders} == {o.user_id for o in self.book.asks[0].orders}
            assert not crossed or mine, "orders that should have met wait"

    def _every_share_and_cent_held_is_for_an_order(self) -> None:
        held: Counter[str] = Counter()
        for side in ("buy", "sell"):
            for level in self.book.side(side):
                for resting in level.orders:
                    order = self.order(resting.order_id)
                    held[order.paying_account] += order.cover(resting.quantity, level.price).minor
        for trade in self.unsettled:
            held[trade.buyer.cash_account] += trade.cost.minor
            held[trade.seller.share_account] += trade.quantity
        for state in self.books.states.values():
            if isinstance(state, Account):
                assert state.held == held[state.account_id]

    def _no_more_than_was_ordered(self, order: Order) -> None:
        if order.status in (OrderStatus.NONE, OrderStatus.REJECTED):
            return
        agreed = [t for t in self.unsettled if order.order_id in (t.buyer.order_id, t.seller.order_id)]
        waits = self.naive.left_of(order.order_id)
        assert order.leaves == sum(t.quantity for t in agreed) + waits
        assert 0 <= order.filled <= order.quantity
        assert min(order.leaves, order.busted, order.cancelled) >= 0
        assert (order.leaves == 0) == (order.status in OVER)
        if order.price is not None and not order.amendments:
            limit = order.price * order.filled
            assert order.value <= limit if order.side == "buy" else order.value >= limit


LISTING = ListInstrument(at=AT, symbol=SYMBOL, name="Tide", tick=Money(TICK, "EUR"), lot=LOT)
