"""A leg: the decisions of several aggregates that are recorded in one atomic append.

A leg is opened over the loaded states, asks each aggregate in turn, and collects the events. `asked` names every
stream whose state the decision rests on, a refusal caught on the way included: the append checks their versions
even where they got no event, so that nothing is decided on a stale balance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import reduce
from typing import TypeVar

from domain import account, batch, book, fraud_case, order, payment, quote, standing_order, trade, transfer
from domain.account import Account
from domain.account_messages import AccountCommand, AccountEvent
from domain.batch import Batch
from domain.batch_messages import BatchCommand, BatchEvent
from domain.book import OrderBook
from domain.book_messages import BookCommand, BookEvent
from domain.fraud_case import FraudCase
from domain.fraud_case_messages import FraudCaseCommand, FraudCaseEvent
from domain.order import Order
from domain.order_messages import OrderCommand, OrderEvent
from domain.payment import Payment
from domain.payment_messages import PaymentCommand, PaymentEvent
from domain.quote import IssuedQuote
from domain.quote_messages import QuoteCommand, QuoteEvent
from domain.standing_order import StandingOrder
from domain.standing_order_messages import StandingOrderCommand, StandingOrderEvent
from domain.streams import (
    account_stream,
    batch_stream,
    book_stream,
    fraud_case_stream,
    order_stream,
    payment_stream,
    quote_stream,
    standing_order_stream,
    trade_stream,
    transfer_stream,
)
from domain.trade import Trade
from domain.trade_messages import TradeCommand, TradeEvent
from domain.transfer import Transfer
from domain.transfer_messages import TransferCommand, TransferEvent

State = Account | Payment | Transfer | FraudCase | Batch | Order | OrderBook | Trade | IssuedQuote | StandingOrder
AnyEvent = (
    AccountEvent
    | PaymentEvent
    | TransferEvent
    | FraudCaseEvent
    | BatchEvent
    | OrderEvent
    | BookEvent
    | TradeEvent
    | QuoteEvent
    | StandingOrderEvent
)
S = TypeVar("S", bound=State)
C = TypeVar("C")
E = TypeVar("E", bound=AnyEvent)


class Leg:
    """States by stream name go in; `events` by stream name come out."""

    def __init__(self, states: Mapping[str, State]) -> None:
        self._states = dict(states)
        self.events: dict[str, list[AnyEvent]] = {}
        self.asked: set[str] = set()

    @property
    def states(self) -> Mapping[str, State]:
        """As they are now."""
        return self._states

    def account(self, account_id: str) -> Account:
        return self._state(account_stream(account_id), Account)

    def payment(self, payment_id: str) -> Payment:
        return self._state(payment_stream(payment_id), Payment)

    def transfer(self, transfer_id: str) -> Transfer:
        return self._state(transfer_stream(transfer_id), Transfer)

    def fraud_case(self, case_id: str) -> FraudCase:
        return self._state(fraud_case_stream(case_id), FraudCase)

    def batch(self, batch_id: str) -> Batch:
        return self._state(batch_stream(batch_id), Batch)

    def order(self, order_id: str) -> Order:
        return self._state(order_stream(order_id), Order)

    def book(self, symbol: str) -> OrderBook:
        return self._state(book_stream(symbol), OrderBook)

    def trade(self, trade_id: str) -> Trade:
        return self._state(trade_stream(trade_id), Trade)

    def quote(self, quote_id: str) -> IssuedQuote:
        return self._state(quote_stream(quote_id), IssuedQuote)

    def standing_order(self, standing_order_id: str) -> StandingOrder:
        return self._state(standing_order_stream(standing_order_id), StandingOrder)

    def on_account(self, account_id: str, command: AccountCommand) -> list[AccountEvent]:
        return self._act(account_stream(account_id), Account, account.decide, account.evolve, command)

    def on_payment(self, payment_id: str, command: PaymentCommand) -> list[PaymentEvent]:
        return self._act(payment_stream(payment_id), Payment, payment.decide, payment.evolve, command)

    def on_transfer(self, transfer_id: str, command: TransferCommand) -> list[TransferEvent]:
        return self._act(transfer_stream(transfer_id), Transfer, transfer.decide, transfer.evolve, command)

    def on_fraud_case(self, case_id: str, command: FraudCaseCommand) -> list[FraudCaseEvent]:
        return self._act(fraud_case_stream(case_id), FraudCase, fraud_case.decide, fraud_case.evolve, command)

    def on_batch(self, batch_id: str, command: BatchCommand) -> list[BatchEvent]:
        return self._act(batch_stream(batch_id), Batch, batch.decide, batch.evolve, command)

    def on_order(self, order_id: str, command: OrderCommand) -> list[OrderEvent]:
        return self._act(order_stream(order_id), Order, order.decide, order.evolve, command)

    def on_trade(self, trade_id: str, command: TradeCommand) -> list[TradeEvent]:
        return self._act(trade_stream(trade_id), Trade, trade.decide, trade.evolve, command)

    def on_quote(self, quote_id: str, command: QuoteCommand) -> list[QuoteEvent]:
        return self._act(quote_stream(quote_id), IssuedQuote, quote.decide, quote.evolve, command)

    def on_book_command(self, symbol: str, command: BookCommand) -> None:
        self._act(book_stream(symbol), OrderBook, book.decide, book.evolve, command)

    def on_book(self, symbol: str, *events: BookEvent) -> None:
        """What an order does to a book follows from `matching`, so it comes here as events."""
        self._record(book_stream(symbol), OrderBook, book.evolve, events)

    def record(self, account_id: str, events: Sequence[AccountEvent]) -> None:
        """What the account has decided on its state here."""
        self._record(account_stream(account_id), Account, account.evolve, events)

    def on_standing_order(self, standing_order_id: str, command: StandingOrderCommand) -> list[StandingOrderEvent]:
        stream = standing_order_stream(standing_order_id)
        return self._act(stream, StandingOrder, standing_order.decide, standing_order.evolve, command)

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """All or nothing of the block: on an exception its events are forgotten (what it asked is not)."""
        states, events = dict(self._states), {stream: list(found) for stream, found in self.events.items()}
        try:
            yield
        except BaseException:
            self._states, self.events = states, events
            raise

    def _state(self, stream: str, kind: type[S]) -> S:
        state = self._states[stream]
        assert isinstance(state, kind)
        return state

    def _act(
        self,
        stream: str,
        kind: type[S],
        decide: Callable[[C, S], list[E]],
        evolve: Callable[[S, E], S],
        command: C,
    ) -> list[E]:
        self.asked.add(stream)
        events = decide(command, self._state(stream, kind))
        self._record(stream, kind, evolve, events)
        return events

    def _record(self, stream: str, kind: type[S], evolve: Callable[[S, E], S], events: Sequence[E]) -> None:
        self.asked.add(stream)
        if events:
            self._states[stream] = reduce(evolve, events, self._state(stream, kind))
            self.events.setdefault(stream, []).extend(events)
