"""Appends of one process share transactions, and nothing else: each has its own outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import psycopg
import pytest

from eventstore import queries
from eventstore.batch import Prepared, prepare
from eventstore.connect import connect
from eventstore.errors import ConcurrencyError, InvalidAppend, Overloaded, StoreUnavailable
from eventstore.events import Appended, IdempotencyConflict, Outcome, Repeated, StreamWrite, VersionConflict
from eventstore.group_commit import GroupCommitter
from eventstore.store import EventStore
from tests.fixtures.database import Database
from tests.fixtures.log import event, found_wrong, opened, request, stored, write


async def transactions(store: EventStore) -> int:
    """How many transactions have written to the log: what was inserted by one has its xid."""
    async with store.transaction() as connection:
        row = await (await connection.execute("SELECT count(DISTINCT xmin::text) FROM commands")).fetchone()
        assert row is not None
        return int(row[0])


async def test_concurrent_submits_share_transactions(database: Database) -> None:
    async with opened(database.app) as (store, _):
        committer = GroupCommitter(store)
        requests = [request(f"c{n}", write(f"a-{n}", event()), write(f"b-{n}", event())) for n in range(200)]
        outcomes = await asyncio.gather(*(committer.submit(r) for r in requests))
        assert [type(outcome) for outcome in outcomes] == [Appended] * 200
        assert [outcome.command_id for outcome in outcomes] == [f"c{n}" for n in range(200)]
        assert await transactions(store) == committer.batches <= 5
        assert committer.requests == 200
        await committer.close()
    assert await found_wrong(database.reader) == set()


async def test_a_request_alone_goes_at_once(database: Database) -> None:
    async with opened(database.app) as (store, _):
        committer = GroupCommitter(store)
        for number in range(5):
            await committer.submit(request(f"c{number}", write(f"a-{number}", event())))
        assert await transactions(store) == committer.batches == 5


async def test_each_batch_wakes_the_sequencer(database: Database) -> None:
    async with (
        opened(database.app) as (store, _),
        await connect(database.projector, "test-listener") as listener,
    ):
        await listener.execute(queries.LISTEN_APPENDED)
        committer = GroupCommitter(store)
        for number in range(3):
            await committer.submit(request(f"c{number}", write(f"a-{number}", event())))
            heard = [note.channel async for note in listener.notifies(timeout=5, stop_after=1)]
            assert heard == ["tidemark_appended"]
        await committer.close()


async def test_one_that_cannot_be_stored_does_not_fail_the_others(database: Database) -> None:
    async with opened(database.app) as (store, _):
        await stored(store, "old", write("taken", event()))
        committer = GroupCommitter(store, slots=1)
        first = asyncio.create_task(committer.submit(request("first", write("first", event()))))
        requests = [request(f"c{n}", write(f"a-{n}", event())) for n in range(20)]
        requests[5] = request("c5", write("a-5", event()), write("taken", event()))
        requests[6] = request("old", write("taken", event()))
        requests[7] = request("old", write("taken", event()), content=b"other")
        outcomes = await asyncio.gather(*(committer.submit(r) for r in requests))
        assert isinstance(await first, Appended)
        assert outcomes[5] == VersionConflict("c5", {"taken": 1})
        assert isinstance(outcomes[6], Repeated)
        assert outcomes[7] == IdempotencyConflict("old")
        assert sum(isinstance(outcome, Appended) for outcome in outcomes) == 17
        assert await transactions(store) <= 4


async def test_chained_requests_go_together_and_unchained_ones_do_not(database: Database) -> None:
    async with opened(database.app) as (store, _):
        committer = GroupCommitter(store, slots=1)
        blocker = asyncio.create_task(committer.submit(request("c0", write("z", event()))))
        await asyncio.sleep(0)
        first = request("c1", write("a", event()))
        version, digest = prepare(first).ends["a"]
        second = request("c2", StreamWrite("a", version, digest, (event(),)))
        rival = request("c3", write("a", event()))
        outcomes = await asyncio.gather(*(committer.submit(r) for r in (first, second, rival)))
        assert isinstance(await blocker, Appended)
        assert [type(outcome) for outcome in outcomes] == [Appended, Appended, VersionConflict]
        assert committer.batches == 3


async def test_fifty_identical_submits_have_one_effect(database: Database) -> None:
    async with opened(database.app) as (store, _):
        committer = GroupCommitter(store)
        same = request("c1", write("a-1", event()))
        outcomes = await asyncio.gather(*(committer.submit(same) for _ in range(50)))
        assert [type(outcome) for outcome in outcomes].count(Appended) == 1
        assert [type(outcome) for outcome in outcomes].count(Repeated) == 49
        assert len(await store.load("a-1")) == 1


async def test_a_cancelled_submit_harms_nobody(database: Database) -> None:
    async with opened(database.app) as (store, _):
        committer = GroupCommitter(store, slots=1)
        tasks = [
            asyncio.create_task(committer.submit(request(f"c{n}", write(f"a-{n}", event())))) for n in range(30)
        ]
        await asyncio.sleep(0)
        for task in tasks[::3]:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        for number, result in enumerate(results):
            assert isinstance(result, asyncio.CancelledError if number % 3 == 0 else Appended), result
        # Those under way when cancelled were stored, those waiting were dropped; either way the log is whole.
        assert isinstance(await committer.submit(request("more", write("more", event()))), Appended)
        await committer.close()
        with pytest.raises(StoreUnavailable):
            await committer.submit(request("late", write("late", event())))
    assert await found_wrong(database.reader) == set()


async def test_an_invalid_request_is_told_its_own_submitter_only(database: Database) -> None:
    async with opened(database.app) as (store, _):
        committer = GroupCommitter(store)
        good = [committer.submit(request(f"c{n}", write(f"a-{n}", event()))) for n in range(5)]
        bad = committer.submit(request("bad", write("a", event()), write("a", event())))
        *outcomes, error = await asyncio.gather(*good, bad, return_exceptions=True)
        assert isinstance(error, InvalidAppend)
        assert all(isinstance(outcome, Appended) for outcome in outcomes)


async def test_a_request_postgres_refuses_takes_no_other_with_it(database: Database) -> None:
    """A version beyond 64 bits passes our checks; the server refuses the whole batch it is in."""
    async with opened(database.app) as (store, _):
        committer = GroupCommitter(store, slots=1)
        first = asyncio.create_task(committer.submit(request("first", write("first", event()))))
        await asyncio.sleep(0)
        poison = request("poison", StreamWrite("p", 2**63 - 1, bytes(32), (event(),)))
        others = [request(f"c{n}", write(f"a-{n}", event())) for n in range(5)]
        results = await asyncio.gather(*(committer.submit(r) for r in (poison, *others)), return_exceptions=True)
        assert isinstance(await first, Appended)
        assert isinstance(results[0], psycopg.DataError), results[0]
        assert all(isinstance(outcome, Appended) for outcome in results[1:])
        assert committer.batches == 2


async def test_a_stream_locked_by_somebody_else_holds_up_its_own_request_only(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventstore.attempts.UNLUCKY_FOR_S", 0.5)
    monkeypatch.setattr("eventstore.connect.LOCK_TIMEOUT_MS", 300)
    async with opened(database.app) as (store, _), opened(database.app) as (other, _):
        async with other.transaction() as holder:
            await other.append_on(holder, [request("held", write("held", event()))])
            committer = GroupCommitter(store, slots=1)
            first = asyncio.create_task(committer.submit(request("first", write("first", event()))))
            await asyncio.sleep(0)
            stuck = asyncio.create_task(committer.submit(request("stuck", write("held", event()))))
            others = [committer.submit(request(f"c{n}", write(f"a-{n}", event()))) for n in range(5)]
            assert all(isinstance(outcome, Appended) for outcome in await asyncio.gather(first, *others))
            with pytest.raises(ConcurrencyError):
                await stuck
            assert committer.batches == 2
        assert [e.metadata["command_id"] for e in await store.load("held")] == ["held"]
    assert await found_wrong(database.reader) == set()


class SlowStore(EventStore):
    """Stores nothing; shows what it is asked for, and takes its time."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.go = asyncio.Event()
        self.error: Exception | None = None

    async def append_prepared(self, batch: Sequence[Prepared]) -> list[Outcome]:
        self.batches.append([prepared.request.command_id for prepared in batch])
        await self.go.wait()
        if self.error:
            raise self.error
        return [Appended(prepared.request.command_id, 1, prepared.events) for prepared in batch]

    async def wake_sequencer(self) -> None:
        """There is none."""


async def test_an_error_of_one_batch_fails_its_requests_only() -> None:
    store = SlowStore()
    committer = GroupCommitter(store, slots=1, max_batch=2)
    store.error = StoreUnavailable("gone")
    first = asyncio.create_task(committer.submit(request("c0", write("s0", event()))))
    await asyncio.sleep(0)
    store.go.set()
    with pytest.raises(StoreUnavailable, match="gone"):
        await first
    store.error = None
    assert isinstance(await committer.submit(request("c1", write("s1", event()))), Appended)


async def test_batches_are_bounded_and_a_full_queue_refuses_at_once() -> None:
    store = SlowStore()
    committer = GroupCommitter(store, slots=1, max_batch=4, max_waiting=6)
    tasks = [asyncio.create_task(committer.submit(request(f"c{n}", write(f"s{n}", event())))) for n in range(12)]
    await asyncio.sleep(0.01)
    assert store.batches == [["c0"]]
    refused = [number for number, task in enumerate(tasks) if task.done()]
    assert refused == [7, 8, 9, 10, 11]
    assert all(isinstance(tasks[number].exception(), Overloaded) for number in refused)
    store.go.set()
    await asyncio.gather(*tasks[:7])
    assert [number for batch in store.batches for number in batch] == [f"c{n}" for n in range(7)]
    assert max(len(batch) for batch in store.batches) == 4
    assert isinstance(await committer.submit(request("c12", write("s12", event()))), Appended)


async def test_while_a_batch_is_under_way_others_gather() -> None:
    store = SlowStore()
    committer = GroupCommitter(store, slots=2, late_s=60)
    tasks = [asyncio.create_task(committer.submit(request(f"c{n}", write(f"s{n}", event())))) for n in range(3)]
    await asyncio.sleep(0.05)
    assert store.batches == [["c0"]]
    store.go.set()
    await asyncio.gather(*tasks)
    assert store.batches == [["c0"], ["c1", "c2"]]


async def test_a_batch_that_is_late_is_not_waited_for_and_a_third_has_no_slot() -> None:
    store = SlowStore()
    committer = GroupCommitter(store, slots=2, late_s=0.05)
    tasks = [asyncio.create_task(committer.submit(request(f"c{n}", write(f"s{n}", event())))) for n in range(3)]
    async with asyncio.timeout(10):
        while len(store.batches) < 2:
            await asyncio.sleep(0.01)
    assert store.batches == [["c0"], ["c1", "c2"]]
    tasks.append(asyncio.create_task(committer.submit(request("c3", write("s3", event())))))
    await asyncio.sleep(0.2)
    assert len(store.batches) == 2
    store.go.set()
    await asyncio.gather(*tasks)
    assert store.batches[2:] == [["c3"]]


async def test_a_caller_too_many_for_the_pool_is_refused_at_once(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventstore.connect.MAX_WAITING", 3)
    async with opened(database.app, max_size=1) as (store, _):
        async with store.transaction():
            asked = [asyncio.create_task(store.head()) for _ in range(5)]
            done, waiting = await asyncio.wait(asked, timeout=0.5)
            assert [type(task.exception()) for task in done] == [Overloaded, Overloaded]
        assert len(await asyncio.gather(*waiting)) == 3


async def test_requests_on_one_stream_never_overtake_each_other() -> None:
    store = SlowStore()
    committer = GroupCommitter(store, slots=4, late_s=0)
    names = ["a", "a", "b", "a", "b", "c"]
    tasks = [
        asyncio.create_task(committer.submit(request(f"c{n}", write(s, event())))) for n, s in enumerate(names)
    ]
    await asyncio.sleep(0.01)
    assert store.batches == [["c0"], ["c2"], ["c5"]]
    store.go.set()
    await asyncio.gather(*tasks)
    order = [names[int(command[1:])] + command for batch in store.batches for command in batch]
    assert [c for c in order if c.startswith("a")] == ["ac0", "ac1", "ac3"]
