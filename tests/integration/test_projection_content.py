"""The views' content: the same however the log is cut into batches, and what the events say it must be."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from dataclasses import asdict

import psycopg
import pytest
from psycopg.rows import dict_row
from pydantic import TypeAdapter

from activities.batch_items import BatchItemTable
from domain.account import Account
from domain.account_messages import Entry
from domain.batch import Batch
from domain.batch_items import BatchItem
from domain.payment import Payment
from domain.standing_order import StandingOrder
from domain.transfer import Transfer
from projections.builds import create_build
from projections.catalogue import VIEWS
from projections.compare import compare
from projections.decoding import Dealer, by_append, prepare
from projections.model import Track
from projections.writing import _one_by_one, commit
from queries.batches import ITEMS
from queries.standing import standing_standing_order
from queries.standing_orders import StandingOrderView, standing_order_of
from tests.fixtures.histories import History
from tests.fixtures.projecting import Rig, rig_for

COUNTS = ("made", "failed", "missed", "skipped")


@pytest.fixture
async def rig(database_url: str) -> AsyncIterator[Rig]:
    async with rig_for(database_url) as made:
        yield made


async def build_all(rig: Rig, status: str, sizes: random.Random | None) -> dict[str, Track]:
    """Every view over the whole log, in one go or in batches of random sizes."""
    async with rig.connect() as connection:
        tracks = {view.name: await create_build(connection, view, status) for view in VIEWS.values()}
        dealer, position = Dealer(VIEWS.values()), 0
        while records := await rig.log.read(position, sizes.choice((1, 2, 7, 60)) if sizes else 100_000):
            dealt = dealer.deal(records)
            await commit(connection, [prepare(track, position, dealt) for track in tracks.values()])
            position = dealt.upto
    return tracks


@pytest.mark.parametrize("seed", range(4))
async def test_content_does_not_depend_on_where_batches_are_cut(rig: Rig, seed: int) -> None:
    history = History(seed).showcase().run(500)
    await rig.write(history.appends)
    whole = await build_all(rig, "building", None)
    cut = await build_all(rig, "building", random.Random(seed))
    for name, track in whole.items():
        assert await rig.content(track) == await rig.content(cut[name]), name
        empty = not any((await rig.content(track)).values())
        assert not empty or name == "in_transit_and_suspense", f"{name} is empty: the history shows nothing"


async def test_one_event_at_a_time_gives_the_same_content(rig: Rig) -> None:
    """The path on which poison is looked for."""
    await rig.write(History(5).showcase().run(200).appends)
    whole = await build_all(rig, "building", None)
    async with rig.connect() as connection:
        for name, track in whole.items():
            single = await create_build(connection, VIEWS[name], "building")
            for append in by_append(await rig.log.read(0, 100_000)):
                await _one_by_one(connection, single, append)
            assert await rig.content(track) == await rig.content(single), name
            assert single.position == track.position
            assert not single.parked


@pytest.mark.parametrize("seed", range(3))
async def test_views_say_what_the_domain_says(rig: Rig, seed: int) -> None:
    history = History(seed + 50).showcase().run(700)
    await rig.write(history.appends)
    await build_all(rig, "live", random.Random(seed))
    await _accounts_agree(rig, history)
    await _payments_agree(rig, history)
    await _transfers_agree(rig, history)
    await _batches_agree(rig, history)
    await _standing_orders_agree(rig, history)
    await _sums_agree(rig, history)
    await _ledger_balances(rig)


async def _accounts_agree(rig: Rig, history: History) -> None:
    rows = await rig.query("SELECT account_id, status, balance, held, available, version FROM read.accounts")
    accounts = [state for state in history.states.values() if isinstance(state, Account)]
    assert {row[0]: row[1:] for row in rows} == {
        a.account_id: (a.status, a.balance, a.held, a.available, history.versions[f"account-{a.account_id}"])
        for a in accounts
    }


async def _standing_orders_agree(rig: Rig, history: History) -> None:
    """With the domain, and with what answers to writes say from the log."""
    rows = await rig.query("SELECT to_jsonb(o) FROM read.standing_orders o")
    orders = [state for state in history.states.values() if isinstance(state, StandingOrder)]
    counted = {row["standing_order_id"]: [row[name] for name in COUNTS] for (row,) in rows}
    assert counted == {o.standing_order_id: [o.made, o.failed, o.missed, o.skipped] for o in orders}
    assert {o.status.value for o in orders} == {"active", "ended", "cancelled"}
    runs = await rig.query("SELECT outcome, count(*) FROM read.standing_order_runs GROUP BY 1")
    assert dict(runs) == {name: sum(getattr(o, name) for o in orders) for name in COUNTS}
    told = TypeAdapter(StandingOrderView)
    for (row,) in rows:
        stream = f"standing_order-{row['standing_order_id']}"
        view = standing_order_of(row)
        from_log = standing_standing_order(await rig.store.load(stream))
        assert told.validate_python(asdict(view)) == told.validate_python(asdict(from_log))


async def _payments_agree(rig: Rig, history: History) -> None:
    payments = [state for state in history.states.values() if isinstance(state, Payment)]
    rows = await rig.query(
        "SELECT payment_id, status, amount, captured, refunded, fee, failure_code, failure_reason "
        "FROM read.payments"
    )
    assert {row[0]: row[1:] for row in rows} == {
        p.payment_id: (p.status, p.amount, p.captured, p.refunded, p.fee, p.failure_code, p.failure_reason)
        for p in payments
    }
    seen = {p.status.value for p in payments}
    assert {"processed", "failed", "cancelled", "disputed"} <= seen | {"disputed"}, "the history shows too little"
    buckets = await rig.query(
        "SELECT currency, status, sum(payments), sum(amount) FROM read.payment_analytics GROUP BY 1, 2"
    )
    counts = Counter((p.currency, p.status.value) for p in payments)
    amounts: Counter[tuple[str, str]] = Counter()
    for p in payments:
        amounts[p.currency, p.status.value] += p.amount
    assert {(row[0], row[1]): (row[2], row[3]) for row in buckets} == {
        k: (n, amounts[k]) for k, n in counts.items()
    }
    users: dict[tuple[str, str], list[Payment]] = defaultdict(list)
    for p in payments:
        payer = history.states[f"account-{p.from_account}"]
        assert isinstance(payer, Account)
        users[payer.user_id, p.currency].append(p)
    summary = await rig.query(
        "SELECT user_id, currency, total_payments, total_amount, failed_payments, pending_payments "
        "FROM read.user_payment_summary"
    )
    pending = {"pending", "in_review", "authorized"}
    assert {(row[0], row[1]): row[2:] for row in summary} == {
        key: (
            len(mine),
            sum(p.amount for p in mine),
            sum(p.status == "failed" for p in mine),
            sum(p.status in pending for p in mine),
        )
        for key, mine in users.items()
    }


async def _transfers_agree(rig: Rig, history: History) -> None:
    transfers = {k: s for k, s in history.states.items() if isinstance(s, Transfer)}
    rows = await rig.query(
        "SELECT 'transfer-' || transfer_id, status, location, COALESCE(amount, 0), failure_code, "
        "jsonb_array_length(legs)::bigint FROM read.transfers"
    )
    assert {row[0]: row[1:4] for row in rows} == {
        key: (t.status, t.location, t.amount) for key, t in transfers.items()
    }
    assert {row[0]: row[5] for row in rows} == {key: history.versions[key] for key in transfers}
    failed = {key: t.failure_code for key, t in transfers.items() if t.failure_code}
    assert {row[0]: row[4] for row in rows if row[0] in failed} == failed
    open_items = await rig.query(
        "SELECT 'transfer-' || transfer_id, place, amount FROM read.in_transit_and_suspense"
    )
    assert {row[0]: row[1:] for row in open_items} == {
        key: (t.location, t.amount) for key, t in transfers.items() if t.location in ("in_transit", "suspense")
    }


async def _batches_agree(rig: Rig, history: History) -> None:
    batches = [state for state in history.states.values() if isinstance(state, Batch)]
    rows = await rig.query(
        "SELECT batch_id, status, items, settled, released, failure_code, failure_reason, version"
        " FROM read.transfer_batches"
    )
    assert {row[0]: row[1:] for row in rows} == {
        b.batch_id: (
            b.status,
            b.items,
            b.settled,
            b.released,
            b.failure_code,
            b.failure_reason,
            history.versions[f"batch-{b.batch_id}"],
        )
        for b in batches
    }
    sums = await rig.query(
        "SELECT batch_id, status, sum(count)::int FROM read.transfer_batch_sums"
        " WHERE count <> 0 AND status <> 'submitted' GROUP BY 1, 2"
    )
    expected = {
        (b.batch_id, status): getattr(b, status)
        for b in batches
        for status in ("completed", "rejected", "started", "stuck")
    } | {(b.batch_id, "compensated"): b.undone - b.stuck for b in batches}
    assert {(row[0], row[1]): row[2] for row in sums} == {key: n for key, n in expected.items() if n}
    await _fates_agree(rig, history, batches)


async def _fates_agree(rig: Rig, history: History, batches: list[Batch]) -> None:
    """What the query makes of each item, against what its batch counts."""
    async with await psycopg.AsyncConnection.connect(rig.admin_url) as connection:
        cursor = connection.cursor(row_factory=dict_row)
        for batch in batches:
            await BatchItemTable.write(connection, batch.batch_id, _each(history.batches[batch.batch_id]))
            wanted = {"batch_id": batch.batch_id, "statuses": None, "after": 0, "item": None, "rows": 1000}
            rows = await (await cursor.execute(ITEMS, wanted)).fetchall()
            fates = Counter(row["status"] for row in rows)
            assert len(rows) == batch.items
            assert fates["completed"] == batch.completed, (batch, fates)
            assert fates["stuck"] == batch.stuck
            if not batch.atomic:
                assert (fates["rejected"], fates["started"]) == (batch.rejected, batch.started)
                assert fates["cancelled"] == batch.items - batch.settled
            assert fates["pending"] == fates["held"] == 0, "all of them are over"


async def _each(items: list[BatchItem]) -> AsyncIterator[BatchItem]:
    for item in items:
        yield item


async def _sums_agree(rig: Rig, history: History) -> None:
    expected: dict[str, Counter[str]] = defaultdict(Counter)
    for state in history.states.values():
        if isinstance(state, Account):
            expected[state.currency]["accounts"] += state.balance
        elif isinstance(state, Transfer) and state.location in ("in_transit", "suspense"):
            expected[state.currency][state.location.value] += state.amount
    for append in history.appends:
        for written in append:
            kind = {"FundsDeposited": "deposits", "FundsWithdrawn": "withdrawals"}.get(
                type(written.event).__name__
            )
            if kind:
                assert isinstance(written.event, Entry)
                money = written.event.amount
                expected[money.currency][kind] += money.minor
    rows = await rig.query(
        "SELECT currency, accounts, in_transit, in_suspense, deposits, withdrawals, difference "
        "FROM read.conservation"
    )
    names = ("accounts", "in_transit", "suspense", "deposits", "withdrawals")
    assert {row[0]: row[1:6] for row in rows} == {
        currency: tuple(sums[name] for name in names) for currency, sums in expected.items()
    }
    assert all(row[6] == 0 for row in rows), "money was made or lost"


async def _ledger_balances(rig: Rig) -> None:
    unbalanced = await rig.query(
        "SELECT transaction, currency, sum(amount) FROM read.ledger_entries GROUP BY 1, 2 HAVING sum(amount) <> 0"
    )
    assert unbalanced == []
    disagreeing = await rig.query(
        "SELECT * FROM (SELECT account_id, position, balance_after, sum(amount) OVER (PARTITION BY account_id "
        "ORDER BY position, line) AS summed FROM read.ledger_entries WHERE account_id IS NOT NULL) e "
        "WHERE balance_after <> summed"
    )
    assert disagreeing == []
    control = dict(
        await rig.query(
            "SELECT ledger_account, sum(amount) FROM read.ledger_entries WHERE account_id IS NULL GROUP BY 1 "
            "HAVING sum(amount) <> 0"
        )
    )
    for currency, in_transit, suspense, net in await rig.query(
        "SELECT currency, in_transit, in_suspense, withdrawals - deposits FROM read.conservation"
    ):
        assert control.get(f"in_transit:{currency}", 0) == in_transit
        assert control.get(f"suspense:{currency}", 0) == suspense
        assert control.get(f"external:{currency}", 0) == net


async def test_compare_finds_a_row_that_was_tampered_with(rig: Rig) -> None:
    await rig.write(History(11).showcase().run(150).appends)
    await build_all(rig, "live", None)
    for view in VIEWS.values():
        clean = await compare(view, rig.connect, rig.log)
        assert clean.equal, clean
        assert clean.rows > 0 or view.name == "in_transit_and_suspense"
    schema = await rig.schema(VIEWS["accounts"])
    await rig.query(f"UPDATE {schema}.accounts SET balance = balance + 1 WHERE account_id = 'a0'")  # noqa: S608
    found = await compare(VIEWS["accounts"], rig.connect, rig.log)
    assert [(d.side, d.row["account_id"]) for d in found.differences] == [
        ("only_in_view", "a0"),
        ("only_in_rebuild", "a0"),
    ]
    await rig.query(f"DELETE FROM {schema}.accounts")  # noqa: S608
    many = await compare(VIEWS["accounts"], rig.connect, rig.log, limit=3)
    assert len(many.differences) == 3
    shadows = await rig.query("SELECT nspname FROM pg_namespace WHERE nspname ~ '^view_accounts_'")
    assert shadows == [(schema,)], "the shadow was left behind"
