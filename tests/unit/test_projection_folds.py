"""What needs no database: telling faults apart, dealing out events, a transfer's time line, cursors and sums."""

from __future__ import annotations

import re
from collections import Counter
from decimal import Decimal
from typing import get_args

import psycopg
import pytest

from domain.catalogue import EVENTS
from domain.payment_messages import PaymentEvent
from domain.streams import (
    ACCOUNT,
    BATCH,
    BOOK,
    FRAUD_CASE,
    ORDER,
    PAYMENT,
    QUOTE,
    STANDING_ORDER,
    TRADE,
    TRANSFER,
)
from domain.transfer_messages import TransferEvent
from eventstore.errors import StoreUnavailable
from projections.catalogue import VIEWS, view_named
from projections.decoding import Dealer, by_append
from projections.errors import CheckpointMoved, Fault, Undecodable, UnknownView, fault_of
from projections.model import Batch
from projections.views import transfers
from projections.views.payment_fold import STATUS
from queries.errors import BadCursor
from queries.money import average, wire
from queries.paging import NEWEST, decode_cursor, encode_cursor, page_of
from queries.standing import standing_case
from tests.fixtures.histories import History, recorded


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (psycopg.errors.DeadlockDetected(), Fault.TRANSIENT),
        (psycopg.errors.SerializationFailure(), Fault.TRANSIENT),
        (psycopg.errors.LockNotAvailable(), Fault.TRANSIENT),
        (psycopg.errors.QueryCanceled(), Fault.TRANSIENT),
        (psycopg.errors.ReadOnlySqlTransaction(), Fault.TRANSIENT),
        (psycopg.OperationalError("the connection is lost"), Fault.TRANSIENT),
        (psycopg.InterfaceError("closed"), Fault.TRANSIENT),
        (StoreUnavailable("away"), Fault.TRANSIENT),
        (TimeoutError(), Fault.TRANSIENT),
        (psycopg.errors.UndefinedTable(), Fault.BROKEN_VIEW),
        (psycopg.errors.InsufficientPrivilege(), Fault.BROKEN_VIEW),
        (psycopg.errors.NotNullViolation(), Fault.POISON),
        (psycopg.errors.NumericValueOutOfRange(), Fault.POISON),
        (psycopg.DataError("a NUL byte"), Fault.POISON),
        (Undecodable("x"), Fault.POISON),
        (KeyError("x"), Fault.POISON),
        (CheckpointMoved("x"), Fault.MOVED),
    ],
)
def test_only_what_the_event_itself_causes_is_poison(error: Exception, fault: Fault) -> None:
    assert fault_of(error) is fault


def test_views_with_the_same_wishes_share_what_they_see_and_fold() -> None:
    records = recorded(History(1).run(60))
    dealt = Dealer(VIEWS.values()).deal(records)
    assert dealt.upto == len(records)
    for view in VIEWS.values():
        wanted = [r.position for r in records if (r.stream.partition("-")[0], r.type) in view.wants]
        assert [seen.position for seen in dealt.seen[view.wants]] == wanted
    calls = Counter[str]()

    def folding(events: object) -> int:
        calls["folded"] += 1
        return 1

    folds: dict[object, object] = {}
    assert Batch([], folds).fold(folding) == Batch([], folds).fold(folding) == 1
    assert calls["folded"] == 1


def test_an_event_nobody_can_read_is_a_fault_only_for_views_that_want_it() -> None:
    records = recorded(History(1).run(60))
    bad = next(r for r in records if r.type == "PaymentInitiated")
    bad.data.clear()
    dealt = Dealer(VIEWS.values()).deal(records)
    blamed = {view.name for view in VIEWS.values() if view.wants in dealt.unreadable}
    assert blamed == {"payments", "user_payment_summary", "payment_analytics", "screenings"}


def test_a_batch_is_cut_between_appends_only() -> None:
    history = History(2).run(40)
    assert [len(part) for part in by_append(recorded(history))] == [len(append) for append in history.appends]


def test_every_event_of_the_catalogue_is_wanted_by_a_view_that_exists_for_it() -> None:
    wanted = frozenset[tuple[str, str]]().union(*(view.wants for view in VIEWS.values()))
    known = {(category, name) for category, events in EVENTS.items() for name in events}
    assert wanted <= known, "a view waits for an event that nobody writes"
    assert known <= wanted, "an event that no view shows"
    assert set(get_args(TransferEvent)) == set(transfers.STEPS)
    assert set(STATUS) <= set(get_args(PaymentEvent))
    assert set(EVENTS) == {
        ACCOUNT, PAYMENT, TRANSFER, FRAUD_CASE, BATCH, ORDER, BOOK, TRADE, QUOTE, STANDING_ORDER,
    }  # fmt: skip


def test_no_two_views_have_a_table_of_one_name() -> None:
    """All views are written in one transaction, by the plain names of their tables."""
    names = [name for view in VIEWS.values() for name in re.findall(r"CREATE TABLE (\w+)", view.tables)]
    assert len(names) >= len(VIEWS)
    assert sorted(names) == sorted(set(names))


def test_a_transfers_time_line_tells_each_leg_with_its_outcome() -> None:
    records = recorded(History(4).run(600))
    wants = VIEWS["transfers"].wants
    statements = transfers.apply(Batch(Dealer(VIEWS.values()).deal(records).seen[wants]))
    rows = [row for statement in statements for row in statement.rows]
    refused = next(row for row in rows if any(leg["outcome"] == "refused" for leg in row["legs"]))
    names = [(leg["name"], leg["outcome"]) for leg in refused["legs"]]
    assert names[:3] == [("initiated", "done"), ("source_reserved", "done"), ("source_debited", "done")]
    leg = next(leg for leg in refused["legs"] if leg["name"] == "source_debited")
    assert (leg["amount"], leg["currency"]) == (wire(refused["amount"], refused["currency"]), refused["currency"])


def test_an_unknown_view_is_answered_with_the_names_there_are() -> None:
    with pytest.raises(UnknownView, match="there is no view 'x'; there are accounts, conservation"):
        view_named("x")


def test_cursors_are_opaque_and_only_ours() -> None:
    cursor = encode_cursor("entries", 7, -2)
    assert decode_cursor("entries", cursor, (NEWEST, 0)) == (7, -2)
    assert decode_cursor("entries", None, (NEWEST, 0)) == (NEWEST, 0)
    for wrong in ("", "%%", "é", cursor[:-3], encode_cursor("entries", 7), encode_cursor("other", 7, 2)):
        with pytest.raises(BadCursor):
            decode_cursor("entries", wrong, (NEWEST, 0))
    assert page_of([3, 2, 1], 3, "k", lambda n: (n,), str).next_cursor is None
    page = page_of([3, 2, 1], 2, "k", lambda n: (n,), str)
    assert (page.items, page.next_cursor) == (("3", "2"), encode_cursor("k", 2))


def test_sums_are_decimal_strings_in_the_currencys_own_decimals() -> None:
    assert wire(Decimal(10**20), "EUR") == "1000000000000000000.00"
    assert (wire(5, "JPY"), wire(-5, "KWD")) == ("5", "-0.005")
    assert (average(5, 2, "EUR"), average(7, 2, "JPY"), average(0, 0, "EUR")) == ("0.02", "4", "0.00")


def test_a_case_that_has_no_position_yet_is_told_from_its_events() -> None:
    """The answer to a write may come before the sequencer does."""
    told = [event._replace(position=None) for event in recorded(History(4).run(600))]
    cases = [event for event in told if event.type == "CaseOpened"]
    assert standing_case(cases[:1]).status == "open"
