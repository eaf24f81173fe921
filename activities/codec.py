"""What the event store needs to know of the domain: how events and states are read, written and replayed."""

from __future__ import annotations

from typing import Any

from pydantic import TypeAdapter

from domain import catalogue
from domain.account import Account
from domain.batch import Batch
from domain.book import OrderBook
from domain.fraud_case import FraudCase
from domain.leg import AnyEvent, State
from domain.order import Order
from domain.payment import Payment
from domain.quote import IssuedQuote
from domain.standing_order import StandingOrder
from domain.streams import (
    ACCOUNT,
    BATCH,
    BOOK,
    FRAUD_CASE,
    ORDER,
    PAYMENT,
    QUOTE,
    STANDING_ORDER,
    TRADE,
    TRANSFER,
    category_of,
)
from domain.trade import Trade
from domain.transfer import Transfer
from eventstore.events import NewEvent, RecordedEvent

_STATES: dict[str, TypeAdapter[State]] = {
    ACCOUNT: TypeAdapter(Account),
    PAYMENT: TypeAdapter(Payment),
    TRANSFER: TypeAdapter(Transfer),
    FRAUD_CASE: TypeAdapter(FraudCase),
    BATCH: TypeAdapter(Batch),
    ORDER: TypeAdapter(Order),
    BOOK: TypeAdapter(OrderBook),
    TRADE: TypeAdapter(Trade),
    QUOTE: TypeAdapter(IssuedQuote),
    STANDING_ORDER: TypeAdapter(StandingOrder),
}


class DomainCodec:
    """`eventstore.handle.Codec` over the domain's catalogue."""

    def initial(self, stream: str) -> State:
        return catalogue.INITIAL[category_of(stream)]()

    def evolve(self, stream: str, state: State, event: AnyEvent) -> State:
        return catalogue.EVOLVE[category_of(stream)](state, event)

    def decode(self, event: RecordedEvent) -> AnyEvent:
        return catalogue.decode(event.stream, event.type, event.schema_version, event.data)

    def encode(self, event: AnyEvent) -> NewEvent:
        type_, schema_version, data = catalogue.encode(event)
        return NewEvent(type_, schema_version, data)

    def dump_state(self, stream: str, state: State) -> dict[str, Any]:
        dumped: dict[str, Any] = _STATES[category_of(stream)].dump_python(state, mode="json")
        return dumped

    def load_state(self, stream: str, dumped: dict[str, Any]) -> State:
        return _STATES[category_of(stream)].validate_python(dumped)

    def state_version(self, stream: str) -> int:
        return catalogue.STATE_VERSION[category_of(stream)]
