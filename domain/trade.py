"""Trade: settled or busted, whichever comes first. Whoever comes second finds the other and does nothing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never

from domain.trade_messages import BustTrade, SettleTrade, TradeBusted, TradeCommand, TradeEvent, TradeSettled


class TradeStatus(StrEnum):
    """MATCHED is what a trade is before its own stream begins."""

    MATCHED = "matched"
    SETTLED = "settled"
    BUSTED = "busted"


@dataclass(frozen=True, slots=True)
class Trade:
    status: TradeStatus = TradeStatus.MATCHED


def initial() -> Trade:
    """A trade that is agreed and no more."""
    return Trade()


def decide(command: TradeCommand, trade: Trade) -> list[TradeEvent]:
    """One event the first time, none after it."""
    if trade.status is not TradeStatus.MATCHED:
        return []
    match command:
        case SettleTrade(trade=terms):
            return [TradeSettled(trade=terms)]
        case BustTrade(trade=terms, code=code, reason=reason):
            return [TradeBusted(trade=terms, code=code, reason=reason)]
        case _:
            assert_never(command)


def evolve(trade: Trade, event: TradeEvent) -> Trade:
    """The trade after `event`."""
    match event:
        case TradeSettled():
            return Trade(TradeStatus.SETTLED)
        case TradeBusted():
            return Trade(TradeStatus.BUSTED)
        case _:
            assert_never(event)
