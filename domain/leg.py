"""A leg: the decisions of several aggregates that are recorded in one atomic append.

A leg is opened over the loaded states, asks each aggregate in turn, and collects the events. `asked` names every
stream whose state the decision rests on, a refusal caught on the way included: the append checks their versions
even where they got no event, so that nothing is decided on a stale balance.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from domain import account, batch, book, fraud_case, order, payment, quote, trade, transfer
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
from domain.streams import (
    account_stream,
    batch_stream,
    book_stream,
    fraud_case_stream,
    order_stream,
    payment_stream,
    quote_stream,
    trade_stream,
    transfer_stream,
)
from domain.trade import Trade
from domain.trade_messages import TradeCommand, TradeEvent
from domain.transfer import Transfer
from domain.transfer_messages import TransferCommand, TransferEvent

State = Account | Payment | Transfer | FraudCase | Batch | Order | OrderBook | Trade | IssuedQuote
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
)


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
        state = self._states[account_stream(account_id)]
        assert isinstance(state, Account)
        return state

    def payment(self, payment_id: str) -> Payment:
        state = self._states[payment_stream(payment_id)]
        assert isinstance(state, Payment)
        return state

    def transfer(self, transfer_id: str) -> Transfer:
        state = self._states[transfer_stream(transfer_id)]
        assert isinstance(state, Transfer)
        return state

    def fraud_case(self, case_id: str) -> FraudCase:
        state = self._states[fraud_case_stream(case_id)]
        assert isinstance(state, FraudCase)
        return state

    def batch(self, batch_id: str) -> Batch:
        state = self._states[batch_stream(batch_id)]
        assert isinstance(state, Batch)
        return state

    def order(self, order_id: str) -> Order:
        state = self._states[order_stream(order_id)]
        assert isinstance(state, Order)
        return state

    def book(self, symbol: str) -> OrderBook:
        state = self._states[book_stream(symbol)]
        assert isinstance(state, OrderBook)
        return state

    def trade(self, trade_id: str) -> Trade:
        state = self._states[trade_stream(trade_id)]
        assert isinstance(state, Trade)
        return state

    def quote(self, quote_id: str) -> IssuedQuote:
        state = self._states[quote_stream(quote_id)]
        assert isinstance(state, IssuedQuote)
        return state

    def on_account(self, account_id: str, command: AccountCommand) -> list[AccountEvent]:
        self.asked.add(account_stream(account_id))
        events = account.decide(command, self.account(account_id))
        self.record(account_id, events)
        return events

    def record(self, account_id: str, events: list[AccountEvent]) -> None:
        """What the account has decided on its state here."""
        stream, state = account_stream(account_id), self.account(account_id)
        self.asked.add(stream)
        for event in events:
            state = account.evolve(state, event)
        self._record(stream, state, events)

    def on_batch(self, batch_id: str, command: BatchCommand) -> list[BatchEvent]:
        stream, state = batch_stream(batch_id), self.batch(batch_id)
        self.asked.add(stream)
        events = batch.decide(command, state)
        for event in events:
            state = batch.evolve(state, event)
        self._record(stream, state, events)
        return events

    def on_payment(self, payment_id: str, command: PaymentCommand) -> list[PaymentEvent]:
        stream, state = payment_stream(payment_id), self.payment(payment_id)
        self.asked.add(stream)
        events = payment.decide(command, state)
        for event in events:
            state = payment.evolve(state, event)
        self._record(stream, state, events)
        return events

    def on_transfer(self, transfer_id: str, command: TransferCommand) -> list[TransferEvent]:
        stream, state = transfer_stream(transfer_id), self.transfer(transfer_id)
        self.asked.add(stream)
        events = transfer.decide(command, state)
        for event in events:
            state = transfer.evolve(state, event)
        self._record(stream, state, events)
        return events

    def on_fraud_case(self, case_id: str, command: FraudCaseCommand) -> list[FraudCaseEvent]:
        stream, state = fraud_case_stream(case_id), self.fraud_case(case_id)
        self.asked.add(stream)
        events = fraud_case.decide(command, state)
        for event in events:
            state = fraud_case.evolve(state, event)
        self._record(stream, state, events)
        return events

    def on_order(self, order_id: str, command: OrderCommand) -> list[OrderEvent]:
        stream, state = order_stream(order_id), self.order(order_id)
        self.asked.add(stream)
        events = order.decide(command, state)
        for event in events:
            state = order.evolve(state, event)
        self._record(stream, state, events)
        return events

    def on_trade(self, trade_id: str, command: TradeCommand) -> list[TradeEvent]:
        stream, state = trade_stream(trade_id), self.trade(trade_id)
        self.asked.add(stream)
        events = trade.decide(command, state)
        for event in events:
            state = trade.evolve(state, event)
        self._record(stream, state, events)
        return events

    def on_book_command(self, symbol: str, command: BookCommand) -> None:
        self.on_book(symbol, *book.decide(command, self.book(symbol)))

    def on_book(self, symbol: str, *events: BookEvent) -> None:
        """What an order does to a book follows from `matching`, so it comes here as events."""
        stream, state = book_stream(symbol), self.book(symbol)
        self.asked.add(stream)
        for event in events:
            state = book.evolve(state, event)
        self._record(stream, state, list(events))

    def on_quote(self, quote_id: str, command: QuoteCommand) -> list[QuoteEvent]:
        stream, state = quote_stream(quote_id), self.quote(quote_id)
        self.asked.add(stream)
        events = quote.decide(command, state)
        for event in events:
            state = quote.evolve(state, event)
        self._record(stream, state, events)
        return events

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """All or nothing of the block: on an exception its events are forgotten (what it asked is not)."""
        states, events = dict(self._states), {stream: list(found) for stream, found in self.events.items()}
        try:
            yield
        except BaseException:
            self._states, self.events = states, events
            raise

    def _record(
        self,
        stream: str,
        state: State,
        events: Sequence[AnyEvent],
    ) -> None:
        self._states[stream] = state
        if events:
            self.events.setdefault(stream, []).extend(events)
