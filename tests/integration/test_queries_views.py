"""Every question of queries.catalogue, asked as the reader's role over a random history."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest

from domain.account import Account
from domain.money import Money
from domain.payment import Payment
from domain.transfer import Transfer
from eventstore.connect import Pool, open_pool
from projections.builds import create_build
from projections.catalogue import VIEWS
from projections.decoding import Dealer, prepare
from projections.writing import commit
from queries.catalogue import QUERIES
from queries.errors import BadCursor, NotFound, ReadUnavailable
from queries.paging import encode_cursor
from queries.reader import Reader
from tests.fixtures.histories import START, History
from tests.fixtures.projecting import Rig, rig_for

ask = QUERIES


@dataclass
class World:
    rig: Rig
    reader: Reader
    history: History
    head: int

    def all(self, kind: type[Account] | type[Payment] | type[Transfer]) -> list[Account | Payment | Transfer]:
        return [state for state in self.history.states.values() if isinstance(state, kind)]


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with rig_for(database_url) as rig:
        history = History(11).run(600)
        head = await rig.write(history.appends)
        async with rig.connect() as connection:
            tracks = [await create_build(connection, view, "live") for view in VIEWS.values()]
            dealt = Dealer(VIEWS.values()).deal(await rig.log.read(0, 100_000))
            await commit(connection, [prepare(track, 0, dealt) for track in tracks])
        pool: Pool = await open_pool(rig.reader_url, max_size=2)
        async with pool:
            yield World(rig, Reader(pool), history, head)


async def test_an_account_with_the_position_it_was_read_at(world: World) -> None:
    for state in world.all(Account):
        assert isinstance(state, Account)
        answer = await world.reader.ask(ask["get_account"](state.account_id))
        assert (answer.position, answer.lag_events) == (world.head, 0)
        found = answer.value
        assert found.balance == Money(state.balance, state.currency).amount
        assert found.available == Money(state.available, state.currency).amount
        assert (found.status, found.version) == (
            state.status,
            world.history.versions[f"account-{state.account_id}"],
        )
    with pytest.raises(NotFound, match="account nobody does not exist"):
        await world.reader.ask(ask["get_account"]("nobody"))


async def test_lists_are_paged_without_gap_or_repeat(world: World) -> None:
    for name, kind in (("list_accounts", Account), ("list_payments", Payment), ("list_transfers", Transfer)):
        seen, cursor = [], None
        while True:
            page = (await world.reader.ask(ask[name](limit=3, cursor=cursor))).value
            seen += [getattr(item, f"{kind.__name__.lower()}_id") for item in page.items]
            cursor = page.next_cursor
            if cursor is None:
                break
        assert len(seen) == len(set(seen)) == len(world.all(kind)), name
    with pytest.raises(BadCursor):
        ask["list_accounts"](cursor="xx")
    with pytest.raises(BadCursor):
        ask["list_accounts"](cursor=encode_cursor("payments", 5))
    with pytest.raises(ValueError, match="limit must be between 1 and 200"):
        ask["list_accounts"](limit=201)


async def test_an_account_is_found_by_iban_however_it_is_spaced(world: World) -> None:
    found = (await world.reader.ask(ask["find_account_by_iban"]("de00 0000 0000 0000 0000 01"))).value
    assert found is not None
    assert found.account_id == "a1"
    assert (await world.reader.ask(ask["find_account_by_iban"]("DE" + "0" * 19 + "1", "JPY"))).value is None


async def test_a_statement_runs_from_the_balance_back_to_nothing(world: World) -> None:
    account = world.history.states["account-a0"]
    assert isinstance(account, Account)
    lines, cursor = [], None
    while True:
        page = (await world.reader.ask(ask["account_entries"]("a0", limit=4, cursor=cursor))).value
        lines += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    assert len(lines) > 8
    balance = Decimal(Money(account.balance, account.currency).amount)
    for line in lines:
        assert Decimal(line.balance) == balance
        balance -= Decimal(line.amount)
    assert balance == 0
    assert {"deposit", "payment"} <= {line.category for line in lines}
    assert any(line.tags == ("one", "two") for line in lines if line.category == "payment")


async def test_a_payment_and_its_payers_summary(world: World) -> None:
    payments = world.all(Payment)
    for state in payments:
        assert isinstance(state, Payment)
        found = (await world.reader.ask(ask["get_payment"](state.payment_id))).value
        for name in ("amount", "captured", "refunded", "held"):
            assert getattr(found, name) == state.money(getattr(state, name)).amount, name
        settled = state.settled(state.captured)
        assert (found.settled, found.settled_currency) == (settled.amount, state.payee_currency)
        assert found.fee == settled.with_minor(state.fee).amount
        assert (found.status, found.failure_reason) == (state.status, state.failure_reason)
        assert (found.tags, found.metadata) == (("one", "two"), {"k": "v"})
        assert (found.processed_at is None) == (found.captured == state.money(0).amount) or found.held != "0.00"
        if found.dispute is not None:
            assert found.dispute["outcome"] in (None, "won", "lost")
    summary = (await world.reader.ask(ask["user_payment_summary"]("u0"))).value
    mine = [p for p in payments if isinstance(p, Payment) and _user(world, p.from_account) == "u0"]
    assert summary.total_payments == len(mine) == sum(t.total_payments for t in summary.by_currency.values())
    assert summary.failed_payments == sum(p.status == "failed" for p in mine)
    assert len(summary.recent_payments) == min(10, len(mine))
    nobody = (await world.reader.ask(ask["user_payment_summary"]("nobody"))).value
    assert (nobody.total_payments, nobody.total_amount, nobody.last_payment_date) == (0, {}, None)
    both = (await world.reader.ask(ask["list_user_payments"]("u0", limit=200))).value.items
    parties = [
        p
        for p in payments
        if isinstance(p, Payment) and "u0" in (_user(world, p.from_account), _user(world, p.to_account))
    ]
    assert len(both) == len(parties)


def _user(world: World, account_id: str) -> str:
    account = world.history.states[f"account-{account_id}"]
    assert isinstance(account, Account)
    return account.user_id


async def test_analytics_over_days_and_currencies(world: World) -> None:
    far = date(2030, 1, 1)
    payments = [p for p in world.all(Payment) if isinstance(p, Payment)]
    whole = (await world.reader.ask(ask["payment_analytics"](START.date(), far))).value
    assert whole.total_payments == len(payments) == sum(whole.payments_by_status.values())
    assert len(whole.daily_volume) > 1
    euro = (await world.reader.ask(ask["payment_analytics"](START.date(), far, "EUR"))).value
    mine = [p for p in payments if p.currency == "EUR"]
    total = sum(p.amount for p in mine)
    assert euro.total_amount == {"EUR": Money(total, "EUR").amount}
    assert euro.average_amount == {"EUR": str((Decimal(total) / len(mine) / 100).quantize(Decimal("0.01")))}
    assert euro.success_rate == round(Decimal(sum(p.captured > 0 for p in mine)) / len(mine), 4)
    first = (await world.reader.ask(ask["payment_analytics"](START.date(), START.date()))).value
    assert first.total_payments == first.daily_volume[0].count if first.daily_volume else first.total_payments == 0
    empty = (await world.reader.ask(ask["payment_analytics"](far, far))).value
    assert (empty.total_payments, empty.success_rate, empty.daily_volume) == (0, None, ())
    with pytest.raises(ValueError, match="to must not be before from"):
        ask["payment_analytics"](far, START.date())


async def test_transfers_with_their_legs_and_what_is_under_way(world: World) -> None:
    transfers = [t for t in world.all(Transfer) if isinstance(t, Transfer)]
    for state in transfers:
        found = (
            (await world.reader.ask(ask["get_transfer"](state.transfer_id or "?"))).value
            if state.transfer_id
            else None
        )
        if found is None:
            continue
        assert (found.status, found.location, found.amount) == (state.status, state.location, state.money.amount)
        assert found.legs[0]["name"] == "initiated"
        assert [leg["position"] for leg in found.legs] == sorted(leg["position"] for leg in found.legs)
        assert datetime.fromisoformat(found.legs[0]["at"]) - found.created_at == timedelta(0)
    done = (await world.reader.ask(ask["list_transfers"](statuses=["completed"], limit=200))).value.items
    assert len(done) == sum(t.status == "completed" for t in transfers) > 0
    assert {leg["name"] for leg in done[0].legs} >= {"source_reserved", "source_debited", "destination_credited"}
    under_way = (await world.reader.ask(ask["in_transit_and_suspense"]())).value
    assert {item.transfer_id for item in under_way} == {
        t.transfer_id for t in transfers if t.location in ("in_transit", "suspense")
    }
    assert all(item.age_s >= 0 for item in under_way)


async def test_conservation_holds_in_every_currency(world: World) -> None:
    lines = (await world.reader.ask(ask["conservation"]())).value
    assert {line.currency for line in lines} == {"EUR", "JPY", "KWD"}
    assert all(line.holds and Decimal(line.difference) == 0 for line in lines)
    assert any(Decimal(line.in_transit) > 0 for line in lines)


async def test_lag_grows_while_nobody_projects_and_unsequenced_events_count(world: World) -> None:
    assert {line.lag_events for line in (await world.reader.ask(ask["lag"]())).value} == {0}
    assert {line.lag_ms for line in (await world.reader.ask(ask["lag"]())).value} == {0}
    more = len(world.history.appends)
    world.history.now = datetime.now(UTC) - timedelta(seconds=30)
    world.history.run(20)
    late = world.history.appends[more:]
    events = sum(len(append) for append in late)
    await world.rig.append(late)
    [line, *_] = (await world.reader.ask(ask["lag"]())).value
    assert (line.lag_events, line.unsequenced_events, line.head_position) == (events, events, world.head)
    assert line.lag_ms > 0
    await world.rig.sequence()
    waited = datetime.now(UTC) - late[0][0].at
    [line, *_] = (await world.reader.ask(ask["lag"]())).value
    assert (line.lag_events, line.unsequenced_events) == (events, 0)
    assert waited.total_seconds() * 1000 <= line.lag_ms < 31_000
    answer = await world.reader.ask(ask["get_account"]("a0"))
    assert (answer.position, answer.lag_events) == (world.head, events)


async def test_waiting_for_a_position(world: World) -> None:
    assert await world.reader.wait_for_position(["accounts", "payments"], world.head, 0)
    assert not await world.reader.wait_for_position(["accounts"], world.head + 1, 0.05)
    assert not await world.reader.wait_for_position(["accounts", "no such view"], 1, 0.05)


async def test_a_database_without_views_says_so(database_url: str) -> None:
    async with rig_for(database_url) as rig:
        pool: Pool = await open_pool(rig.reader_url, max_size=1)
        async with pool:
            with pytest.raises(ReadUnavailable, match="the views are not there"):
                await Reader(pool).ask(ask["get_account"]("a0"))
