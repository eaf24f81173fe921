"""Delivery versus payment: both legs of a trade in one append, or neither and the trade is busted.

All accounts are in this ledger, so no leg ever stands alone. What the saga is for is the refusal: an account that
was closed between the match and the settlement. Then both covers are given back and both orders are told.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from domain.account_messages import Credit, Debit, ReleaseHold
from domain.leg import Leg
from domain.order_messages import RecordBust, RecordFill
from domain.streams import account_stream, order_stream, trade_stream
from domain.trade import TradeStatus
from domain.trade_messages import BustTrade, SettleTrade, TradeTerms


def streams_of(trade: TradeTerms) -> list[str]:
    """All that a settlement touches."""
    sides = (trade.buyer, trade.seller)
    return [
        trade_stream(trade.trade_id),
        *(order_stream(side.order_id) for side in sides),
        *(account_stream(account) for side in sides for account in (side.cash_account, side.share_account)),
    ]


def settle_trade(leg: Leg, trade: TradeTerms, at: datetime) -> None:
    """Cash one way, shares the other, out of the holds. Raises what the accounts refuse with; then bust it."""
    if not leg.on_trade(trade.trade_id, SettleTrade(at=at, trade=trade)):
        return
    buyer, seller = trade.buyer, trade.seller
    for amount, payer, hold_id, payee in (
        (trade.cost, buyer.cash_account, buyer.hold_id, seller.cash_account),
        (trade.shares, seller.share_account, seller.hold_id, buyer.share_account),
    ):
        posting: dict[str, Any] = {
            "at": at,
            "amount": amount,
            "transaction": trade_stream(trade.trade_id),
            "purpose": "trade",
        }
        leg.on_account(payer, Debit(counterparty=payee, hold_id=hold_id, **posting))
        leg.on_account(payee, Credit(counterparty=payer, **posting))
    for side in (buyer, seller):
        leg.on_order(side.order_id, RecordFill(at=at, trade=trade))


def bust_trade(leg: Leg, trade: TradeTerms, code: str, reason: str, at: datetime) -> None:
    """The undo. Of a trade that is settled or busted already: nothing."""
    if leg.trade(trade.trade_id).status is not TradeStatus.MATCHED:
        leg.asked.add(trade_stream(trade.trade_id))
        return
    leg.on_trade(trade.trade_id, BustTrade(at=at, trade=trade, code=code, reason=reason))
    buyer, seller = trade.buyer, trade.seller
    for account, hold_id, amount in (
        (buyer.cash_account, buyer.hold_id, trade.cost),
        (seller.share_account, seller.hold_id, trade.shares),
    ):
        leg.on_account(account, ReleaseHold(at=at, hold_id=hold_id, amount=amount))
    for side in (buyer, seller):
        takes = leg.account(side.share_account if side is buyer else side.cash_account)
        bust = RecordBust(at=at, trade=trade, code=code, reason=reason, refused_here=takes.status == "closed")
        leg.on_order(side.order_id, bust)
        leg.asked.add(account_stream(takes.account_id))
