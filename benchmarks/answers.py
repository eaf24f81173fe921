"""Row 10: the time to a first answer over HTTP, one in flight, against starting an empty workflow and its end."""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx

from benchmarks.client import ACCOUNTS
from benchmarks.empty import QUEUE, EmptyWorkflow
from benchmarks.measuring import Measure, Row, alternate
from benchmarks.side import ROOT, STOP_S
from benchmarks.stand import Stand
from wiring import connect_temporal


async def first_answers(stand: Stand, rounds: int, size: int) -> list[Row]:
    """`size`: of each way in a round. A round's figure is its median."""
    client = await connect_temporal(stand.info.temporal)
    numbers = iter(range(10**9))
    key = {"Authorization": f"Bearer {stand.info.api_key}"}
    async with (
        httpx.AsyncClient(base_url=stand.info.api, headers=key, timeout=60) as web,
        _empty_worker(stand.info.temporal),
    ):

        async def empty() -> None:
            await client.execute_workflow(EmptyWorkflow.run, id=f"empty-{uuid.uuid4().hex}", task_queue=QUEUE)

        async def answer() -> None:
            number = next(numbers)
            payer, payee = number % ACCOUNTS, (number + 1) % ACCOUNTS
            body = {"from_account": f"a{payer}", "to_account": f"a{payee}", "amount": "1.00", "currency": "EUR"}
            (await web.post("/v1/payments", json={**body, "payment_id": f"answer-{number}"})).raise_for_status()

        sides = {"http": _median_ms(answer, size), "empty": _median_ms(empty, size)}
        for measure in sides.values():
            await measure()
        found = await alternate(rounds, sides, stand.conserved)
    what, against = "first answer of POST /v1/payments, 1 in flight", "start and wait of an empty workflow"
    return [Row("10", what, against, "ms", 1.2, at_most=True).fill(found["http"], found["empty"])]


def _median_ms(once: Callable[[], Awaitable[None]], size: int) -> Measure:
    async def measure() -> float:
        took = []
        for _ in range(size):
            started = time.perf_counter()
            await once()
            took.append((time.perf_counter() - started) * 1000)
        return statistics.median(took)

    return measure


@asynccontextmanager
async def _empty_worker(address: str) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.empty", address, cwd=ROOT, stdin=asyncio.subprocess.DEVNULL
    )
    try:
        yield  # the first empty workflow waits for it
    finally:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), STOP_S)
        except TimeoutError:
            process.kill()
