"""Postgres, then Temporal, then the API itself taken away under load: 503 in time, full recovery, nothing lost,
nothing doubled. On a stack of the module's own."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import psutil
import psycopg
import pytest
from psycopg.sql import SQL, Identifier

import stack
from cli.local import stack_config
from commands.batch import in_parallel
from tests.e2e.api import World, async_client, client, eventually, problem
from tests.fixtures.running import RunningStack

REQUEST_TIMEOUT_S = 8
PAYMENTS_AT_ONCE = 8


@pytest.fixture(scope="module")
def own_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """With a short time limit, so that what hangs is seen to end."""
    data = tmp_path_factory.mktemp("outages")
    config = stack_config(data, stack.progress.no_progress)
    limits = {"TIDEMARK_API__REQUEST_TIMEOUT_S": str(REQUEST_TIMEOUT_S), "TIDEMARK_WORKFLOW_TASK_TIMEOUT_S": "3"}
    config = replace(config, env={**config.env, **limits})
    with stack.up(config) as running:
        yield RunningStack(data, running.info)


@dataclass
class Load:
    """Payments and transfers by a client that keeps its own list of what was acknowledged."""

    world: World
    http: httpx.AsyncClient
    sources: list[str]
    targets: list[str]
    acknowledged: dict[str, dict[str, str]] = field(default_factory=dict)
    unsettled: dict[str, dict[str, str]] = field(default_factory=dict)
    statuses: Counter[int] = field(default_factory=Counter)
    slowest_s: float = 0
    cut_off: int = 0
    _number: int = 0

    async def keep_on(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self._number += 1
            number = self._number
            kind = "payment" if number % 2 else "transfer"
            body = {
                f"{kind}_id": f"{self.world.run}-{number}",
                "from_account": self.sources[number % len(self.sources)],
                "to_account": self.targets[number % len(self.targets)],
                "amount": "1.00",
                "currency": "EUR",
            }
            path = f"/v1/{kind}s/{self.world.run}-{number}"
            await self.once(path, body)
            await asyncio.sleep(0.01)

    async def once(self, path: str, body: dict[str, str]) -> None:
        started = time.monotonic()
        try:
            response = await self.http.post(path.rpartition("/")[0], json=body)
        except httpx.TransportError:
            self.cut_off += 1
            self.unsettled[path] = body
            await asyncio.sleep(0.3)
            return
        self.slowest_s = max(self.slowest_s, time.monotonic() - started)
        self.statuses[response.status_code] += 1
        if response.status_code in (201, 202):
            self.acknowledged[path] = body
            self.unsettled.pop(path, None)
        else:
            self.unsettled[path] = body
            said = problem(response, 503, response.json()["code"])
            assert said["code"] in (
                *("postgres_unavailable", "temporal_unavailable", "outcome_unknown", "timeout", "unavailable"),
                *("store_unavailable", "read_unavailable"),
            )


@asynccontextmanager
async def under_load(own_stack: RunningStack) -> AsyncIterator[Load]:
    """Load on before the block, and off after it; then all that was left open is asked again and counted."""
    with client(own_stack.info) as http:
        world = World(own_stack.info, http)
        sources = [world.account(f"s{number}", "1000.00") for number in range(4)]
        targets = [world.account(f"t{number}") for number in range(4)]
        async with async_client(own_stack.info) as web:
            load, stop = Load(world, web, sources, targets), asyncio.Event()
            tasks = [asyncio.create_task(load.keep_on(stop)) for _ in range(PAYMENTS_AT_ONCE)]
            await eventually(_more_than(load, 20))
            yield load
            seen = len(load.acknowledged)
            await eventually(_more_than(load, seen + 20))
            stop.set()
            await asyncio.gather(*tasks)
            assert load.slowest_s < REQUEST_TIMEOUT_S + 2
            await in_parallel(32, list(load.unsettled.items()), lambda left: load.once(*left))
            assert load.unsettled == {}
            await _all_there_once(load)
    verified = own_stack.command("verify", "--json")
    assert verified.code == 0, verified


def _more_than(load: Load, count: int) -> Callable[[], Awaitable[bool]]:
    async def good() -> bool:
        return len(load.acknowledged) > count

    return good


async def _all_there_once(load: Load) -> None:
    """Each acknowledged write is in the API once, done, and the balances are what they add up to."""
    for path in load.acknowledged:
        load.world.until(path, "processed", "completed", within_s=60)
    spent: Counter[str] = Counter(body["from_account"] for body in load.acknowledged.values())
    for account, times in spent.items():
        assert load.world.http.get(f"/v1/accounts/{account}").json()["balance"] == f"{1000 - times}.00"
        outflow = load.world.http.get(f"/v1/accounts/{account}/entries", params={"limit": 200}).json()["items"]
        assert sum(line["amount"] == "-1.00" for line in outflow) == min(times, 200)


async def _crash(own_stack: RunningStack, part: str) -> None:
    """Once it is there: on a busy machine a part takes a while to come back."""

    async def crashed() -> bool:
        try:
            return bool(stack.crash(own_stack.data, part))
        except stack.StackError:
            return False

    await eventually(crashed)


async def _recovered(own_stack: RunningStack) -> None:
    async def ready() -> bool:
        async with async_client(own_stack.info) as http:
            try:
                return (await http.get("/readyz")).status_code == 200
            except httpx.TransportError:
                return False

    await eventually(ready)


def _processes(own_stack: RunningStack, part: str) -> list[psutil.Process]:
    info = stack.read_info(own_stack.data)
    assert info is not None
    found = []
    for pid in info.processes[part]:
        process = psutil.Process(pid)
        found += [process, *process.children(recursive=True)]
    return found


@asynccontextmanager
async def frozen(own_stack: RunningStack, part: str) -> AsyncIterator[None]:
    """The part hangs for the block: worse than dead, since nobody is told."""
    processes = _processes(own_stack, part)
    for process in processes:
        os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for process in reversed(processes):
            if process.is_running():
                os.kill(process.pid, signal.SIGCONT)


@pytest.mark.parametrize("part", ["postgres", "temporal"])
async def test_a_server_killed_under_load(own_stack: RunningStack, part: str) -> None:
    async with under_load(own_stack) as load:
        for _ in range(3):
            await _crash(own_stack, part)
            await asyncio.sleep(1.5)
        await _recovered(own_stack)
        assert load.cut_off == 0


@pytest.mark.parametrize("part", ["postgres", "temporal"])
async def test_a_server_that_hangs_under_load(own_stack: RunningStack, part: str) -> None:
    async with under_load(own_stack) as load:
        async with frozen(own_stack, part):
            await asyncio.sleep(REQUEST_TIMEOUT_S + 3)
            async with async_client(own_stack.info) as http:
                ready = await http.get("/readyz")
                assert (ready.status_code, ready.json()[part]) == (503, False)
                assert ready.headers["retry-after"] == "1"
                assert (await http.get("/livez")).status_code == 200
                if part == "temporal":
                    assert (await http.get("/v1/payments")).status_code == 200, "reads need no Temporal"
        await _recovered(own_stack)
        assert load.statuses[503] > 0
        assert load.cut_off == 0


async def test_the_api_killed_under_load(own_stack: RunningStack) -> None:
    async with under_load(own_stack) as load:
        for _ in range(2):
            stack.crash(own_stack.data, "api")
            await asyncio.sleep(1)
            await _recovered(own_stack)
        assert load.cut_off > 0


async def test_answers_outlive_a_restart_of_everything_that_holds_them(own_stack: RunningStack) -> None:
    with client(own_stack.info) as http:
        world = World(own_stack.info, http)
        account, given = world.account("a"), {"Idempotency-Key": f"{world.run}-k"}
        body = {"amount": "1.00", "currency": "EUR"}
        first = http.post(f"/v1/accounts/{account}/deposits", json=body, headers=given)
        for part in ("api", "postgres"):
            stack.crash(own_stack.data, part)
        await asyncio.sleep(1)
        await _recovered(own_stack)
    with client(own_stack.info) as http:
        world.http = http
        again = http.post(f"/v1/accounts/{account}/deposits", json=body, headers=given)
        assert (again.status_code, again.content) == (201, first.content)
        assert again.headers["idempotency-replayed"] == "true"
        assert world.seen(first, f"/v1/accounts/{account}")["balance"] == "1.00"


async def test_a_dead_projector_shows_as_lag_and_delays_no_write_for_long(own_stack: RunningStack) -> None:
    with client(own_stack.info) as http:
        world = World(own_stack.info, http)
        account = world.account("a")
        world.seen(world.deposit(account, "10.00"), f"/v1/accounts/{account}")
        async with frozen(own_stack, "projector"):
            written = http.post(f"/v1/accounts/{account}/deposits", json={"amount": "1.00", "currency": "EUR"})
            assert (written.status_code, written.json()["balance"]) == (201, "11.00")
            assert "event-position" not in written.headers
            assert written.elapsed.total_seconds() < 4
            lag = http.get("/v1/lag")
            assert int(lag.headers["projection-lag-events"]) > 0
            read = http.get(f"/v1/accounts/{account}")
            assert int(read.headers["projection-lag-events"]) > 0
        last = world.deposit(account, "1.00")
        assert world.seen(last, f"/v1/accounts/{account}")["balance"] == "12.00"


def test_an_event_that_a_view_cannot_take_in_is_parked_retried_and_skipped(own_stack: RunningStack) -> None:
    with client(own_stack.info) as http, poisoned_accounts(own_stack) as mend:
        world = World(own_stack.info, http)
        first = world.account("poison-1", "10.00")
        path = f"/v1/accounts/{first}"
        assert world.seen(world.deposit(world.account("good"), "5.00"), f"/v1/accounts/{world.run}-good")

        parked, follower = _letters(http, 2)
        assert (parked["status"], parked["type"], parked["view"]) == ("parked", "AccountOpened", "accounts")
        assert (follower["status"], follower["type"], follower["stream"]) == (
            "follower",
            "FundsDeposited",
            f"account-{first}",
        )
        assert (parked["error_class"], parked["attempts"] > 1) == ("CheckViolation", True)
        page = http.get("/v1/dead-letters", params={"limit": 1}).json()
        rest = http.get("/v1/dead-letters", params={"limit": 1, "cursor": page["next_cursor"]}).json()
        assert (page["items"], rest) == ([parked], {"items": [follower], "next_cursor": None})
        assert http.get(path).status_code == 404, "a view that has parked a stream does not show half of it"

        retry = f"/v1/dead-letters/{parked['id']}/retry"
        again = http.post(retry).json()
        assert (again["done"], again["waiting"], again["error"].partition(":")[0]) == (0, 2, "CheckViolation")
        mend()
        assert http.post(retry).json() == {
            "view": "accounts",
            "stream": f"account-{first}",
            "done": 2,
            "waiting": 0,
            "error": None,
        }
        assert http.get(path).json()["balance"] == "10.00"
        problem(http.post(retry), 404, "not_found")
        assert _letters(http, 0) == []
        assert world.seen(world.deposit(first, "1.00"), path)["balance"] == "11.00"

    with client(own_stack.info) as http, poisoned_accounts(own_stack):
        world = World(own_stack.info, http)
        world.account("poison-2")
        [letter] = _letters(http, 1)
        assert own_stack.json("dead-letters", "skip", str(letter["id"]))["done"] == 1
        assert _letters(http, 0) == []
        assert http.get(f"/v1/accounts/{world.run}-poison-2").status_code == 404
        known = http.get("/v1/dead-letters", params={"all": True, "view": "accounts"}).json()["items"]
        assert [one["status"] for one in known] == ["resolved", "resolved", "skipped"]
        assert http.get("/readyz").json()["lag"]["dead_letters"] == 0


@contextmanager
def poisoned_accounts(own_stack: RunningStack) -> Iterator[Callable[[], None]]:
    """View accounts cannot take in accounts of these names, until the end of the block or the call."""
    with psycopg.connect(own_stack.info.projector_database, autocommit=True) as owner:
        build = "SELECT build FROM projection.builds WHERE view = 'accounts' AND status = 'live'"
        [number] = owner.execute(build).fetchone() or [0]
        table = Identifier(f"view_accounts_{number}", "accounts")
        owner.execute(
            SQL("ALTER TABLE {} ADD CONSTRAINT poison CHECK (account_id !~ 'poison') NOT VALID").format(table)
        )
        mend = SQL("ALTER TABLE {} DROP CONSTRAINT IF EXISTS poison").format(table)

        def mended() -> None:
            owner.execute(mend)

        yield mended
        mended()


def _letters(http: httpx.Client, count: int) -> list[dict[str, Any]]:
    """The open dead letters, once there are so many."""
    deadline = time.monotonic() + 30
    while True:
        found: list[dict[str, Any]] = http.get("/v1/dead-letters").json()["items"]
        if len(found) == count:
            return found
        assert time.monotonic() < deadline, found
        time.sleep(0.1)
