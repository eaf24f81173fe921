"""Statements as a bank tester asks for them: any period of any history adds up, and periods join without gap."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from commands.statements import Format, exported, reconciled
from domain import account as account_domain
from domain.account import Account
from domain.account_messages import AccountCredited, AccountDebited, AccountEvent, FundsWithdrawn
from domain.errors import InvalidInput
from domain.errors import NotFound as NotFoundHere
from domain.money import Money
from domain.payment_messages import PaymentInitiated
from domain.streams import ACCOUNT, category_of
from domain.transfer_messages import TransferInitiated
from eventstore.connect import Pool, open_pool
from eventstore.lookups import Lookups
from payfiles.model import AccountRef
from payfiles.read import read_statements
from projections.builds import create_build
from projections.catalogue import VIEWS
from projections.decoding import Dealer, prepare
from projections.writing import commit
from queries.catalogue import QUERIES
from queries.errors import DoesNotAddUp, NotFound, TooLong
from queries.periods import months_back, period
from queries.reader import Question, Reader
from queries.standing import standing_account
from queries.statement_results import Statement
from tests.fixtures.histories import START, History, Written
from tests.fixtures.projecting import Rig, rig_for

TICK = timedelta(microseconds=1)
BEFORE, AFTER = START - timedelta(days=400), START + timedelta(days=4000)
VIEWS_NEEDED = [VIEWS[name] for name in ("ledger_entries", "accounts", "payments", "transfers")]


@dataclass
class World:
    rig: Rig
    reader: Reader
    lookups: Lookups
    appends: list[list[Written]]

    @property
    def accounts(self) -> dict[str, str]:
        """Id → currency."""
        opened = (w.event for append in self.appends for w in append if type(w.event).__name__ == "AccountOpened")
        return {event.account_id: event.currency for event in opened}  # type: ignore[union-attr]

    async def statement(self, account: str, since: datetime, until: datetime) -> Statement:
        found: Statement = (await self.reader.ask(QUERIES["whole_statement"](account, since, until))).value
        return found

    def replayed(self, account: str, until: datetime) -> Account:
        """The account by the domain's own fold over what was recorded before `until`; for times that only grow."""
        state = Account()
        for append in self.appends:
            for written in append:
                if written.stream == f"account-{account}" and written.at < until:
                    assert isinstance(written.event, AccountEvent)
                    state = account_domain.evolve(state, written.event)
        return state


def spread(appends: list[list[Written]], days: int, jitter_s: float, seed: int) -> list[list[Written]]:
    """The same over so many days, with writers whose clocks differ by up to `jitter_s` from each other."""
    chance, end = random.Random(seed), appends[-1][0].at
    moved = []
    for append in appends:
        at = START + (append[0].at - START) / (end - START) * timedelta(days=days)
        at += timedelta(seconds=chance.uniform(-jitter_s, jitter_s))
        moved.append([replace(written, at=at) for written in append])
    return moved


async def world_of(rig: Rig, appends: list[list[Written]], pool: Pool) -> World:
    await rig.write(appends)
    async with rig.connect() as connection:
        tracks = [await create_build(connection, view, "live") for view in VIEWS_NEEDED]
        dealt = Dealer(VIEWS_NEEDED).deal(await rig.log.read(0, 100_000))
        await commit(connection, [prepare(track, 0, dealt) for track in tracks])
    return World(rig, Reader(pool), Lookups(pool), appends)


@pytest.fixture
async def world(request: pytest.FixtureRequest, database_url: str) -> AsyncIterator[World]:
    seed, jitter_s = getattr(request, "param", (62, 0.0))
    appends = spread(History(seed).showcase().run(400).appends, days=100, jitter_s=jitter_s, seed=seed)
    async with rig_for(database_url) as rig, await open_pool(rig.reader_url, max_size=2) as pool:
        yield await world_of(rig, appends, pool)


clocks = pytest.mark.parametrize(
    "world", [(61, 0.0), (63, 90_000.0)], indirect=True, ids=["one clock", "clocks apart"]
)


def _sum(statement: Statement) -> Decimal:
    return sum((Decimal(line.amount) for line in statement.items), Decimal(0))


@clocks
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
async def test_any_periods_add_up_and_join(world: World, data: st.DataObject) -> None:
    """Instants of events, a tick off them, midnights, anything: three of them are two periods side by side."""
    account, currency = data.draw(st.sampled_from(sorted(world.accounts.items())))
    times = sorted({append[0].at for append in world.appends})
    events = st.integers(0, len(times) - 1).map(lambda number: times[number])
    near = st.builds(lambda at, by: at + by, events, st.sampled_from((-TICK, 0 * TICK, TICK)))
    midnight = events.map(lambda at: datetime(at.year, at.month, at.day, tzinfo=UTC))
    instants = near | midnight | st.sampled_from((BEFORE, AFTER))
    first, second, third = sorted(data.draw(st.lists(instants, min_size=3, max_size=3, unique=True)))
    whole = await world.statement(account, first, third)
    parts = [await world.statement(account, first, second), await world.statement(account, second, third)]
    for statement in (whole, *parts):
        assert Decimal(statement.opening_balance) + _sum(statement) == Decimal(statement.closing_balance)
        assert Decimal(statement.credits) - Decimal(statement.debits) == _sum(statement)
        assert statement.credit_count + statement.debit_count == len(statement.items)
        balance = Decimal(statement.opening_balance)
        for line in statement.items:
            balance += Decimal(line.amount)
            assert Decimal(line.balance) == balance
            assert line.currency == currency
            assert line.amount == Money.parse(line.amount.lstrip("-"), currency).amount or line.amount[0] == "-"
        at_the_end = await standing_account(world.lookups, account, instant=statement.to_at - TICK)
        assert statement.closing_balance == (at_the_end.balance if at_the_end else _nothing(currency))
    assert (whole.opening_balance, parts[0].closing_balance, whole.closing_balance) == (
        parts[0].opening_balance,
        parts[1].opening_balance,
        parts[1].closing_balance,
    )
    assert whole.items == parts[0].items + parts[1].items


def _nothing(currency: str) -> str:
    return Money(0, currency).amount


async def test_as_of_is_a_replay_up_to_that_instant(database_url: str) -> None:
    """With one clock: every instant at which something was recorded, and the moment before."""
    appends = spread(History(64).run(250).appends, days=40, jitter_s=0, seed=1)
    async with rig_for(database_url) as rig, await open_pool(rig.reader_url, max_size=2) as pool:
        world = await world_of(rig, appends, pool)
        chance, checked = random.Random(5), 0
        for append in chance.sample(appends, 60):
            account, currency = chance.choice(sorted(world.accounts.items()))
            for until in (append[0].at, append[0].at + TICK):
                replayed = world.replayed(account, until)
                told = await standing_account(world.lookups, account, instant=until - TICK)
                statement = await world.statement(account, BEFORE, until)
                assert statement.closing_balance == Money(replayed.balance, currency).amount
                assert (told is None) == (replayed.currency == "")
                if told is not None:
                    assert (told.balance, told.held, told.status) == (
                        Money(replayed.balance, currency).amount,
                        Money(replayed.held, currency).amount,
                        replayed.status.value,
                    )
                checked += replayed.balance != 0
        assert checked > 20


async def test_pages_are_the_whole_statement(world: World) -> None:
    whole = await world.statement("a0", BEFORE, AFTER)
    items, cursor = [], None
    while True:
        asked = QUERIES["account_statement"]("a0", BEFORE, AFTER, limit=7, cursor=cursor)
        page = (await world.reader.ask(asked)).value
        assert (page.opening_balance, page.closing_balance) == (whole.opening_balance, whole.closing_balance)
        items += page.items
        cursor = page.next_cursor
        if cursor is None:
            break
    assert tuple(items) == whole.items
    assert len(items) > 20


@clocks
async def test_spending_is_what_left_by_month_and_category(world: World) -> None:
    """Counted from the events."""
    orders: dict[str, str | None] = {}
    sources: dict[str, str] = {}
    spent: dict[str, Counter[tuple[str, str]]] = {account: Counter() for account in world.accounts}
    for append in world.appends:
        for written in append:
            match written.event:
                case PaymentInitiated() | TransferInitiated():
                    orders[written.stream] = written.event.category
                    sources[written.stream] = f"account-{written.event.from_account}"
                case AccountDebited(purpose="payment" | "transfer") | FundsWithdrawn():
                    _count(spent, orders, written, 1)
                case AccountCredited(purpose="refund" | "chargeback" | "compensation"):
                    _count(spent, orders, written, -1)
                case AccountCredited(purpose="resolution", transaction=transfer):
                    if sources[transfer] == written.stream:
                        _count(spent, orders, written, -1)
    seen = set()
    for account, currency in world.accounts.items():
        summary = (await world.reader.ask(QUERIES["account_summary"](account, BEFORE))).value
        told = {(x.month, x.category): x.amount for x in summary.spending}
        own = {key: Money(minor, currency).amount for key, minor in spent[account].items()}
        assert told == own, account
        assert [x.month for x in summary.spending] == sorted((x.month for x in summary.spending), reverse=True)
        seen |= {category for _, category in told}
        assert summary.recent == tuple(reversed((await world.statement(account, BEFORE, AFTER)).items))[:10]
    assert {"food", "wages", "payment", "transfer", "withdrawal"} <= seen


def _count(
    spent: dict[str, Counter[tuple[str, str]]], orders: dict[str, str | None], written: Written, sign: int
) -> None:
    event = written.event
    source = "" if isinstance(event, FundsWithdrawn) else event.transaction  # type: ignore[union-attr]
    kind = category_of(source) if source.startswith("payment-") else "transfer"
    category = (orders.get(source) or kind) if source else "withdrawal"
    month = written.at.strftime("%Y-%m")
    assert category_of(written.stream) == ACCOUNT
    spent[written.stream.removeprefix("account-")][month, category] += sign * event.amount.minor  # type: ignore[union-attr]


async def test_a_statement_that_does_not_add_up_is_not_given(world: World) -> None:
    with pytest.raises(NotFound, match="account nobody does not exist"):
        await world.statement("nobody", BEFORE, AFTER)
    schema = await world.rig.schema(VIEWS["ledger_entries"])
    lines = (await world.statement("a0", BEFORE, AFTER)).items
    await world.rig.query(f"DELETE FROM {schema}.ledger_entries WHERE position = {lines[4].position}")  # noqa: S608
    with pytest.raises(DoesNotAddUp):
        await world.statement("a0", BEFORE, AFTER)


async def test_a_file_is_compared_with_the_account_it_names(world: World) -> None:
    """By IBAN and currency, by id, or as told; over the period it states."""

    async def ask(question: Question[Any]) -> Any:
        return (await world.reader.ask(question)).value

    for account, currency in world.accounts.items():
        whole = await world.statement(account, BEFORE, AFTER)
        [file] = read_statements(exported(whole, "csv"))
        found = await reconciled(file, ask)
        assert (found.account_id, found.result.agrees) == (account, True), found
        assert len(found.result.matched) == len(whole.items)
        part = [line for line in whole.items if line.position % 3]
        form: Format = "camt.053" if len(currency) == 3 else "csv"
        [gaps] = read_statements(exported(replace(whole, items=tuple(part)), form))
        missing = (await reconciled(gaps, ask, account)).result.missing_in_statement
        assert len(missing) == len(whole.items) - len(part)
        assert currency == found.file.currency
    with pytest.raises(NotFoundHere, match="account nobody does not exist"):
        await reconciled(file, ask, "nobody")
    unknown = AccountRef("DE89370400440532013000", None, "", "EUR")
    with pytest.raises(NotFoundHere, match="no account has IBAN DE89370400440532013000 in EUR"):
        await reconciled(replace(file, account=unknown, currency="EUR"), ask)
    with pytest.raises(InvalidInput, match="names no account"):
        await reconciled(replace(file, account=None), ask)
    with pytest.raises(InvalidInput, match="is in EUR, the statement in JPY"):
        await reconciled(replace(file, currency="JPY"), ask, "a0")
    with pytest.raises(InvalidInput, match="states no period"):
        await reconciled(replace(file, since=None, entries=(), currency="EUR"), ask, "a0")


async def test_what_is_too_long_is_refused(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    count = len((await world.statement("a0", BEFORE, AFTER)).items)
    monkeypatch.setattr("queries.statements.MAX_LINES", count)
    assert len((await world.statement("a0", BEFORE, AFTER)).items) == count
    monkeypatch.setattr("queries.statements.MAX_LINES", count - 1)
    with pytest.raises(TooLong):
        await world.statement("a0", BEFORE, AFTER)


def test_periods_are_in_utc_and_end_before_their_end() -> None:
    now = datetime(2026, 3, 1, tzinfo=UTC)
    assert period(None, None, now) == (datetime(2026, 2, 1, tzinfo=UTC), now)
    later = datetime(2026, 3, 1, 0, 0, 1, tzinfo=UTC)
    assert period(None, None, later) == (now, later)
    summer = datetime.fromisoformat("2026-07-01T00:30:00+02:00")
    assert period(summer, None, datetime(2026, 7, 2, tzinfo=UTC))[0] == datetime(2026, 6, 30, 22, 30, tzinfo=UTC)
    assert months_back(now, 3) == datetime(2026, 1, 1, tzinfo=UTC)
    assert period(None, datetime.min.replace(tzinfo=UTC) + TICK, now)[0].year == 1
    with pytest.raises(Exception, match="to must be after from"):
        period(now, now, now)
