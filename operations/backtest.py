"""What another set of fraud rules would have made of the past: history is screened again, order by order.

Each payment and transfer is screened on what its parties had done by then, as the log has it. What the answers
would have changed then (a payment that was held could not have paid) is not worked out: the log stays as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from domain.account import Account, evolve
from domain.account_messages import AccountEvent
from domain.catalogue import INITIAL, decode
from domain.fraud_case_messages import CaseOpened, CaseRejected
from domain.leg import AnyEvent
from domain.money import Money
from domain.payment_messages import DisputeLost, PaymentCancelled, PaymentHeldForReview, PaymentInitiated
from domain.screening import COUNTRY, Screening, ScreeningLimits, screen
from domain.streams import ACCOUNT, FRAUD_CASE, PAYMENT, TRANSFER, category_of
from domain.transfer_messages import TransferCancelled, TransferHeldForReview, TransferInitiated
from eventstore.events import RecordedEvent

BATCH = 2_000
EXAMPLES = 20


class Log(Protocol):
    """What is needed of the event store."""

    async def read(self, _after_position: int, _limit: int, /) -> list[RecordedEvent]:
        """In the order of positions."""


@dataclass(frozen=True)
class Example:
    """One order that the rules would have stopped."""

    subject: str
    at: datetime
    amount: Money
    score: int
    reasons: tuple[str, ...]


@dataclass
class Backtest:
    """`screened`: not what was cancelled before it would have been.

    `fraud`: known by now, because a case was rejected or a dispute lost; `caught` of it, by the rules tried.
    `held`, `declined`: by the rules tried; `was_held`: in fact. `newly_held`: not held in fact. `examples`: the
    latest of those.
    """

    screened: int = 0
    held: int = 0
    declined: int = 0
    was_held: int = 0
    newly_held: int = 0
    no_longer_held: int = 0
    fraud: int = 0
    caught: int = 0
    missed: tuple[str, ...] = ()
    held_amount: dict[str, str] = field(default_factory=dict)
    hits: dict[str, int] = field(default_factory=dict)
    examples: list[Example] = field(default_factory=list)


class _Replay:
    """The log again, with the accounts as they were at each moment."""

    def __init__(self, limits: ScreeningLimits, since: datetime | None, until: datetime | None) -> None:
        self._limits, self._since, self._until = limits, since, until
        self._accounts: dict[str, Account] = {}
        self._orders: dict[str, Example] = {}
        self._screenings: dict[str, Screening] = {}
        self._begun: set[str] = set()
        """Of which nothing is known but that they were initiated."""
        self._was_held: set[str] = set()
        self._fraud: set[str] = set()
        self._subjects: dict[str, str | None] = {}

    def see(self, record: RecordedEvent) -> None:
        category = category_of(record.stream)
        if category not in (ACCOUNT, PAYMENT, TRANSFER, FRAUD_CASE):
            return
        event = decode(record.stream, record.type, record.schema_version, record.data)
        if category == ACCOUNT:
            self._account(record.stream, event)
            return
        if record.stream in self._begun:
            self._begun.discard(record.stream)
            if isinstance(event, PaymentCancelled | TransferCancelled):
                self._forget(record.stream)
        if isinstance(event, PaymentInitiated | TransferInitiated):
            if self._in_time(record.recorded_at):
                self._begun.add(record.stream)
                self._screen(record, event)
        elif isinstance(event, PaymentHeldForReview | TransferHeldForReview):
            self._was_held.add(record.stream)
        elif isinstance(event, DisputeLost):
            self._fraud.add(record.stream)
        elif isinstance(event, CaseOpened):
            self._subjects[record.stream] = event.subject
        elif isinstance(event, CaseRejected):
            subject = self._subjects.get(record.stream)
            if subject is not None:
                self._fraud.add(subject)

    def result(self) -> Backtest:
        held, stopped = Counter[str](), {stream for stream, found in self._screenings.items() if found.held}
        for stream in stopped:
            order = self._orders[stream]
            held[order.amount.currency] += order.amount.minor
        orders = self._orders.keys()
        hits = Counter(rule for found in self._screenings.values() for rule in found.rules)
        was_held, fraud = self._was_held & orders, self._fraud & orders
        new = sorted(stopped - was_held, key=lambda stream: self._orders[stream].at, reverse=True)
        return Backtest(
            screened=len(self._orders),
            held=len(stopped),
            declined=sum(found.declined for found in self._screenings.values()),
            was_held=len(was_held),
            newly_held=len(new),
            no_longer_held=len(was_held - stopped),
            fraud=len(fraud),
            caught=len(fraud & stopped),
            missed=tuple(sorted(fraud - stopped)[:EXAMPLES]),
            held_amount={code: Money(minor, code).amount for code, minor in sorted(held.items())},
            hits=dict(hits.most_common()),
            examples=[self._orders[stream] for stream in new[:EXAMPLES]],
        )

    def _account(self, stream: str, event: AnyEvent) -> None:
        state = self._accounts.get(stream) or INITIAL[ACCOUNT]()
        assert isinstance(state, Account)
        self._accounts[stream] = evolve(state, _of_account(event))

    def _in_time(self, at: datetime) -> bool:
        return (self._since is None or at >= self._since) and (self._until is None or at < self._until)

    def _screen(self, record: RecordedEvent, event: PaymentInitiated | TransferInitiated) -> None:
        payer = self._accounts.get(f"{ACCOUNT}-{event.from_account}", Account())
        payee = self._accounts.get(f"{ACCOUNT}-{event.to_account}")
        country = event.metadata.get(COUNTRY)
        found = screen(event.amount, payer, event.to_account, record.recorded_at, self._limits, payee, country)
        self._orders[record.stream] = Example(
            record.stream, record.recorded_at, event.amount, found.score, found.reasons
        )
        self._screenings[record.stream] = found

    def _forget(self, stream: str) -> None:
        """Its cancel was there before it was screened: no rules would have been asked about it."""
        self._orders.pop(stream, None)
        self._screenings.pop(stream, None)


def _of_account(event: AnyEvent) -> AccountEvent:
    return event  # type: ignore[return-value]  # its stream says so


async def backtest(
    log: Log, limits: ScreeningLimits, since: datetime | None = None, until: datetime | None = None
) -> AsyncIterator[int | Backtest]:
    """Yields the position reached after each batch, at last the result. Orders within [since, until) count."""
    replay, position = _Replay(limits, since, until), 0
    while events := await log.read(position, BATCH):
        for event in events:
            replay.see(event)
        position = events[-1].position or position
        yield position
    yield replay.result()
