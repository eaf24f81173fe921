"""The shape of the usual sample: a workflow of four remote activities, each with one insert, on a default worker.

    python -m benchmarks.peers.temporal_sample worker ADDRESS DATABASE_URL
    python -m benchmarks.peers.temporal_sample client ADDRESS

As in Temporal's own money-transfer samples the worker and whoever starts workflows are two programs. The worker is
the SDK's default one: its sandbox, its pollers, its executors. Its activities are asynchronous and share a pool of
connections, so that no insert waits for a thread or for a new connection.
"""

from __future__ import annotations

import asyncio
import sys
import time
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    from psycopg_pool import AsyncConnectionPool

    from benchmarks.peers.serving import say, serve_async

QUEUE = "peer-sample"
TABLE = "CREATE TABLE IF NOT EXISTS steps (payment text, step text, amount bigint, PRIMARY KEY (payment, step))"
INSERT = "INSERT INTO steps (payment, step, amount) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"


@dataclass
class Payment:
    """Amount in minor units."""

    payment_id: str
    from_account: str
    to_account: str
    amount: int


class PaymentSteps:
    """Each step is safe to repeat, as an activity has to be."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool

    async def _insert(self, payment: Payment, step: str) -> str:
        async with self._pool.connection() as connection:
            await connection.execute(INSERT, (payment.payment_id, step, payment.amount))
        return f"{payment.payment_id}:{step}"

    @activity.defn
    async def initiate(self, payment: Payment) -> str:
        return await self._insert(payment, "initiate")

    @activity.defn
    async def authorize(self, payment: Payment) -> str:
        return await self._insert(payment, "authorize")

    @activity.defn
    async def capture(self, payment: Payment) -> str:
        return await self._insert(payment, "capture")

    @activity.defn
    async def notify(self, payment: Payment) -> str:
        return await self._insert(payment, "notify")


@workflow.defn
class SamplePayment:
    """Four steps, one after the other."""

    @workflow.run
    async def run(self, payment: Payment) -> str:
        for step in (PaymentSteps.initiate, PaymentSteps.authorize, PaymentSteps.capture, PaymentSteps.notify):
            await workflow.execute_activity_method(step, payment, start_to_close_timeout=timedelta(seconds=15))
        return "completed"


async def worker(address: str, database_url: str) -> None:
    """Serves until it is ended."""
    client = await Client.connect(address)
    async with AsyncConnectionPool(database_url, min_size=8, max_size=8, kwargs={"autocommit": True}) as pool:
        async with pool.connection() as connection:
            await connection.execute(TABLE)
        steps = PaymentSteps(pool)
        activities = [steps.initiate, steps.authorize, steps.capture, steps.notify]
        async with Worker(client, task_queue=QUEUE, workflows=[SamplePayment], activities=activities):
            say({"ready": True})
            await asyncio.Event().wait()


async def client(address: str) -> None:
    """Runs payments, `at_once` in flight, when it is asked to."""
    temporal = await Client.connect(address)

    async def payments(n: int, at_once: int) -> dict[str, Any]:
        run, numbers = uuid.uuid4().hex[:8], iter(range(n))

        async def one_after_the_other() -> None:
            for number in numbers:
                payment = Payment(f"{run}-{number}", "payer", "payee", 1250)
                done = await temporal.execute_workflow(
                    SamplePayment.run, payment, id=payment.payment_id, task_queue=QUEUE
                )
                assert done == "completed"

        started = time.perf_counter()
        await asyncio.gather(*(one_after_the_other() for _ in range(at_once)))
        return {"seconds": time.perf_counter() - started, "done": n}

    await serve_async(payments=payments)


if __name__ == "__main__":
    asyncio.run(worker(*sys.argv[2:]) if sys.argv[1] == "worker" else client(*sys.argv[2:]))
