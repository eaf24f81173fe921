"""What must hold: after every append, and at the end."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import orjson

from domain import catalogue
from domain.account import Account
from domain.fraud_case import UNDECIDED, FraudCase
from domain.payment import Payment, PaymentStatus
from domain.streams import category_of, id_of
from domain.transfer import FINAL, Location, Transfer
from eventstore.events import RecordedEvent
from eventstore.hashing import GENESIS, event_hash
from projections.decoding import Dealer, prepare
from projections.model import Statement, Track
from tests.fixtures.books import Books
from tests.simulation.view_tables import SIMULATED, ViewTables

if TYPE_CHECKING:
    from tests.simulation.world import World

OPEN_PAYMENTS = (
    PaymentStatus.PENDING, PaymentStatus.IN_REVIEW, PaymentStatus.AUTHORIZED, PaymentStatus.PARTIALLY_CAPTURED,
    PaymentStatus.DISPUTED,
)  # fmt: skip


class Auditor:
    """Sees every append as it commits and keeps books of its own (tests/fixtures/books.py)."""

    def __init__(self) -> None:
        self.books = Books()
        self._ends: dict[str, tuple[int, bytes]] = {}
        self._ids: set[Any] = set()

    def take(self, rows: list[tuple[Any, ...]]) -> None:
        """Every promise about money, after this append. Raises AssertionError."""
        for row in rows:
            self._chained(row)
            _, _, _, stream, _, type_, schema_version, data, *_ = row
            self.books.states.setdefault(stream, catalogue.INITIAL[category_of(stream)]())
            self.books.record(stream, catalogue.decode(stream, type_, schema_version, data))
        self.books.check()

    def copy(self, other: Auditor) -> None:
        """Begin where another's books stand."""
        books, theirs = self.books, other.books
        books.states, books.log = dict(theirs.states), list(theirs.log)
        for name in ("balances", "held", "brought_in"):
            getattr(books, name).update(getattr(theirs, name))
        self._ends, self._ids = dict(other._ends), set(other._ids)

    def _chained(self, row: tuple[Any, ...]) -> None:
        _, _, event_id, stream, version, *content, prev_hash, digest = row
        last_version, last_hash = self._ends.get(stream, (0, GENESIS))
        assert (version, prev_hash) == (last_version + 1, last_hash), f"{stream}@{version} does not follow"
        assert digest == event_hash(prev_hash, event_id, stream, version, *content), f"{stream}@{version}: hash"
        assert event_id not in self._ids, f"event id {event_id} twice"
        self._ids.add(event_id)
        self._ends[stream] = (version, digest)


def still_open(world: World) -> list[str]:
    """Streams whose story is not over."""
    found = []
    for stream, state in world.auditor.books.states.items():
        going = isinstance(state, Transfer) and state.status not in FINAL
        going = going or (isinstance(state, FraudCase) and state.status in UNDECIDED)
        if going or (isinstance(state, Payment) and state.status in OPEN_PAYMENTS):
            found.append(stream)
    return found


def check_the_end(world: World) -> None:
    """Every saga is over, every promise to a client kept, and the views are what the log makes of them."""
    assert not still_open(world), f"never ended: {still_open(world)}"
    assert not world.temporal.unanswered(), f"never answered: {world.temporal.unanswered()}"
    assert world.auditor.books.replayed() == world.auditor.books.states, "the events do not say what happened"
    for command_id in world.acknowledged:
        assert command_id in world.log.commands, f"acknowledged and lost: {command_id}"
    for stream in world.undone:
        state = world.auditor.books.states.get(stream)
        assert isinstance(state, Transfer), f"{stream} was undone, and nothing keeps a late original from it"
        assert not world.auditor.books.flows.get(stream), f"{stream} was undone, and moved money"
    _the_rail_agrees(world)
    _views_are_their_folds(world)


def _the_rail_agrees(world: World) -> None:
    for stream, state in world.auditor.books.states.items():
        if isinstance(state, Transfer) and state.rail is not None:
            paid = f"{stream}:destination:credit" in world.rail.credited
            arrived = state.location is Location.DESTINATION
            assert paid == arrived, f"{stream} is {state.status}, and the other bank was paid: {paid}"


def _views_are_their_folds(world: World) -> None:
    records = [RecordedEvent(*row) for row in world.log.numbered]
    assert sum(map(len, world.log.streams.values())) == len(records), "an event without a position"
    fresh = _from_scratch(records)
    for name in SIMULATED:
        live = world.views.live(name)
        assert live.position == len(records), f"view {name} stands at {live.position} of {len(records)}"
        assert live.tables.filled() == fresh[name].filled(), f"view {name} is not what a rebuild makes of it"
    _views_say_what_the_books_say(world)


def _from_scratch(records: list[RecordedEvent]) -> dict[str, ViewTables]:
    made = {name: ViewTables() for name in SIMULATED}
    if records:
        dealt = Dealer(SIMULATED.values()).deal(records)
        for number, (name, view) in enumerate(SIMULATED.items()):
            for statement in prepare(Track(view, number, 0, 0), 0, dealt).statements:
                made[name].run(Statement(statement.sql, orjson.loads(orjson.dumps(statement.rows))))
    return made


def _views_say_what_the_books_say(world: World) -> None:
    tables = {name: world.views.live(name).tables.table(SIMULATED[name].faces[0]) for name in SIMULATED}
    for stream, state in world.auditor.books.states.items():
        match state:
            case Account():
                row = tables["accounts"][id_of(stream)]
                assert (row["balance"], row["held"], row["status"]) == (state.balance, state.held, state.status)
            case Payment():
                row = tables["payments"][id_of(stream)]
                assert (row["status"], row["captured"]) == (state.status, state.captured), f"{stream}: {row}"
            case Transfer():
                row = tables["transfers"][id_of(stream)]
                assert (row["status"], row["location"]) == (state.status, state.location), f"{stream}: {row}"
            case FraudCase():
                row = tables["fraud_cases"][id_of(stream)]
                assert row["status"] == state.status, f"{stream}: {row}"
    for row in tables["conservation"].values():
        there = row["accounts"] + row["in_transit"] + row["in_suspense"]
        assert there == row["deposits"] - row["withdrawals"], f"conservation: {row}"
    sums: Counter[tuple[int, str]] = Counter()
    for row in tables["ledger_entries"].values():
        sums[row["transaction"], row["currency"]] += row["amount"]
    assert not any(sums.values()), "a transaction whose entries do not sum to zero"
