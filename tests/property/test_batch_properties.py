"""Batches against a model of a few lines: random items, and others' commands on the accounts between chunks."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.account_messages import AccountCommand, Close, Deposit, Freeze, OpenAccount, Unfreeze, Withdraw
from domain.batch import Batch, BatchStatus
from domain.batch_items import BatchItem, item_stream
from domain.batch_legs import Chunk, release_items, settle_atomically, settle_items, undo_items
from domain.batch_messages import AcceptBatch
from domain.errors import DomainError
from domain.money import Money
from domain.screening import ScreeningLimits
from domain.streams import account_stream
from domain.transfer import TransferStatus
from tests.fixtures.books import Books
from tests.unit.given import AT, LATER

NAMES = ("a", "b", "c")
NO_LIMITS = ScreeningLimits(review_above=None)
Act = tuple[str, str, int]
"""What somebody does to an account between two chunks: kind, account, minor units."""

pays = st.tuples(st.sampled_from((*NAMES, "nobody")), st.sampled_from(NAMES), st.integers(1, 60))
acts = st.tuples(
    st.sampled_from(("deposit", "withdraw", "freeze", "unfreeze", "close")),
    st.sampled_from(NAMES),
    st.integers(1, 50),
)


@dataclass
class Model:
    """Balances and statuses; what is credited by an atomic batch is held."""

    balance: dict[str, int] = field(default_factory=lambda: dict.fromkeys(NAMES, 100))
    held: dict[str, int] = field(default_factory=lambda: dict.fromkeys(NAMES, 0))
    status: dict[str, str] = field(default_factory=lambda: dict.fromkeys(NAMES, "open"))

    def act(self, kind: str, name: str, minor: int) -> None:
        status = self.status[name]
        if status == "closed":
            return
        match kind:
            case "deposit":
                self.balance[name] += minor
            case "withdraw" if status == "open" and self.balance[name] - self.held[name] >= minor:
                self.balance[name] -= minor
            case "freeze":
                self.status[name] = "frozen"
            case "unfreeze":
                self.status[name] = "open"
            case "close" if self.balance[name] == self.held[name] == 0:
                self.status[name] = "closed"
            case _:
                pass

    def pays(self, source: str, target: str, minor: int, set_aside: int = 0) -> bool:
        if source in (target, "nobody") or self.status[source] != "open":
            return False
        free = self.balance[source] - self.held[source] - set_aside
        return self.status[target] != "closed" and free >= minor

    def move(self, source: str, target: str, minor: int) -> None:
        self.balance[source] -= minor
        self.balance[target] += minor


def opened(count: int, chunk: int, *, atomic: bool) -> Books:
    streams = [item_stream("x", number) for number in range(1, count + 1)]
    books = Books("batch-x", *map(account_stream, (*NAMES, "nobody")), *streams)
    for name in NAMES:
        do(books, name, OpenAccount(at=AT, account_id=name, user_id=f"u-{name}", currency="EUR"))
        do(books, name, Deposit(at=AT, amount=Money(100, "EUR")))
    accept = AcceptBatch(
        at=AT, batch_id="x", items=count, content_hash="h", atomic=atomic, chunk=chunk, submitted=()
    )
    books.leg(lambda leg: leg.on_batch("x", accept))
    return books


def do(books: Books, name: str, command: AccountCommand) -> None:
    with suppress(DomainError):
        books.leg(lambda leg: leg.on_account(name, command))


def command_of(kind: str, minor: int) -> AccountCommand:
    match kind:
        case "deposit":
            return Deposit(at=AT, amount=Money(minor, "EUR"))
        case "withdraw":
            return Withdraw(at=AT, amount=Money(minor, "EUR"))
        case "freeze":
            return Freeze(at=AT)
        case "unfreeze":
            return Unfreeze(at=AT)
        case _:
            return Close(at=AT)


def state(books: Books) -> Batch:
    found = books.states["batch-x"]
    assert isinstance(found, Batch)
    return found


def interlude(books: Books, model: Model, between: list[Act]) -> None:
    """One of the things that others do, if any is left."""
    if between:
        kind, name, minor = between.pop()
        do(books, name, command_of(kind, minor))
        model.act(kind, name, minor)


def agree(books: Books, model: Model) -> None:
    books.check()
    for name in NAMES:
        account = books.account(name)
        assert (account.balance, account.held, account.status) == (
            model.balance[name],
            model.held[name],
            model.status[name],
        )


@settings(max_examples=150, deadline=None)
@given(st.lists(pays, min_size=1, max_size=12), st.integers(1, 5), st.lists(acts, max_size=8))
def test_a_plain_batch_does_to_each_item_what_the_model_does(
    wanted: list[Act], chunk: int, between: list[Act]
) -> None:
    books, model = opened(len(wanted), chunk, atomic=False), Model()
    items = [BatchItem(n, source, target, Money(m, "EUR")) for n, (source, target, m) in enumerate(wanted, 1)]
    completed = 0
    while state(books).status is BatchStatus.RUNNING:
        interlude(books, model, between)
        first, last = state(books).chunk_of(state(books).settled + 1)
        for source, target, minor in wanted[first - 1 : last]:
            if model.pays(source, target, minor):
                model.move(source, target, minor)
                completed += 1
        some = items[first - 1 : last]
        books.leg(lambda leg, some=some: settle_items(leg, Chunk("x", some, AT, LATER, NO_LIMITS)))  # type: ignore[misc]
        agree(books, model)
    assert (state(books).completed, state(books).rejected) == (completed, len(wanted) - completed)


@settings(max_examples=150, deadline=None)
@given(st.lists(pays, min_size=1, max_size=10), st.integers(1, 4), st.lists(acts, max_size=10))
def test_an_atomic_batch_is_all_or_nothing_whatever_others_do_meanwhile(
    wanted: list[Act], chunk: int, between: list[Act]
) -> None:
    """Nothing but a closed source keeps its money from going back; that is in suspense, item by item."""
    books, model = opened(len(wanted), chunk, atomic=True), Model()
    items = [BatchItem(n, source, target, Money(m, "EUR")) for n, (source, target, m) in enumerate(wanted, 1)]
    while (batch := state(books)).status in (
        BatchStatus.RUNNING,
        BatchStatus.RELEASING,
        BatchStatus.COMPENSATING,
    ):
        interlude(books, model, between)
        advance(books, model, batch, items)
        agree(books, model)
    batch = state(books)
    assert sum(model.held.values()) == 0
    stuck = [n for n in range(1, len(items) + 1) if books.transfer(f"x-{n}").status is TransferStatus.STUCK]
    assert len(stuck) == batch.stuck
    assert batch.status == ("completed" if batch.completed == len(items) else "stuck" if stuck else "compensated")
    assert batch.completed in (0, len(items))
    assert all(model.status[items[n - 1].from_account] == "closed" for n in stuck)


def advance(books: Books, model: Model, batch: Batch, items: list[BatchItem]) -> None:
    """One chunk, in the domain and in the model."""
    match batch.status:
        case BatchStatus.RUNNING:
            first, last = batch.chunk_of(batch.settled + 1)
            act = settle_atomically
            settle_in(model, items[first - 1 : last])
        case BatchStatus.RELEASING:
            first, last = batch.chunk_of(batch.released + 1)
            act = release_items
            for item in items[first - 1 : last]:
                model.held[item.to_account] -= item.amount.minor
        case _:
            first, last = batch.chunk_of(batch.standing)
            act = undo_items
            for item in reversed(items[first - 1 : last]):
                model.held[item.to_account] -= item.amount.minor
                model.balance[item.to_account] -= item.amount.minor
                if model.status[item.from_account] != "closed":
                    model.balance[item.from_account] += item.amount.minor
    books.leg(lambda leg: act(leg, Chunk("x", items[first - 1 : last], AT, LATER, NO_LIMITS)))


def settle_in(model: Model, some: list[BatchItem]) -> None:
    received = dict.fromkeys(NAMES, 0)
    before = dict(model.balance)
    for item in some:
        source, target, minor = item.from_account, item.to_account, item.amount.minor
        if not model.pays(source, target, minor, received.get(source, 0)):
            model.balance = before
            return
        model.move(source, target, minor)
        received[target] += minor
    for name, minor in received.items():
        model.held[name] += minor
