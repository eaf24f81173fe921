"""Given what happened, when this is asked, then that is recorded: how tests of the aggregates are written.

`account(...)`, `payment(...)` and `transfer(...)` take the past as events, or as commands that were accepted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, TypeVar

from domain import account as accounts
from domain import payment as payments
from domain import transfer as transfers
from domain.account import Account
from domain.errors import DomainError
from domain.model import Command, Event
from domain.money import Money
from domain.payment import Payment
from domain.transfer import Transfer

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
LATER = AT + timedelta(hours=1)
"""When holds, quotes and payments of these tests expire."""

State = TypeVar("State")


def eur(amount: str) -> Money:
    return Money.parse(amount, "EUR")


def usd(amount: str) -> Money:
    return Money.parse(amount, "USD")


def jpy(amount: str) -> Money:
    return Money.parse(amount, "JPY")


@dataclass(frozen=True)
class When(Generic[State]):
    """What came of a command: the events it caused and the state after them, or a refusal."""

    before: State
    events: Sequence[Event] | None
    after: State
    refusal: DomainError | None

    def then(self, *events: Event) -> State:
        """Exactly these events; the state after them."""
        assert self.refusal is None, f"refused: {self.refusal!r}"
        assert self.events == list(events)
        return self.after

    def then_types(self, *types: str) -> State:
        """Events of exactly these types; the state after them."""
        assert self.refusal is None, f"refused: {self.refusal!r}"
        assert self.events is not None
        assert [type(event).__name__ for event in self.events] == list(types)
        return self.after

    def fails_with(self, code: str, message: str = "", field: str | None = None) -> DomainError:
        """A refusal with this code, a message with these words in it and, where given, this field."""
        assert self.refusal is not None, f"accepted: {self.events}"
        assert self.refusal.code == code, self.refusal.message
        assert message in self.refusal.message
        assert field is None or self.refusal.field == field
        assert self.after == self.before
        return self.refusal


@dataclass(frozen=True)
class Given(Generic[State]):
    """An aggregate with a past."""

    state: State
    decide: Callable[[Any, State], Sequence[Event]]
    evolve: Callable[[State, Any], State]

    def past(self, *facts: Event | Command) -> Given[State]:
        state = self.state
        for fact in facts:
            events = self.decide(fact, state) if isinstance(fact, Command) else [fact]
            for event in events:
                state = self.evolve(state, event)
        return Given(state, self.decide, self.evolve)

    def when(self, command: Command) -> When[State]:
        try:
            events = self.decide(command, self.state)
        except DomainError as refusal:
            return When(self.state, None, self.state, refusal)
        return When(self.state, events, self.past(*events).state, None)


def account(*facts: Event | Command) -> Given[Account]:
    return Given(accounts.initial(), accounts.decide, accounts.evolve).past(*facts)


def payment(*facts: Event | Command) -> Given[Payment]:
    return Given(payments.initial(), payments.decide, payments.evolve).past(*facts)


def transfer(*facts: Event | Command) -> Given[Transfer]:
    return Given(transfers.initial(), transfers.decide, transfers.evolve).past(*facts)
