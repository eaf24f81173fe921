"""The engine in bad weather: transient faults, broken tables, lost connections, a leader that goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import psycopg
import pytest

from projections.builds import create_build
from projections.catalogue import VIEWS
from projections.model import Batch
from projections.rebuild import live_build
from projections.runner import Runner
from tests.fixtures.histories import History
from tests.fixtures.projecting import FAST, Rig, fragile, rig_for

ALL = list(VIEWS.values())


@pytest.fixture
async def rig(database_url: str) -> AsyncIterator[Rig]:
    async with rig_for(database_url) as made:
        yield made


# --- weather ------------------------------------------------------------


@pytest.mark.parametrize(
    "error",
    [
        psycopg.errors.DeadlockDetected("x"),
        psycopg.errors.SerializationFailure("x"),
        psycopg.errors.LockNotAvailable("x"),
        psycopg.errors.AdminShutdown("x"),
        psycopg.OperationalError("gone"),
        ConnectionResetError("gone"),
        psycopg.errors.DiskFull("x"),
    ],
)
async def test_a_transient_fault_is_never_poison(rig: Rig, error: Exception) -> None:
    await rig.write(History(6).run(30).appends)
    left = [20]  # more than it takes to find a poison event

    def weather(batch: Batch) -> None:
        if left[0]:
            left[0] -= 1
            raise error

    view = fragile(weather)
    async with rig.running([view], replace(FAST, longest_backoff_s=0.02)):
        await rig.caught_up([view], (await rig.log.head()).last_position)
    assert await rig.query("SELECT count(*) FROM projection.dead_letters") == [(0,)]
    assert left == [0]


async def test_a_broken_table_is_no_events_fault(rig: Rig) -> None:
    """It is tried again until somebody mends it; no event is parked, and the other views go on."""
    await rig.write(History(6).run(30).appends)
    view = fragile(lambda batch: None)
    async with rig.connect() as connection:
        track = await create_build(connection, view, "live")
    await rig.query(f"ALTER TABLE {track.schema}.deposits RENAME TO gone")
    head = (await rig.log.head()).last_position
    async with rig.running([*ALL, view]):
        await rig.caught_up(ALL, head)
        await asyncio.sleep(0.5)
        assert await rig.query("SELECT count(*) FROM projection.dead_letters") == [(0,)]
        await rig.query(f"ALTER TABLE {track.schema}.gone RENAME TO deposits")
        await rig.caught_up([view], head)


async def test_the_engine_outlives_the_loss_of_its_connection(rig: Rig) -> None:
    history = History(8).run(40)
    await rig.write(history.appends)
    async with rig.running(ALL) as runner:
        await rig.caught_up(ALL, (await rig.log.head()).last_position)
        for _ in range(3):
            await rig.query(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
                "AND pid <> pg_backend_pid()"
            )
            history.run(20)
            await rig.write(history.appends[rig.written :])
            await rig.caught_up(ALL, (await rig.log.head()).last_position)
        assert runner.leading
    assert await rig.query("SELECT count(*) FROM read.accounts") == [
        (sum(key.startswith("account-") for key in history.states),)
    ]


async def test_what_a_crash_took_is_made_again_without_a_new_event(rig: Rig) -> None:
    """Views commit asynchronously: a crash of Postgres takes the connection and what it had committed last."""
    await rig.write(History(6).run(30).appends)
    head, view = (await rig.log.head()).last_position, fragile(lambda batch: None)
    async with rig.running([view]):
        await rig.caught_up([view], head)
        table = f"{await rig.schema(view)}.deposits"
        there = await rig.query(f"SELECT count(*) FROM {table}")  # noqa: S608
        await rig.query(f"DELETE FROM {table}")  # noqa: S608
        await rig.query("ALTER TABLE projection.builds DISABLE TRIGGER checkpoints_only_grow")
        await rig.query("UPDATE projection.builds SET position = 0")
        await rig.query("ALTER TABLE projection.builds ENABLE TRIGGER checkpoints_only_grow")
        await rig.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
            "AND pid <> pg_backend_pid()"
        )
        await rig.caught_up([view], head, timeout_s=10)
        assert await rig.query(f"SELECT count(*) FROM {table}") == there  # noqa: S608
        assert there > [(0,)]


# --- leadership ------------------------------------------------------------


async def test_a_standby_takes_over_within_two_seconds(rig: Rig) -> None:
    history = History(9).run(40)
    await rig.write(history.appends)
    first = Runner(ALL, rig.connect, rig.log, rig.wait, FAST)
    second = Runner(ALL, rig.connect, rig.log, rig.wait, FAST)
    async with _at_work(first) as leader:
        await rig.caught_up(ALL, (await rig.log.head()).last_position)
        async with _at_work(second):
            await asyncio.wait_for(second.standing_by.wait(), 5)
            assert (first.leading, second.leading) == (True, False)
            leader.cancel()
            history.run(30)
            await rig.write(history.appends[rig.written :])
            await rig.caught_up(ALL, (await rig.log.head()).last_position, timeout_s=2)
            assert second.leading


@asynccontextmanager
async def _at_work(runner: Runner) -> AsyncIterator[asyncio.Task[None]]:
    stop = asyncio.Event()
    task = asyncio.create_task(runner.run(stop))
    try:
        yield task
    finally:
        stop.set()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_filtering_view_still_advances(rig: Rig) -> None:
    await rig.write(History(10).run(40).appends)
    idle = replace(fragile(lambda batch: None), wants=frozenset({("account", "NeverWritten")}))
    head = (await rig.log.head()).last_position
    async with rig.running([idle]):
        await rig.caught_up([idle], head)
    async with rig.connect() as connection:
        live = await live_build(connection, "fragile")
    assert live is not None
    assert live.position == head


async def test_a_checkpoint_does_not_go_back(rig: Rig) -> None:
    """What a view has taken in would be taken in again."""
    head = await rig.write(History(7).run(10).appends)
    async with rig.running(ALL):
        await rig.caught_up(ALL, head)
    async with rig.connect() as connection:
        with pytest.raises(psycopg.errors.IntegrityConstraintViolation, match="cannot go back"):
            await connection.execute(
                "UPDATE projection.builds SET position = position - 1 WHERE view = 'accounts'"
            )
        await connection.execute("UPDATE projection.builds SET position = position WHERE view = 'accounts'")
