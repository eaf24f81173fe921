"""All of Tidemark in one process and one thread: workers, projectors, a Temporal server, a database, another bank.

Everything between the workflow's first line and the view's last row is the real code. What is simulated is what it
stands on: the event loop, Temporal's server (temporal.py), the statements of Postgres, the rail's HTTP.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from types import SimpleNamespace
from typing import Any, cast
from unittest.mock import patch

import httpx
import structlog

from activities.codec import DomainCodec
from activities.fraud import FraudActivities
from activities.ledger import Ledger
from activities.payments import PaymentActivities
from activities.rail import RailActivities
from activities.transfers import TransferActivities
from domain.leg import State
from domain.screening import ScreeningLimits
from eventstore.group_commit import GroupCommitter
from eventstore.handle import Aggregates
from eventstore.sequencer import Sequencer
from eventstore.store import EventStore
from projections.runner import Runner, RunnerSettings
from settings import Settings
from tests.simulation.chance import Chance
from tests.simulation.invariants import Auditor
from tests.simulation.log_tables import LogTables, Row
from tests.simulation.loop import PROCESS, Process, SimLoop
from tests.simulation.postgres import Pool, Postgres, Weather
from tests.simulation.rail import Rail
from tests.simulation.temporal import Temporal
from tests.simulation.view_sessions import Session, ViewDatabase
from tests.simulation.view_tables import SIMULATED
from tests.simulation.worker import EPOCH, Mishaps, Worker

SETTINGS = Settings(
    screening=ScreeningLimits(review_above=Decimal("0.60")),
    rails={"bank": "http://bank"},
    reservation_expires_in_s=30,
    payment_expires_in_s=20,
)
STORMY = Weather(lost_before=0.01, lost_after=0.02, deadlock=0.01, slowest_s=0.01)
MISHAPS = Mishaps(twice=0.08, forgotten=0.04)

_KINDS = (PaymentActivities, TransferActivities, FraudActivities)
_ACTIVITIES = {
    kind: [name for name in dir(kind) if hasattr(getattr(kind, name), "__temporal_activity_definition")]
    for kind in (*_KINDS, RailActivities)
}
"""The names of their methods that are activities."""


@dataclass(frozen=True)
class Books:
    """One process's way to the log."""

    store: EventStore
    ledger: Ledger


class World:
    """Use inside `clocks(loop)`. `trace` is what happened, one line each, the same for the same seed."""

    def __init__(self, loop: SimLoop, chance: Chance) -> None:
        self.loop = loop
        self.chance = chance
        self.trace: list[str] = []
        self.auditor = Auditor()
        self.log = LogTables(self._appended)
        self.postgres = Postgres(chance, STORMY, lambda sql, given: self.log.statements[sql](given), loop.nap)
        self.views = ViewDatabase(self.postgres, self.log)
        self.temporal = Temporal(loop, chance, self.tell)
        self.rail = Rail(loop, chance)
        self._rail_activities = RailActivities(httpx.AsyncClient(transport=self.rail, trust_env=False), SETTINGS)
        self.projectors: list[Process] = []
        self._started = 0
        self.orders: dict[str, Any] = {}
        self.undone: list[str] = []
        """Transfers whose reservation a client was told is undone."""
        self.acknowledged: list[str] = []
        """Command ids whose outcome a client was told."""

    def tell(self, line: str) -> None:
        self.trace.append(f"{self.loop.time():9.3f}  {line}")

    def _appended(self, rows: list[Row]) -> None:
        told = ", ".join(f"{row[3]}@{row[4]} {row[5]}" for row in rows)
        process = PROCESS.get()
        self.tell(f"{process or 'somebody'}: {rows[0][8]['command_id']} → {told}")
        self.auditor.take(rows)
        self.views.appended.ring()

    # --- processes ------------------------------------------------------------

    def books(self, process: Process) -> Books:
        store = EventStore(cast("Any", Pool(self.postgres, process)))
        aggregates: Aggregates[State] = Aggregates(
            store, GroupCommitter(store), DomainCodec(), snapshot_every=5, cache_size=50
        )
        return Books(store, Ledger(aggregates, store))

    def start_worker(self) -> Worker:
        self._started += 1
        process = Process(f"worker-{self._started}")
        ledger = self.books(process).ledger
        owners = [self._rail_activities, *(kind(ledger, SETTINGS) for kind in _KINDS)]
        acts = [getattr(owner, name) for owner in owners for name in _ACTIVITIES[type(owner)]]
        worker = Worker(self.loop, self.chance, process, self.temporal, acts, MISHAPS, self.tell)
        self.temporal.workers.append(worker)
        self.tell(f"{process} started")
        return worker

    def start_projector(self) -> Process:
        self._started += 1
        process = Process(f"projector-{self._started}")
        store = EventStore(cast("Any", Pool(self.postgres, process)))
        settings = RunnerSettings(batch=self.chance.number("batch", 1, 12), standby_poll_s=3.0, idle_poll_s=3.0)

        def connect() -> AbstractAsyncContextManager[Any]:
            return self.views.connect(process)

        runner = Runner(list(SIMULATED.values()), connect, store, self._news, settings)
        self.loop.spawn(process, runner.run(asyncio.Event()), "projections")
        self.loop.spawn(process, Sequencer("").run(asyncio.Event()), "sequencer")
        self.projectors.append(process)
        self.tell(f"{process} started")
        return process

    async def _news(self, position: int, timeout_s: float) -> None:
        if len(self.log.numbered) <= position:
            await self.views.numbered.wait(timeout_s)

    def kill(self, process: Process) -> None:
        """And whatever waited for its connections goes on."""
        self.tell(f"{process} killed")
        self.loop.kill(process)
        for session in list(self.views.sessions):
            if session.process is process:
                self.views.end(session)

    # --- orders ------------------------------------------------------------

    def order(self, workflow_type: str, workflow_id: str, *args: Any) -> None:
        """Start a workflow, as a client would: again with the first order, where it was ordered before."""
        self.tell(f"client: {workflow_type} {workflow_id}")
        self.orders.setdefault(workflow_id, (workflow_type, args))
        self.temporal.start(workflow_type, workflow_id, *args)

    def repair(self, workflow_id: str) -> None:
        """What `starter.py repair` does."""
        self.tell(f"repair: {workflow_id}")
        self.temporal.restart(workflow_id)

    # --- the weather ------------------------------------------------------------

    def calm(self) -> None:
        """Nothing goes wrong any more."""
        self.tell("the faults are over")
        self.postgres.weather = Weather()
        self.postgres.outages.clear()
        self.rail.calm = True
        for worker in self.temporal.workers:
            worker.mishaps = Mishaps()
            self.loop.resume(worker.process)
        for process in self.projectors:
            self.loop.resume(process)


@contextmanager
def clocks(loop: SimLoop, seed: int, world: World) -> Iterator[None]:
    """The few places where the real code looks at a clock, at chance or opens a connection of its own.

    And where the SDK makes text of a failure's traceback, for which it parses the source again: nobody reads it.
    """

    class Now(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            assert tz is UTC
            return EPOCH + timedelta(seconds=loop.time())

    async def connect(_url: str, _name: str) -> Session:
        process = PROCESS.get()
        assert process is not None
        await world.postgres.trip(process)
        return world.views.open(process)

    silent = structlog.make_filtering_bound_logger(logging.CRITICAL)
    before, level = random.getstate(), logging.root.manager.disable
    random.seed(seed)
    logging.disable(logging.CRITICAL)
    with (
        patch("activities.ledger.datetime", Now),
        patch("projections.runner.time", SimpleNamespace(monotonic=loop.time)),
        patch("projections.runner.logger", structlog.wrap_logger(None, processors=[], wrapper_class=silent)),
        patch("eventstore.sequencer.connect", connect),
        patch("eventstore.sequencer.STANDBY_POLL_S", 3.0),
        patch("temporalio.converter._failure_converter.traceback", SimpleNamespace(format_tb=lambda _tb: [])),
    ):
        try:
            yield
        finally:
            logging.disable(level)
            random.setstate(before)
