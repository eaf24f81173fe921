"""Conservation, counted anew from the whole log with arithmetic of its own: it trusts no view and no event's
`balance`, but checks each against the sum of the entries before it.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from domain import batch, catalogue, order, standing_order, transfer
from domain.account_messages import (
    AccountCredited,
    AccountDebited,
    AccountOpened,
    Entry,
    FundsDeposited,
    FundsReserved,
    FundsWithdrawn,
    HoldExpired,
    HoldReleased,
)
from domain.batch import Batch
from domain.batch_messages import BatchItemsSettled
from domain.book_messages import OrdersMatched
from domain.errors import DomainError
from domain.fraud_case_messages import CaseApproved, CaseOpened, CaseRejected, CaseWithdrawn
from domain.leg import AnyEvent
from domain.money import format_minor
from domain.order import OVER, Order
from domain.payment_legs import dispute_hold
from domain.payment_messages import (
    DisputeLost,
    DisputeOpened,
    DisputeWon,
    FraudCheckPassed,
    PaymentAuthorized,
    PaymentHeldForReview,
    PaymentInitiated,
    PaymentPartiallyCaptured,
)
from domain.review import ReviewApproved
from domain.standing_order import StandingOrder
from domain.streams import (
    ACCOUNT,
    BATCH,
    BOOK,
    FRAUD_CASE,
    ORDER,
    PAYMENT,
    STANDING_ORDER,
    TRADE,
    TRANSFER,
    category_of,
    id_of,
)
from domain.transfer import FINAL, Location, Transfer
from eventstore.events import RecordedEvent
from eventstore.verify import Finding

STAYS_OPEN = (
    PaymentInitiated,
    FraudCheckPassed,
    PaymentHeldForReview,
    ReviewApproved,
    PaymentAuthorized,
    PaymentPartiallyCaptured,
)
"""After any other event a payment needs no workflow to drive it on."""


@dataclass(slots=True)
class Totals:
    """One currency, in minor units."""

    balances: int = 0
    in_transit: int = 0
    in_suspense: int = 0
    deposits: int = 0
    withdrawals: int = 0

    @property
    def difference(self) -> int:
        """What was lost (below zero) or invented (above); zero is the promise."""
        return self.balances + self.in_transit + self.in_suspense - self.deposits + self.withdrawals

    def wire(self, currency: str) -> dict[str, str]:
        names = ("balances", "in_transit", "in_suspense", "deposits", "withdrawals", "difference")
        return {"currency": currency} | {name: format_minor(getattr(self, name), currency) for name in names}


@dataclass(slots=True)
class _Account:
    currency: str = ""
    balance: int = 0
    held: int = 0
    overdraft_limit: int = 0


@dataclass(slots=True)
class Audit:
    """Fed with every event in order of position. Keeps the accounts and what is open: memory stays bounded."""

    findings: list[Finding] = field(default_factory=list)
    accounts: dict[str, _Account] = field(default_factory=lambda: defaultdict(_Account))
    open_transfers: dict[str, Transfer] = field(default_factory=dict)
    batches: dict[str, Batch] = field(default_factory=dict)
    open_payments: set[str] = field(default_factory=set)
    open_cases: set[str] = field(default_factory=set)
    open_disputes: set[str] = field(default_factory=set)
    open_orders: dict[str, Order] = field(default_factory=dict)
    open_trades: set[str] = field(default_factory=set)
    """Agreed in a book, not yet settled or busted."""
    open_standing_orders: dict[str, StandingOrder] = field(default_factory=dict)
    """By id. Their schedules wake them; no workflow waits."""
    flows: dict[str, Totals] = field(default_factory=lambda: defaultdict(Totals))
    events: int = 0

    def see(self, record: RecordedEvent) -> None:
        """The next event."""
        self.events += 1
        try:
            event = catalogue.decode(record.stream, record.type, record.schema_version, record.data)
        except (DomainError, ValueError) as error:
            self._find("unreadable_event", record, str(error).splitlines()[0])
            return
        category = category_of(record.stream)
        if category == TRANSFER:
            self._see_transfer(record.stream, event)
        elif category == PAYMENT:
            self._see_payment(record.stream, event)
        elif category == ACCOUNT:
            self._see_account(record, event)
        elif category == BATCH:
            self._see_batch(record, event)
        elif category == FRAUD_CASE:
            self._see_case(record.stream, event)
        elif category == ORDER:
            self._see_order(record.stream, event)
        elif category == STANDING_ORDER:
            self._see_standing_order(id_of(record.stream), event)
        elif category == BOOK and isinstance(event, OrdersMatched):
            self.open_trades.add(event.trade_id)
        elif category == TRADE:
            self._see_trade(record)

    def conservation(self) -> dict[str, Totals]:
        """By currency: what is on accounts, under way and in suspense, against what came in and went out."""
        totals: dict[str, Totals] = defaultdict(Totals)
        for currency, flow in self.flows.items():
            totals[currency].deposits, totals[currency].withdrawals = flow.deposits, flow.withdrawals
        for account in self.accounts.values():
            totals[account.currency].balances += account.balance
        for open_transfer in self.open_transfers.values():
            if open_transfer.location is Location.IN_TRANSIT:
                totals[open_transfer.currency].in_transit += open_transfer.amount
            elif open_transfer.location is Location.SUSPENSE:
                totals[open_transfer.currency].in_suspense += open_transfer.amount
        return dict(sorted(totals.items()))

    def open_streams(self) -> set[str]:
        """The ids of the workflows that must run: of payments, transfers, disputes, cases, batches, orders."""
        batches = {stream for stream, state in self.batches.items() if state.status not in batch.FINAL}
        others = self.open_payments | self.open_disputes | self.open_cases
        return others | self.open_transfers.keys() | self.open_orders.keys() | batches

    def close(self) -> list[Finding]:
        """All findings, the sums included."""
        for currency, total in self.conservation().items():
            if total.difference:
                self.findings.append(
                    Finding(
                        "conservation",
                        currency,
                        f"{format_minor(total.difference, currency)} {currency} too much on the books",
                    )
                )
        return self.findings

    def _see_transfer(self, stream: str, event: AnyEvent) -> None:
        state = transfer.evolve(self.open_transfers.pop(stream, transfer.initial()), event)  # type: ignore[arg-type]
        if state.status not in FINAL:
            self.open_transfers[stream] = state

    def _see_batch(self, record: RecordedEvent, event: AnyEvent) -> None:
        before = self.batches.get(record.stream, batch.initial())
        after = batch.evolve(before, event)  # type: ignore[arg-type]
        self.batches[record.stream] = after
        # Every item has one outcome: chunks follow each other without a gap, and their sums count all their items.
        if isinstance(event, BatchItemsSettled):
            counted = sum(part.count for part in event.sums)
            if event.first != before.settled + 1 or counted != event.last - event.first + 1:
                self._find("item_without_outcome", record, "its items are not those that come next, or not all")

    def _see_payment(self, stream: str, event: AnyEvent) -> None:
        if isinstance(event, STAYS_OPEN):
            self.open_payments.add(stream)
        else:
            self.open_payments.discard(stream)
        if isinstance(event, DisputeOpened):
            self.open_disputes.add(dispute_hold(id_of(stream)))
        elif isinstance(event, DisputeWon | DisputeLost):
            self.open_disputes.discard(dispute_hold(id_of(stream)))

    def _see_case(self, stream: str, event: AnyEvent) -> None:
        if isinstance(event, CaseOpened):
            self.open_cases.add(stream)
        elif isinstance(event, CaseApproved | CaseRejected | CaseWithdrawn):
            self.open_cases.discard(stream)

    def _see_order(self, stream: str, event: AnyEvent) -> None:
        state = order.evolve(self.open_orders.pop(stream, order.initial()), event)  # type: ignore[arg-type]
        if state.status not in OVER:
            self.open_orders[stream] = state

    def _see_standing_order(self, order_id: str, event: AnyEvent) -> None:
        before = self.open_standing_orders.pop(order_id, standing_order.initial())
        state = standing_order.evolve(before, event)  # type: ignore[arg-type]
        if state.status in standing_order.OPEN:
            self.open_standing_orders[order_id] = state

    def _see_trade(self, record: RecordedEvent) -> None:
        """A trade's stream has one event, and a book has agreed to it before."""
        trade_id = id_of(record.stream)
        if trade_id not in self.open_trades:
            self._find("trade_not_agreed", record, "no book agreed to it, or it was settled before")
        self.open_trades.discard(trade_id)

    def _see_account(self, record: RecordedEvent, event: AnyEvent) -> None:
        account = self.accounts[id_of(record.stream)]
        if isinstance(event, AccountOpened):
            account.currency, account.overdraft_limit = event.currency, event.overdraft_limit.minor
        if not isinstance(event, Entry):
            return
        self._post(account, event)
        if (event.balance.minor, event.held.minor) != (account.balance, account.held):
            self._find("wrong_balance", record, "its balance or held is not the sum of the entries before it")
            account.balance, account.held = event.balance.minor, event.held.minor
        if account.held < 0 or account.balance - account.held + account.overdraft_limit < 0:
            self._find("overspent", record, "available is below zero")

    def _post(self, account: _Account, event: Entry) -> None:
        minor = event.amount.minor
        match event:
            case FundsDeposited():
                account.balance += minor
                self.flows[account.currency].deposits += minor
            case FundsWithdrawn():
                account.balance -= minor
                self.flows[account.currency].withdrawals += minor
            case AccountCredited():
                account.balance += minor
            case AccountDebited(hold_id=hold_id):
                account.balance -= minor
                account.held -= minor if hold_id is not None else 0
            case FundsReserved():
                account.held += minor
            case HoldReleased() | HoldExpired():
                account.held -= minor
            case _:
                raise AssertionError(f"an entry that moves nothing: {event!r}")

    def _find(self, code: str, record: RecordedEvent, message: str) -> None:
        where = f"{record.stream}@{record.version}"
        self.findings.append(Finding(code, where, message))
