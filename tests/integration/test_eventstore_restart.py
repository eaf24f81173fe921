"""Postgres goes away and comes back: pool, sequencer and tail recover, and nothing is lost or doubled."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from eventstore.connect import open_pool
from eventstore.errors import StoreUnavailable
from eventstore.migrate import migrate
from eventstore.store import EventStore
from eventstore.tail import Tail
from stack.database import APP, PROJECTOR, READER, with_role
from stack.postgres import PostgresServer
from tests.fixtures.log import Counters, event, found_wrong, numbered, opened, sequencing, stored, write


@pytest.fixture
def server(tmp_path: Path) -> Iterator[PostgresServer]:
    """A server of this test's own, to do with as it likes."""
    server = PostgresServer(tmp_path / "pg", durable=False)
    server.start()
    migrate(server.admin_url)
    yield server
    server.stop(hurry=True)


async def test_all_parts_recover_from_restarts_of_postgres(server: PostgresServer) -> None:
    app, projector, reader = (with_role(server.admin_url, role) for role in (APP, PROJECTOR, READER))
    async with opened(app) as (store, _), sequencing(projector), Tail(reader) as tail:
        counters = Counters(store)
        await counters.move("fund", {"a": 1000})
        acknowledged: list[str] = []
        stop = asyncio.Event()

        async def mover(worker: int) -> None:
            number = 0
            while not stop.is_set():
                command_id = f"c-{worker}-{number}"
                try:
                    await counters.move(command_id, {"a": -1, f"b-{worker}": 1})
                except StoreUnavailable:
                    await asyncio.sleep(0.05)
                    continue  # unknown: the same command again
                acknowledged.append(command_id)
                number += 1
                await asyncio.sleep(0.005)

        movers = [asyncio.create_task(mover(worker)) for worker in range(4)]
        for hurry in (False, True):
            await asyncio.sleep(0.5)
            before = len(acknowledged)
            assert before > 10
            await asyncio.to_thread(server.stop, hurry)
            await asyncio.sleep(0.3)
            await asyncio.to_thread(server.start)
            async with asyncio.timeout(20):
                while len(acknowledged) < before + 20:
                    await asyncio.sleep(0.02)
        stop.set()
        await asyncio.gather(*movers)
        position = await numbered(store)
        assert position == 1 + 2 * len(acknowledged)
        assert (await counters.aggregates.state("a"))[0].total == 1000 - len(acknowledged)
        # The tail is woken again, not only polling: much faster than its poll, on average.
        waited_ms = []
        for number in range(5):
            waiting = asyncio.create_task(tail.wait(position + number, 5))
            await asyncio.sleep(0.05)
            await stored(store, f"tail-{number}", write(f"t-{number}", event()))
            started = time.monotonic()
            await waiting
            waited_ms.append(1000 * (time.monotonic() - started))
            await numbered(store)
        assert sorted(waited_ms)[2] < 300, waited_ms
    assert await found_wrong(reader) == set()


async def test_while_postgres_is_away_callers_are_told_within_seconds(server: PostgresServer) -> None:
    pool = await open_pool(with_role(server.admin_url, APP), timeout_s=1)
    try:
        store = EventStore(pool)
        await stored(store, "c1", write("a-1", event()))
        await asyncio.to_thread(server.stop, True)
        started = time.monotonic()
        with pytest.raises(StoreUnavailable):
            await _load_for_ever(store)  # a backend may outlive its postmaster by a moment and still answer
        with pytest.raises(StoreUnavailable):
            await stored(store, "c2", write("a-2", event()))
        assert time.monotonic() - started < 20
        with pytest.raises(StoreUnavailable):
            await open_pool(with_role(server.admin_url, APP), timeout_s=1)
        assert time.monotonic() - started > 3, "too short an outage to tell how fast the pool comes back"
        await asyncio.to_thread(server.start)
        async with asyncio.timeout(2):  # not once more as long as the outage was
            while True:
                try:
                    assert len(await store.load("a-1")) == 1
                    break
                except StoreUnavailable:
                    await asyncio.sleep(0.1)
    finally:
        await pool.close()


async def _load_for_ever(store: EventStore) -> None:
    while True:
        await store.load("a-1")


async def test_after_a_restart_no_call_meets_a_connection_that_died(server: PostgresServer) -> None:
    pool = await open_pool(with_role(server.admin_url, APP), min_size=4)
    try:
        store = EventStore(pool)
        await stored(store, "c0", write("a-0", event()))
        await asyncio.to_thread(server.stop, True)
        await asyncio.to_thread(server.start)
        for number in range(1, 9):
            await stored(store, f"c{number}", write(f"a-{number}", event()))
        assert len(await store.load("a-0")) == 1
    finally:
        await pool.close()
