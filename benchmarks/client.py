"""A client of ours that is asked for work: `python -m benchmarks.client`, configured as worker.py is.

Like the API it runs a worker on its own connection and asks for eager starts (docs/adr/0030-first-answer.md). Its
empty workflows run on that same worker, so that they are what is left of a payment when all of ours is taken away.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from activities.steps import PaymentOrder, TransferOrder
from benchmarks.empty import EmptyWorkflow
from benchmarks.peers.serving import serve_async
from commands.payments import PaymentCommands
from commands.running import result_of
from commands.transfers import TransferCommands
from domain.money import Money
from domain.payment import PaymentStatus
from domain.streams import payment_stream, transfer_stream
from domain.transfer import TransferStatus
from settings import Settings
from wiring import connect_temporal, leave, open_books
from worker import make_worker
from workflows.payment import PaymentWorkflow
from workflows.transfer import TransferWorkflow

ACCOUNTS = 64
"""Payers and payees of the payments and transfers: `a0`, `a1` and so on."""
AMOUNT = Money.parse("12.50", "EUR")


async def timed(n: int, at_once: int, one: Callable[[int], Awaitable[None]]) -> dict[str, Any]:
    """`one` for each number, `at_once` of them under way at any time."""
    numbers = iter(range(n))

    async def one_after_the_other() -> None:
        for number in numbers:
            await one(number)

    started = time.perf_counter()
    await asyncio.gather(*(one_after_the_other() for _ in range(at_once)))
    return {"seconds": time.perf_counter() - started, "done": n}


def between(number: int) -> dict[str, Any]:
    """Payer, payee and amount: every account is paid from and to as often as the others."""
    payer = number % ACCOUNTS
    payee = (payer + 1 + number // ACCOUNTS % (ACCOUNTS - 1)) % ACCOUNTS
    return {"from_account": f"a{payer}", "to_account": f"a{payee}", "amount": AMOUNT}


async def main(settings: Settings) -> None:
    """Serves until its standard input ends."""
    client = await connect_temporal()
    async with open_books(settings, "tidemark-benchmark") as books, httpx.AsyncClient() as rails:
        payment_commands = PaymentCommands(client, books.ledger, settings)
        transfer_commands = TransferCommands(client, books.ledger, settings)

        async def payments(n: int, at_once: int) -> dict[str, Any]:
            run = uuid.uuid4().hex[:8]

            async def one(number: int) -> None:
                order = PaymentOrder(payment_id=f"{run}-{number}", **between(number))
                await payment_commands.start(order)
                handle = client.get_workflow_handle_for(PaymentWorkflow.run, payment_stream(order.payment_id))
                assert (await result_of(handle)).status is PaymentStatus.PROCESSED

            return {**await timed(n, at_once, one), "last": f"{run}-{n - 1}"}

        async def transfers(n: int, at_once: int) -> dict[str, Any]:
            run = uuid.uuid4().hex[:8]

            async def one(number: int) -> None:
                order = TransferOrder(transfer_id=f"{run}-{number}", **between(number))
                await transfer_commands.start(order)
                handle = client.get_workflow_handle_for(TransferWorkflow.run, transfer_stream(order.transfer_id))
                assert (await result_of(handle)).status is TransferStatus.COMPLETED

            return {**await timed(n, at_once, one), "last": f"{run}-{n - 1}"}

        async def empty(n: int, at_once: int) -> dict[str, Any]:
            async def one(_number: int) -> None:
                name = f"empty-{uuid.uuid4().hex}"
                handle = await client.start_workflow(
                    EmptyWorkflow.run, id=name, task_queue=settings.task_queue, request_eager_start=True
                )
                await handle.result()

            return await timed(n, at_once, one)

        async with make_worker(client, books, rails, settings, extra=[EmptyWorkflow]):
            await serve_async(payments=payments, transfers=transfers, empty=empty)


if __name__ == "__main__":
    asyncio.run(main(Settings()))
    leave(0)
