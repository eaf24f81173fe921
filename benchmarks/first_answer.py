"""How soon a payment's first durable step can be answered: `python -m benchmarks.first_answer`.

All ways in turns, round by round, on one stack of this machine, so that they meet the same weather:

    bare       start an empty workflow and wait for its end: Temporal alone
    log        start the payment's workflow, wait for its first command to be in the log (what the API does)
    update     update-with-start, answered once the payment rests
    eager      as `log`, with a worker in the same process and an eager start
    http       POST /v1/payments as clients have it: key, idempotency, position and all
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
from temporalio.client import Client, WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy

import stack
from activities.ledger import fingerprint
from activities.steps import PaymentOrder
from api.first_step import FirstStep
from benchmarks.empty import QUEUE, EmptyWorkflow
from cli.local import stack_config
from commands.accounts import AccountCommands
from commands.payments import PaymentCommands, authorize_key
from domain.money import Money
from domain.streams import payment_stream
from eventstore.lookups import Lookups
from settings import Settings
from wiring import Books, connect_temporal, leave, open_books
from worker import make_worker
from workflows.payment import PaymentWorkflow

ROUNDS, WARM_UP, ACCOUNTS = 150, 10, 16
Way = Callable[[PaymentOrder], Awaitable[object]]


async def measure(ways: dict[str, Way], order: Callable[[], PaymentOrder], at_once: int) -> dict[str, list[float]]:
    """Milliseconds of each, sorted. `at_once` payments are under way at any time."""
    took: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(-WARM_UP, ROUNDS // at_once):
        for name, way in ways.items():

            async def one(way: Way = way) -> float:
                given = order()
                started = time.perf_counter()
                await way(given)
                return (time.perf_counter() - started) * 1000

            found = await asyncio.gather(*(one() for _ in range(at_once)))
            if number >= 0:
                took[name] += found
    return {name: sorted(found) for name, found in took.items()}


def show(title: str, took: dict[str, list[float]]) -> None:
    """One line per way."""
    print(f"\n{title}\n{'way':<8}{'n':>6}{'p50 ms':>10}{'p90 ms':>10}{'p99 ms':>10}")
    for name, found in took.items():
        at = [found[min(len(found) - 1, int(len(found) * share))] for share in (0.5, 0.9, 0.99)]
        print(f"{name:<8}{len(found):>6}" + "".join(f"{value:>10.1f}" for value in at))


@contextlib.asynccontextmanager
async def ways_of(info: stack.StackInfo, books: Books, client: Client) -> AsyncIterator[dict[str, Way]]:
    """Every way, ready to go."""
    settings = Settings(database_url=info.database)
    inside = settings.model_copy(update={"task_queue": "benchmark-eager"})
    first = FirstStep(client, Lookups(books.pool), 30)
    here, there = PaymentCommands(client, books.ledger, inside), PaymentCommands(client, books.ledger, settings)

    async def bare(_order: PaymentOrder) -> object:
        return await client.execute_workflow(EmptyWorkflow.run, id=uuid.uuid4().hex, task_queue=QUEUE)

    async def log(order: PaymentOrder) -> object:
        return await _first(first, there, order, lambda: there.start(order))

    async def eager(order: PaymentOrder) -> object:
        started = client.start_workflow(
            PaymentWorkflow.run,
            order,
            id=payment_stream(order.payment_id),
            task_queue=inside.task_queue,
            request_eager_start=True,
        )
        return await _first(first, here, order, lambda: started)

    async def update(order: PaymentOrder) -> object:
        await there.check(order)
        start = WithStartWorkflowOperation(
            PaymentWorkflow.run,
            order,
            id=payment_stream(order.payment_id),
            task_queue=settings.task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )
        return await client.execute_update_with_start_workflow(
            PaymentWorkflow.resting, start_workflow_operation=start
        )

    async with httpx.AsyncClient(
        base_url=info.api, headers={"Authorization": f"Bearer {info.api_key}"}, timeout=60
    ) as web:

        async def http(order: PaymentOrder) -> object:
            body = {
                "payment_id": order.payment_id,
                "from_account": order.from_account,
                "to_account": order.to_account,
                "capture": order.capture,
                **order.amount.wire(),
            }
            (await web.post("/v1/payments", json=body)).raise_for_status()
            return None

        async with httpx.AsyncClient() as rails, make_worker(client, books, rails, inside):
            yield {"bare": bare, "log": log, "update": update, "eager": eager, "http": http}


async def _first(
    first: FirstStep, payments: PaymentCommands, order: PaymentOrder, start: Callable[[], Awaitable[object]]
) -> object:
    return await first.taken(
        payment_stream(order.payment_id),
        authorize_key(order.payment_id),
        fingerprint(order),
        lambda: payments.check(order),
        start,
    )


async def main() -> None:
    """Starts a stack, measures, stops it."""
    with contextlib.ExitStack() as entered:
        data = Path(entered.enter_context(tempfile.TemporaryDirectory(prefix="tidemark-benchmark-")))
        info = entered.enter_context(stack.up(stack_config(data, stack.progress.no_progress))).info
        empty = subprocess.Popen([sys.executable, "-m", "benchmarks.empty", info.temporal])
        entered.callback(empty.wait)
        entered.callback(empty.terminate)
        client = await connect_temporal(info.temporal)
        settings = Settings(database_url=info.database)
        async with open_books(settings, "tidemark-benchmark") as books:
            accounts = AccountCommands(books.ledger, "benchmark")
            for number in range(ACCOUNTS):
                await accounts.open(f"a{number}", f"u{number}", "EUR")
                await accounts.deposit(f"a{number}", Money.parse("1000000.00", "EUR"), "opening")
            numbers = iter(range(1_000_000))

            def order() -> PaymentOrder:
                number = next(numbers)
                payer, payee = number % ACCOUNTS, (number + 1) % ACCOUNTS
                return PaymentOrder(
                    payment_id=f"p{number}",
                    from_account=f"a{payer}",
                    to_account=f"a{payee}",
                    amount=Money.parse("1.00", "EUR"),
                    capture="manual",
                )

            async with ways_of(info, books, client) as ways:
                for at_once in (1, 8):
                    show(f"{at_once} at once", await measure(ways, order, at_once))


if __name__ == "__main__":
    asyncio.run(main())
    leave(0)
