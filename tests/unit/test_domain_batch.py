"""Batch: its states, and what a chunk does to the accounts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from decimal import Decimal
from functools import partial

import pytest

from domain import batch
from domain.account_messages import Close, Deposit, Freeze, OpenAccount, Withdraw
from domain.batch import Batch
from domain.batch_items import BatchItem, Content, item_of, item_stream, item_transfer_id
from domain.batch_legs import Chunk, release_items, settle_atomically, settle_items, undo_items
from domain.batch_messages import AcceptBatch, BatchCommand, CancelBatch, PauseBatch, ResumeBatch
from domain.errors import Conflict, InvalidInput, NotFound, WrongState
from domain.leg import Leg
from domain.screening import ScreeningLimits
from domain.streams import account_stream
from domain.transfer import Transfer, TransferStatus
from tests.fixtures.books import Books
from tests.unit.given import AT, LATER, eur, usd

LIMITS = ScreeningLimits(review_above=Decimal(1000))
ACCOUNTS = "abcd"
Pay = tuple[str, str, str]


@pytest.fixture
def books() -> Books:
    """Accounts a, b, c and d with 100.00 each."""
    transfers = [item_stream("x", number) for number in range(1, 20)]
    made = Books(
        "batch-x", *map(account_stream, ACCOUNTS), *transfers, "account-nobody", "account-usd", "account-far"
    )
    for name in (*ACCOUNTS, "usd", "far"):
        currency, rail = ("USD", None) if name == "usd" else ("EUR", "sepa" if name == "far" else None)
        opened = OpenAccount(at=AT, account_id=name, user_id=f"u-{name}", currency=currency, rail=rail)
        made.leg(partial(Leg.on_account, account_id=name, command=opened))
    for name in ACCOUNTS:
        deposit = Deposit(at=AT, amount=eur("100.00"))
        made.leg(partial(Leg.on_account, account_id=name, command=deposit))
    return made


def items(pays: Sequence[Pay]) -> list[BatchItem]:
    return [
        BatchItem(number, source, target, eur(amount)) for number, (source, target, amount) in enumerate(pays, 1)
    ]


def accept(books: Books, count: int, *, atomic: bool = False, chunk: int = 100) -> None:
    command = AcceptBatch(
        at=AT, batch_id="x", items=count, content_hash="h", atomic=atomic, chunk=chunk, submitted=()
    )
    books.leg(lambda leg: leg.on_batch("x", command))


def run(books: Books, act: Callable[[Leg, Chunk], None], some: Sequence[BatchItem]) -> list[str]:
    types = books.leg(lambda leg: act(leg, Chunk("x", some, AT, LATER, LIMITS)))
    books.check()
    return types


def state(books: Books) -> Batch:
    found = books.states["batch-x"]
    assert isinstance(found, Batch)
    return found


def balances(books: Books) -> str:
    return " ".join(f"{books.account(name).balance // 100}" for name in ACCOUNTS)


def notes(books: Books) -> dict[int, str]:
    events = [event for stream, event in books.log if stream == "batch-x"]
    return {note.item: note.code for event in events for note in getattr(event, "notes", ())}


def tell(books: Books, *commands: BatchCommand) -> None:
    for command in commands:
        books.leg(partial(Leg.on_batch, batch_id="x", command=command))


PAUSE, RESUME = PauseBatch(at=AT, by="ops"), ResumeBatch(at=AT, by="ops")
CANCEL = CancelBatch(at=AT, by="ops", reason="sent twice")


# --- a plain batch ------------------------------------------------------------


def test_an_item_is_one_debit_and_one_credit_and_sees_what_the_ones_before_it_did(books: Books) -> None:
    accept(books, 3)
    types = run(books, settle_items, items([("a", "b", "100.00"), ("a", "c", "0.01"), ("b", "d", "200.00")]))
    assert Counter(types) == {
        "AccountCredited": 2, "AccountDebited": 2, "BatchItemsSettled": 1, "BatchCompleted": 1
    }  # fmt: skip
    assert balances(books) == "0 0 100 300"
    assert notes(books) == {2: "insufficient_funds"}
    assert (state(books).status, state(books).completed, state(books).rejected) == ("completed", 2, 1)


def test_every_refusal_of_a_single_transfer_is_one_here_and_stops_nobody_else(books: Books) -> None:
    books.leg(lambda leg: leg.on_account("c", Withdraw(at=AT, amount=eur("100.00"))))
    books.leg(lambda leg: leg.on_account("c", Close(at=AT)))
    books.leg(lambda leg: leg.on_account("d", Freeze(at=AT)))
    accept(books, 8)
    wanted = items(
        [("a", "a", "1.00"), ("nobody", "a", "1.00"), ("a", "nobody", "1.00"), ("a", "c", "1.00"),
         ("d", "a", "1.00"), ("a", "usd", "1.00"), ("far", "a", "1.00"), ("a", "d", "1.00")]
    )  # fmt: skip
    run(books, settle_items, wanted)
    assert notes(books) == {
        1: "same_account",
        2: "account_not_found",
        3: "account_not_found",
        4: "account_closed",
        5: "account_frozen",
        6: "quote_required",
        7: "account_external",
    }
    assert balances(books) == "99 100 0 101", "a frozen account takes a credit"
    assert {"account-nobody", "account-usd", "account-far"} <= books.asked, "refusals rest on these"


def test_what_cannot_settle_at_once_is_a_transfer_of_its_own(books: Books) -> None:
    books.leg(lambda leg: leg.on_account("a", Deposit(at=AT, amount=eur("5000.00"))))
    accept(books, 3)
    run(books, settle_items, items([("a", "b", "1000.01"), ("a", "far", "2.00"), ("a", "b", "1.00")]))
    assert notes(books) == {1: "review", 2: "rail"}
    assert (books.transfer("x-1").status, books.transfer("x-2").status) == ("in_review", "reserved")
    assert (books.account("a").balance, books.account("a").held) == (509_900, 200)


def test_somebody_elses_transfer_is_not_taken_for_an_item(books: Books) -> None:
    books.states[item_stream("x", 1)] = Transfer(transfer_id="x-1", status=TransferStatus.RESERVED)
    accept(books, 1)
    run_unchecked(books, items([("a", "far", "1.00")]))
    assert notes(books) == {1: "transfer_exists"}
    assert item_stream("x", 1) in books.asked


def run_unchecked(books: Books, some: Sequence[BatchItem]) -> None:
    books.leg(lambda leg: settle_items(leg, Chunk("x", some, AT, LATER, LIMITS)))


def test_the_rules_about_earlier_debits_count_items_too(books: Books) -> None:
    accept(books, 3)
    velocity = ScreeningLimits(velocity_max=2)
    some = items([("a", "b", "1.00")] * 3)
    books.leg(lambda leg: settle_items(leg, Chunk("x", some, AT, LATER, velocity)))
    assert notes(books) == {3: "review"}
    assert books.account("a").payees == ("b",)


# --- an atomic one ------------------------------------------------------------


def test_what_an_atomic_batch_credits_is_held_until_all_of_it_is_settled(books: Books) -> None:
    accept(books, 3, atomic=True, chunk=2)
    wanted = items([("a", "b", "10.00"), ("a", "b", "20.00"), ("c", "b", "5.00")])
    run(books, settle_atomically, wanted[:2])
    assert (books.account("b").balance, books.account("b").held) == (13_000, 3000)
    run(books, settle_atomically, wanted[2:])
    assert (state(books).status, books.account("b").held) == ("releasing", 3500)
    assert books.refusal(lambda leg: leg.on_batch("x", CANCEL)).code == "wrong_batch_status"
    run(books, release_items, wanted[:2])
    run(books, release_items, wanted[2:])
    assert (state(books).status, books.account("b").held) == ("completed", 0)
    assert books.account("b").recent_holds == (), "nothing of it is a debit of b's"


def test_what_is_received_within_an_atomic_batch_cannot_be_spent_within_it(books: Books) -> None:
    accept(books, 2, atomic=True)
    run(books, settle_atomically, items([("a", "b", "50.00"), ("b", "c", "100.01")]))
    assert (state(books).status, state(books).failure_code) == ("compensated", "insufficient_funds")
    assert balances(books) == "100 100 100 100"


@pytest.mark.parametrize(
    "bad", [("a", "nobody", "1.00"), ("a", "far", "1.00"), ("a", "a", "1.00"), ("a", "b", "90.01")]
)
def test_one_refusal_undoes_everything_in_reverse(books: Books, bad: Pay) -> None:
    accept(books, 4, atomic=True, chunk=2)
    wanted = items([("a", "b", "10.00"), ("b", "a", "0.01"), ("c", "a", "3.00"), bad])
    run(books, settle_atomically, wanted[:2])
    assert run(books, settle_atomically, wanted[2:]) == ["BatchFailed"], "nothing of the chunk is recorded"
    assert state(books).status == "compensating"
    types = run(books, undo_items, wanted[:2])
    assert types[-2:] == ["BatchItemsUndone", "BatchCompensated"]
    assert (state(books).status, state(books).completed, state(books).stuck) == ("compensated", 0, 0)
    assert balances(books) == "100 100 100 100"
    assert all(books.account(name).held == 0 for name in ACCOUNTS)


def test_a_freeze_stops_neither_the_hold_nor_the_undo(books: Books) -> None:
    books.leg(lambda leg: leg.on_account("b", Freeze(at=AT)))
    accept(books, 2, atomic=True, chunk=1)
    wanted = items([("a", "b", "10.00"), ("a", "nobody", "1.00")])
    run(books, settle_atomically, wanted[:1])
    run(books, settle_atomically, wanted[1:])
    run(books, undo_items, wanted[:1])
    assert balances(books) == "100 100 100 100"


def test_what_a_closed_source_does_not_take_back_is_a_stuck_transfer_with_its_money_in_suspense(
    books: Books,
) -> None:
    accept(books, 2, atomic=True, chunk=1)
    wanted = items([("a", "b", "100.00"), ("c", "nobody", "1.00")])
    run(books, settle_atomically, wanted[:1])
    books.leg(lambda leg: leg.on_account("a", Close(at=AT)))
    run(books, settle_atomically, wanted[1:])
    run(books, undo_items, wanted[:1])
    assert (state(books).status, state(books).stuck) == ("stuck", 1)
    stuck = books.transfer("x-1")
    assert (stuck.status, stuck.location, stuck.failure_code) == ("stuck", "suspense", "batch_undone")
    assert balances(books) == "0 100 100 100"


# --- pause, resume, cancel ------------------------------------------------------------


def test_pause_resume_and_cancel(books: Books) -> None:
    accept(books, 3, chunk=1)
    wanted = items([("a", "b", "1.00")] * 3)
    run(books, settle_items, wanted[:1])
    tell(books, PAUSE)
    with pytest.raises(WrongState):
        run(books, settle_items, wanted[1:2])
    assert books.refusal(lambda leg: leg.on_batch("x", PAUSE)).code == "wrong_batch_status"
    tell(books, RESUME)
    run(books, settle_items, wanted[1:2])
    tell(books, PAUSE, CANCEL)
    assert (state(books).status, state(books).settled, state(books).completed) == ("cancelled", 2, 2)
    for command in (PAUSE, RESUME, CANCEL):
        assert books.refusal(partial(Leg.on_batch, batch_id="x", command=command)).code == "wrong_batch_status"
    assert balances(books) == "98 102 100 100"


@pytest.mark.parametrize("settled", [0, 1])
def test_a_cancelled_atomic_batch_turns_back(books: Books, settled: int) -> None:
    accept(books, 2, atomic=True, chunk=1)
    wanted = items([("a", "b", "1.00")] * 2)
    if settled:
        run(books, settle_atomically, wanted[:1])
    tell(books, CANCEL)
    assert state(books).status == ("compensating" if settled else "compensated")
    if settled:
        run(books, undo_items, wanted[:1])
    assert (state(books).status, balances(books)) == ("compensated", "100 100 100 100")


def test_a_batch_that_is_not_there_or_is_there_already(books: Books) -> None:
    for command in (PAUSE, RESUME, CANCEL):
        with pytest.raises(NotFound):
            batch.decide(command, batch.initial())
    accept(books, 1)
    with pytest.raises(Conflict, match="exists already"):
        accept(books, 1)
    with pytest.raises(InvalidInput):
        accept(Books("batch-x"), batch.MAX_ITEMS + 1)


def test_a_chunk_has_the_same_bounds_however_often_it_is_tried() -> None:
    found = Batch(items=25, chunk=10)
    assert [found.chunk_of(item) for item in (1, 10, 11, 25)] == [(1, 10), (1, 10), (11, 20), (21, 25)]


# --- what was asked for ------------------------------------------------------------


def test_the_content_is_the_items_in_order_and_nothing_else() -> None:
    def content(*some: BatchItem) -> Content:
        made = Content()
        for item in some:
            made.add(item)
        return made

    first, second = (
        BatchItem(1, "a", "b", eur("1.00")),
        BatchItem(2, "a", "b", usd("2.00"), "ref", "SALA", {"k": "v"}),
    )
    known = content(first, second)
    changed = [
        BatchItem(2, "b", "a", usd("2.00"), "ref", "SALA", {"k": "v"}),
        BatchItem(2, "a", "b", usd("2.01"), "ref", "SALA", {"k": "v"}),
        BatchItem(2, "a", "b", eur("2.00"), "ref", "SALA", {"k": "v"}),
        BatchItem(2, "a", "b", usd("2.00"), None, "SALA", {"k": "v"}),
        BatchItem(2, "a", "b", usd("2.00"), "ref", None, {"k": "v"}),
        BatchItem(2, "a", "b", usd("2.00"), "ref", "SALA", {"k": "w"}),
    ]
    assert len({known.hash, content(first).hash, *(content(first, other).hash for other in changed)}) == 8
    assert [(part.count, str(part.amount)) for part in known.submitted] == [(1, "1.00 EUR"), (1, "2.00 USD")]


@pytest.mark.parametrize(
    ("transfer_id", "found"),
    [
        ("x-1", ("x", 1)),
        ("a-b-12", ("a-b", 12)),
        ("x", None),
        ("x-", None),
        ("-1", None),
        ("x-01", None),
        ("x-0", None),
    ],
)
def test_an_items_transfer_id_names_its_batch(transfer_id: str, found: tuple[str, int] | None) -> None:
    assert item_of(transfer_id) == found
    if found is not None:
        assert item_transfer_id(*found) == transfer_id
