"""Asks one question in one snapshot, and says at which position of the view it was answered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, LiteralString, TypeVar

import psycopg
from psycopg import AsyncConnection
from psycopg import sql as compose
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from eventstore.attempts import retried
from eventstore.errors import ConcurrencyError, StoreUnavailable
from queries.errors import NotCaughtUp, ReadUnavailable

Answer = TypeVar("Answer")
Found = TypeVar("Found")
Row = dict[str, Any]
Fetch = Callable[..., Awaitable[list[Row]]]
"""`await fetch(sql, parameters)`: rows as dicts, all in the question's snapshot."""

# In the question's own snapshot: how far the views it rests on have come, and how far the log has.
POSITION: LiteralString = """
SELECT COALESCE(min(position), 0) AS position, COALESCE(max(lag_events), 0) AS lag_events,
       count(*) AS views
  FROM read.lag WHERE status = 'live' AND view = ANY (%s)
"""

CHECKPOINTS: LiteralString = "SELECT view, position FROM read.checkpoints WHERE view = ANY (%s)"

_POLL_S = 0.01
_LONGEST_WAIT_S = 60.0
_SWAPPED = (psycopg.errors.UndefinedTable, psycopg.errors.FeatureNotSupported)


@dataclass(frozen=True)
class Question(Generic[Answer]):
    """What is asked: the tables it looks into (`read.<table>`), the views these belong to, and how."""

    name: str
    views: tuple[str, ...]
    ask: Callable[[Fetch], Awaitable[Answer]]


@dataclass(frozen=True)
class Answered(Generic[Answer]):
    """`position`: of the view that has come least far. `lag_events`: what it had not taken in at that moment."""

    value: Answer
    position: int
    lag_events: int


class Reader:
    """Over a pool of the reader's role."""

    def __init__(self, pool: AsyncConnectionPool[AsyncConnection[Any]]) -> None:
        self._pool = pool

    async def ask(self, question: Question[Answer]) -> Answered[Answer]:
        """Raises what the question raises, or ReadUnavailable."""
        for last in (False, True):
            try:
                return await self._read(lambda: self._ask(question))
            except _SWAPPED as error:
                # A view of another shape went live between two statements: once more, on the new one.
                if last:
                    raise ReadUnavailable(f"the views are not there: {str(error).splitlines()[0]}") from error
        raise AssertionError("unreachable")

    async def _ask(self, question: Question[Answer]) -> Answered[Answer]:
        async with self._pool.connection() as connection, connection.transaction():
            cursor = connection.cursor(row_factory=dict_row)

            async def fetch(query: LiteralString, parameters: Sequence[Any] | Row = ()) -> list[DictRow]:
                return await (await cursor.execute(query, parameters)).fetchall()

            async with connection.pipeline():
                await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                # Before the snapshot is taken: a rebuilt view cannot go live between the position and the rows.
                for view in question.views:
                    await connection.execute(
                        compose.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(compose.Identifier("read", view))
                    )
                [at] = await fetch(POSITION, (list(question.views),))
            return Answered(await question.ask(fetch), at["position"], at["lag_events"])

    async def position(self, views: Sequence[str]) -> int:
        """Of the view that has come least far; 0 where one of them is not there. Raises ReadUnavailable."""
        at = await self.positions(views)
        return min(at.values(), default=0) if at.keys() == set(views) else 0

    async def positions(self, views: Sequence[str]) -> dict[str, int]:
        """Of each of the views that is there. Raises ReadUnavailable."""

        async def fetch() -> list[tuple[Any, ...]]:
            async with self._pool.connection() as connection:
                return await (await connection.execute(CHECKPOINTS, (list(views),))).fetchall()

        try:
            rows = await self._read(fetch)
        except psycopg.errors.UndefinedTable:
            return {}
        return {row[0]: int(row[1]) for row in rows}

    async def _read(self, work: Callable[[], Awaitable[Found]]) -> Found:
        """Once more where the connection turns out to be dead: reading twice is harmless."""
        try:
            return await retried(self._pool, work)
        except (StoreUnavailable, ConcurrencyError, OSError) as error:
            raise ReadUnavailable(f"Postgres did not answer: {str(error)[:200]}") from error

    async def wait_for_position(self, views: Sequence[str], position: int, timeout_s: float) -> bool:
        """Whether every view has taken in `position` within the time (a minute at most). Looks every 10 ms."""
        deadline = time.monotonic() + min(timeout_s, _LONGEST_WAIT_S)
        while await self.position(views) < position:
            if time.monotonic() >= deadline:
                return False
            await asyncio.sleep(_POLL_S)
        return True

    async def must_reach(self, views: Sequence[str], position: int, timeout_s: float) -> None:
        """As `wait_for_position`, raising NotCaughtUp."""
        if not await self.wait_for_position(views, position, timeout_s):
            raise NotCaughtUp(f"the view has not reached position {position} within {timeout_s:g} s")
