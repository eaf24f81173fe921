"""The commands an order takes and the events it records. Quantities are whole shares."""

from __future__ import annotations

from typing import Literal

from domain.book_messages import Quantity, Side
from domain.model import AwareDatetime, Command, Event, Id, Name, Text
from domain.money import Money
from domain.trade_messages import TradeTerms

OrderType = Literal["limit", "market"]
TimeInForce = Literal["DAY", "GTC", "IOC", "FOK"]
"""Until the trading day ends; until cancelled; what can be had at once; all of it at once or nothing."""


# --- commands ------------------------------------------------------------


class OrderTerms(Command):
    """What is to be traded. `price` is the limit; a market order has none."""

    order_id: Id
    cash_account: Id
    share_account: Id
    symbol: Id
    side: Side
    type: OrderType
    tif: TimeInForce
    quantity: Quantity
    price: Money | None = None
    expires_at: AwareDatetime | None = None


class PlaceOrder(OrderTerms):
    user_id: Id
    currency: str


class AcceptOrder(Command):
    """`hold_id`: what covers it; None where nothing came of it that needs covering."""

    hold_id: Name | None


class RejectOrder(Command):
    code: Id
    reason: Text


class RecordMatch(Command):
    """It took from the book, and sees to the settlement."""

    trade: TradeTerms


class RecordFill(Command):
    """A trade of it is settled."""

    trade: TradeTerms


class RecordBust(Command):
    """A trade of it is broken. `refused_here`: it was this order's own side that could not settle."""

    trade: TradeTerms
    code: Id
    reason: Text
    refused_here: bool


class AmendOrder(Command):
    """`quantity` is the whole order's, what is traded already included."""

    quantity: Quantity
    price: Money
    hold_id: Name


class CancelOrder(Command):
    """`quantity` is what waited, or would have."""

    quantity: Quantity
    reason: Text


class ExpireOrder(Command):
    quantity: Quantity


OrderCommand = (
    PlaceOrder
    | AcceptOrder
    | RejectOrder
    | RecordMatch
    | RecordFill
    | RecordBust
    | AmendOrder
    | CancelOrder
    | ExpireOrder
)


# --- events ------------------------------------------------------------


class OrderPlaced(Event):
    order_id: Id
    user_id: Id
    cash_account: Id
    share_account: Id
    symbol: Id
    currency: str
    side: Side
    type: OrderType
    tif: TimeInForce
    quantity: Quantity
    price: Money | None = None
    expires_at: AwareDatetime | None = None


class OrderAccepted(Event):
    hold_id: Name | None = None


class OrderRejected(Event):
    code: Id
    reason: Text


class OrderMatched(Event):
    """It took from the book: the trade is agreed, not yet settled. Only the order that came later records it."""

    trade: TradeTerms


class OrderFill(Event):
    """A trade was settled. `filled`: of the order until now; `value`: what all of that cost or brought."""

    trade_id: Id
    price: Money
    quantity: Quantity
    filled: Quantity
    value: Money


class OrderPartiallyFilled(OrderFill):
    pass


class OrderFilled(OrderFill):
    pass


class OrderTradeBusted(Event):
    """A trade that was agreed is void: its quantity is done with, its hold given back."""

    trade_id: Id
    quantity: Quantity
    code: Id
    reason: Text
    refused_here: bool


class OrderAmended(Event):
    quantity: Quantity
    price: Money
    hold_id: Name


class OrderCancelled(Event):
    """What waited waits no longer; what is agreed already still settles."""

    quantity: Quantity
    reason: Text


class OrderExpired(Event):
    quantity: Quantity


OrderEvent = (
    OrderPlaced
    | OrderAccepted
    | OrderRejected
    | OrderMatched
    | OrderPartiallyFilled
    | OrderFilled
    | OrderTradeBusted
    | OrderAmended
    | OrderCancelled
    | OrderExpired
)
