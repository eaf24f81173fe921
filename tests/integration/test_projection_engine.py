"""The engine against a real log: atomic checkpoints, poison, leadership, transient faults."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import psycopg
import pytest

from domain.account_messages import FundsDeposited
from projections.builds import create_build
from projections.catalogue import VIEWS
from projections.dead_letters import (
    list_dead_letters,
    retry_dead_letter,
    show_dead_letter,
    skip_dead_letter,
)
from projections.decoding import Dealer, prepare
from projections.errors import Fault, NoSuchDeadLetter, fault_of
from projections.model import Batch, Statement, Track
from projections.writing import commit
from tests.fixtures.histories import History, Written
from tests.fixtures.projecting import FAST, Rig, fragile, rig_for

ALL = list(VIEWS.values())


@pytest.fixture
async def rig(database_url: str) -> AsyncIterator[Rig]:
    async with rig_for(database_url) as made:
        yield made


def deposits(appends: list[list[Written]]) -> list[Written]:
    return [w for append in appends for w in append if isinstance(w.event, FundsDeposited)]


async def seen_by(rig: Rig, name: str = "fragile") -> list[tuple[int, str]]:
    schema = (await rig.query("SELECT build FROM projection.builds WHERE view = %s AND status = 'live'", (name,)))[
        0
    ]
    return await rig.query(f"SELECT position, account FROM view_{name}_{schema[0]}.deposits ORDER BY 1")  # noqa: S608


# --- checkpoint and view ------------------------------------------------------------


async def test_a_view_and_its_checkpoint_commit_together_or_not_at_all(rig: Rig) -> None:
    """Cut off at the last statement, nothing of the batch is there."""
    await rig.write(History(1).run(50).appends)
    view = VIEWS["accounts"]
    async with rig.connect() as connection:
        track = await create_build(connection, view, "live")
        work = prepare(track, 0, Dealer([view]).deal(await rig.log.read(0, 100)))
        work.statements.append(Statement("SELECT 1 / 0 FROM json_to_recordset(%s::json) AS r (x int)", [{}]))
        with pytest.raises(psycopg.errors.DivisionByZero):
            await commit(connection, [work])
        assert await rig.query("SELECT count(*) FROM read.accounts") == [(0,)]
        assert track.position == 0
        work.statements.pop()
        await commit(connection, [work])
    assert await rig.query("SELECT count(*) > 0 FROM read.accounts") == [(True,)]
    assert (await rig.query("SELECT position FROM read.checkpoints")) == [(track.position,)]


async def test_a_zombie_that_lost_the_lead_changes_nothing(rig: Rig) -> None:
    await rig.write(History(2).run(60).appends)
    view = VIEWS["ledger_entries"]
    async with rig.connect() as leader, rig.connect() as zombie:
        track = await create_build(leader, view, "live")
        late = Track(view, track.build, track.position, track.epoch)
        dealt = Dealer([view]).deal(await rig.log.read(0, 100))
        await commit(leader, [prepare(track, 0, dealt)])
        before = await rig.content(track)
        with pytest.raises(psycopg.Error) as refused:
            await commit(zombie, [prepare(late, 0, dealt)])
        assert fault_of(refused.value) is Fault.MOVED
    assert await rig.content(track) == before
    assert before["ledger_entries"]


# --- poison ------------------------------------------------------------


def breaks_on(position: list[int]) -> Callable[[Batch], None]:
    """As long as the list names its position, that event is poison."""

    def check(batch: Batch) -> None:
        if any(seen.position in position for seen in batch.events):
            raise KeyError("the handler stumbles")

    return check


async def _poisoned(rig: Rig) -> tuple[list[Written], list[tuple[int, str]], int, str]:
    """Deposits, all of them as (position, account), and one to poison that has a later one of the same account."""
    history = History(3).run(150)
    head = await rig.write(history.appends)
    records = [r for r in await rig.log.read(0, 10_000) if r.type == "FundsDeposited"]
    everything = [(r.position or 0, r.stream.removeprefix("account-")) for r in records]
    accounts = [account for _, account in everything]
    chosen = next(i for i, a in enumerate(accounts) if accounts[i + 1 :].count(a) >= 2 and i > 3)
    assert head > everything[chosen][0]
    return deposits(history.appends), everything, everything[chosen][0], everything[chosen][1]


async def test_poison_parks_its_stream_and_everything_else_goes_on(rig: Rig) -> None:
    _, everything, poison, account = await _poisoned(rig)
    position = [poison]
    view = fragile(breaks_on(position))
    views = {**VIEWS, view.name: view}
    head = (await rig.log.head()).last_position
    async with rig.running([*ALL, view]):
        await rig.caught_up([*ALL, view], head)
        free = [(at, who) for at, who in everything if who != account or at < poison]
        waiting = [(at, who) for at, who in everything if who == account and at >= poison]
        assert await seen_by(rig) == free
        async with rig.connect() as connection:
            letters = await list_dead_letters(connection)
            assert [(x.position, x.status) for x in letters] == [
                (at, "parked" if at == poison else "follower") for at, _ in waiting
            ]
            assert (letters[0].error_class, letters[0].attempts) == ("KeyError", FAST.attempts + 1)
            assert (await show_dead_letter(connection, letters[0].id)).stream == f"account-{account}"
        # What comes later to the parked stream waits too, although the engine has long moved on.
        more = History(3).run(150)
        while len(more.appends) < 400:
            more.step()
        later = more.appends[rig.written :]
        await rig.write(later)
        head = (await rig.log.head()).last_position
        await rig.caught_up([*ALL, view], head)
        assert {who for at, who in await seen_by(rig) if at > poison} == {
            w.stream.removeprefix("account-") for w in deposits(more.appends)
        } - {account}
        still = await retry_dead_letter(letters[0].id, views, rig.connect, rig.log)
        assert (still.done, still.error) == (0, "KeyError: 'the handler stumbles'")
        position.clear()
        healed = await retry_dead_letter(letters[0].id, views, rig.connect, rig.log)
        assert (healed.waiting, healed.error) == (0, None)
        assert healed.done > len(waiting)
        assert [who for _, who in await seen_by(rig)] == [
            w.stream.removeprefix("account-") for w in deposits(more.appends)
        ]
        with pytest.raises(NoSuchDeadLetter):
            await retry_dead_letter(letters[0].id, views, rig.connect, rig.log)
        # The stream is free again for the running engine.
        more.run(100)
        await rig.write(more.appends[rig.written :])
        await rig.caught_up([view], (await rig.log.head()).last_position)
        assert len(await seen_by(rig)) == len(deposits(more.appends))


async def test_a_skipped_event_is_dropped_and_its_followers_go_on(rig: Rig) -> None:
    _, everything, poison, account = await _poisoned(rig)
    view = fragile(breaks_on([poison]))
    head = (await rig.log.head()).last_position
    async with rig.running([view]):
        await rig.caught_up([view], head)
        async with rig.connect() as connection:
            letters = await list_dead_letters(connection, "fragile")
        done = await skip_dead_letter(letters[-1].id, {view.name: view}, rig.connect, rig.log)
        assert (done.done, done.waiting, done.error) == (len(letters), 0, None)
        assert await seen_by(rig) == [(at, who) for at, who in everything if at != poison]
        async with rig.connect() as connection:
            assert await list_dead_letters(connection) == []
            history = await list_dead_letters(connection, everything=True)
        assert [x.status for x in history] == ["skipped", *["resolved"] * (len(letters) - 1)]
        assert account


async def test_an_event_that_cannot_be_decoded_is_poison_for_every_view_that_wants_it(rig: Rig) -> None:
    history = History(4).run(60)
    await rig.write(history.appends)
    target = next(r for r in await rig.log.read(0, 10_000) if r.type == "FundsDeposited")
    await rig.query("ALTER TABLE events DISABLE TRIGGER append_only")
    await rig.query(_DISABLE)
    await rig.query("UPDATE events SET data = '{\"amount\": 1.5}' WHERE id = %s", (target.id,))
    head = (await rig.log.head()).last_position
    async with rig.running(ALL):
        await rig.caught_up(ALL, head)
        async with rig.connect() as connection:
            parked = [x for x in await list_dead_letters(connection) if x.status == "parked"]
    assert {x.view for x in parked} == {"accounts", "ledger_entries", "conservation"}
    assert {(x.position, x.error_class) for x in parked} == {(target.position, "Undecodable")}


_DISABLE = """
DO $$ DECLARE part text; BEGIN
    FOR part IN SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'events'::regclass LOOP
        EXECUTE 'ALTER TABLE ' || part || ' DISABLE TRIGGER ALL';
    END LOOP;
END $$
"""


@pytest.mark.parametrize("where", ["handler", "statement"])
async def test_a_view_in_trouble_does_not_hold_up_the_others(rig: Rig, where: str) -> None:
    """While its poison is tried again, the others are at the head already."""
    await rig.write(History(5).run(80).appends)

    def always(batch: Batch) -> None:
        if where == "handler":
            raise ValueError("no")

    slow = replace(FAST, attempts=1000, longest_backoff_s=0.2)
    head = (await rig.log.head()).last_position
    view = fragile(always)
    if where == "statement":
        view = replace(view, tables=view.tables + "; ALTER TABLE deposits ADD CHECK (position < 0)")
    async with rig.running([*ALL, view], slow):
        await rig.caught_up(ALL, head)
        assert await rig.query("SELECT position FROM read.checkpoints WHERE view = 'fragile'") == [(0,)]
        assert await rig.query("SELECT count(*) FROM projection.dead_letters") == [(0,)]


async def test_what_follows_poison_within_one_append_waits_too(rig: Rig) -> None:
    """A payment's first append has several events of its stream; other streams of the append go on."""
    history = History(3).run(60)
    await rig.write(history.appends)
    payments, accounts = VIEWS["payments"], VIEWS["accounts"]
    first = next(r for r in await rig.log.read(0, 10_000) if r.type == "PaymentInitiated")

    def stumble(batch: Batch) -> list[Statement]:
        if any(seen.position == first.position for seen in batch.events):
            raise KeyError("no")
        return payments.apply(batch)

    async with rig.running([replace(payments, apply=stumble), accounts]):
        await rig.caught_up([payments, accounts], await rig.sequence())
        async with rig.connect() as connection:
            letters = await list_dead_letters(connection)
    assert len(letters) == history.versions[first.stream] > 2
    assert {x.stream for x in letters} == {first.stream}
    assert [x.status for x in letters] == ["parked", *["follower"] * (len(letters) - 1)]
    shown = {row[0] for row in await rig.query("SELECT 'payment-' || payment_id FROM read.payments")}
    assert shown == {key for key in history.versions if key.startswith("payment-")} - {first.stream}
