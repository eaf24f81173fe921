"""What the log says, worked out from raw rows and JSON without any of the product's own code: `see` each event in
the order of positions. Finds at once what can never be right, whatever comes later.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from tests.chaos.checker import exchange
from tests.chaos.checker.batches import Batch
from tests.chaos.checker.cases import Case
from tests.chaos.checker.exchange import Quote
from tests.chaos.checker.findings import Findings
from tests.chaos.checker.money import minor
from tests.chaos.checker.standing import Standing
from tests.chaos.checker.trading import Market

# The log after a position, up to another one, as it is stored.
READ: Final = """
SELECT p.position, e.id >> 16, e.stream, e.version, e.type, e.data, e.metadata ->> 'command_id'
  FROM positions p JOIN events e ON e.id = p.id
 WHERE p.position > %(after)s AND p.position <= %(upto)s ORDER BY p.position
"""


class Row(NamedTuple):
    """One row of READ. `append` is shared by what was stored together."""

    position: int
    append: int
    stream: str
    version: int
    type: str
    data: dict[str, Any]
    command: str


@dataclass
class Account:
    """Summed from the entries, not copied from what they state."""

    currency: str = ""
    limit: int = 0
    status: str = ""
    balance: int = 0
    held: int = 0
    version: int = 0
    holds: dict[str, int] = field(default_factory=lambda: defaultdict(int))


@dataclass
class Saga:
    """A payment or a transfer: what its own stream says, and what accounts say that was moved in its name."""

    stream: str
    status: str = "none"
    amount: int = 0
    currency: str = ""
    source: str = ""
    target: str = ""
    rail: str | None = None
    captured: int = 0
    refunded: int = 0
    disputed: int = 0
    prior: str = ""
    under_way: int = 0
    in_suspense: bool = False
    manual: bool = False
    quote: str | None = None
    buys: int = 0
    bought: str = ""
    """With a quote: what its amount buys, and in which currency."""
    signs: list[str] = field(default_factory=list)
    """Types of its events, in order."""
    moved: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    """(account, purpose) → what came (above zero) or went, in minor units."""

    def net(self, account: str, *purposes: str) -> int:
        return sum(self.moved[account, purpose] for purpose in purposes)


_ENTRY: Final = {  # type of event: how it changes balance and held
    "FundsDeposited": (1, 0),
    "FundsWithdrawn": (-1, 0),
    "FundsReserved": (0, 1),
    "HoldReleased": (0, -1),
    "HoldExpired": (0, -1),
    "AccountDebited": (-1, 0),
    "AccountCredited": (1, 0),
}
_ACCOUNT_STATUS: Final = {"AccountFrozen": "frozen", "AccountUnfrozen": "open", "AccountClosed": "closed"}
_TRANSFER_STATUS: Final = {
    "TransferInitiated": "initiated",
    "TransferRejected": "rejected",
    "ReviewRejected": "rejected",
    "TransferHeldForReview": "in_review",
    "ReviewApproved": "initiated",
    "SourceReserved": "reserved",
    "TransferCancelled": "cancelled",
    "CancelRequested": "compensating",
    "QuoteExpired": "compensating",
    "ReservationExpired": "compensating",
    "CreditRefused": "compensating",
    "SourceDebited": "in_transit",
    "DestinationCredited": "completed",
    "TransferCompensated": "compensated",
    "CompensationBlocked": "stuck",
}
_PAYMENT_STATUS: Final = {
    "PaymentInitiated": "pending",
    "PaymentHeldForReview": "in_review",
    "ReviewApproved": "pending",
    "ReviewRejected": "failed",
    "PaymentAuthorized": "authorized",
    "PaymentFailed": "failed",
    "PaymentCancelled": "cancelled",
    "PaymentPartiallyCaptured": "partially_captured",
    "PaymentProcessed": "processed",
    "RemainderVoided": "processed",
    "DisputeOpened": "disputed",
    "DisputeLost": "charged_back",
}


class Books:
    """`at` is the last position seen. Accounts by id, flows by asset, all else by stream."""

    def __init__(self, findings: Findings, poisoned: frozenset[str] | set[str] = frozenset()) -> None:
        self.at = 0
        self.accounts: dict[str, Account] = defaultdict(Account)
        self.sagas: dict[str, Saga] = {}
        self.batches: dict[str, Batch] = {}
        self.cases: dict[str, Case] = {}
        self.standing: dict[str, Standing] = {}
        self.quotes: dict[str, Quote] = {}
        self.market = Market(self._wrong)
        self.deposits: dict[str, int] = defaultdict(int)
        self.withdrawals: dict[str, int] = defaultdict(int)
        self.by_command: dict[str, list[Row]] = defaultdict(list)
        self.by_reference: dict[str, list[Row]] = defaultdict(list)
        self.append_at: dict[int, int] = {}
        self.wrote: dict[int, set[str]] = defaultdict(set)
        self.first: dict[str, Row] = {}
        self._findings = findings
        self._poisoned = poisoned
        self._totals: dict[str, int] = defaultdict(int)
        self._versions: dict[str, int] = defaultdict(int)
        self._append = 0
        self._items_moved: dict[str, str] = {}
        self._exchanged: dict[str, str] = {}

    def see(self, row: Row) -> None:
        """The next event."""
        if row.append != self._append:
            self.balance()
            self._append = row.append
        where = f"{row.stream}@{row.version}"
        if row.position != self.at + 1:
            self._wrong("positions", where, f"position {row.position} follows {self.at}")
        if row.version != self._versions[row.stream] + 1:
            before = self._versions[row.stream]
            self._wrong("order", where, f"at position {row.position} follows version {before} of its stream")
        self.at, self._versions[row.stream] = row.position, row.version
        self.by_command[row.command].append(row)
        self.append_at[row.position] = row.append
        self.wrote[row.append].add(row.stream)
        self.first.setdefault(row.stream, row)
        category, _, id_ = row.stream.partition("-")
        if category == "account":
            self._account(row, id_, where)
        elif category == "transfer":
            self._transfer(row, where)
        elif category == "payment":
            self._payment(row)
        elif category == "batch":
            self.batches.setdefault(row.stream, Batch(row.stream)).see(row, self._wrong)
        elif category == "fraud_case":
            self.cases.setdefault(row.stream, Case(row.stream)).see(row, self._wrong)
        elif category == "standing_order":
            self.standing.setdefault(row.stream, Standing(row.stream)).see(row, self._wrong)
        elif category == "quote":
            self.quotes.setdefault(row.stream, Quote(row.stream)).see(row, self._wrong)
        elif category in ("order", "book", "trade"):
            {"order": self.market.order, "book": self.market.book, "trade": self.market.trade}[category](row)

    def balance(self) -> None:
        """Between two appends every asset is whole: nothing lost, nothing invented."""
        for currency, total in self._totals.items():
            due = self.deposits[currency] - self.withdrawals[currency]
            if total != due:
                message = f"{total} on accounts and under way, {due} came in, at position {self.at}"
                self._wrong("conservation", currency, message)
        for stream, where in self._items_moved.items():
            # What an item is over, only the batch that was sent says: it is compared with that at the end.
            left = sum(self.saga(stream).moved.values()) + self.saga(stream).under_way
            if left:
                self._wrong("effect once", where, f"{stream} has paid out {left} more than it took")
        self._items_moved.clear()
        for stream, where in self._exchanged.items():
            if self.saga(stream).quote is not None:
                exchange.whole(self.saga(stream), self, where, self._wrong)
        self._exchanged.clear()
        self.market.whole(self)

    def saga(self, stream: str) -> Saga:
        return self.sagas.setdefault(stream, Saga(stream))

    def item_of(self, stream: str) -> tuple[Batch, int] | None:
        """Which batch's which item a transfer is, if it is one."""
        id_, _, number = stream.removeprefix("transfer-").rpartition("-")
        batch = self.batches.get(f"batch-{id_}")
        return (batch, int(number)) if batch is not None and number.isdigit() else None

    # --- accounts ------------------------------------------------------------

    def _account(self, row: Row, id_: str, where: str) -> None:
        account, data = self.accounts[id_], row.data
        account.version = row.version
        if row.type == "AccountOpened":
            if account.currency and id_ not in self._poisoned:
                self._wrong("effect once", where, "an account is opened a second time")
            account.currency, account.limit = data["currency"], minor(data["overdraft_limit"])
            account.status = "open"
        elif row.type in _ACCOUNT_STATUS:
            account.status = _ACCOUNT_STATUS[row.type]
        if row.type not in _ENTRY:
            return
        amount = minor(data["amount"])
        for_balance, for_held = _ENTRY[row.type]
        account.balance += for_balance * amount
        self._totals[account.currency] += for_balance * amount
        account.held += for_held * amount
        hold = data.get("hold_id")
        if hold is not None:
            account.holds[hold] += amount if row.type == "FundsReserved" else -amount
            if row.type == "AccountDebited":
                account.held -= amount
            if account.holds[hold] < 0:
                self._wrong("holds", where, f"more is taken out of hold {hold} than was in it")
        if (minor(data["balance"]), minor(data["held"])) != (account.balance, account.held):
            stated = f"{minor(data['balance'])} and {minor(data['held'])} held"
            self._wrong("sums", where, f"states {stated}; its entries add up to {account.balance}, {account.held}")
        if account.balance - account.held + account.limit < 0:
            over = -(account.balance - account.held + account.limit)
            self._wrong("no overspend", where, f"available is {over} below its limit")
        if row.type == "FundsDeposited":
            self.deposits[account.currency] += amount
        elif row.type == "FundsWithdrawn":
            self.withdrawals[account.currency] += amount
        if row.type in ("FundsDeposited", "FundsWithdrawn") and data.get("reference"):
            self.by_reference[data["reference"]].append(row)
        if "transaction" in data:
            self._moved(row, id_, for_balance * amount, where)

    def _moved(self, row: Row, account: str, change: int, where: str) -> None:
        """In the name of a saga: never more than once what it is about."""
        if row.data["transaction"].startswith("trade-"):
            self.market.moved(row.data["transaction"], account, change)
            return
        saga = self.saga(row.data["transaction"])
        saga.moved[account, row.data["purpose"]] += change
        self._exchanged[saga.stream] = where  # an order's first event may come after its postings, in one append
        if saga.quote is not None:
            return
        if self.item_of(saga.stream) is not None:
            self._items_moved[saga.stream] = where  # debit and credit are one append, in whatever order
        elif saga.stream.startswith("transfer-"):
            came = sum(amount for amount in saga.moved.values() if amount > 0)
            went = -sum(amount for amount in saga.moved.values() if amount < 0)
            if came > went:
                self._wrong("effect once", where, f"{saga.stream} has paid out {came}, but took only {went}")
            if went > saga.amount:
                self._wrong("effect once", where, f"{saga.stream} of {saga.amount} has taken {went}")

    # --- payments and transfers ------------------------------------------------

    def _transfer(self, row: Row, where: str) -> None:
        saga, data = self.saga(row.stream), row.data
        saga.signs.append(row.type)
        if saga.status in ("completed", "compensated", "rejected", "cancelled"):
            self._wrong("order", where, f"{row.type} after it was {saga.status}")
        if row.type == "TransferInitiated":
            saga.amount, saga.currency = minor(data["amount"]), data["amount"]["currency"]
            saga.source, saga.target, saga.rail = data["from_account"], data["to_account"], data.get("rail")
            exchange.begun(saga, data)
        elif row.type == "SourceDebited":
            self._on_the_way(saga, minor(data["amount"]))
        elif row.type in ("DestinationCredited", "SourceRefunded"):
            if row.type == "DestinationCredited" and saga.quote is not None:
                self._on_the_way(saga, -saga.amount)  # what arrives is in the other currency
                arrived = minor(data["amount"])
                if arrived != saga.buys:
                    self._wrong("effect as asked", where, f"was promised {saga.buys}, and {arrived} arrive")
            else:
                self._on_the_way(saga, -minor(data["amount"]))
            saga.in_suspense = False
        elif row.type == "FundsMovedToSuspense":
            saga.in_suspense = True
        saga.status = _TRANSFER_STATUS.get(row.type, saga.status)
        if saga.under_way < 0:
            self._wrong("effect once", where, "more has arrived than was under way")
        if saga.status == "compensated" and saga.under_way:
            self._wrong("compensation", where, f"compensated, but its {saga.under_way} never came back")

    def _on_the_way(self, saga: Saga, change: int) -> None:
        saga.under_way += change
        self._totals[saga.currency] += change

    def _payment(self, row: Row) -> None:
        saga, data = self.saga(row.stream), row.data
        saga.signs.append(row.type)
        if row.type == "PaymentInitiated":
            saga.amount, saga.currency = minor(data["amount"]), data["amount"]["currency"]
            saga.source, saga.target = data["from_account"], data["to_account"]
            saga.manual = data["capture"] == "manual"
            exchange.begun(saga, data)
        elif row.type in ("PaymentPartiallyCaptured", "PaymentProcessed"):
            saga.captured += minor(data["amount"])
        elif row.type == "PaymentRefunded":
            saga.refunded += minor(data["amount"])
            saga.status = "refunded" if saga.refunded == saga.captured else "partially_refunded"
        elif row.type == "DisputeOpened":
            saga.prior, saga.disputed = saga.status, minor(data["amount"])
        elif row.type == "DisputeWon":
            saga.status = saga.prior
        elif row.type == "PaymentExpired":
            saga.status = "processed" if saga.captured else "expired"
        saga.status = _PAYMENT_STATUS.get(row.type, saga.status)

    def _wrong(self, promise: str, where: str, message: str) -> None:
        self._findings.add(promise, where, message)
