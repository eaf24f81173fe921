"""Row 5: one batch of transfers as a saga, every item with its own outcome, against a plain SQL ledger."""

from __future__ import annotations

import asyncio

from benchmarks import plain_ledger
from benchmarks.batch import LOADS, BatchSide
from benchmarks.loads import Load
from benchmarks.measuring import Measure, Row, alternate
from benchmarks.stand import Stand
from commands.transfer_batches import TransferBatchCommands
from eventstore.connect import open_pool
from queries.reader import Reader
from settings import Settings
from wiring import connect_temporal

AGAINST = "plain SQL ledger, a transaction each, 8 connections"


async def batches(stand: Stand, rounds: int, size: int) -> list[Row]:
    """`size`: transfers of one batch. Both loads are among the same accounts."""
    rows: list[Row] = []
    settings = Settings(database_url=stand.info.database)
    client = await connect_temporal(stand.info.temporal)
    async with await open_pool(stand.info.read_database, application_name="tidemark-benchmark-reads") as reads:
        commands = TransferBatchCommands(client, stand.books, settings)
        ours = BatchSide(stand.info, stand.books, commands, Reader(reads))
        for suffix, make in zip("ab", LOADS, strict=True):
            load, url = make(size), stand.database(f"peer_ledger_{suffix}")
            if not rows:
                await ours.prepare(load)
            await asyncio.to_thread(plain_ledger.prepare, url, load)
            sides = {"batch": _of_ours(ours, load), "plain ledger": _of_plain(url, load)}
            for measure in sides.values():
                await measure()
            found = await alternate(rounds, sides, stand.conserved)
            row = Row(f"5{suffix}", f"a batch of {size:,} transfers, {load.name}", AGAINST, "per second", 2.0)
            rows.append(row.fill(found["batch"], found["plain ledger"]))
    return rows


def _of_ours(ours: BatchSide, load: Load) -> Measure:
    numbers = iter(range(10**6))

    async def measure() -> float:
        return len(load.transfers) / await ours.run(load, f"{load.name.replace(' ', '-')}-{next(numbers)}")

    return measure


def _of_plain(url: str, load: Load) -> Measure:
    numbers = iter(range(10**6))

    async def measure() -> float:
        seconds = await asyncio.to_thread(plain_ledger.run, url, load, f"r{next(numbers)}")
        await asyncio.to_thread(plain_ledger.check, url, load)
        return len(load.transfers) / seconds

    return measure
