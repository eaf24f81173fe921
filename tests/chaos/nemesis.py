"""Carries out the schedule, and measures how long the system takes to be itself again after each fault."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from dataclasses import field as made

from eventstore.errors import EventStoreError
from tests.chaos.faults import ACTS, NOT_NOW, Field, Skipped
from tests.chaos.history import Operation
from tests.chaos.http import Web
from tests.chaos.schedule import Episode

RECOVERY_LIMIT_S = 120.0


@dataclass
class Done:
    """What became of an episode. `recovered_s`: from the end of the fault until a write was acknowledged and a
    read at its position answered; None where that never happened. `overlapped`: the next fault came before that.
    """

    episode: Episode
    note: str = ""
    skipped: bool = False
    failed: bool = False
    overlapped: bool = False
    recovered_s: float | None = None


Say = Callable[[Done], None]


@dataclass
class Nemesis:
    """`web` is a client of its own with little patience: it asks the other API rather than wait."""

    field: Field
    web: Web
    probe_account: str
    done: list[Done] = made(default_factory=list)
    _last_begun: int = 0
    _probes: set[asyncio.Task[None]] = made(default_factory=set)

    async def run(self, episodes: Sequence[Episode], started: float, say: Say) -> None:
        """Each at its time, whether or not the system has recovered from the one before."""
        tasks = []
        for episode in episodes:
            await asyncio.sleep(max(started + episode.at_s - time.monotonic(), 0))
            self._last_begun = episode.number
            done = Done(episode)
            self.done.append(done)
            say(done)
            tasks.append(asyncio.create_task(self._one(done, say), name=f"fault-{episode.number}"))
        try:
            await asyncio.gather(*tasks)
        except asyncio.CancelledError:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            raise

    async def _one(self, done: Done, say: Say) -> None:
        try:
            done.note = await ACTS[done.episode.kind](self.field, done.episode)
        except Skipped as why:
            done.skipped, done.note = True, str(why)
        except (*NOT_NOW, EventStoreError) as error:
            # Some faults need what another one has taken away at this moment.
            done.failed, done.note = True, f"{type(error).__name__}: {error}".splitlines()[0][:120]
        say(done)
        if not done.skipped:
            probe = asyncio.create_task(self._recovery(done), name=f"probe-{done.episode.number}")
            self._probes.add(probe)
            probe.add_done_callback(self._probes.discard)

    async def _recovery(self, done: Done) -> None:
        ended = time.monotonic()
        number = done.episode.number
        with suppress(TimeoutError):
            async with asyncio.timeout(RECOVERY_LIMIT_S):
                id_ = f"probe-{number}"
                body = {"amount": "0.01", "currency": "EUR", "reference": id_}
                path = f"/v1/accounts/{self.probe_account}/deposits"
                operation = Operation(id_, "deposit", self.probe_account, path, body, 1)
                await self.web.do(operation, RECOVERY_LIMIT_S)
                while True:
                    response = await self.web.get(
                        f"/v1/accounts/{self.probe_account}", min_position=operation.position
                    )
                    if response is not None and response.status_code == 200:
                        break
                    await asyncio.sleep(0.1)
                done.overlapped = self._last_begun != number
                if operation.outcome == "acknowledged":
                    done.recovered_s = time.monotonic() - ended

    async def settle(self) -> None:
        """Until every probe has its answer."""
        if self._probes:
            await asyncio.wait(self._probes)
