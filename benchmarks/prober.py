"""How late the views are, as seen by who has just been told that a write is done: `python -m benchmarks.prober`.

A small deposit, then a look every millisecond until the accounts view shows it; in between one durable commit of
one row, on the same server under the same load.
"""

from __future__ import annotations

import asyncio
import time
from decimal import Decimal
from typing import Any

import psycopg

from benchmarks.peers.serving import serve_async
from commands.accounts import AccountCommands
from domain.money import Money
from settings import Settings
from wiring import leave, open_books

ACCOUNT = "probe"
CENT = Money.parse("0.01", "EUR")
LOOK_EVERY_S, PAUSE_S = 0.001, 0.02
BALANCE = "SELECT balance FROM read.accounts WHERE account_id = %s"
COMMIT = "INSERT INTO commits (number) VALUES (%s)"


async def main(settings: Settings, elsewhere: str) -> None:
    """`elsewhere`: a database of nobody else's, for the single commits."""
    async with (
        open_books(settings, "tidemark-benchmark-prober") as books,
        await psycopg.AsyncConnection.connect(settings.read_database_url, autocommit=True) as reading,
        await psycopg.AsyncConnection.connect(elsewhere, autocommit=True) as single,
    ):
        accounts, deposits = AccountCommands(books.ledger, "benchmark"), 0
        await accounts.open(ACCOUNT, "prober", "EUR")
        await single.execute("CREATE TABLE commits (number bigint PRIMARY KEY)")
        await single.execute("SET synchronous_commit = on")

        async def probe(n: int) -> dict[str, Any]:
            """`n` of each, as milliseconds."""
            nonlocal deposits
            lags, commits = [], []
            for _ in range(n):
                deposits += 1
                await accounts.deposit(ACCOUNT, CENT, f"probe-{deposits}")
                done = time.perf_counter()
                while await balance() < deposits:
                    await asyncio.sleep(LOOK_EVERY_S)
                lags.append((time.perf_counter() - done) * 1000)
                started = time.perf_counter()
                await single.execute(COMMIT, (deposits,), prepare=True)
                commits.append((time.perf_counter() - started) * 1000)
                await asyncio.sleep(PAUSE_S)
            return {"lags": lags, "commits": commits}

        async def balance() -> Decimal:
            row = await (await reading.execute(BALANCE, (ACCOUNT,), prepare=True)).fetchone()
            return Decimal(0) if row is None else Decimal(row[0])

        await serve_async(probe=probe)


if __name__ == "__main__":
    import sys

    asyncio.run(main(Settings(), sys.argv[1]))
    leave(0)
