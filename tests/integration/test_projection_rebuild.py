"""Rebuilding beside the live view: nobody is stopped, nothing is lost, nothing is left behind."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import LiteralString

import pytest
from psycopg.errors import UndefinedTable

from eventstore.connect import Pool, open_pool
from eventstore.events import Head, LoggedEvent
from eventstore.store import EventStore
from projections.builds import create_build
from projections.catalogue import VIEWS
from projections.compare import Comparison, compare, compare_all
from projections.connecting import rebuild_lock, try_lock
from projections.dead_letters import list_dead_letters, skip_dead_letter
from projections.errors import RebuildRunning, UnknownView
from projections.model import Batch, Statement, View
from projections.rebuild import BATCH, rebuild
from queries.catalogue import QUERIES
from queries.reader import Reader
from tests.fixtures.histories import History
from tests.fixtures.projecting import Rig, rig_for

ALL = list(VIEWS.values())
ACCOUNTS = VIEWS["accounts"]


@pytest.fixture
async def rig(database_url: str) -> AsyncIterator[Rig]:
    async with rig_for(database_url) as made:
        yield made


async def stumbling(rig: Rig) -> View:
    """The view of accounts, to which the log's first withdrawal is poison."""
    target = next(r for r in await rig.log.read(0, 10_000) if r.type == "FundsWithdrawn").position

    def stumble(batch: Batch) -> list[Statement]:
        if any(seen.position == target for seen in batch.events):
            raise ValueError("poison")
        return ACCOUNTS.apply(batch)

    return replace(ACCOUNTS, apply=stumble)


async def test_under_load_readers_never_see_an_empty_or_older_view(rig: Rig) -> None:
    history = History(1).run(400)
    await rig.write(history.appends)
    stop, answers = asyncio.Event(), 0
    pool: Pool = await open_pool(rig.reader_url, max_size=2)

    async def read() -> None:
        nonlocal answers
        reader, last = Reader(pool), 0
        while not stop.is_set():
            answer = await reader.ask(QUERIES["list_accounts"](limit=200))
            assert len(answer.value.items) >= 6, "a reader saw the view without its rows"
            assert answer.position >= last, "a reader saw the view go back"
            total = (await reader.ask(QUERIES["conservation"]())).value
            assert all(line.holds for line in total)
            last, answers = answer.position, answers + 1

    async def write() -> None:
        while not stop.is_set():
            history.run(5)
            await rig.write(history.appends[rig.written :])
            await asyncio.sleep(0.01)

    async with pool, rig.running(ALL):
        await rig.caught_up(ALL, 1)
        busy = [asyncio.create_task(read()), asyncio.create_task(write())]
        before = {view.name: await rig.schema(view) for view in ALL}
        steps: list[tuple[int, int]] = []
        for view in ALL:
            done = await rebuild(view, rig.connect, rig.log, lambda at, head: steps.append((at, head)))
            assert done.replaced is not None
            assert f"view_{view.name}_{done.replaced}" == before[view.name]
        stop.set()
        await asyncio.gather(*busy)
        await rig.caught_up(ALL, await rig.sequence())
        kept = await rig.query("SELECT count(*) FROM pg_namespace WHERE nspname ~ '^view_'")
        assert kept == [(len(ALL),)], "a replaced build was left behind"
        for view in ALL:
            assert await rig.schema(view) != before[view.name]
            assert (await compare(view, rig.connect, rig.log)).equal
    assert answers > 10
    assert steps


async def test_comparing_while_writes_go_on(rig: Rig) -> None:
    history = History(2).run(300)
    await rig.write(history.appends)
    stop = asyncio.Event()

    async def write() -> None:
        while not stop.is_set():
            history.run(5)
            await rig.write(history.appends[rig.written :])

    async with rig.running(ALL):
        await rig.caught_up(ALL, 1)
        writing = asyncio.create_task(write())
        for view in ALL:
            compared = await compare(view, rig.connect, rig.log)
            assert compared.equal, compared.differences
            assert compared.position > 0
        stop.set()
        await writing


class Counting:
    """The log, and how often it was read."""

    def __init__(self, log: EventStore) -> None:
        self._log = log
        self.reads = 0

    async def follow(self, after_position: int, limit: int) -> list[LoggedEvent]:
        self.reads += 1
        return await self._log.follow(after_position, limit)

    async def head(self) -> Head:
        return await self._log.head()


async def test_all_views_are_compared_from_one_read_of_the_log(rig: Rig) -> None:
    await rig.write(History(7).run(4000).appends)
    absent = VIEWS["quotes"]
    views = [await stumbling(rig), *(view for view in ALL if view not in (ACCOUNTS, absent))]
    async with rig.running(views):
        await rig.caught_up(views, head := await rig.sequence())
    assert head > 2 * BATCH, "there is more than one batch to read"
    async with rig.connect() as connection:
        for change, name in (
            (b"UPDATE %s.payments SET captured = captured + 1", "payments"),
            (b"DROP TABLE %s.trades CASCADE", "trades"),
        ):
            schema = await rig.schema(VIEWS[name])
            await connection.execute(change % schema.encode())
    log, steps = Counting(rig.log), list[tuple[int, int]]()
    found: dict[str, Comparison | Exception] = {}
    async for view, one in compare_all(
        [*views, absent], rig.connect, log, progress=lambda at, upto: steps.append((at, upto))
    ):
        found[view.name] = one
        if view.name == "payments":
            await rebuild(view, rig.connect, rig.log)
    assert found.keys() == VIEWS.keys()
    assert isinstance(found.pop("quotes"), UnknownView)
    assert isinstance(found.pop("trades"), UndefinedTable)
    wrong = {name for name, one in found.items() if not isinstance(one, Comparison) or not one.equal}
    assert wrong == {"payments"}
    assert [at for at, _ in steps] == sorted(at for at, _ in steps)
    assert log.reads <= head // BATCH + 1 + 2 * len(views), "each view read the log by itself"
    assert (await compare(VIEWS["payments"], rig.connect, rig.log)).equal
    assert await rig.query("SELECT count(*) FROM projection.builds WHERE status = 'shadow'") == [(0,)]


async def test_a_second_rebuild_of_the_same_view_is_refused(rig: Rig) -> None:
    await rig.write(History(3).run(20).appends)
    async with rig.connect() as other:
        assert await try_lock(other, rebuild_lock("accounts"))
        with pytest.raises(RebuildRunning):
            await rebuild(ACCOUNTS, rig.connect, rig.log)
        with pytest.raises(RebuildRunning):
            await compare(ACCOUNTS, rig.connect, rig.log)
        await rebuild(VIEWS["payments"], rig.connect, rig.log)
    assert (await rebuild(ACCOUNTS, rig.connect, rig.log)).replaced is None


async def test_what_a_dead_rebuild_left_is_cleared_away(rig: Rig) -> None:
    await rig.write(History(3).run(20).appends)
    async with rig.connect() as connection:
        left = [await create_build(connection, ACCOUNTS, status) for status in ("building", "shadow")]
    async with rig.running([ACCOUNTS]):
        await rig.caught_up([ACCOUNTS], 1)
    schemas = await rig.query("SELECT nspname FROM pg_namespace WHERE nspname ~ '^view_'")
    assert schemas == [(await rig.schema(ACCOUNTS),)]
    assert left[0].schema != await rig.schema(ACCOUNTS)


async def test_a_rebuild_that_is_stopped_clears_up_after_itself(rig: Rig) -> None:
    await rig.write(History(3).run(60).appends)

    def stop_it(at: int, head: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await rebuild(ACCOUNTS, rig.connect, rig.log, stop_it)
    assert await rig.query("SELECT count(*) FROM pg_namespace WHERE nspname ~ '^view_'") == [(0,)]
    assert await rig.query("SELECT count(*) FROM projection.builds") == [(0,)]


ADD_COLUMN: LiteralString = (
    "ALTER TABLE accounts ADD COLUMN shout text GENERATED ALWAYS AS (upper(account_id)) STORED;"
)


async def test_a_newer_version_is_built_beside_and_goes_live_by_itself(rig: Rig) -> None:
    history = History(4).run(100)
    await rig.write(history.appends)
    async with rig.running(ALL):
        await rig.caught_up(ALL, await rig.sequence())
    newer = replace(ACCOUNTS, version=ACCOUNTS.version + 1, tables=ACCOUNTS.tables + ADD_COLUMN)
    views = [newer if view is ACCOUNTS else view for view in ALL]
    async with rig.running(views):
        async with asyncio.timeout(20):
            while await rig.query(
                "SELECT version FROM projection.builds WHERE view = 'accounts' AND status = 'live'"
            ) != [(newer.version,)]:
                assert (await rig.query("SELECT count(*) > 0 FROM read.accounts")) == [(True,)]
                await asyncio.sleep(0.02)
        history.run(50)
        await rig.caught_up(views, await rig.write(history.appends[rig.written :]))
        assert await rig.query(
            "SELECT count(*) FROM read.accounts WHERE shout = upper(account_id)"
        ) == await rig.query("SELECT count(*) FROM read.accounts")
        assert (await compare(newer, rig.connect, rig.log)).equal
    # Older code that starts now leaves the newer view alone.
    async with rig.running(ALL):
        history.run(50)
        head = await rig.write(history.appends[rig.written :])
        await rig.caught_up([view for view in ALL if view is not ACCOUNTS], head)
        assert await rig.query("SELECT position < %s FROM read.checkpoints WHERE view = 'accounts'", (head,)) == [
            (True,)
        ]


async def test_a_reader_inside_the_old_view_delays_the_swap_and_no_other_reader(rig: Rig) -> None:
    await rig.write(History(5).run(60).appends)
    async with rig.running([ACCOUNTS]):
        await rig.caught_up([ACCOUNTS], await rig.sequence())
        pool: Pool = await open_pool(rig.reader_url, max_size=3)
        async with pool, pool.connection() as slow, slow.transaction():
            await slow.execute("SELECT count(*) FROM read.accounts")
            rebuilding = asyncio.create_task(rebuild(ACCOUNTS, rig.connect, rig.log))
            for _ in range(20):
                async with asyncio.timeout(1.0):
                    assert (await Reader(pool).ask(QUERIES["list_accounts"]())).value.items
                await asyncio.sleep(0.05)
            assert not rebuilding.done()
            await slow.execute("SELECT count(*) FROM read.accounts")
        done = await asyncio.wait_for(rebuilding, 20)
        assert done.replaced is not None


async def test_what_was_skipped_stays_skipped_in_a_rebuild(rig: Rig) -> None:
    await rig.write(History(6).run(60).appends)
    broken = await stumbling(rig)
    async with rig.running([broken]):
        await rig.caught_up([broken], await rig.sequence())
        async with rig.connect() as connection:
            letters = await list_dead_letters(connection)
        assert letters
        assert (await compare(broken, rig.connect, rig.log)).equal, "both park the same stream"
        await skip_dead_letter(letters[0].id, {"accounts": broken}, rig.connect, rig.log)
        assert (await compare(broken, rig.connect, rig.log)).equal
        await rebuild(broken, rig.connect, rig.log)
        async with rig.connect() as connection:
            assert await list_dead_letters(connection) == []
            assert [x.status for x in await list_dead_letters(connection, everything=True)] == ["skipped"]
        assert (await compare(broken, rig.connect, rig.log)).equal
        assert not (await compare(ACCOUNTS, rig.connect, rig.log)).differences
