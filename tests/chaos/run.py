"""One run from beginning to end: load, faults, checker; then everything is let settle and counted."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field

import httpx
import psycopg

from activities.batch_items import BatchItemTable
from commands.batch import in_parallel
from eventstore.lookups import Lookups
from operations.verify import Verifier
from projections.catalogue import VIEWS
from settings import Settings
from tests.chaos.checker.books import READ, Books
from tests.chaos.checker.final import FinalChecker, read_log, still_open
from tests.chaos.checker.findings import Findings
from tests.chaos.checker.live import LiveChecker
from tests.chaos.checker.sessions import Session
from tests.chaos.clients import Client
from tests.chaos.cluster import Cluster
from tests.chaos.faults import NOT_NOW, Field, rebuild
from tests.chaos.history import History
from tests.chaos.http import Web
from tests.chaos.nemesis import Done, Nemesis
from tests.chaos.schedule import Episode
from tests.chaos.traders import Trader
from tests.chaos.world import create
from wiring import connect_temporal, open_books

PROBE_TIMEOUT_S = 3.0
ONE_IN = 3
"""Of so many customers one trades and has standing orders; the others pay and transfer."""
SETTLE_S = 180.0
"""After the faults: within this all that was begun has ended, or shows that it is stuck."""


@dataclass
class Run:
    """What a run has come to; read while it goes on by whoever shows progress."""

    seed: int
    episodes: list[Episode]
    findings: Findings = field(default_factory=Findings)
    history: History | None = None
    live: LiveChecker | None = None
    sessions: list[Session] = field(default_factory=list)
    done: list[Done] = field(default_factory=list)
    phase: str = "starting"
    settled_s: float = 0.0
    events: int = 0
    trades: int = 0
    """Settled ones."""
    runs: int = 0
    """Of standing orders, made."""
    exchanges: int = 0
    """Transfers and payments across currencies, that arrived."""
    halts: int = 0
    stuck_shown: int = 0
    checks: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return self.phase == "done" and not len(self.findings)


async def run(cluster: Cluster, this: Run, duration_s: float, clients: int, say: Callable[[str], None]) -> None:
    """Fills `this`. Raises what breaks the harness itself, never what breaks a promise."""
    info = cluster.info
    history = this.history = History(info.api_key)
    poisoned: set[str] = set()
    live = this.live = LiveChecker(info.read_database, this.findings, poisoned)
    settings = Settings(database_url=info.database)
    async with (
        open_books(settings, "chaos", timeout_s=5) as stores,
        _web(cluster, history, None) as web,
        _web(cluster, history, PROBE_TIMEOUT_S) as impatient,
    ):
        temporal = await connect_temporal(info.temporal)
        world = await create(stores)
        field_ = Field(cluster, stores, temporal, history, live, this.findings, poisoned)
        nemesis = Nemesis(field_, impatient, world.probe, this.done)
        watched = (*world.hot["EUR"], *(trader.shares for trader in world.traders))
        this.sessions = [
            Session(f"session-{number}", web, watched, this.findings, this.seed) for number in range(2)
        ]
        load, reading = asyncio.Event(), asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            for number in range(clients):
                kind = Trader if number % ONE_IN == ONE_IN - 1 else Client
                tasks.create_task(kind(number, this.seed, world, web, temporal).run(load))
            readers = [tasks.create_task(live.run(reading))]
            readers += [tasks.create_task(session.run(reading)) for session in this.sessions]
            this.phase = "running"
            started = time.monotonic()
            await nemesis.run(this.episodes, started, lambda done: say(_told(done)))
            await asyncio.sleep(max(started + duration_s - time.monotonic(), 0))
            load.set()
            await nemesis.settle()
            await _settle(this, field_, web, say)
            reading.set()
            await asyncio.wait(readers)
        await _count(this, field_, web)
        if len(this.findings):
            await _keep_log(field_)
        say(f"counted {this.events} events, {len(history)} operations, {len(this.findings)} violations")
    this.phase = "done"


@asynccontextmanager
async def _web(cluster: Cluster, history: History, timeout_s: float | None) -> AsyncIterator[Web]:
    web = Web(cluster.apis, cluster.info.api_key, history, timeout_s)
    try:
        yield web
    finally:
        await web.close()


async def _settle(this: Run, field_: Field, web: Web, say: Callable[[str], None]) -> None:
    """The faults are over: clients learn what became of everything, the operator mends what is an operator's."""
    this.phase = "settling"
    started = time.monotonic()
    assert this.history is not None
    unsettled = this.history.unsettled()
    say(f"the faults are over; {len(unsettled)} operations are asked once more")
    await in_parallel(8, unsettled, lambda operation: web.insist(operation, SETTLE_S))
    await _until(SETTLE_S, lambda: _repaired(field_))
    for view in list(field_.to_rebuild):
        await _until(SETTLE_S, lambda view=view: rebuild(field_, view))  # type: ignore[misc]
    await _until(SETTLE_S, lambda: _no_letters(field_))
    await _until(SETTLE_S, lambda: _nothing_open(field_))
    await _until(SETTLE_S, lambda: _caught_up(field_))
    this.settled_s = time.monotonic() - started
    say(f"settled after {this.settled_s:.1f} s")


async def _until(limit_s: float, good: Callable[[], Awaitable[bool]]) -> bool:
    """What fails is tried again; what is not so in time is for the checker to say."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        with suppress(*NOT_NOW):
            if await good():
                return True
        await asyncio.sleep(0.5)
    return False


async def _repaired(field_: Field) -> bool:
    """All but the poison events, which are skipped after this."""
    code, said = await field_.command("repair", "--json")
    if code == 0:
        return True
    try:
        done = json.loads(said)["repaired"]
    except (ValueError, KeyError):
        return False
    return all(one["code"] == "dead_letter" for one in done if one["failed"])


async def _no_letters(field_: Field) -> bool:
    """Each poison event is retried, which fails again, and then skipped."""
    letters = await field_.sql("SELECT id FROM read.dead_letters WHERE live AND status = 'parked' ORDER BY id")
    for (letter,) in letters:
        await field_.command("dead-letters", "retry", str(letter))
        await field_.command("dead-letters", "skip", str(letter))
    return not letters


async def _nothing_open(field_: Field) -> bool:
    books = await _log(field_)
    return not still_open(books)


async def _caught_up(field_: Field) -> bool:
    [(behind, views)] = await field_.sql("SELECT max(lag_events), count(*) FROM read.lag WHERE status = 'live'")
    return bool(behind == 0 and views == len(VIEWS))


async def _log(field_: Field) -> Books:
    """The whole log on books of its own; what is wrong with it was or will be said elsewhere."""
    url = field_.cluster.info.read_database
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        return await read_log(connection, Findings(), field_.poisoned)


async def _count(this: Run, field_: Field, web: Web) -> None:
    """The final check, and the product's own."""
    this.phase = "counting"
    info, history = field_.cluster.info, this.history
    assert history is not None
    async with await psycopg.AsyncConnection.connect(info.read_database, autocommit=True) as connection:
        books = await read_log(connection, this.findings, field_.poisoned)
    this.events = books.at
    this.trades = sum(trade.status == "settled" for trade in books.market.trades.values())
    outcomes = [run.type for order in books.standing.values() for run in order.runs.values()]
    this.runs = outcomes.count("RunMade")
    across = [saga.status for saga in books.sagas.values() if saga.quote is not None]
    this.exchanges, this.halts = sum(map(across.count, ("completed", "processed"))), books.market.halts
    async with httpx.AsyncClient() as http:
        booked = (await http.get(f"{field_.cluster.rail}/booked")).json()["booked"]
    stuck = await _stuck_shown(web)
    this.stuck_shown = len(stuck)
    FinalChecker(history, books, this.findings, booked, stuck).check()
    for operation in history.unsettled():
        this.findings.add(
            "answered", f"{operation.kind} {operation.id}", f"no answer in {operation.attempts} tries"
        )
    for error in history.errors:
        this.findings.add("answers", error.partition(" was")[0], error)
    verifier = Verifier(
        field_.temporal,
        field_.books.ledger,
        field_.books.store,
        BatchItemTable(field_.books.pool),
        Lookups(field_.books.pool),
        info.database,
        info.projector_database,
        Settings().task_queue,
    )
    async for check in verifier.checks(lambda _name: None):
        this.checks.append(f"{check.name}: {'ok' if check.ok else 'NOT OK'}")
        for finding in check.findings:
            this.findings.add(f"verify {check.name}", finding.where, f"{finding.code}: {finding.message}")


async def _keep_log(field_: Field) -> None:
    """For whoever looks into it: Postgres's own files may be gone with their disk."""
    url = field_.cluster.info.read_database
    everything = {"after": 0, "upto": 2**62}
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        with (field_.cluster.data / "log.ndjson").open("w") as file:
            async for row in await connection.execute(READ.encode(), everything):
                file.write(json.dumps(row) + "\n")
    with (field_.cluster.data / "history.ndjson").open("w") as file:
        for operation in field_.history:
            file.write(json.dumps(asdict(operation)) + "\n")


async def _stuck_shown(web: Web) -> frozenset[str]:
    """All pages of `GET /v1/transfers?status=stuck`."""
    found: set[str] = set()
    cursor: str | None = None
    while True:
        response = await web.get("/v1/transfers", status="stuck", limit=200, cursor=cursor)
        if response is None or response.status_code != 200:
            await asyncio.sleep(0.5)
            continue
        page = response.json()
        found |= {item["transfer_id"] for item in page["items"]}
        cursor = page["next_cursor"]
        if cursor is None:
            return frozenset(found)


def _told(done: Done) -> str:
    line = done.episode.line()
    if done.skipped:
        return f"{line}  skipped: {done.note}"
    if done.failed:
        return f"{line}  not done: {done.note}"
    return f"{line}  {done.note}" if done.note else line
