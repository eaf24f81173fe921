"""At the end: every acknowledged write is in the log with exactly its effect, once; every refused one is not; and
everything that was begun is over, or waits for somebody who can see it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any, Final, TypeVar

from psycopg import AsyncConnection

from tests.chaos.checker import batches, cases, exchange, standing, trading
from tests.chaos.checker.books import READ, Books, Row, Saga
from tests.chaos.checker.findings import Findings
from tests.chaos.checker.money import minor
from tests.chaos.history import History, Operation

FEE: Final = Decimal("0.01")
OVER: Final = {
    "transfer": ("completed", "compensated", "rejected", "cancelled"),
    "payment": (
        *("failed", "cancelled", "expired", "processed", "partially_refunded", "refunded"),
        *("charged_back", "disputed"),  # disputed: the dispute waits for an operator's decision
    ),
}
STEPS: Final = ("capture", "cancel", "refund", "dispute", "resolve_dispute")
MOVES: Final = {"deposit": "FundsDeposited", "withdrawal": "FundsWithdrawn"}
STANDING_WISHES: Final = ("amend", "pause", "resume", "skip", "cancel")
SWITCHES: Final = ("halt", "resume")
WISHES: Final = {
    **{f"cancel_{what}": "cancel" for what in ("batch", "order")},
    **{f"{wish}_standing_order": wish for wish in STANDING_WISHES},
    **{f"{switch}_trading": switch for switch in SWITCHES},
}
"""Kind of an operation: what its command is called, where they differ."""
ON_ACCOUNT: Final = ("deposit", "withdrawal", "open", "close")
Wrong = Callable[[str, str, str], None]
S = TypeVar("S", batches.Batch, trading.Order, standing.Standing)


async def read_log(connection: AsyncConnection[Any], findings: Findings, poisoned: set[str]) -> Books:
    """The whole log, from its first position, on books of its own."""
    books = Books(findings, poisoned)
    while True:
        upto = books.at + 5000
        cursor = await connection.execute(READ.encode(), {"after": books.at, "upto": upto})
        rows = await cursor.fetchall()
        for row in rows:
            books.see(Row(*row))
        if not rows:
            books.balance()
            return books


def still_open(books: Books) -> list[str]:
    """Streams that something still has to drive on. What waits for somebody is not among them."""
    sagas = [saga.stream for saga in books.sagas.values() if not _over(saga) and not _waits(saga, books)]
    sent = [batch.stream for batch in books.batches.values() if batch.status not in (*batches.OVER, "paused")]
    sent += [order.stream for order in books.standing.values() if order.status == "active"]
    sent += [order.stream for order in books.market.orders.values() if trading.drives_on(order, books.market)]
    return sagas + sent + [case.stream for case in books.cases.values() if cases.drives_on(case, books)]


def _over(saga: Saga) -> bool:
    return saga.status in OVER[saga.stream.partition("-")[0]]


def _waits(saga: Saga, books: Books) -> bool:
    """For a person: by its terms, as a stuck one, or in review with a case. A plain item is its batch's affair."""
    if not saga.signs:
        return books.item_of(saga.stream) is not None
    if saga.status == "in_review":
        case = books.cases.get(f"fraud_case-{saga.stream}")
        return case is not None and case.status in cases.UNDECIDED
    by_hand = saga.manual and saga.status in ("authorized", "partially_captured")
    return by_hand or (saga.status == "stuck" and saga.in_suspense)


@dataclass
class FinalChecker:
    """`booked`: what the other bank says it was paid, by key. `shown_stuck`: transfers the API shows as stuck."""

    history: History
    books: Books
    findings: Findings
    booked: Mapping[str, Mapping[str, str]]
    shown_stuck: frozenset[str] = frozenset()

    def check(self) -> None:
        for operation in self.history:
            self._operation(operation)
        for batch in self.books.batches.values():
            self._sent(batch, batches.check)
        for order in self.books.market.orders.values():
            self._sent(order, trading.check)
        trading.check_holds(self.books, self._wrong)
        for each in self.books.standing.values():
            self._sent(each, standing.check)
        runs = standing.runs_of(self.books)
        for saga in list(self.books.sagas.values()):
            cases.check_held(saga, self.books, self._wrong)
            if saga.signs or self.books.item_of(saga.stream) is None:
                self._saga(saga)
            if saga.stream not in runs:
                self._asked_for(saga)
        for quote in self.books.quotes.values():
            if self.history.get(quote.id) is None:
                self._wrong("asked for", quote.stream, "nobody asked for it")
        for case in self.books.cases.values():
            self._case(case)
        for reference, rows in self.books.by_reference.items():
            if self.history.get(reference) is None and reference != "opening":
                self._wrong("asked for", rows[0].stream, f"nobody asked for {rows[0].type} {reference}")
        for key, credit in self.booked.items():
            saga = self.books.saga(key.partition(":")[0])
            if saga.status != "completed":
                paid = f"the other bank was paid {credit['amount']}, but it is {saga.status}"
                self._wrong("effect once", saga.stream, paid)

    # --- what was answered, against the log --------------------------------------

    def _operation(self, operation: Operation) -> None:
        effects = self._effects(operation)
        name = f"{operation.kind} {operation.id}"
        if operation.outcome == "acknowledged" and not effects:
            self._wrong("acknowledged write", name, f"was answered {operation.status}, and is not in the log")
        if operation.outcome == "refused" and effects:
            self._wrong("refused", name, f"was answered {operation.status} {operation.code}, and is in the log")
        if len(effects) > 1:
            self._wrong("effect once", name, f"is in the log {len(effects)} times")
        for row in effects:
            self._amount(operation, row, name)
        if operation.position is not None:
            wrote = self.books.wrote[self.books.append_at.get(operation.position, 0)]
            if self._stream(operation) not in wrote:
                whose = " and ".join(sorted(wrote)) or "nobody"
                self._wrong("position told", name, f"was told position {operation.position}, which is {whose}'s")

    def _effects(self, operation: Operation) -> list[Row]:
        """The events that are this operation's doing; of several in one append, the one that says so."""
        kind, books = operation.kind, self.books
        stream, wish = self._stream(operation), self.history.wish_id(operation.id)
        if kind in MOVES:
            return [row for row in books.by_reference[operation.id] if row.type == MOVES[kind]]
        if kind == "payment":
            return self._begun(operation, f"{stream}:payer:authorize")
        if kind == "transfer":
            return self._begun(operation, f"{stream}:source:reserve")
        if kind == "open_case":
            return self._of(stream, f"{stream}:open")
        if kind == "open":
            return self._of(stream, f"{stream}:open")
        if kind == "batch":
            return self._of(stream, f"{stream}:accept")
        if kind == "order":
            return self._of(stream, f"{stream}:place")
        if kind == "quote":
            return self._of(stream, f"{stream}:issue")
        if kind == "standing_order":
            # What was refused because its time had come may be that of an earlier try, which was on its way still.
            return [] if operation.code == "first_at_past" else self._of(stream, f"{stream}:create")
        if kind in WISHES:
            return self._of(stream, f"{stream}:{WISHES[kind]}:{wish}")
        if kind == "cancel_transfer":
            return self._cancelled(operation, stream)
        if kind == "decide":
            return self._decided(operation, stream)
        return self._of(stream, f"{stream}:{kind}:{wish}")

    def _begun(self, operation: Operation, command: str) -> list[Row]:
        """As with a standing order's first time: a quote may have expired since an earlier try was taken on."""
        late = operation.code == "quote_expired"
        return [] if late else self._of(self._stream(operation), command)

    def _cancelled(self, operation: Operation, stream: str) -> list[Row]:
        """An acknowledged cancel says that the transfer is undone, whoever undid it; a refused one, nothing."""
        undone = self.books.saga(stream).status in ("cancelled", "compensated", "stuck")
        if operation.outcome != "acknowledged" or not undone:
            return []
        return [self.books.first[stream]]

    def _decided(self, operation: Operation, stream: str) -> list[Row]:
        """An acknowledged decision is how the case ended, whoever's it was first; a refused one says nothing."""
        wanted = {"approve": "approved", "reject": "rejected"}[operation.body["decision"]]
        case = self.books.cases.get(stream)
        if operation.outcome != "acknowledged" or case is None or case.status != wanted or case.ended is None:
            return []
        return [case.ended]

    def _of(self, stream: str, command: str) -> list[Row]:
        """An append's first event on a stream, if there is one."""
        return [row for row in self.books.by_command.get(command, []) if row.stream == stream][:1]

    def _amount(self, operation: Operation, row: Row, name: str) -> None:
        if operation.amount is None or operation.kind == "cancel_transfer":
            return
        found = minor(row.data["amount"]) if "amount" in row.data else None
        if found is not None and found != operation.amount:
            self._wrong("effect as asked", name, f"asked for {operation.amount}, the log has {found}")

    @staticmethod
    def _stream(operation: Operation) -> str:
        if operation.kind in ON_ACCOUNT:
            return f"account-{operation.about}"
        return f"{_CATEGORY.get(operation.kind, 'payment')}-{operation.about}"

    # --- each saga ---------------------------------------------------------------

    def _asked_for(self, saga: Saga) -> None:
        id_ = saga.stream.partition("-")[2]
        item = self.books.item_of(saga.stream)
        apart = item is not None and item[0].became.get(item[1]) in ("started", "stuck")
        if saga.signs and self.history.get(id_) is None and not apart:
            self._wrong("asked for", saga.stream, "nobody asked for it")

    def _sent(self, subject: S, check: Callable[[S, dict[str, Any], Books, Wrong], None]) -> None:
        """What nobody sent should not be there; what was sent is held against it."""
        sent = self.history.get(subject.id)
        if sent is None:
            self._wrong("asked for", subject.stream, "nobody asked for it")
        else:
            check(subject, sent.body, self.books, self._wrong)

    def _case(self, case: cases.Case) -> None:
        known = self.books.saga(case.id).signs if case.source == "screening" else self.history.get(case.id)
        if not known:
            self._wrong("asked for", case.stream, "nobody asked for it")
        cases.check(case, self.books, self._wrong)

    def _saga(self, saga: Saga) -> None:
        if saga.stream.startswith("transfer-"):
            self._transfer(saga)
        else:
            self._payment(saga)
        if saga.quote is not None:
            exchange.check(saga, self.books, self._wrong)
        if not _over(saga) and not _waits(saga, self.books):
            self._wrong("ends", saga.stream, f"is still {saga.status}, and nobody can see that it is stuck")
        if saga.status == "stuck" and saga.stream.partition("-")[2] not in self.shown_stuck:
            self._wrong("ends", saga.stream, "is stuck, but the API does not show it as that")

    def _transfer(self, saga: Saga) -> None:
        took = -saga.net(saga.source, "transfer")
        gave = saga.net(saga.target, "transfer")
        mine = {saga.target, f"fx-{saga.bought}"} if saga.quote is not None else set()  # in the other currency
        came = sum(change for (name, _), change in saga.moved.items() if change > 0 and name not in mine)
        whole = {
            "completed": took == came == saga.amount,
            "compensated": took == came and gave == 0 and took in (0, saga.amount),
            "rejected": took == came == 0,
            "cancelled": took == came == 0,
            "stuck": took == saga.amount and came == 0,
        }.get(saga.status, True)
        if not whole:
            message = f"{saga.status} over {saga.amount}: took {took}, paid out {came}, to its target {gave}"
            self._wrong("compensation" if saga.status == "compensated" else "effect once", saga.stream, message)
        if _over(saga) and self.books.accounts[saga.source].holds.get(saga.stream, 0):
            self._wrong("holds", saga.stream, f"is {saga.status}, but its money is still held")
        key = f"{saga.stream}:destination:credit"
        if saga.rail and saga.status == "completed" and key not in self.booked:
            self._wrong("acknowledged write", saga.stream, "is completed, but the other bank was never paid")

    def _payment(self, saga: Saga) -> None:
        fee_account = f"fees-{saga.bought or saga.currency}"
        settled = saga.captured if saga.quote is None else exchange.settled(saga, saga.captured)
        fee = int((settled * FEE).to_integral_value(ROUND_HALF_EVEN))
        charged = saga.disputed if saga.status == "charged_back" else 0
        due = {
            "the payer paid": (-saga.net(saga.source, "payment"), saga.captured),
            "the payee got": (saga.net(saga.target, "payment"), settled - fee),
            "the fee was": (saga.net(fee_account, "fee"), fee),
            "the payee gave back": (-saga.net(saga.target, "refund"), saga.refunded),
            "the payer got back": (saga.net(saga.source, "refund"), saga.refunded),
            "the payee was charged back": (-saga.net(saga.target, "chargeback"), charged),
            "the payer was paid back": (saga.net(saga.source, "chargeback"), charged),
        }
        for what, (found, right) in due.items():
            if found != right:
                self._wrong("effect once", saga.stream, f"{what} {found}, not {right}")
        left = saga.amount - saga.captured if saga.status in ("authorized", "partially_captured") else 0
        held = self.books.accounts[saga.source].holds.get(saga.stream, 0)
        if held != left:
            self._wrong("holds", saga.stream, f"is {saga.status} with {held} held, not {left}")

    def _wrong(self, promise: str, where: str, message: str) -> None:
        self.findings.add(promise, where, message)


_CATEGORY: Final = {
    **dict.fromkeys(("transfer", "cancel_transfer", "resolve"), "transfer"),
    **dict.fromkeys(("batch", "cancel_batch", "pause", "resume"), "batch"),
    **dict.fromkeys(("open_case", "note", "assign", "freeze", "decide"), "fraud_case"),
    **dict.fromkeys(("order", "amend", "cancel_order"), "order"),
    **dict.fromkeys((f"{switch}_trading" for switch in SWITCHES), "book"),
    "quote": "quote",
    **dict.fromkeys(("standing_order", *(f"{wish}_standing_order" for wish in STANDING_WISHES)), "standing_order"),
}
