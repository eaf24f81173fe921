"""Order: what one user wants to buy or sell, and how much of it has come about.

    quantity = filled + busted + cancelled + leaves

`leaves` waits in the book, or is agreed and not yet settled. The order is over when nothing is left: filled if all
of it was, else cancelled or expired, with what was filled before kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Literal, assert_never

from domain.book_messages import Side
from domain.errors import Conflict, InvalidInput, NotFound, WrongState
from domain.money import MAX_MINOR, Money
from domain.order_messages import (
    AcceptOrder,
    AmendOrder,
    CancelOrder,
    ExpireOrder,
    OrderAccepted,
    OrderAmended,
    OrderCancelled,
    OrderCommand,
    OrderEvent,
    OrderExpired,
    OrderFill,
    OrderFilled,
    OrderMatched,
    OrderPartiallyFilled,
    OrderPlaced,
    OrderRejected,
    OrderTerms,
    OrderTradeBusted,
    PlaceOrder,
    RecordBust,
    RecordFill,
    RecordMatch,
    RejectOrder,
    TimeInForce,
)
from domain.streams import order_stream
from domain.trade_messages import TradeTerms


class OrderStatus(StrEnum):
    NONE = "none"
    PLACED = "placed"
    ACCEPTED = "accepted"
    PARTIALLY_FILLED = "partially_filled"
    FILLED = "filled"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REJECTED = "rejected"


S = OrderStatus
MAX_AMENDMENTS = 1000
"""So often an order may be amended: it bounds its stream and its workflow's history."""
OPEN = (S.PLACED, S.ACCEPTED, S.PARTIALLY_FILLED)
OVER = (S.FILLED, S.CANCELLED, S.EXPIRED, S.REJECTED)


@dataclass(frozen=True, slots=True)
class Order:
    """Quantities in whole shares; `price` and `value` in minor units of `currency`.

    `unsettled`: trades that this order brought about and has yet to settle. `refused`: its own side could not
    settle a trade, so the rest of it has no place in the book.
    """

    order_id: str = ""
    user_id: str = ""
    status: OrderStatus = OrderStatus.NONE
    cash_account: str = ""
    share_account: str = ""
    symbol: str = ""
    currency: str = ""
    side: Side = "buy"
    tif: TimeInForce = "GTC"
    price: int | None = None
    quantity: int = 0
    filled: int = 0
    busted: int = 0
    cancelled: int = 0
    value: int = 0
    hold_id: str | None = None
    amendments: int = 0
    expires_at: datetime | None = None
    unsettled: dict[str, TradeTerms] = field(default_factory=dict)
    ended: Literal["cancelled", "expired"] | None = None
    refused: bool = False
    failure_code: str | None = None
    failure_reason: str | None = None

    @property
    def leaves(self) -> int:
        return self.quantity - self.filled - self.busted - self.cancelled

    @property
    def paying_account(self) -> str:
        """Whose hold covers the order: cash for a purchase, shares for a sale."""
        return self.cash_account if self.side == "buy" else self.share_account

    def cover(self, quantity: int, price: int) -> Money:
        """What `quantity` at `price` needs to be held."""
        return covers(self.side, self.symbol, self.currency, quantity, quantity * price)

    def next_hold(self) -> str:
        """The hold after an amendment has its own name: trades agreed before it are covered by the one before."""
        return f"{order_stream(self.order_id)}:{self.amendments + 1}"

    def must_exist(self) -> None:
        if self.status is S.NONE:
            raise NotFound("order_not_found", "order does not exist", "order_id")

    def must_be_open(self) -> None:
        self.must_exist()
        if self.status not in OPEN or self.ended is not None:
            raise WrongState("wrong_order_status", f"order {self.order_id} is {self.ended or self.status}")


def covers(side: Side, symbol: str, currency: str, quantity: int, cost: int) -> Money:
    """A purchase is covered by its cost, a sale by its shares."""
    return Money(cost, currency) if side == "buy" else Money(quantity, symbol)


def check_terms(terms: OrderTerms) -> None:
    """Raises InvalidInput for what no state of anything could allow."""
    if terms.type == "market":
        if terms.price is not None:
            raise InvalidInput("invalid_price", "a market order has no price", "price")
        if terms.tif not in ("IOC", "FOK"):
            raise InvalidInput("invalid_tif", "a market order is IOC or FOK: it never waits", "tif")
    elif terms.price is None:
        raise InvalidInput("price_missing", "a limit order needs a price", "price")
    if terms.price is not None:
        check_value(terms.quantity, terms.price)


def check_value(quantity: int, price: Money) -> None:
    """Raises InvalidInput where an order is about more than one command may move."""
    if quantity * price.minor > MAX_MINOR:
        raise InvalidInput("amount_too_large", "quantity × price is too large", "quantity")


def initial() -> Order:
    """An order that nobody has placed."""
    return Order()


def decide(command: OrderCommand, order: Order) -> list[OrderEvent]:
    """The events `command` causes, or a DomainError."""
    match command:
        case PlaceOrder():
            if order.status is not S.NONE:
                raise Conflict("order_exists", f"order {command.order_id} exists already", "order_id")
            check_terms(command)
            return [OrderPlaced(**{name: value for name, value in command if name != "at"})]
        case AcceptOrder(hold_id=hold_id):
            return [OrderAccepted(hold_id=hold_id)]
        case RejectOrder(code=code, reason=reason):
            return [OrderRejected(code=code, reason=reason)]
        case RecordMatch(trade=trade):
            return [OrderMatched(trade=trade)]
        case RecordFill(trade=trade):
            return [_fill(trade, order)]
        case RecordBust(trade=trade):
            return [
                OrderTradeBusted(
                    trade_id=trade.trade_id,
                    quantity=trade.quantity,
                    code=command.code,
                    reason=command.reason,
                    refused_here=command.refused_here,
                )
            ]
        case AmendOrder(quantity=quantity, price=price, hold_id=hold_id):
            order.must_be_open()
            check_value(quantity, price)
            if order.amendments >= MAX_AMENDMENTS:
                raise Conflict(
                    "too_many_amendments", f"order {order.order_id} was amended too often: place another"
                )
            return [OrderAmended(quantity=quantity, price=price, hold_id=hold_id)]
        case CancelOrder(quantity=quantity, reason=reason):
            order.must_be_open()
            return [OrderCancelled(quantity=quantity, reason=reason)]
        case ExpireOrder(quantity=quantity):
            order.must_be_open()
            if order.expires_at is None or command.at < order.expires_at:
                raise Conflict("order_not_expired", f"order {order.order_id} has not expired yet")
            return [OrderExpired(quantity=quantity)]
        case _:
            assert_never(command)


def _fill(trade: TradeTerms, order: Order) -> OrderEvent:
    assert trade.quantity <= order.leaves, "filled beyond the order's quantity"
    filled = order.filled + trade.quantity
    kind = OrderFilled if filled == order.quantity else OrderPartiallyFilled
    return kind(
        trade_id=trade.trade_id,
        price=trade.price,
        quantity=trade.quantity,
        filled=filled,
        value=Money(order.value + trade.cost.minor, order.currency),
    )


def evolve(order: Order, event: OrderEvent) -> Order:
    """The order after `event`."""
    match event:
        case OrderPlaced():
            return Order(
                order_id=event.order_id,
                user_id=event.user_id,
                status=S.PLACED,
                cash_account=event.cash_account,
                share_account=event.share_account,
                symbol=event.symbol,
                currency=event.currency,
                side=event.side,
                tif=event.tif,
                price=None if event.price is None else event.price.minor,
                quantity=event.quantity,
                expires_at=event.expires_at,
            )
        case OrderAccepted(hold_id=hold_id):
            return replace(order, status=S.ACCEPTED, hold_id=hold_id)
        case OrderRejected(code=code, reason=reason):
            return replace(order, status=S.REJECTED, failure_code=code, failure_reason=reason)
        case OrderMatched(trade=trade):
            return replace(order, unsettled={**order.unsettled, trade.trade_id: trade})
        case OrderPartiallyFilled() | OrderFilled():
            return _standing(_settled(order, event))
        case OrderTradeBusted(trade_id=trade_id, quantity=quantity):
            return _standing(
                replace(
                    order,
                    busted=order.busted + quantity,
                    unsettled=_without(order.unsettled, trade_id),
                    refused=order.refused or event.refused_here,
                    failure_code=event.code,
                    failure_reason=event.reason,
                )
            )
        case OrderAmended(quantity=quantity, price=price, hold_id=hold_id):
            return replace(
                order,
                quantity=quantity,
                price=price.minor,
                hold_id=hold_id,
                amendments=order.amendments + 1,
            )
        case OrderCancelled(quantity=quantity, reason=reason):
            ended = replace(order, cancelled=order.cancelled + quantity, ended="cancelled", failure_reason=reason)
            return _standing(ended)
        case OrderExpired(quantity=quantity):
            return _standing(replace(order, cancelled=order.cancelled + quantity, ended="expired"))
        case _:
            assert_never(event)


def _settled(order: Order, event: OrderFill) -> Order:
    return replace(
        order,
        filled=event.filled,
        value=event.value.minor,
        unsettled=_without(order.unsettled, event.trade_id),
    )


def _without(unsettled: dict[str, TradeTerms], trade_id: str) -> dict[str, TradeTerms]:
    return {key: trade for key, trade in unsettled.items() if key != trade_id}


def _standing(order: Order) -> Order:
    """With the status that follows from what is done and what is left."""
    if order.leaves > 0:
        return replace(order, status=S.PARTIALLY_FILLED if order.filled else S.ACCEPTED)
    if order.filled == order.quantity:
        return replace(order, status=S.FILLED)
    return replace(order, status=S.EXPIRED if order.ended == "expired" else S.CANCELLED)
