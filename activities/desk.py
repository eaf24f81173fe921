"""The desk of a book: commands on one book that arrive while an append is under way go together in the next one.

    order ──► waiting at the book's desk ──► one chain of appends, one transaction ──► each its own answer

A book is one stream, so its commands follow one another. Alone, each would wait for the disk; chained, as many as
are waiting share that wait. What is not plain (a refusal, a conflict with another process) is run by itself.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final

from activities.ledger import Ledger, LedgerCommand
from activities.trading_steps import OrderStep

MOST_AT_ONCE: Final = 64

Waiting = tuple[LedgerCommand[OrderStep], asyncio.Future[OrderStep]]


class Desks:
    """One per process; a desk exists while somebody waits at it."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting: dict[str, deque[Waiting]] = {}
        self._serving: set[asyncio.Task[None]] = set()

    async def run(self, symbol: str, command: LedgerCommand[OrderStep]) -> OrderStep:
        """As Ledger.run, in the order of arrival at the book of `symbol`."""
        done: asyncio.Future[OrderStep] = asyncio.get_running_loop().create_future()
        line = self._waiting.get(symbol)
        if line is None:
            self._waiting[symbol] = line = deque()
            task = asyncio.create_task(self._serve(symbol, line), name=f"desk {symbol}")
            self._serving.add(task)
            task.add_done_callback(self._serving.discard)
        line.append((command, done))
        return await done

    async def _serve(self, symbol: str, line: deque[Waiting]) -> None:
        try:
            while line:
                batch = [line.popleft() for _ in range(min(len(line), MOST_AT_ONCE))]
                await self._together([waiting for waiting in batch if not waiting[1].done()])
        finally:
            del self._waiting[symbol]

    async def _together(self, batch: list[Waiting]) -> None:
        try:
            steps = await self._ledger.run_chained([command for command, _ in batch])
        except Exception:
            steps = [None] * len(batch)  # whatever it was: each by itself says it to its own caller
        for (command, done), step in zip(batch, steps, strict=True):
            if done.done():
                continue
            if step is not None:
                done.set_result(step)
                continue
            try:
                answer = await self._ledger.run(command)
            except Exception as error:
                if not done.done():
                    done.set_exception(error)
            else:
                if not done.done():
                    done.set_result(answer)
