"""What an order's workflow asks of activities, and what it gets back. Plain data; no I/O."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from activities.steps import Wish
from domain.book_messages import Quantity, Side
from domain.model import AwareDatetime, Id, Text
from domain.money import Money
from domain.order import OVER, Order, OrderStatus
from domain.order_messages import OrderType, TimeInForce
from domain.trade_messages import TradeTerms


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class TradingOrder(_Data):
    """What a user wants to trade. `order_id` is the business id: it makes the order unique."""

    order_id: Id
    cash_account: Id
    share_account: Id
    symbol: Id
    side: Side
    type: OrderType = "limit"
    tif: TimeInForce = "DAY"
    quantity: Quantity
    price: Money | None = None
    actor: Id = "system"
    trace: Text | None = None


class CancelOrderWish(Wish):
    reason: Text = "asked for"


class AmendOrderWish(Wish):
    """What is None stays. `quantity` is the whole order's, what is traded already included."""

    quantity: Quantity | None = None
    price: Money | None = None


class ExpireOrderWish(Wish):
    expired_at: AwareDatetime


class NewsWish(Wish):
    """Another order's workflow has settled a trade with this one: look where it stands."""


class OrderStep(_Data):
    """Where an order stands after a step. `unsettled`: trades that its workflow has to settle, in order."""

    order_id: str
    status: OrderStatus
    user_id: str
    symbol: str
    cash_account: str
    share_account: str
    quantity: int
    filled: int
    leaves: int
    cancelled: int
    busted: int
    must_leave: bool = False
    expires_at: AwareDatetime | None = None
    unsettled: tuple[TradeTerms, ...] = ()
    failure_code: str | None = None
    failure_reason: str | None = None

    @property
    def over(self) -> bool:
        return self.status in OVER

    @classmethod
    def of(cls, order: Order) -> OrderStep:
        return cls(
            order_id=order.order_id,
            status=order.status,
            user_id=order.user_id,
            symbol=order.symbol,
            cash_account=order.cash_account,
            share_account=order.share_account,
            quantity=order.quantity,
            filled=order.filled,
            leaves=order.leaves,
            cancelled=order.cancelled,
            busted=order.busted,
            must_leave=order.refused and order.ended is None,
            expires_at=order.expires_at if order.ended is None else None,
            unsettled=tuple(order.unsettled.values()),
            failure_code=order.failure_code,
            failure_reason=order.failure_reason,
        )


class SettlementStep(_Data):
    """After a trade was settled or busted: where this order stands, and the other one."""

    mine: OrderStep
    other: OrderStep


class BustWish(_Data):
    code: Id
    reason: Text
