"""The simulator's tables in memory, held to Postgres: the same statements, the same answers and contents."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import orjson
import pytest

from eventstore.errors import InvalidAppend
from eventstore.events import AppendRequest, NewEvent, Snapshot, StreamWrite
from eventstore.hashing import GENESIS
from eventstore.store import EventStore
from projections.builds import create_build
from projections.decoding import Dealer, prepare
from projections.model import Statement
from projections.writing import commit
from tests.fixtures.histories import History
from tests.fixtures.log import opened
from tests.fixtures.projecting import Rig, rig_for
from tests.simulation.chance import Chance
from tests.simulation.log_tables import LogTables
from tests.simulation.loop import Process
from tests.simulation.postgres import Pool, Postgres, Weather
from tests.simulation.view_tables import SIMULATED, ViewTables

AT = datetime(2026, 1, 1, tzinfo=UTC)
GENERATED = {"available", "difference"}


@pytest.fixture
async def rig(database_url: str) -> AsyncIterator[Rig]:
    async with rig_for(database_url) as made:
        yield made


def random_request(pick: random.Random, ends: dict[str, tuple[int, bytes]]) -> AppendRequest:
    """Mostly what can be stored; now and then a known command id or another version."""
    writes = []
    for stream in pick.sample(("one", "two", "three"), pick.randint(1, 3)):
        version, last_hash = ends.get(stream, (0, GENESIS))
        if pick.random() < 0.15:
            version, last_hash = version + pick.choice((-1, 1)), b"x" * 32
        events = tuple(NewEvent("Added", 1, {"n": pick.randint(1, 9)}) for _ in range(pick.randint(0, 3)))
        writes.append(StreamWrite(stream, max(version, 0), last_hash, events))
    command_id, content = f"c{pick.randint(1, 60)}", bytes([pick.randint(1, 2)])
    at = AT + timedelta(microseconds=pick.randint(0, 10**9))
    return AppendRequest(command_id, content, tuple(writes), {"who": "test"}, {"is": command_id}, at)


async def test_the_log_in_memory_answers_as_postgres_does(database_url: str) -> None:
    tables = LogTables(lambda _rows: None)
    weather = Weather(slowest_s=0.0002)
    postgres = Postgres(Chance(1), weather, lambda sql, given: tables.statements[sql](given), asyncio.sleep)
    ours = EventStore(cast("Any", Pool(postgres, Process("test"))))
    pick, ends = random.Random(1), dict[str, tuple[int, bytes]]()
    kinds = set()
    async with opened(database_url) as (theirs, _):
        for number in range(150):
            batch = [random_request(pick, ends) for _ in range(pick.randint(1, 3))]
            try:
                outcomes = await ours.append(batch)
            except InvalidAppend:
                continue
            assert outcomes == await theirs.append(batch), f"batch {number}"
            for outcome in outcomes:
                kinds.add(type(outcome).__name__)
                for event in getattr(outcome, "events", ()):
                    ends[event.stream] = (event.version, event.hash)
        assert kinds == {"Appended", "Repeated", "IdempotencyConflict", "VersionConflict"}
        since = {"one": 0, "two": 3, "three": 10**6, "nobody": 0}
        assert await ours.load_many(since) == await theirs.load_many(since)
        for store in (ours, theirs):
            version, last_hash = 2, (await store.load("one"))[1].hash
            await store.save_snapshot(Snapshot("one", version, 7, {"is": "two"}, last_hash))
            await store.save_snapshot(Snapshot("one", 1, 7, {"is": "older"}, GENESIS))
        for state_version in (7, 8):
            asked = {"one": state_version, "two": 7, "nobody": 7}
            assert await ours.load_with_snapshots(asked) == await theirs.load_with_snapshots(asked)
        for number in range(1, 61):
            assert await ours.find_command(f"c{number}") == await theirs.find_command(f"c{number}")


@pytest.mark.parametrize("seed", range(2))
async def test_views_in_memory_hold_what_postgres_holds(rig: Rig, seed: int) -> None:
    await rig.write(History(seed).showcase().run(500).appends)
    pick, position = random.Random(seed), 0
    ours = {name: ViewTables() for name in SIMULATED}
    async with rig.connect() as connection:
        tracks = {name: await create_build(connection, view, "building") for name, view in SIMULATED.items()}
        dealer = Dealer(SIMULATED.values())
        while records := await rig.log.read(position, pick.choice((1, 3, 20, 100))):
            dealt = dealer.deal(records)
            works = [prepare(track, position, dealt) for track in tracks.values()]
            await commit(connection, works)
            for name, work in zip(SIMULATED, works, strict=True):
                for statement in work.statements:
                    rows = orjson.loads(orjson.dumps(statement.rows))
                    ours[name].run(Statement(statement.sql, rows))
            position = dealt.upto
    for name, track in tracks.items():
        for table, rows in ours[name].filled().items():
            found = await rig.query(f"SELECT to_jsonb(t) FROM {track.schema}.{table} AS t")  # noqa: S608
            theirs = [{k: v for k, v in row.items() if v is not None and k not in GENERATED} for (row,) in found]
            assert _sorted(rows.values()) == _sorted(theirs), f"{name}: {table}"


def _sorted(rows: Any) -> list[str]:
    return sorted(orjson.dumps(_plain(row), option=orjson.OPT_SORT_KEYS).decode() for row in rows)


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Times and numbers as one writing of them."""
    plain: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, str) and "T" in value and key not in ("legs",):
            try:
                plain[key] = datetime.fromisoformat(value).timestamp()
            except ValueError:
                plain[key] = value
        else:
            plain[key] = value
    return plain
