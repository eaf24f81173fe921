"""Limits per key, and stopping, on an API process of the test's own over the session's stack."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from stack.ports import free_port
from tests.e2e.api import World, async_client, make_key, problem
from tests.fixtures.processes import ROOT
from tests.fixtures.running import RunningStack


@asynccontextmanager
async def own_api(
    running: RunningStack, scratch: Path, database_port: int | None = None, **settings: str
) -> AsyncIterator[tuple[World, asyncio.subprocess.Process]]:
    """`starter.py api` with settings of its own, beside the stack's; its way to Postgres may be another port."""
    port, ready = free_port(), scratch / "ready"
    environment = {**os.environ, "TIDEMARK_READY_FILE": str(ready), "TIDEMARK_API__WORKER": "false"}
    queue = settings.pop("queue", None)
    if queue is not None:
        environment["TIDEMARK_TASK_QUEUE"] = queue
    if database_port is not None:
        environment |= {
            "DATABASE_URL": _through(running.info.database, database_port),
            "TIDEMARK_READ_DATABASE_URL": _through(running.info.read_database, database_port),
            "TEMPORAL_ADDRESS": running.info.temporal,
        }
    environment |= {f"TIDEMARK_API__{name.upper()}": value for name, value in settings.items()}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(ROOT / "starter.py"), "api", "--port", str(port), "--data", str(running.data)),
        env=environment,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(30):
            while not ready.exists():
                assert process.returncode is None
                await asyncio.sleep(0.05)
        info = running.info.model_copy(update={"api": f"http://127.0.0.1:{port}"})
        with httpx.Client(
            base_url=info.api, headers={"Authorization": f"Bearer {info.api_key}"}, timeout=40
        ) as http:
            yield World(info, http), process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


def _through(url: str, port: int) -> str:
    given = urlsplit(url)
    return url.replace(f":{given.port}/", f":{port}/")


async def test_a_key_may_ask_so_often_and_not_more(running_stack: RunningStack, tmp_path: Path) -> None:
    async with own_api(running_stack, tmp_path, rate_per_s="5", rate_burst="10") as (world, _):
        answers = [world.http.get("/v1/accounts") for _ in range(20)]
        counted = Counter(answer.status_code for answer in answers)
        assert counted[200] >= 10
        assert counted[429] >= 5
        problem(next(answer for answer in answers if answer.status_code == 429), 429, "rate_limited")
        other, _ = make_key(running_stack, "read")
        async with async_client(world.info, other) as http:
            assert (await http.get("/v1/accounts")).status_code == 200
        await asyncio.sleep(1.2)
        assert world.http.get("/v1/accounts").status_code == 200
        assert world.http.get("/livez").status_code == 200


async def test_a_key_may_have_so_many_requests_under_way(running_stack: RunningStack, tmp_path: Path) -> None:
    async with (
        own_api(running_stack, tmp_path, concurrent_per_key="3", wait_timeout_s="2") as (world, _),
        async_client(world.info) as http,
    ):
        waiting = (http.get("/v1/accounts", params={"min_position": 10**12}) for _ in range(8))
        answers = await asyncio.gather(*waiting)
        assert Counter(answer.status_code for answer in answers) == {503: 3, 429: 5}
        problem(next(answer for answer in answers if answer.status_code == 429), 429, "too_many_at_once")
        assert (await http.get("/v1/accounts")).status_code == 200


async def test_requests_under_way_finish_when_it_stops(running_stack: RunningStack, tmp_path: Path) -> None:
    async with (
        own_api(running_stack, tmp_path, wait_timeout_s="3") as (world, process),
        async_client(world.info) as http,
    ):
        payer, payee = world.account("a", "50.00"), world.account("b")
        body = {
            "from_account": payer,
            "to_account": payee,
            "amount": "1.00",
            "currency": "EUR",
            "capture": "manual",
        }
        slow = asyncio.create_task(http.get("/v1/accounts", params={"min_position": 10**12}))
        writes = [asyncio.create_task(http.post("/v1/payments", json=body)) for _ in range(10)]
        await asyncio.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        problem(await slow, 503, "not_caught_up")
        assert {(await write).status_code for write in writes} == {201}
        assert await process.wait() == 0


async def test_without_anybody_who_works_the_outcome_is_unknown(
    running_stack: RunningStack, tmp_path: Path
) -> None:
    """Never a 2xx for what is not durable, never a failure for what may still happen; and a repeat finds it."""
    async with own_api(running_stack, tmp_path, outcome_timeout_s="1", queue="nobody-works-here") as (world, _):
        payer, payee = world.account("a", "50.00"), world.account("b")
        for path, business_id in (("/v1/payments", "payment_id"), ("/v1/transfers", "transfer_id")):
            body = {business_id: world.run, "from_account": payer, "to_account": payee, "amount": "1.00"}
            response = world.http.post(path, json={**body, "currency": "EUR"})
            said = problem(response, 503, "outcome_unknown")
            assert "ask again with the same id" in said["detail"]
            assert response.elapsed.total_seconds() < 5
            problem(
                world.http.post(path, json={**body, "currency": "EUR", "amount": "2.00"}),
                422,
                "idempotency_conflict",
            )
