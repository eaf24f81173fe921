"""Positions: dense, every stream's order kept, and no reader ever passed by an event that commits later."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import psycopg
import pytest

import migrations
from eventstore import queries
from eventstore.connect import connect
from eventstore.events import Appended, RecordedEvent
from eventstore.sequencer import Sequencer, sequence_once
from eventstore.store import EventStore
from eventstore.tail import Tail
from tests.fixtures.database import Database
from tests.fixtures.log import event, found_wrong, numbered, opened, request, sequencing, stored, write


class Reader:
    """Reads all the time, as a projection does, and notes when it saw what."""

    def __init__(self, store: EventStore) -> None:
        self._store = store
        self.events: list[RecordedEvent] = []
        self.seen_at: dict[str, float] = {}
        self.stop = asyncio.Event()

    async def run(self, limit: int = 7) -> None:
        while not self.stop.is_set():
            for found in await self._store.read(len(self.events), limit):
                self.events.append(found)
                self.seen_at.setdefault(found.metadata["command_id"], time.monotonic())
            await asyncio.sleep(0.002)

    async def until(self, count: int) -> None:
        async with asyncio.timeout(20):
            while len(self.events) < count:
                await asyncio.sleep(0.005)

    def last(self, stream: str) -> RecordedEvent | None:
        return next((e for e in reversed(self.events) if e.stream == stream), None)

    def must_be_gapless_and_ordered(self) -> None:
        assert [e.position for e in self.events] == list(range(1, len(self.events) + 1))
        versions: dict[str, int] = {}
        for e in self.events:
            assert e.version == versions.get(e.stream, 0) + 1, f"{e.stream} out of order"
            versions[e.stream] = e.version


async def test_a_transaction_held_open_stalls_no_reader_and_is_skipped_by_none(database: Database) -> None:
    """It has inserted its events and others commit around it; when it commits, it appears: whole and in order."""
    async with opened(database.app) as (store, _), sequencing(database.projector):
        (before,) = await stored(store, "before", write("held-1", event()))
        reader = Reader(store)
        reading = asyncio.create_task(reader.run())
        committed_at: dict[str, float] = {}
        holder = await connect(database.app, "holder")
        async with holder.transaction():
            (held,) = await store.append_on(
                holder,
                [request("held", write("held-1", event(), event(), after=before), write("held-2", event()))],
            )
            assert isinstance(held, Appended)
            for number in range(150):
                # A stream of its own each time, and one that goes on and on.
                await reader.until(1 + 3 * number)
                busy = write("busy", event(), after=reader.last("busy"))
                await stored(store, f"c{number}", write(f"free-{number}", event(), event()), busy)
                committed_at[f"c{number}"] = time.monotonic()
            await reader.until(1 + 3 * 150)
            assert "held" not in reader.seen_at
            assert (await store.head()).unsequenced_events == 0
        await stored(store, "after", write("held-1", event(), after=held.events[1]))
        await reader.until(1 + 3 * 150 + 3 + 1)
        reader.stop.set()
        await reading
        await holder.close()

    reader.must_be_gapless_and_ordered()
    assert [e.metadata["command_id"] for e in reader.events[-4:]] == ["held", "held", "held", "after"]
    late_ms = sorted(1000 * (reader.seen_at[command] - at) for command, at in committed_at.items())
    assert late_ms[len(late_ms) // 2] < 100, f"median {late_ms[len(late_ms) // 2]:.0f} ms"
    assert late_ms[-1] < 2000, f"slowest {late_ms[-1]:.0f} ms"
    assert await found_wrong(database.reader) == set()


async def test_many_transactions_held_open_at_once_all_appear_once_and_in_order(database: Database) -> None:
    """Commit order against id order, at random, with rolled-back ones between; gaps are forgotten in the end."""
    async with opened(database.app) as (store, _), sequencing(database.projector):
        reader = Reader(store)
        reading = asyncio.create_task(reader.run())

        async def one(number: int) -> int:
            connection = await connect(database.app, "holder")
            last: RecordedEvent | None = None
            kept = 0
            for turn in range(8):
                rolls_back = (number + turn) % 4 == 0
                async with connection.transaction(force_rollback=rolls_back):
                    (outcome,) = await store.append_on(
                        connection,
                        [request(f"c-{number}-{turn}", write(f"s-{number}", event(), event(), after=last))],
                    )
                    assert isinstance(outcome, Appended)
                    await asyncio.sleep((number * 7 + turn * 3) % 11 / 300)
                if not rolls_back:
                    last = outcome.events[-1]
                    kept += 2
            await connection.close()
            return kept

        kept = sum(await asyncio.gather(*(one(number) for number in range(20))))
        await numbered(store)
        await reader.until(kept)
        async with asyncio.timeout(10):
            while await _gaps(database) != ("{}", "{}"):
                await asyncio.sleep(0.05)
        reader.stop.set()
        await reading
        reader.must_be_gapless_and_ordered()
        assert len(reader.events) == kept
    assert await found_wrong(database.reader) == set()


async def test_an_append_that_commits_after_its_gap_grew_old_is_still_found(database: Database) -> None:
    """However many generations of gaps go by, one whose transaction is open must not be forgotten."""
    async with opened(database.app) as (store, _):
        sequencer = await connect(database.projector, "sequencer")
        holder = await connect(database.app, "holder")
        async with holder.transaction():
            await store.append_on(holder, [request("held", write("held", event()))])
            for number in range(10):
                await stored(store, f"c{number}", write(f"s{number}", event()))
                await sequence_once(sequencer)
                await sequence_once(sequencer)
            assert await _gaps(database) != ("{}", "{}")
        assert await sequence_once(sequencer) == 1
        assert [e.stream for e in await store.read(10, 5)] == ["held"]
        await sequence_once(sequencer)
        await sequence_once(sequencer)
        assert await _gaps(database) == ("{}", "{}")
        await holder.close()
        await sequencer.close()


async def test_an_open_append_younger_than_one_with_a_later_id_is_still_found(database: Database) -> None:
    """The one with the later id began first and ended first: no snapshot's xmax is past the one still open."""
    async with opened(database.app) as (store, _):
        sequencer = await connect(database.projector, "sequencer")
        early, late = await connect(database.app, "early"), await connect(database.app, "late")
        async with late.transaction():
            async with early.transaction():
                await early.execute("SELECT pg_current_xact_id()")
                await store.append_on(late, [request("held", write("held", event()))])
                await store.append_on(early, [request("c1", write("s1", event()))])
            assert [await sequence_once(sequencer) for _ in range(4)] == [1, 0, 0, 0]
            assert await _gaps(database) != ("{}", "{}")
        assert await sequence_once(sequencer) == 1
        assert [e.stream for e in await store.read(0, 5)] == ["s1", "held"]
        for connection in (sequencer, early, late):
            await connection.close()


async def test_gaps_found_in_a_transaction_do_not_grow_old_in_it(database: Database) -> None:
    async with opened(database.app) as (store, _):
        sequencer, late = await connect(database.projector, "sequencer"), await connect(database.app, "late")
        async with late.transaction():
            async with sequencer.transaction():
                await sequencer.execute("SELECT pg_current_xact_id()")
                await store.append_on(late, [request("held", write("held", event()))])
                await stored(store, "c1", write("s1", event()))
                assert [await sequence_once(sequencer) for _ in range(3)] == [1, 0, 0]
            assert [await sequence_once(sequencer) for _ in range(3)] == [0, 0, 0]
        assert await sequence_once(sequencer) == 1
        await sequencer.close()
        await late.close()


async def test_the_migration_finds_what_was_forgotten(database: Database) -> None:
    healing = Path(migrations.__file__).with_name("sql") / "0004" / "20_forgotten.sql"
    async with opened(database.app) as (store, _):
        sequencer, late = await connect(database.projector, "sequencer"), await connect(database.app, "late")
        async with late.transaction():
            await store.append_on(late, [request("held", write("held", event()))])
            await stored(store, "c1", write("s1", event()))
            assert await sequence_once(sequencer) == 1
        async with await psycopg.AsyncConnection.connect(database.admin) as connection:
            await connection.execute("UPDATE log_head SET gaps = '{}', old_gaps = '{}'")
        assert (await sequence_once(sequencer), await found_wrong(database.reader)) == (0, {"append_forgotten"})
        async with await psycopg.AsyncConnection.connect(database.admin) as connection:
            await connection.execute(healing.read_text())
        assert await sequence_once(sequencer) == 1
        await sequencer.close()
        await late.close()
    assert await found_wrong(database.reader) == set()


async def _gaps(database: Database) -> tuple[str, str]:
    async with await psycopg.AsyncConnection.connect(database.admin) as connection:
        row = await (await connection.execute("SELECT gaps::text, old_gaps::text FROM log_head")).fetchone()
        assert row is not None
        return row[0], row[1]


async def test_a_limit_does_not_lose_what_is_behind_it(database: Database) -> None:
    async with opened(database.app) as (store, _):
        sequencer = await connect(database.projector, "sequencer")
        holder = await connect(database.app, "holder")
        async with holder.transaction():
            await store.append_on(holder, [request("held", write("held", event()))])
            await store.append([request(f"c{number}", write(f"s{number}", event())) for number in range(10)])
            assert [await sequence_once(sequencer, limit=3) for _ in range(2)] == [3, 3]
        assert [await sequence_once(sequencer, limit=3) for _ in range(4)] == [3, 2, 0, 0]
        streams = [e.stream for e in await store.read(0, 100)]
        assert streams == [*(f"s{n}" for n in range(6)), "held", *(f"s{n}" for n in range(6, 10))]
        await holder.close()
        await sequencer.close()


async def test_more_late_appends_than_the_limit_are_not_forgotten(database: Database) -> None:
    async with opened(database.app) as (store, _):
        sequencer = await connect(database.projector, "sequencer")
        holder = await connect(database.app, "holder")
        async with holder.transaction():
            await store.append_on(
                holder, [request(f"h{number}", write(f"h{number}", event())) for number in range(10)]
            )
            await stored(store, "c1", write("s1", event()))
            assert [await sequence_once(sequencer) for _ in range(2)] == [1, 0]
        assert [await sequence_once(sequencer, limit=3) for _ in range(5)] == [3, 3, 3, 1, 0]
        assert [e.stream for e in await store.read(0, 100)] == ["s1", *(f"h{n}" for n in range(10))]
        await holder.close()
        await sequencer.close()


async def test_two_sequencers_at_once_do_no_harm(database: Database) -> None:
    async with opened(database.app) as (store, _):
        sequencers = [await connect(database.projector, "sequencer") for _ in range(2)]
        done = asyncio.Event()

        async def sequence(number: int) -> int:
            found = 0
            while not done.is_set() or (await store.head()).unsequenced_events:
                found += await sequence_once(sequencers[number], limit=5)
                await asyncio.sleep(0)
            return found

        tasks = [asyncio.create_task(sequence(number)) for number in range(2)]
        for number in range(100):
            await store.append(
                [request(f"c-{number}-{n}", write(f"s-{number}-{n}", event(), event())) for n in range(3)]
            )
        done.set()
        assert sum(await asyncio.gather(*tasks)) == 300
        assert [e.position for e in await store.read(0, 1000)] == list(range(1, 601))
        for connection in sequencers:
            await connection.close()
    assert await found_wrong(database.reader) == set()


async def test_one_of_several_leads_and_a_standby_takes_over_when_it_dies(database: Database) -> None:
    async with opened(database.app) as (store, _), sequencing(database.projector, database.projector) as pair:
        await stored(store, "c1", write("a-1", event()))
        await numbered(store)
        async with asyncio.timeout(5):
            while sum(s.is_leader for s in pair) != 1:
                await asyncio.sleep(0.01)
        for turn in range(3):
            await _kill_leader(database)
            await stored(store, f"k{turn}", write(f"b-{turn}", event()))
            await numbered(store, timeout_s=5)
        async with asyncio.timeout(5):
            while sum(s.is_leader for s in pair) != 1:
                await asyncio.sleep(0.01)
    assert not any(s.is_leader for s in pair)
    assert await found_wrong(database.reader) == set()


async def _kill_leader(database: Database) -> None:
    query = """SELECT pg_terminate_backend(pid, 5000) FROM pg_locks WHERE locktype = 'advisory' AND objid = 8449003
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
    async with await psycopg.AsyncConnection.connect(database.admin, autocommit=True) as connection:
        assert await (await connection.execute(query)).fetchall() == [(True,)]


async def test_a_sequencer_that_dies_inside_a_batch_leaves_nothing_half_numbered(database: Database) -> None:
    async with opened(database.app) as (store, _):
        await store.append([request(f"c{n}", write(f"s{n}", event(), event())) for n in range(10)])
        dying = await connect(database.projector, "dying")
        await dying.execute("BEGIN")
        assert await sequence_once(dying, limit=4) == 4
        await dying.close()
        assert (await store.head()).last_position == 0
        other = await connect(database.projector, "other")
        assert [await sequence_once(other, limit=4) for _ in range(4)] == [4, 4, 2, 0]
        await other.close()
        assert [e.stream for e in await store.read(0, 100)] == [f"s{n}" for n in range(10) for _ in range(2)]
    assert await found_wrong(database.reader) == set()


async def test_read_never_splits_an_append(database: Database) -> None:
    async with opened(database.app) as (store, _):
        sizes = [1, 3, 2, 5, 1, 1, 4]
        for number, size in enumerate(sizes):
            await stored(store, f"c{number}", write(f"s{number}", *(event() for _ in range(size))))
        async with sequencing(database.projector):
            assert await numbered(store) == sum(sizes)
        ends = {sum(sizes[: count + 1]) for count in range(len(sizes))}
        for limit in range(1, 20):
            position = 0
            while events := await store.read(position, limit):
                assert [e.position for e in events] == list(range(position + 1, position + len(events) + 1))
                assert events[-1].position in ends
                assert len(events) >= min(limit, sum(sizes) - position)
                position += len(events)
            assert position == sum(sizes)


async def test_position_of_an_append_and_head(database: Database) -> None:
    async with opened(database.app) as (store, _):
        first = await stored(store, "c1", write("a-1", event(), event()))
        (second,) = await stored(store, "c2", write("a-2", event()))
        head = await store.head()
        assert (head.last_position, head.unsequenced_events) == (0, 3)
        assert head.oldest_unsequenced_at is not None
        assert await store.position_of(first[0].append_id) is None
        async with sequencing(database.projector):
            await numbered(store)
        assert await store.position_of(first[0].append_id) == 2
        assert await store.position_of(second.append_id) == 3
        assert await store.position_of(999) is None
        head = await store.head()
        assert (head.last_position, head.unsequenced_events, head.oldest_unsequenced_at) == (3, 0, None)


async def test_tail_wakes_within_moments_of_an_append(database: Database) -> None:
    async with opened(database.app) as (store, _), sequencing(database.projector), Tail(database.reader) as tail:
        await stored(store, "c0", write("a-0", event()))
        await numbered(store)
        await tail.wait(0, 5)
        await tail.wait(0, 5)  # already past it: at once
        late_ms = []
        for number in range(1, 11):
            waiting = asyncio.create_task(tail.wait(number, 5))
            await asyncio.sleep(0.02)
            assert not waiting.done()
            await stored(store, f"c{number}", write(f"a-{number}", event()))
            committed = time.monotonic()
            await waiting
            late_ms.append(1000 * (time.monotonic() - committed))
            assert len(await store.read(number, 10)) == 1
        assert sorted(late_ms)[5] < 300, late_ms


async def test_who_numbers_tells_its_own_process_and_nothing_moves_back(database: Database) -> None:
    stop, tail, heads = asyncio.Event(), Tail(database.reader), []

    def heard(head: int) -> None:
        heads.append(head)
        tail.hear(head)

    async with opened(database.app) as (store, _):
        sequencing = asyncio.create_task(Sequencer(database.projector, heard=heard).run(stop))
        waiting = asyncio.create_task(tail.wait(1, 30))  # it listens to nobody else
        await stored(store, "c1", write("a-1", event(), event()))
        started = time.monotonic()
        await waiting
        assert time.monotonic() - started < 0.9, "a poll, not a wake-up"
        tail.hear(1)  # a notification that was on its way
        assert (tail.head, heads) == (2, [2])
        stop.set()
        await sequencing


async def test_tail_polls_when_no_wake_up_comes(database: Database) -> None:
    async with Tail(database.reader) as tail:
        await tail.wait(0, 5)  # having just connected it may have missed something, and says so
        started = time.monotonic()
        await tail.wait(0, 0.2)
        assert 0.15 < time.monotonic() - started < 0.9
        started = time.monotonic()
        await tail.wait(0, 30)
        assert 0.8 < time.monotonic() - started < 2


async def test_idle_sequencing_writes_nothing(database: Database) -> None:
    """It looks twenty times a second: each look must not cost a transaction id and a wait for the disk."""
    async with opened(database.app) as (store, _):
        await stored(store, "c1", write("a-1", event()))
        connection = await connect(database.projector, "sequencer")
        await sequence_once(connection)
        await sequence_once(connection)
        ids = []
        for _ in range(2):
            row = await (await connection.execute("SELECT pg_snapshot_xmax(pg_current_snapshot())")).fetchone()
            ids.append(row)
            for _ in range(10):
                await sequence_once(connection)
        assert ids[0] == ids[1]
        await connection.close()


async def test_dead_rows_of_the_queue_are_not_stepped_over(database: Database) -> None:
    """While any transaction is open, numbered rows stay on the disk; looking for new ones must not visit them."""
    async with opened(database.app) as (store, _):
        sequencer = await connect(database.projector, "sequencer")
        old = await psycopg.AsyncConnection.connect(database.admin)
        await old.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
        await old.execute("SELECT count(*) FROM unsequenced")
        await _fill_queue(database, 60_000)
        while await sequence_once(sequencer, limit=5000):
            pass
        row = await (await sequencer.execute(queries.LAST_POSITION)).fetchone()
        assert row == (60_000,)
        await stored(store, "c1", write("a-1", event()))
        before = await _blocks(sequencer, "unsequenced")
        assert await sequence_once(sequencer) == 1
        for _ in range(20):
            assert await sequence_once(sequencer) == 0
        assert await _blocks(sequencer, "unsequenced") - before < 1000
        await old.close()
        await sequencer.close()


async def _fill_queue(database: Database, appends: int) -> None:
    query = """INSERT INTO unsequenced SELECT nextval('append_ids'), 1, now() FROM generate_series(1, %s)"""
    async with await psycopg.AsyncConnection.connect(database.admin) as connection:
        await connection.execute(query, [appends])


async def _blocks(connection: psycopg.AsyncConnection[tuple[object, ...]], table: str) -> int:
    """Blocks of the table and its indexes looked at so far."""
    await connection.execute("SELECT pg_stat_force_next_flush()")
    query = """SELECT heap_blks_read + heap_blks_hit + idx_blks_read + idx_blks_hit FROM pg_statio_user_tables
        WHERE relname = %s"""
    row = await (await connection.execute(query, [table])).fetchone()
    assert row is not None
    return int(str(row[0]))


async def test_partitions_are_made_ahead_and_appends_go_on_in_the_next(database: Database) -> None:
    async with opened(database.app) as (store, _):
        (first,) = await stored(store, "c1", write("a-1", event()))
        async with await psycopg.AsyncConnection.connect(database.admin, autocommit=True) as admin:
            await admin.execute("SELECT setval('append_ids', 4194304 * 2 - 1)")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                async with opened(database.app) as (_, pool), pool.connection() as connection:
                    await connection.execute(queries.ENSURE_PARTITIONS)
            async with sequencing(database.projector):
                async with asyncio.timeout(5):
                    while (await (await admin.execute("SELECT to_regclass('events_p000003')")).fetchone()) == (
                        None,
                    ):
                        await asyncio.sleep(0.02)
                (second,) = await stored(store, "c2", write("a-1", event(), after=first))
                (third,) = await stored(store, "c3", write("a-1", event(), after=second))
                assert third.append_id >= 4194304 * 2
                assert await store.load("a-1") == [first, second, third]
                assert await numbered(store) == 3
                assert [e.version for e in await store.read(0, 10)] == [1, 2, 3]
    assert await found_wrong(database.reader) == set()


async def test_is_leader_tells(database: Database) -> None:
    stop = asyncio.Event()
    sequencer = Sequencer(database.projector)
    assert not sequencer.is_leader
    running = asyncio.create_task(sequencer.run(stop))
    async with asyncio.timeout(5):
        while not sequencer.is_leader:
            await asyncio.sleep(0.01)
    stop.set()
    await running
    assert not sequencer.is_leader
