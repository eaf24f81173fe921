"""Fills a log with payments, fast: decided by the domain, appended by the real path, many commands a transaction.

Nothing is skipped but Temporal and the waiting for each commit: states are kept here, and each command is chained
on the one before it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from activities.codec import DomainCodec
from domain.account_messages import Deposit, OpenAccount
from domain.leg import Leg, State
from domain.money import Money
from domain.payment_legs import open_payment
from domain.payment_messages import PaymentTerms
from domain.screening import ScreeningLimits
from domain.streams import account_stream, payment_stream
from eventstore.batch import Prepared, prepare
from eventstore.events import AppendRequest, StreamWrite
from eventstore.hashing import GENESIS

BATCH_EVENTS = 1_000
START = datetime(2026, 1, 1, tzinfo=UTC)
NO_LIMITS = ScreeningLimits(review_above=None)


@dataclass(slots=True)
class _Known:
    state: State
    version: int = 0
    last_hash: bytes = GENESIS


class PaymentsLog:
    """Account `a0` … pay each other, each time one euro; `days` is what the payments are spread over."""

    def __init__(self, accounts: int, days: int = 30) -> None:
        self.accounts = accounts
        self._codec = DomainCodec()
        self._known: dict[str, _Known] = {}
        self._numbers = iter(range(10**9))
        self._step = timedelta(days=days) / 10**6

    def batches(self, events: int) -> Iterator[list[Prepared]]:
        """Appends of about a thousand events, until there are at least `events`."""
        written = 0
        opening = iter(range(self.accounts)) if not self._known else iter(())
        while written < events:
            batch: list[Prepared] = []
            size = 0
            while size < BATCH_EVENTS and written + size < events:
                account = next(opening, None)
                batch.append(self._payment() if account is None else self._opening(account))
                size += len(batch[-1].events)
            written += size
            yield batch

    def _opening(self, number: int) -> Prepared:
        name = f"a{number}"
        opened = OpenAccount(at=START, account_id=name, user_id=f"u{number}", currency="EUR")
        leg = self._leg([account_stream(name)])
        leg.on_account(name, opened)
        leg.on_account(name, Deposit(at=START, amount=Money.parse("1000000.00", "EUR")))
        return self._prepared(f"open-{name}", leg, START)

    def _payment(self) -> Prepared:
        number = next(self._numbers)
        payer = number % self.accounts
        payee = (payer + 1 + number // self.accounts % (self.accounts - 1)) % self.accounts
        at = START + self._step * number
        terms = PaymentTerms(
            at=at,
            payment_id=f"p{number}",
            from_account=f"a{payer}",
            to_account=f"a{payee}",
            amount=Money.parse("1.00", "EUR"),
            expires_at=at + timedelta(days=7),
            fee_rate=Decimal("0.01"),
            fee_account="fees-EUR",
        )
        accounts = (terms.from_account, terms.to_account, terms.fee_account)
        leg = self._leg([payment_stream(terms.payment_id), *map(account_stream, accounts)])
        open_payment(leg, terms, NO_LIMITS)
        prepared = self._prepared(f"pay-{number}", leg, at)
        del self._known[payment_stream(terms.payment_id)]  # it is over: memory stays as it is
        return prepared

    def _leg(self, streams: list[str]) -> Leg:
        for stream in streams:
            self._known.setdefault(stream, _Known(self._codec.initial(stream)))
        return Leg({stream: self._known[stream].state for stream in streams})

    def _prepared(self, command_id: str, leg: Leg, at: datetime) -> Prepared:
        writes = tuple(
            StreamWrite(
                stream,
                self._known[stream].version,
                self._known[stream].last_hash,
                tuple(map(self._codec.encode, events)),
            )
            for stream, events in leg.events.items()
        )
        request = AppendRequest(command_id, command_id.encode(), writes, {"actor": "benchmark"}, {}, at)
        prepared = prepare(request)
        for stream, events in leg.events.items():
            known = self._known[stream]
            for event in events:
                known.state = self._codec.evolve(stream, known.state, event)
            known.version, known.last_hash = prepared.ends[stream]
        return prepared
