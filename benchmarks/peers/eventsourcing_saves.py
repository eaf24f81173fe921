"""`eventsourcing`, 8 threads saving aggregates of 2 events: `python -m benchmarks.peers.eventsourcing_saves URL`.

Its Postgres module and its JSON transcoding as they come, its pool as large as there are threads.
"""

from __future__ import annotations

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import unquote, urlsplit

from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, event

from benchmarks.peers.serving import serve

THREADS = 8


class Account(Aggregate):
    """Opened, and then deposited into: the two events of a save."""

    @event("Opened")
    def __init__(self, user: str, currency: str) -> None:
        self.user, self.currency, self.balance = user, currency, 0

    @event("Deposited")
    def deposit(self, amount: int, reference: str) -> None:
        self.balance += amount


class Accounts(Application):
    """As its tutorial has it."""

    def open(self, number: int) -> None:
        account = Account(f"user-{number}", "EUR")
        account.deposit(1250, f"opening {number}")
        self.save(account)


def main(url: str) -> None:
    """Serves until its standard input ends."""
    at = urlsplit(url)
    application = Accounts(
        env={
            "PERSISTENCE_MODULE": "eventsourcing.postgres",
            "POSTGRES_DBNAME": at.path[1:],
            "POSTGRES_HOST": at.hostname or "",
            "POSTGRES_PORT": str(at.port),
            "POSTGRES_USER": unquote(at.username or ""),
            "POSTGRES_PASSWORD": unquote(at.password or ""),
            "POSTGRES_POOL_SIZE": str(THREADS),
            "POSTGRES_SCHEMA": "public",
        }
    )
    with ThreadPoolExecutor(THREADS) as threads:

        def saves(n: int) -> dict[str, Any]:
            started = time.perf_counter()
            list(threads.map(application.open, range(n)))
            return {"seconds": time.perf_counter() - started, "done": n}

        serve(saves=saves)


if __name__ == "__main__":
    main(sys.argv[1])
