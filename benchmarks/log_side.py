"""The event log and its views, asked for work without Temporal: `python -m benchmarks.log_side ADMIN_URL`."""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import sql

from activities.codec import DomainCodec
from benchmarks.payments_log import PaymentsLog
from benchmarks.peers.serving import serve_async
from benchmarks.stand import as_app, as_projector, as_reader
from collecting import spare_what_stays
from domain.account_messages import Deposit, OpenAccount
from domain.leg import Leg
from domain.money import Money
from domain.streams import account_stream
from eventstore.connect import connect, open_pool
from eventstore.events import Appended, AppendRequest, StreamWrite
from eventstore.group_commit import GroupCommitter
from eventstore.hashing import GENESIS
from eventstore.sequencer import sequence_once
from eventstore.store import EventStore
from eventstore.tail import Tail
from logs import configure_logging
from projections.catalogue import VIEWS
from projections.connecting import connector
from projections.runner import Runner
from queries.catalogue import QUERIES
from queries.reader import Reader

PER_BATCH = 500
"""Requests of two events each: a batch of a thousand events."""
LOOK_EVERY_S = 0.02
# Of one user or account so much as there is in a small log as well: the log is to grow, and not the answer.
ASKED: dict[str, Callable[[int], tuple[Any, ...]]] = {
    "get_account": lambda n: (f"a{n * 7 % 1000}",),
    "list_accounts": lambda _: (),
    "account_entries": lambda n: (f"a{n * 7 % 1000}", 1),
    "get_payment": lambda n: (f"p{n * 11 % 900}",),
    "list_payments": lambda _: (),
    "list_user_payments": lambda n: (f"u{n * 7 % 1000}", 1),
    "user_payment_summary": lambda n: (f"u{n * 7 % 1000}",),
    "conservation": lambda _: (),
}
OURS = (
    "SELECT nspname FROM pg_namespace WHERE nspname = 'read' OR nspname LIKE 'projection%' OR nspname LIKE 'view%'"
)


def opening(run: str, number: int) -> AppendRequest:
    """An account opened and deposited into: two events on a stream of its own."""
    codec, name = DomainCodec(), f"{run}-{number}"
    stream, at = account_stream(name), datetime.now(UTC)
    leg = Leg({stream: codec.initial(stream)})
    leg.on_account(name, OpenAccount(at=at, account_id=name, user_id=f"user-{number}", currency="EUR"))
    leg.on_account(name, Deposit(at=at, amount=Money.parse("12.50", "EUR"), reference=f"opening {number}"))
    writes = (StreamWrite(stream, 0, GENESIS, tuple(map(codec.encode, leg.events[stream]))),)
    return AppendRequest(f"open-{name}", b"fingerprint", writes, {"actor": "benchmark"}, {}, at)


class LogSide:
    """Its methods are what it can be asked for. `admin`: the superuser's URL of a database with a log."""

    def __init__(self, admin: str, store: EventStore, reader: Reader) -> None:
        self._admin = admin
        self._store = store
        self._reader = reader
        self._payments = PaymentsLog(accounts=1_000)

    async def pairs(self, n: int, writers: int) -> dict[str, Any]:
        """`writers` at once, each appending two events after two events; decided and encoded by them too."""
        run, committer, numbers = uuid.uuid4().hex[:8], GroupCommitter(self._store), iter(range(n))

        async def writer() -> None:
            for number in numbers:
                assert isinstance(await committer.submit(opening(run, number)), Appended)

        started = time.perf_counter()
        await asyncio.gather(*(writer() for _ in range(writers)))
        seconds = time.perf_counter() - started
        await committer.close()
        return {"seconds": seconds, "done": n}

    async def batches(self, n: int) -> dict[str, Any]:
        """`n` batches of a thousand events; checking and hashing them is counted, deciding them is not."""
        run = uuid.uuid4().hex[:8]
        made = [[opening(f"{run}-{b}", number) for number in range(PER_BATCH)] for b in range(n)]
        started = time.perf_counter()
        for batch in made:
            assert all(isinstance(outcome, Appended) for outcome in await self._store.append(batch))
        return {"seconds": time.perf_counter() - started, "done": n * PER_BATCH * 2}

    async def fill(self, events: int) -> dict[str, Any]:
        """Payments, decided and appended a thousand events at a time."""
        started = time.perf_counter()
        for batch in self._payments.batches(events):
            outcomes = await self._store.append_prepared(batch)
            assert all(isinstance(outcome, Appended) for outcome in outcomes)
        return {"seconds": time.perf_counter() - started}

    async def number_all(self) -> dict[str, Any]:
        """What the sequencer does; the log's last position."""
        async with await connect(as_projector(self._admin), "tidemark-benchmark-sequencer") as connection:
            while await sequence_once(connection):
                pass
        return {"head": (await self._store.head()).last_position}

    async def vacuum(self) -> dict[str, Any]:
        """What autovacuum would do in the middle of what is measured, after so much has been written so fast."""
        with psycopg.connect(self._admin, autocommit=True) as connection:
            connection.execute("VACUUM (ANALYZE)")
        return {}

    async def forget_views(self) -> dict[str, Any]:
        """As if no projector had ever run."""
        with psycopg.connect(self._admin, autocommit=True) as connection:
            for (schema,) in connection.execute(OURS).fetchall():
                connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))
        return {}

    async def catch_up(self) -> dict[str, Any]:
        """The projector's engine over all views, from where they are to the end of the log."""
        stop, head = asyncio.Event(), (await self._store.head()).last_position
        url, names = as_projector(self._admin), list(VIEWS)
        async with Tail(url, "tidemark-benchmark-tail") as tail:
            runner = Runner(list(VIEWS.values()), connector(url), self._store, tail.wait)
            started = time.perf_counter()
            running = asyncio.create_task(runner.run(stop))
            while await self._reader.position(names) < head:
                await asyncio.sleep(LOOK_EVERY_S)
            seconds = time.perf_counter() - started
            stop.set()
            await running
        return {"seconds": seconds, "head": head}

    async def conserved(self) -> dict[str, Any]:
        """Of the view, which checks what it adds up: nothing lost, nothing invented."""
        found = (await self._reader.ask(QUERIES["conservation"]())).value
        return {"broken": [str(each) for each in found if float(each.difference) != 0], "seen": len(found)}

    async def questions(self, times: int) -> dict[str, Any]:
        """Each question the views answer `times` times, one after the other; median seconds of each."""
        took: dict[str, list[float]] = {name: [] for name in ASKED}
        for number in range(times):
            for name, arguments in ASKED.items():
                started = time.perf_counter()
                await self._reader.ask(QUERIES[name](*arguments(number)))
                took[name].append(time.perf_counter() - started)
        return {"medians": {name: sorted(found)[len(found) // 2] for name, found in took.items()}}


async def main(admin: str) -> None:
    """Serves until its standard input ends."""
    async with (
        await open_pool(as_app(admin), application_name="tidemark-benchmark-log") as pool,
        await open_pool(as_reader(admin), application_name="tidemark-benchmark-reads", max_size=1) as reads,
    ):
        log = LogSide(admin, EventStore(pool), Reader(reads))
        spare_what_stays()  # as the processes do that this stands for
        names = (
            "pairs",
            "batches",
            "fill",
            "number_all",
            "vacuum",
            "forget_views",
            "catch_up",
            "conserved",
            "questions",
        )
        await serve_async(**{name: getattr(log, name) for name in names})


if __name__ == "__main__":
    configure_logging("WARNING")
    asyncio.run(main(sys.argv[1]))
