"""A Postgres that is not there: sessions that answer named statements from tables in memory, and fail by chance.

    lost before    the connection breaks, nothing happened        (psycopg.OperationalError)
    lost after     it committed, and the answer was lost          (psycopg.OperationalError)
    deadlock       rolled back through no fault of its own        (DeadlockDetected)
    outage         for seconds nothing can be reached

Who waits at a statement waits in simulated time. A process that was killed reaches nothing any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import psycopg

from tests.simulation.chance import Chance
from tests.simulation.loop import Killed, Process

Row = tuple[Any, ...]
Answer = Callable[[str, Any], list[Row]]
"""What a statement with its parameters does, all at once."""


@dataclass(frozen=True)
class Weather:
    """Probabilities per statement; seconds."""

    lost_before: float = 0.0
    lost_after: float = 0.0
    deadlock: float = 0.0
    slowest_s: float = 0.004


class Postgres:
    """One server. `outages` are (from, to) in seconds of the loop's time."""

    def __init__(
        self, chance: Chance, weather: Weather, answer: Answer, nap: Callable[[float], Awaitable[None]]
    ) -> None:
        self._nap = nap
        self.chance = chance
        self.weather = weather
        self.answer = answer
        self.outages: list[tuple[float, float]] = []

    async def ask(self, process: Process, sql: str, parameters: Any) -> list[Row]:
        """One statement of a process, with all that can become of it."""
        weather, who = self.weather, process.name
        await self.trip(process)
        if self.chance.strikes(f"lost-before@{who}", weather.lost_before):
            raise psycopg.OperationalError("simulated: the connection was lost before the statement")
        if self.chance.strikes(f"deadlock@{who}", weather.deadlock):
            raise psycopg.errors.DeadlockDetected("simulated: deadlock")
        rows = self.answer(sql, parameters)
        if self.chance.strikes(f"lost-after@{who}", weather.lost_after):
            raise psycopg.OperationalError("simulated: the connection was lost after the statement")
        await self.trip(process)
        return rows

    async def trip(self, process: Process) -> None:
        """The way there, or back. Raises where the server cannot be reached."""
        await self._nap(self.chance.between(f"trip@{process.name}", 0.0001, self.weather.slowest_s))
        if not process.alive:
            raise Killed(process.name)
        if self.outages:
            now = asyncio.get_running_loop().time()
            if any(since <= now < until for since, until in self.outages):
                raise psycopg.OperationalError("simulated: the server is away")


class Cursor:
    """A statement's rows, all there at once."""

    def __init__(self, ask: Callable[[str, Any], Awaitable[list[Row]]]) -> None:
        self._ask = ask
        self._rows: list[Row] = []

    async def execute(self, sql: str, parameters: Any = None) -> Cursor:
        self._rows = await self._ask(sql, parameters)
        return self

    async def fetchone(self) -> Row | None:
        return self._rows.pop(0) if self._rows else None

    async def fetchall(self) -> list[Row]:
        return self._rows


class Pool:
    """As much of psycopg_pool as the event store uses."""

    def __init__(self, postgres: Postgres, process: Process) -> None:
        self._postgres = postgres
        self._process = process

    def connection(self, timeout: float | None = None) -> Pool:
        return self

    async def __aenter__(self) -> Pool:
        return self

    async def __aexit__(self, *_error: object) -> None:
        """It is there for whoever comes next."""

    def cursor(self, binary: bool = False) -> Cursor:
        return Cursor(lambda sql, parameters: self._postgres.ask(self._process, sql, parameters))

    async def execute(self, sql: str, parameters: Mapping[str, Any] | None = None) -> Cursor:
        return await self.cursor().execute(sql, parameters)

    async def check(self) -> None:
        """Nothing is kept that could be dead."""
