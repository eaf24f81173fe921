"""The steps of an order and the settlement of its trades. Each is one append."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, time, timedelta

from temporalio import activity

from activities.ledger import Ledger, LedgerCommand, utc_now
from activities.refusals import refusals
from activities.steps import Wish
from activities.trading_steps import (
    AmendOrderWish,
    BustWish,
    CancelOrderWish,
    ExpireOrderWish,
    OrderStep,
    SettlementStep,
    TradingOrder,
)
from domain.leg import Leg
from domain.order import Order
from domain.order_messages import OrderTerms
from domain.settlement_legs import bust_trade, settle_trade, streams_of
from domain.streams import account_stream, book_stream, order_stream, trade_stream
from domain.trade_messages import TradeTerms
from domain.trading_legs import amend_order, cancel_order, expire_order, place_order
from settings import Settings


def place_key(order_id: str) -> str:
    """The command id of an order's first step."""
    return f"{order_stream(order_id)}:place"


def order_terms(order: TradingOrder, now: datetime, day_ends: time) -> OrderTerms:
    """The order as the domain takes it: a DAY order expires with the trading day."""
    expires_at = end_of_day(now, day_ends) if order.tif == "DAY" else None
    given = {name: value for name, value in order if name not in ("actor", "trace")}
    return OrderTerms(at=now, expires_at=expires_at, **given)


def end_of_day(now: datetime, day_ends: time) -> datetime:
    """The next instant at which it is `day_ends`."""
    end = datetime.combine(now.date(), day_ends, now.tzinfo)
    return end if end > now else end + timedelta(days=1)


class TradingActivities:
    """Bound to a process's ledger and settings in worker.py."""

    def __init__(self, ledger: Ledger, settings: Settings) -> None:
        self._ledger = ledger
        self._settings = settings

    @activity.defn
    async def place_order(self, order: TradingOrder) -> OrderStep:
        """Cover it, match it, let the rest wait; or reject it."""
        terms = order_terms(order, utc_now(), self._settings.trading_day_ends)
        accounts = (order.cash_account, order.share_account)
        with refusals():
            return await self._ledger.run(
                LedgerCommand(
                    name="order.place",
                    key=place_key(order.order_id),
                    content=order,
                    streams=[
                        order_stream(order.order_id),
                        book_stream(order.symbol),
                        *map(account_stream, accounts),
                    ],
                    act=lambda leg: place_order(leg, terms),
                    result=lambda leg: OrderStep.of(leg.order(order.order_id)),
                    returns=OrderStep,
                    actor=order.actor,
                    trace=order.trace,
                    begins=True,
                    repeat_shows_now=True,
                ),
            )

    @activity.defn
    async def amend_order(self, step: OrderStep, wish: AmendOrderWish) -> OrderStep:
        """Another quantity or price of what waits."""
        at = utc_now()
        return await self._step(
            "amend", step, wish, lambda leg: amend_order(leg, step.order_id, wish.quantity, wish.price, at)
        )

    @activity.defn
    async def cancel_order(self, step: OrderStep, wish: CancelOrderWish) -> OrderStep:
        """Take what waits out of the book."""
        at = utc_now()
        return await self._step(
            "cancel", step, wish, lambda leg: cancel_order(leg, step.order_id, wish.reason, at)
        )

    @activity.defn
    async def expire_order(self, step: OrderStep, wish: ExpireOrderWish) -> OrderStep:
        """Take what waits out of the book when its time is up."""
        at = max(wish.expired_at, utc_now())
        return await self._step("expire", step, wish, lambda leg: expire_order(leg, step.order_id, at))

    @activity.defn
    async def look_at_order(self, order_id: str) -> OrderStep:
        """Where it stands by the log."""
        found = await self._ledger.state(order_stream(order_id))
        assert isinstance(found, Order)
        return OrderStep.of(found)

    @activity.defn
    async def settle_trade(self, order_id: str, trade: TradeTerms) -> SettlementStep:
        """Delivery versus payment. Refused where an account refuses; then it must be busted."""
        at = utc_now()
        return await self._settlement("settle", order_id, trade, lambda leg: settle_trade(leg, trade, at))

    @activity.defn
    async def bust_trade(self, order_id: str, trade: TradeTerms, wish: BustWish) -> SettlementStep:
        """The undo of a settlement that was refused: both covers are given back, both orders told."""
        at = utc_now()
        return await self._settlement(
            "bust", order_id, trade, lambda leg: bust_trade(leg, trade, wish.code, wish.reason, at)
        )

    async def _step(self, name: str, step: OrderStep, wish: Wish, act: Callable[[Leg], object]) -> OrderStep:
        stream = order_stream(step.order_id)
        accounts = (step.cash_account, step.share_account)
        with refusals():
            return await self._ledger.run(
                LedgerCommand(
                    name=f"order.{name}",
                    key=f"{stream}:{name}:{wish.wish_id}",
                    content=wish,
                    streams=[stream, book_stream(step.symbol), *map(account_stream, accounts)],
                    act=act,
                    result=lambda leg: OrderStep.of(leg.order(step.order_id)),
                    returns=OrderStep,
                    actor=wish.actor,
                    trace=wish.trace,
                    if_version=wish.if_version,
                    repeat_shows_now=True,
                ),
            )

    async def _settlement(
        self, name: str, order_id: str, trade: TradeTerms, act: Callable[[Leg], object]
    ) -> SettlementStep:
        buyer, seller = trade.buyer.order_id, trade.seller.order_id
        other = seller if order_id == buyer else buyer
        with refusals():
            return await self._ledger.run(
                LedgerCommand(
                    name=f"trade.{name}",
                    key=f"{trade_stream(trade.trade_id)}:{name}",
                    content=trade,
                    streams=streams_of(trade),
                    act=act,
                    result=lambda leg: SettlementStep(
                        mine=OrderStep.of(leg.order(order_id)), other=OrderStep.of(leg.order(other))
                    ),
                    returns=SettlementStep,
                    actor="system",
                    repeat_shows_now=True,
                )
            )
