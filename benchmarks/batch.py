"""Transfers a second in one batch, against a plain SQL ledger: `python -m benchmarks.batch [rounds]`.

Both on the same Postgres, in turns. The batch is sent, settled by the stack's worker with every invariant on, and
the round ends when all views have caught up; the plain ledger has no views, no history and no hashes. After every
round the books must add up, or no figure is printed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import stack
from benchmarks import plain_ledger
from benchmarks.loads import Load, hot_source, zipf
from cli.local import stack_config
from commands.accounts import AccountCommands
from commands.transfer_batches import BatchTerms, TransferBatchCommands
from domain.batch_items import BatchItem
from domain.money import Money
from eventstore.connect import open_pool
from projections.catalogue import VIEWS
from queries.operations import conservation
from queries.reader import Reader
from settings import Settings
from stack import StackInfo
from wiring import Books, connect_temporal, leave, open_books

TRANSFERS: Final = 10_000
GOAL: Final = 2.0
AT_ONCE: Final = 64
WAIT_S: Final = 120


class BatchSide:
    """The batch saga on a running stack."""

    def __init__(self, info: StackInfo, books: Books, commands: TransferBatchCommands, reader: Reader) -> None:
        self._info = info
        self._books = books
        self._commands = commands
        self._reader = reader

    async def prepare(self, load: Load) -> None:
        """The load's accounts, with money."""
        accounts, room = AccountCommands(self._books.ledger, "benchmark"), asyncio.Semaphore(AT_ONCE)

        async def one(account: str) -> None:
            async with room:
                await accounts.open(account, account, "EUR")
                await accounts.deposit(account, Money(load.opening, "EUR"), "opening")

        await asyncio.gather(*map(one, load.accounts))

    async def run(self, load: Load, batch_id: str) -> float:
        """Seconds from sending it until every view shows all of it."""
        items = [
            BatchItem(number, source, target, Money(minor, "EUR"))
            for number, (source, target, minor) in enumerate(load.transfers, 1)
        ]
        started = time.perf_counter()
        await self._commands.submit(BatchTerms(batch_id=batch_id), items, "benchmark")
        step = await self._commands.resting(batch_id)
        assert step.completed == len(items), f"only {step.completed} of {len(items)} are completed"
        head = await self._books.store.head()
        end = head.last_position + head.unsequenced_events
        await self._reader.must_reach(list(VIEWS), end, WAIT_S)
        took = time.perf_counter() - started
        await self._check()
        return took

    async def _check(self) -> None:
        for total in (await self._reader.ask(conservation())).value:
            assert total.holds, f"money was made or lost: {total}"


async def compare(side: BatchSide, admin_url: str, load: Load, rounds: int) -> dict[str, Any]:
    """Transfers a second of both, and their ratio: medians over the rounds, after one of each to warm up."""
    await side.prepare(load)
    plain_ledger.prepare(admin_url, load)
    figures: dict[str, list[float]] = {"plain": [], "batch": []}
    for number in range(-1, rounds):
        plain = await asyncio.to_thread(plain_ledger.run, admin_url, load, f"r{number}")
        plain_ledger.check(admin_url, load)
        batch = await side.run(load, f"{load.name.replace(' ', '-')}-{number + 1}")
        if number >= 0:
            figures["plain"].append(len(load.transfers) / plain)
            figures["batch"].append(len(load.transfers) / batch)
    medians = {name: statistics.median(found) for name, found in figures.items()}
    return {
        "load": load.name,
        "transfers": len(load.transfers),
        "plain_per_s": round(medians["plain"]),
        "batch_per_s": round(medians["batch"]),
        "ratio": round(medians["batch"] / medians["plain"], 2),
        "goal": GOAL,
    }


LOADS: Final[tuple[Callable[[int], Load], ...]] = (zipf, hot_source)


async def main(rounds: int) -> None:
    """A stack of its own for each load; one line each, as a table and as JSON."""
    for make in LOADS:
        with contextlib.ExitStack() as entered:
            data = Path(entered.enter_context(tempfile.TemporaryDirectory(prefix="tidemark-benchmark-")))
            info = entered.enter_context(stack.up(stack_config(data, stack.progress.no_progress))).info
            settings = Settings(database_url=info.database)
            async with (
                open_books(settings, "tidemark-benchmark") as books,
                await open_pool(info.read_database, application_name="tidemark-benchmark") as reads,
            ):
                commands = TransferBatchCommands(await connect_temporal(info.temporal), books, settings)
                side = BatchSide(info, books, commands, Reader(reads))
                found = await compare(side, info.admin_database, make(TRANSFERS), rounds)
        print(
            f"{found['load']:<12} plain {found['plain_per_s']:>6}/s   batch {found['batch_per_s']:>6}/s   "
            f"ratio {found['ratio']:.2f} (goal {GOAL:g})"
        )
        print(json.dumps(found))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5))
    leave(0)
