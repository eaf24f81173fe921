"""A projector (with its sequencer) that is stopped (SIGSTOP) loses its place within seconds, and once it goes on
again (SIGCONT) it changes nothing that its successor did."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from eventstore import queries
from projections.catalogue import VIEWS
from projections.compare import compare
from tests.fixtures.histories import History
from tests.fixtures.processes import Program, program
from tests.fixtures.projecting import Rig, rig_for

ALL = list(VIEWS.values())
TAKEN_OVER_S = 3 * queries.LEASE_S + 10
"""Twice the lease at the worst (a pipeline's), half a second until the standby asks, and a busy machine."""


@pytest.fixture
async def rig(database_url: str) -> AsyncIterator[Rig]:
    async with rig_for(database_url) as made:
        yield made


async def until_stopped(process: Program) -> None:
    async with asyncio.timeout(30):
        while psutil.Process(process.pid).status() != psutil.STATUS_STOPPED:
            await asyncio.sleep(0.02)


async def written(rig: Rig, history: History, steps: int) -> int:
    """More is appended, and numbered by whoever leads; the position it will reach."""
    history.run(steps)
    await rig.append(history.appends[rig.written :])
    return sum(len(append) for append in history.appends)


async def check(rig: Rig, history: History) -> None:
    """Positions are dense, and every view is what a rebuild makes of the log."""
    assert await rig.query("SELECT count(*), max(position) FROM positions") == [
        (sum(len(append) for append in history.appends),) * 2
    ]
    for view in ALL:
        compared = await compare(view, rig.connect, rig.log)
        assert compared.equal, compared.differences


@pytest.mark.parametrize("where", ["idle", "projection:before_commit"])
async def test_a_stopped_leader_is_followed_by_the_standby_and_changes_nothing_when_it_wakes_up(
    rig: Rig, where: str, tmp_path: Path
) -> None:
    history, url = History(1), rig.projector_url
    once = tmp_path / "once"
    armed = (
        {} if where == "idle" else {"TIDEMARK_FAILPOINT": f"{where}=stop", "TIDEMARK_FAILPOINT_ONCE": str(once)}
    )
    async with (
        program("projector.py", TIDEMARK_PROJECTOR_DATABASE_URL=url, **armed) as first,
        program("projector.py", TIDEMARK_PROJECTOR_DATABASE_URL=url) as second,
    ):
        await first.start()
        if where == "idle":
            await rig.caught_up(ALL, await written(rig, history, 40))
            first.send(signal.SIGSTOP)
        position = await written(rig, history, 40)
        await until_stopped(first)
        stopped_at = time.monotonic()
        await second.start()
        await rig.caught_up(ALL, position, timeout_s=TAKEN_OVER_S)
        took_s = time.monotonic() - stopped_at
        position = await written(rig, history, 40)
        first.send(signal.SIGCONT)
        await rig.caught_up(ALL, position)
        position = await written(rig, history, 40)
        await rig.caught_up(ALL, position)
        await first.says("projection_interrupted")
        await check(rig, history)
        if where == "idle":
            await second.stop()  # the one that woke up is a good standby again
            await rig.caught_up(ALL, await written(rig, history, 20), timeout_s=TAKEN_OVER_S)
            await check(rig, history)
        print(f"{where}: taken over {took_s:.1f} s after the stop")  # noqa: T201
