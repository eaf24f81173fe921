"""The projections' database in memory: sessions with locks and transactions, builds with checkpoints, tables.

Behind the statements of projections/sql.py, so that the real Runner, its compare-and-set and its views run on it.
A transaction's changes happen at its commit, all at once. A crash of the server takes back the last commits, of
view and checkpoint alike, as `synchronous_commit = off` allows.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import orjson
import psycopg

from eventstore import queries
from projections import sql
from projections.catalogue import VIEWS
from projections.errors import CHECKPOINT_MOVED
from projections.model import Statement
from tests.simulation.log_tables import LogTables
from tests.simulation.loop import Process
from tests.simulation.postgres import Cursor, Postgres
from tests.simulation.view_tables import ViewTables

Row = tuple[Any, ...]


class _Moved(psycopg.Error):
    """What projection.advance raises."""

    sqlstate = CHECKPOINT_MOVED


@dataclass
class Build:
    """A row of projection.builds and its schema. `commits`: (from, to, statements), for a crash to take back."""

    view: str
    version: int
    status: str
    position: int = 0
    epoch: int = 0
    tables: ViewTables = field(default_factory=ViewTables)
    commits: list[tuple[int, int, list[Statement]]] = field(default_factory=list)


class Session:
    """As much of psycopg.AsyncConnection as the projector and the sequencer use."""

    def __init__(self, database: ViewDatabase, process: Process) -> None:
        self._database = database
        self.process = process
        self.lease_s: float | None = None
        self.used_at = 0.0
        self.ended = False
        self._planned: list[tuple[str, Any]] | None = None
        self._schema = 0

    @property
    def closed(self) -> bool:
        return self.ended

    async def execute(self, statement: Any, parameters: Any = None, prepare: bool | None = None) -> Cursor:
        text = statement if isinstance(statement, str) else ""
        if self._planned is not None and text not in self._database.asked_at_once:
            self._planned.append((text, parameters))
            return Cursor(self._nothing)
        return await Cursor(self._ask).execute(text, parameters)

    async def _ask(self, text: str, parameters: Any) -> list[Row]:
        """What is not simulated (settings, leftovers of rebuilds) answers nothing and takes no time."""
        self.must_live()
        if text in self._database.asked_at_once:
            await self._database.postgres.trip(self.process)
            self.must_live()
        rows = self._database.answer(self, text, parameters)
        self.used_at = asyncio.get_running_loop().time()
        return rows

    async def _nothing(self, _text: str, _parameters: Any) -> list[Row]:
        return []

    def must_live(self) -> None:
        if self.ended:
            raise psycopg.OperationalError("simulated: the server has ended this session")

    def pipeline(self) -> AbstractAsyncContextManager[None]:
        return nullcontext()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """All of it at the end, or nothing."""
        self._planned = []
        try:
            yield
            planned, self._planned = self._planned, None
            await self._database.commit(self, planned)
        finally:
            self._planned = None

    async def notifies(self, *, timeout: float, stop_after: int) -> AsyncIterator[object]:  # noqa: ASYNC109
        """Wakes for an append; polls seldom, since no notification is lost here."""
        await self._database.appended.wait(max(timeout, 3.0))
        self.must_live()
        if stop_after < 0:
            yield None

    async def close(self) -> None:
        self._database.end(self)


class Bell:
    """Wakes everybody who waits."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []

    async def wait(self, timeout_s: float) -> None:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._waiting.append(future)
        timer = loop.call_later(timeout_s, _wake, future)
        try:
            await future
        finally:
            timer.cancel()

    def ring(self) -> None:
        waiting, self._waiting = self._waiting, []
        for future in waiting:
            _wake(future)


def _wake(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


_VIEWS = {table: view.name for view in VIEWS.values() for table in re.findall(r"CREATE TABLE (\w+)", view.tables)}


@cache
def _view_of(statement: str) -> str:
    """By the table that it writes to, as the search path finds it."""
    writes = re.search(r"(?:INSERT INTO|UPDATE|DELETE FROM) (\w+)", statement)
    assert writes is not None, statement
    return _VIEWS[writes[1]]


class ViewDatabase:
    """One for all projectors."""

    def __init__(self, postgres: Postgres, log: LogTables) -> None:
        self.postgres = postgres
        self._log = log
        self.builds: dict[int, Build] = {}
        self.sessions: list[Session] = []
        self._locks: dict[str, Session] = {}
        self.appended, self.numbered = Bell(), Bell()
        self._answers: dict[str, Callable[[Session, Any], list[Row]]] = {
            sql.IS_INSTALLED: lambda _s, _p: [(False,)],
            sql.TRY_LOCK: lambda session, given: [(self._try_lock(session, given[0]),)],
            queries.TRY_LEAD: lambda session, _p: [(self._try_lock(session, "sequencer"),)],
            queries.SEQUENCE: self._sequence,
            sql.LIVE_BUILD: self._live_build,
            sql.NEW_BUILD: self._new_build,
            queries.HOLD_LEAD: self._hold,
            "SELECT to_regnamespace('read') IS NOT NULL": lambda _s, _p: [(True,)],
        }
        self.asked_at_once = frozenset(self._answers)

    @asynccontextmanager
    async def connect(self, process: Process) -> AsyncIterator[Session]:
        await self.postgres.trip(process)
        session = self.open(process)
        try:
            yield session
        finally:
            self.end(session)

    def open(self, process: Process) -> Session:
        session = Session(self, process)
        self.sessions.append(session)
        return session

    def end(self, session: Session) -> None:
        """Its locks go with it."""
        session.ended = True
        if session in self.sessions:
            self.sessions.remove(session)
        self._locks = {name: holder for name, holder in self._locks.items() if holder is not session}

    def answer(self, session: Session, text: str, parameters: Any) -> list[Row]:
        found = self._answers.get(text)
        return [] if found is None else found(session, parameters)

    # --- locks ------------------------------------------------------------

    def _try_lock(self, session: Session, name: str) -> bool:
        holder = self._locks.get(name)
        if holder is not None and (not holder.process.alive or self._silent(holder)):
            self.end(holder)
            holder = None
        if holder is None:
            self._locks[name] = holder = session
        return holder is session

    @staticmethod
    def _silent(session: Session) -> bool:
        """What idle_session_timeout looks for."""
        now = asyncio.get_running_loop().time()
        return session.lease_s is not None and now - session.used_at > session.lease_s

    @staticmethod
    def _hold(session: Session, _parameters: Any) -> list[Row]:
        session.lease_s = float(queries.LEASE_S)
        return []

    # --- the log's numbers ------------------------------------------------------------

    def _sequence(self, session: Session, parameters: Any) -> list[Row]:
        most = self.postgres.chance.number("sequenced", 1, min(parameters["limit"], 6))
        appends = self._log.sequence(most)
        if appends:
            self.numbered.ring()
        # More is left than it took: it comes again at once.
        return [(appends if not self._log.unsequenced else parameters["limit"], 0, 0)]

    # --- builds ------------------------------------------------------------

    def live(self, view: str) -> Build:
        return next(build for build in self.builds.values() if (build.view, build.status) == (view, "live"))

    def _live_build(self, _session: Session, parameters: Any) -> list[Row]:
        return [
            (number, build.version, build.position, build.epoch)
            for number, build in self.builds.items()
            if (build.view, build.status) == (parameters[0], "live")
        ]

    def _new_build(self, _session: Session, parameters: Any) -> list[Row]:
        number = len(self.builds) + 1
        self.builds[number] = Build(*parameters)
        return [(number,)]

    async def commit(self, session: Session, planned: list[tuple[str, Any]]) -> None:
        """A transaction's end, with what can become of it."""
        chance, who = self.postgres.chance, session.process.name
        session.must_live()
        await self.postgres.trip(session.process)
        session.must_live()
        if chance.strikes(f"lost-before@{who}", self.postgres.weather.lost_before):
            self.end(session)
            raise psycopg.OperationalError("simulated: the connection was lost before the commit")
        self._apply(planned)
        session.used_at = asyncio.get_running_loop().time()
        if chance.strikes(f"lost-after@{who}", self.postgres.weather.lost_after):
            self.end(session)
            raise psycopg.OperationalError("simulated: the connection was lost after the commit")

    def _apply(self, planned: list[tuple[str, Any]]) -> None:
        builds: dict[str, Build] = {}
        for text, parameters in planned:
            if text == sql.ADVANCE:
                *steps, path = parameters
                self._advance(*steps)
                found = [self.builds[int(schema.rpartition("_")[2])] for schema in path.split(",")]
                builds = {build.view: build for build in found}
            elif builds:
                assert text in ViewTables.KNOWN, f"a statement that view_tables.py does not know: {text}"
                build, statement = builds[_view_of(text)], Statement(text, orjson.loads(parameters[0]))
                build.tables.run(statement)
                build.commits[-1][2].append(statement)

    def _advance(self, numbers: list[int], since: list[int], epochs: list[int], upto: list[int]) -> None:
        steps = list(zip(numbers, since, epochs, upto, strict=True))
        for number, at, epoch, _ in steps:
            if (self.builds[number].position, self.builds[number].epoch) != (at, epoch):
                raise _Moved
        for number, at, _, to in steps:
            self.builds[number].position = to
            self.builds[number].commits.append((at, to, []))

    def crash(self) -> None:
        """Every session ends, and the last commits of the views were not on disk yet."""
        for session in list(self.sessions):
            self.end(session)
        for number, build in self.builds.items():
            lost = self.postgres.chance.number(f"lost-commits@{number}", 0, 3)
            build.commits = build.commits[: max(len(build.commits) - lost, 0)]
            build.tables, build.position = ViewTables(), 0
            for _, upto, statements in build.commits:
                for statement in statements:
                    build.tables.run(statement)
                build.position = upto
