"""What questions about trading are answered with. Amounts are decimal strings, quantities whole shares."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class OrderView:
    """`leaves` waits in the book or is not settled yet; `value` is what the filled part cost or brought."""

    order_id: str
    user_id: str
    status: str
    cash_account: str
    share_account: str
    symbol: str
    currency: str
    side: str
    type: str
    tif: str
    price: str | None
    quantity: int
    filled: int
    leaves: int
    cancelled: int
    busted: int
    average_price: str | None
    value: str
    failure_code: str | None
    failure_reason: str | None
    expires_at: datetime | None
    created_at: datetime
    updated_at: datetime
    version: int


@dataclass(frozen=True)
class TradeView:
    """`buyer`, `seller` and their orders are None to whom they are nobody's business."""

    trade_id: str
    symbol: str
    currency: str
    price: str
    quantity: int
    value: str
    taker: str
    status: str
    buy_order: str | None
    buyer: str | None
    sell_order: str | None
    seller: str | None
    failure_code: str | None
    failure_reason: str | None
    matched_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True)
class BookLevel:
    """All that waits at one price."""

    price: str
    quantity: int
    orders: int


@dataclass(frozen=True)
class DayStatistics:
    """Of the last 24 hours; None where nothing was traded."""

    trades: int
    volume: int
    turnover: str
    open: str | None
    high: str | None
    low: str | None
    change: str | None


@dataclass(frozen=True)
class OrderBookView:
    """`bids` and `asks` have the best price first."""

    symbol: str
    name: str
    currency: str
    tick: str
    lot: int
    status: str
    bids: tuple[BookLevel, ...]
    asks: tuple[BookLevel, ...]
    last_price: str | None
    last_quantity: int | None
    last_trade_at: datetime | None
    trades: int
    day: DayStatistics
    version: int


@dataclass(frozen=True)
class CashPosition:
    currency: str
    balance: str
    held: str
    available: str


@dataclass(frozen=True)
class SharePosition:
    """`average_cost` of what was bought and is still there; `gained` by sales, `open_gain` by the latest price."""

    symbol: str
    name: str
    quantity: int
    held: int
    currency: str
    average_cost: str | None
    cost: str
    last_price: str | None
    value: str
    gained: str
    open_gain: str | None
    day_gain: str


@dataclass(frozen=True)
class Portfolio:
    """Sums by currency. `trading_power`: what new orders may spend."""

    user_id: str
    cash: tuple[CashPosition, ...]
    positions: tuple[SharePosition, ...]
    total_value: dict[str, str]
    day_gain: dict[str, str]
    trading_power: dict[str, str]
    open_orders: tuple[OrderView, ...]
