"""The log, read one batch ahead: Postgres reads the next one while this one is folded."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from projections.model import Log, Record, position_of

SEND_S = 0.001
"""For the next batch's query to be sent; the loop is busy folding then. A batch takes fifty times as long."""


class ReadAhead:
    """`after` gives the log batch by batch; `close` it."""

    def __init__(self, log: Log, batch: int) -> None:
        self._log = log
        self._batch = batch
        self._next: tuple[int, asyncio.Task[Sequence[Record]]] | None = None

    async def after(self, position: int) -> Sequence[Record]:
        """The events that follow `position`, a batch of them at most and what else belongs to the last append."""
        if self._next is not None and self._next[0] == position:
            _, task = self._next
            self._next = None
        else:
            await self.close()
            task = self._read(position)
        records = await task
        if len(records) >= self._batch:
            last = position_of(records[-1])
            self._next = last, self._read(last)
            await asyncio.sleep(SEND_S)
        return records

    async def close(self) -> None:
        """Lets go of what was read ahead."""
        if self._next is not None:
            _, task = self._next
            self._next = None
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.exception()  # nobody needs to hear of it: whoever reads there again finds out

    def _read(self, position: int) -> asyncio.Task[Sequence[Record]]:
        return asyncio.ensure_future(self._log.follow(position, self._batch))
