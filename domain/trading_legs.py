"""What placing, amending and ending an order does to the order, its book and its account at once.

An order is covered before it can be seen: its hold, its place in the book and the trades it brings about are one
append. Settlement comes after it, trade by trade (settlement_legs.py). See docs/adr/0080.
"""

from __future__ import annotations

from datetime import datetime

from domain.account import Account, AccountStatus
from domain.account_messages import OpenAccount, ReleaseHold, Reserve
from domain.book import OrderBook, Resting
from domain.book_messages import LeftReason, OrderLeft, OrderReduced, OrderRested, OrdersMatched
from domain.currencies import is_share
from domain.errors import Conflict, InvalidInput, NotFound, WrongState
from domain.leg import Leg
from domain.matching import Incoming, Match, Matching, match
from domain.money import Money
from domain.order import Order, check_terms, covers
from domain.order_messages import (
    AcceptOrder,
    AmendOrder,
    CancelOrder,
    ExpireOrder,
    OrderTerms,
    PlaceOrder,
    RecordMatch,
    RejectOrder,
)
from domain.streams import account_stream, book_stream, order_stream
from domain.trade_messages import TradeSide, TradeTerms


def counterparty(symbol: str) -> str:
    """Whom an order's hold is for, as far as is known: the market."""
    return f"market-{symbol}"


def open_account(leg: Leg, command: OpenAccount) -> None:
    """An account in a share needs the share to be listed; one in a currency needs nothing."""
    if is_share(command.currency):
        leg.book(command.currency).must_be_listed(command.currency)
    leg.on_account(command.account_id, command)


def place_order(leg: Leg, terms: OrderTerms) -> None:
    """Cover the order and match it; what is left waits, or leaves. Rejected where it cannot be covered."""
    check_terms(terms)
    leg.asked |= {order_stream(terms.order_id), book_stream(terms.symbol)}
    book = leg.book(terms.symbol)
    book.must_be_listed(terms.symbol)
    book.must_take(terms.quantity, terms.price)
    cash = _party(leg, terms.cash_account, book.currency, "cash_account")
    shares = _party(leg, terms.share_account, terms.symbol, "share_account")
    if cash.user_id != shares.user_id:
        raise InvalidInput("other_user", "both accounts must be of the same user", "share_account")
    place = PlaceOrder(**dict(terms), user_id=cash.user_id, currency=book.currency)
    leg.on_order(terms.order_id, place)
    try:
        book.must_trade()
        cash.must_not_be_closed()
        shares.must_not_be_closed()
        order = leg.order(terms.order_id)
        matching = match(book, _incoming(order, order.quantity))
        with leg.attempt():
            held = _reserve(leg, order, matching, order_stream(order.order_id), terms.at)
    except Conflict as refusal:
        reject = RejectOrder(at=terms.at, code=refusal.code, reason=refusal.message)
        leg.on_order(terms.order_id, reject)
        return
    hold_id = order_stream(order.order_id) if held else None
    leg.on_order(terms.order_id, AcceptOrder(at=terms.at, hold_id=hold_id))
    _take(leg, leg.order(terms.order_id), matching, terms.at)


def amend_order(leg: Leg, order_id: str, quantity: int | None, price: Money | None, at: datetime) -> None:
    """Another quantity or price of what waits. Less at the same price keeps its place, all else comes anew."""
    order, book, resting = _waiting(leg, order_id)
    assert order.price is not None, "what waits has a price"
    new_quantity = order.quantity if quantity is None else quantity
    new_price = book.money(order.price) if price is None else price
    book.must_take(new_quantity, new_price)
    rest = new_quantity - (order.quantity - resting.quantity)
    if rest <= 0:
        raise Conflict(
            "order_matched",
            f"{order.quantity - resting.quantity} of order {order_id} are done with: cancel the rest instead",
            "quantity",
        )
    if new_price.minor == order.price and rest <= resting.quantity:
        _reduce(leg, order, resting, rest, at)
        return
    book.must_trade()
    _leave(leg, order, resting, "amended", at)
    hold_id = order.next_hold()
    leg.on_order(order_id, AmendOrder(at=at, quantity=new_quantity, price=new_price, hold_id=hold_id))
    order = leg.order(order_id)
    matching = match(leg.book(order.symbol), _incoming(order, rest))
    _reserve(leg, order, matching, hold_id, at)
    _take(leg, order, matching, at)


def _reduce(leg: Leg, order: Order, resting: Resting, rest: int, at: datetime) -> None:
    less = resting.quantity - rest
    assert order.price is not None, "what waits has a price"
    price = Money(order.price, order.currency)
    if less == 0:
        raise WrongState("nothing_amended", f"order {order.order_id} is as asked for already")
    amend = AmendOrder(at=at, quantity=order.quantity - less, price=price, hold_id=resting.hold_id)
    leg.on_order(order.order_id, amend)
    reduced = OrderReduced(order_id=order.order_id, side=order.side, price=price, quantity=rest)
    leg.on_book(order.symbol, reduced)
    _release(leg, order, resting.hold_id, order.cover(less, order.price), at)


def cancel_order(leg: Leg, order_id: str, reason: str, at: datetime) -> None:
    """What waits leaves the book. Refused where nothing waits: it is over, or all of it is agreed."""
    order, _, resting = _waiting(leg, order_id)
    _leave(leg, order, resting, "cancelled", at)
    leg.on_order(order_id, CancelOrder(at=at, quantity=resting.quantity, reason=reason))


def expire_order(leg: Leg, order_id: str, at: datetime) -> None:
    """As a cancel, when its time is up. Where nothing waits there is nothing to do."""
    leg.asked |= {order_stream(order_id), book_stream(leg.order(order_id).symbol)}
    order = leg.order(order_id)
    resting = _resting(leg.book(order.symbol), order)
    if resting is None:
        return
    leg.on_order(order_id, ExpireOrder(at=at, quantity=resting.quantity))
    _leave(leg, order, resting, "expired", at)


def _waiting(leg: Leg, order_id: str) -> tuple[Order, OrderBook, Resting]:
    order = leg.order(order_id)
    leg.asked.add(order_stream(order_id))
    order.must_be_open()
    leg.asked.add(book_stream(order.symbol))
    book = leg.book(order.symbol)
    resting = _resting(book, order)
    if resting is None:
        raise WrongState("order_matched", f"all of order {order_id} is matched: nothing of it waits")
    return order, book, resting


def _resting(book: OrderBook, order: Order) -> Resting | None:
    return None if order.price is None else book.find(order.side, order.price, order.order_id)


def _party(leg: Leg, account_id: str, asset: str, field: str) -> Account:
    account = leg.account(account_id)
    leg.asked.add(account_stream(account_id))
    if account.status is AccountStatus.UNOPENED:
        raise NotFound("account_not_found", f"account {account_id} does not exist", field)
    if account.currency != asset:
        raise InvalidInput(
            "currency_mismatch", f"account {account_id} is in {account.currency}, {asset} is needed", field
        )
    if account.rail is not None:
        raise InvalidInput("account_external", f"account {account_id} is at another bank", field)
    return account


def _incoming(order: Order, quantity: int) -> Incoming:
    return Incoming(order.user_id, order.side, order.price, quantity, order.tif)


def _reserve(leg: Leg, order: Order, matching: Matching, hold_id: str, at: datetime) -> bool:
    """Hold what the matches cost and what waits may cost; False where that is nothing."""
    waits = matching.rest if matching.ended is None else 0
    cost = matching.cost + (waits * order.price if order.price is not None else 0)
    taken = sum(found.quantity for found in matching.matches)
    amount = covers(order.side, order.symbol, order.currency, taken + waits, cost)
    if amount.minor == 0:
        leg.account(order.paying_account).must_be_open_for_debits()
        return False
    reserve = Reserve(at=at, hold_id=hold_id, amount=amount, counterparty=counterparty(order.symbol))
    leg.on_account(order.paying_account, reserve)
    return True


def _take(leg: Leg, order: Order, matching: Matching, at: datetime) -> None:
    """Record the matches in the book and on the order that brought them about; then what is left of it."""
    for found in matching.matches:
        trade = _agree(leg.book(order.symbol), order, found)
        matched = OrdersMatched(
            trade_id=trade.trade_id,
            number=leg.book(order.symbol).trades + 1,
            maker_order=found.maker.order_id,
            taker_order=order.order_id,
            taker_side=order.side,
            price=trade.price,
            quantity=trade.quantity,
        )
        leg.on_book(order.symbol, matched)
        leg.on_order(order.order_id, RecordMatch(at=at, trade=trade))
    if matching.rest == 0:
        return
    if matching.ended is not None:
        leg.on_order(order.order_id, CancelOrder(at=at, quantity=matching.rest, reason=matching.ended))
        return
    assert order.price is not None, "what waits has a price"
    assert order.hold_id is not None, "what waits is covered"
    rested = OrderRested(
        order_id=order.order_id,
        user_id=order.user_id,
        side=order.side,
        price=Money(order.price, order.currency),
        quantity=matching.rest,
        cash_account=order.cash_account,
        share_account=order.share_account,
        hold_id=order.hold_id,
    )
    leg.on_book(order.symbol, rested)


def _agree(book: OrderBook, order: Order, found: Match) -> TradeTerms:
    assert order.hold_id is not None, "what is matched is covered"
    taker = _side(order.order_id, order.user_id, order.cash_account, order.share_account, order.hold_id)
    first = found.maker
    maker = _side(first.order_id, first.user_id, first.cash_account, first.share_account, first.hold_id)
    buyer, seller = (taker, maker) if order.side == "buy" else (maker, taker)
    return TradeTerms(
        trade_id=f"{order.symbol}-{book.trades + 1}",
        symbol=order.symbol,
        price=book.money(found.price),
        quantity=found.quantity,
        buyer=buyer,
        seller=seller,
        taker=order.side,
    )


def _side(order_id: str, user_id: str, cash_account: str, share_account: str, hold_id: str) -> TradeSide:
    return TradeSide(
        order_id=order_id,
        user_id=user_id,
        cash_account=cash_account,
        share_account=share_account,
        hold_id=hold_id,
    )


def _leave(leg: Leg, order: Order, resting: Resting, reason: LeftReason, at: datetime) -> None:
    """Out of the book, and its cover given back."""
    assert order.price is not None, "what waits has a price"
    left = OrderLeft(
        order_id=order.order_id,
        side=order.side,
        price=Money(order.price, order.currency),
        quantity=resting.quantity,
        reason=reason,
    )
    leg.on_book(order.symbol, left)
    _release(leg, order, resting.hold_id, order.cover(resting.quantity, order.price), at)


def _release(leg: Leg, order: Order, hold_id: str, amount: Money, at: datetime) -> None:
    leg.on_account(order.paying_account, ReleaseHold(at=at, hold_id=hold_id, amount=amount))
