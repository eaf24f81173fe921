"""Waits for the log to grow: woken by the sequencer's NOTIFY, and by a poll in case one was missed."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Self

import psycopg

from eventstore import queries
from eventstore.attempts import backoff_s
from eventstore.connect import RECONNECT_EVERY_S, Connection, connect

POLL_S = 1.0

_log = logging.getLogger(__name__)


class Tail:
    """`async with Tail(url) as tail: await tail.wait(position, timeout_s)`. One connection, many waiters."""

    def __init__(self, url: str, application_name: str = "tidemark-tail") -> None:
        self._url = url
        self._application_name = application_name
        self._head = 0
        self._moved = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._follow(), name="tail")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    @property
    def head(self) -> int:
        """The end of the numbered log, as far as it was heard of."""
        return self._head

    async def wait(self, after_position: int, timeout_s: float = POLL_S) -> None:
        """Return as soon as the head is past `after_position`, or may be; at the latest after `timeout_s` or a
        second. What is there then, `EventStore.read` tells.
        """
        if self._head > after_position:
            return
        # The event is replaced at each move, so that every waiter of the old one wakes and none of the new one.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._moved.wait(), min(timeout_s, POLL_S))

    def hear(self, head: int) -> None:
        """The numbered log goes as far as `head`, if not further: whoever waits for that goes on."""
        self._moved_to(max(head, self._head))

    async def _follow(self) -> None:
        attempt = 0
        while True:
            try:
                connection = await connect(self._url, self._application_name)
                try:
                    await connection.execute(queries.LISTEN)
                    row = await (await connection.execute(queries.LAST_POSITION)).fetchone()
                    self._moved_to(int(row[0]) if row else 0)
                    attempt = 0
                    await self._listen(connection)
                finally:
                    await connection.close()
            except (psycopg.Error, OSError) as error:
                attempt += 1
                _log.warning("tail: not listening, polling meanwhile: %s", str(error).strip())
                await asyncio.sleep(backoff_s(attempt, first_s=0.05, most_s=RECONNECT_EVERY_S))

    async def _listen(self, connection: Connection) -> None:
        async for notification in connection.notifies():
            self.hear(int(notification.payload))
        raise psycopg.OperationalError("the connection ended")

    def _moved_to(self, head: int) -> None:
        self._head = head
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()
