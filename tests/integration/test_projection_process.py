"""`python projector.py` as a process: killed around its commits, followed by a standby, stopped in order."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from domain.streams import category_of
from projections.catalogue import VIEWS
from projections.compare import compare
from stack.ports import free_port
from tests.fixtures.histories import History
from tests.fixtures.projecting import Rig, rig_for

ROOT = Path(__file__).resolve().parents[2]
ALL = list(VIEWS.values())


@pytest.fixture
async def rig(database_url: str) -> AsyncIterator[Rig]:
    async with rig_for(database_url) as made:
        yield made


@asynccontextmanager
async def projector(rig: Rig, tmp_path: Path, **env: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Killed at the end of the block, where it still runs then."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "projector.py",
        cwd=ROOT,
        env={**os.environ, "TIDEMARK_PROJECTOR_DATABASE_URL": rig.projector_url, **env},
        stderr=(tmp_path / f"projector-{time.monotonic_ns()}.log").open("wb"),
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _all_equal(rig: Rig, history: History) -> None:
    told = {(category_of(one.stream), type(one.event).__name__) for append in history.appends for one in append}
    for view in ALL:
        compared = await compare(view, rig.connect, rig.log)
        assert compared.equal, compared.differences
        assert compared.rows > 0 or view.name == "in_transit_and_suspense" or view.wants.isdisjoint(told)


@pytest.mark.parametrize("place", ["projection:before_commit", "projection:after_commit"])
async def test_killed_around_a_commit_nothing_is_lost_or_done_twice(rig: Rig, tmp_path: Path, place: str) -> None:
    history = History(1).run(120)
    await rig.append(history.appends)
    once = tmp_path / "killed"
    armed = {"TIDEMARK_FAILPOINT": place, "TIDEMARK_FAILPOINT_ONCE": str(once)}
    async with projector(rig, tmp_path, **armed) as first:
        assert await asyncio.wait_for(first.wait(), 30) == -signal.SIGKILL
    assert once.exists()
    positions = {row[1] for row in await rig.query("SELECT * FROM read.checkpoints")}
    rows = (await rig.query("SELECT count(*) FROM read.accounts"))[0][0]
    assert (rows > 0) == (positions != {0}), "a view and its checkpoint disagree"
    assert (rows > 0) == (place == "projection:after_commit")
    async with projector(rig, tmp_path, **armed):
        await rig.caught_up(ALL, sum(len(append) for append in history.appends))
    await _all_equal(rig, history)


async def test_a_standby_takes_over_from_a_killed_leader(rig: Rig, tmp_path: Path) -> None:
    history = History(2).run(60)
    await rig.append(history.appends)
    ready = tmp_path / "ready"
    async with projector(rig, tmp_path) as leader:
        await rig.caught_up(ALL, sum(len(append) for append in history.appends))
        async with projector(rig, tmp_path, TIDEMARK_READY_FILE=str(ready)) as standby:
            async with asyncio.timeout(20):
                while not ready.exists():
                    await asyncio.sleep(0.05)
            leader.kill()
            history.run(40)
            killed_at = time.monotonic()
            await rig.append(history.appends[rig.written :])
            await rig.caught_up(ALL, sum(len(append) for append in history.appends))
            assert time.monotonic() - killed_at < 3, "numbering and projecting took too long to come back"
            standby.terminate()
            assert await asyncio.wait_for(standby.wait(), 10) == 0
    await _all_equal(rig, history)


async def test_metrics_and_an_end_in_order(rig: Rig, tmp_path: Path) -> None:
    history = History(3).run(40)
    await rig.append(history.appends)
    port = free_port()
    async with projector(rig, tmp_path, TIDEMARK_METRICS_PORT=str(port)) as process:
        await rig.caught_up(ALL, sum(len(append) for append in history.appends))
        await asyncio.sleep(1.5)
        async with httpx.AsyncClient() as http:
            text = (await http.get(f"http://127.0.0.1:{port}/metrics")).text
        assert 'tidemark_projection_lag_events{view="accounts"} 0.0' in text
        assert 'tidemark_dead_letters{view="payments"} 0.0' in text
        assert f"tidemark_sequenced_position {float(sum(len(a) for a in history.appends))}" in text
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 10) == 0
    [log] = tmp_path.glob("projector-*.log")
    assert {json.loads(line)["event"] for line in log.read_text().splitlines()} >= {
        "projector ready",
        "projector stopped",
    }


async def test_a_write_is_in_the_views_within_milliseconds(rig: Rig, tmp_path: Path) -> None:
    history = History(4).run(10)
    await rig.append(history.appends)
    lags = []
    async with projector(rig, tmp_path):
        await rig.caught_up(ALL, sum(len(append) for append in history.appends))
        async with rig.connect() as connection:
            for _ in range(40):
                before = len(history.appends)
                while len(history.appends) == before:
                    history.step()
                await rig.append(history.appends[before:])
                written, head = time.monotonic(), sum(len(append) for append in history.appends)
                while True:
                    row = await (await connection.execute("SELECT min(position) FROM read.checkpoints")).fetchone()
                    if row and row[0] >= head:
                        break
                    await asyncio.sleep(0.0005)
                lags.append((time.monotonic() - written) * 1000)
    lags.sort()
    print(f"commit to view: p50 {lags[20]:.1f} ms, worst {lags[-1]:.1f} ms")  # noqa: T201
    assert lags[20] < 250
