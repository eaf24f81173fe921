"""What a payment costs beside workflows that do less: `python -m benchmarks.taken_apart`, on a stack of its own.

The middle table of docs/performance.md, "Where the time of one payment goes".
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.table import Table
from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from activities.rail import rail_client
from activities.search import STATUS, USER, search_attributes
from activities.steps import PaymentOrder
from benchmarks.client import between, timed
from benchmarks.costs import Costs
from benchmarks.measuring import Measure, alternate
from benchmarks.stand import Stand, stand
from commands.payments import PaymentCommands
from commands.running import result_of
from domain.streams import payment_stream
from settings import Settings
from wiring import connect_temporal, leave
from worker import make_worker
from workflows.payment import PaymentWorkflow

QUEUE, AT_ONCE, SIZE, ROUNDS = "benchmark-taken-apart", 30, 300, 4
ALL = "all processes"
"""This one, which is client and worker, and the stack that it has started."""
LESS = {
    "empty": (False, False, False),
    "with one local activity that does nothing": (True, False, False),
    "with four search attributes and a summary at the start": (False, True, False),
    "with these, and an upsert of two at the end": (False, True, True),
    "with all of it": (True, True, True),
}
"""A local activity, search attributes at the start, an upsert at the end."""


@activity.defn
async def nothing(given: str) -> str:
    """Gives back what it is given."""
    return given


@workflow.defn
class LessWorkflow:
    """As much of a payment's workflow as is asked for, without a payment."""

    @workflow.run
    async def run(self, step: bool, upsert: bool) -> str:
        if step:
            await workflow.execute_local_activity(
                nothing, "done", summary="nothing", start_to_close_timeout=timedelta(seconds=15)
            )
        if upsert:
            workflow.upsert_search_attributes([STATUS.value_set("processed"), USER.value_set("u1")])
        return "done"


def _less(client: Client, step: bool, searchable: bool, upsert: bool) -> Callable[[int], Awaitable[None]]:
    shown: dict[str, Any] = {}
    if searchable:
        shown = {
            "search_attributes": search_attributes("payment", "pending", "a1", "a2"),
            "static_summary": "12.50 EUR a1 → a2",
        }

    async def one(_number: int) -> None:
        handle = await client.start_workflow(
            LessWorkflow.run,
            args=[step, upsert],
            id=f"less-{uuid.uuid4().hex}",
            task_queue=QUEUE,
            request_eager_start=True,
            **shown,
        )
        await handle.result()

    return one


def _payment(client: Client, everyone: Stand, settings: Settings) -> Callable[[int], Awaitable[None]]:
    commands = PaymentCommands(client, everyone.books.ledger, settings)

    async def one(number: int) -> None:
        order = PaymentOrder(payment_id=uuid.uuid4().hex, **between(number))
        await commands.start(order)
        await result_of(client.get_workflow_handle_for(PaymentWorkflow.run, payment_stream(order.payment_id)))

    return one


def _round(everyone: Stand, one: Callable[[int], Awaitable[None]]) -> Measure:
    async def measure() -> float:
        found = await timed(SIZE, AT_ONCE, one)
        await everyone.caught_up()
        return float(found["done"]) / float(found["seconds"])

    return measure


async def main() -> None:
    """Measures in turns and prints the medians."""
    async with stand() as everyone, rail_client() as rails:
        client = await connect_temporal(everyone.info.temporal)
        settings = Settings(database_url=everyone.info.database)
        sides = {name: _round(everyone, _less(client, *parts)) for name, parts in LESS.items()}
        sides["a payment"] = _round(everyone, _payment(client, everyone, settings))
        costs = Costs({"temporal": everyone.info.processes["temporal"], ALL: [os.getpid()]})
        less = Worker(
            client,
            task_queue=QUEUE,
            workflows=[LessWorkflow],
            activities=[nothing],
            workflow_runner=UnsandboxedWorkflowRunner(),
            build_id="benchmark",
        )
        async with make_worker(client, everyone.books, rails, settings), less:
            for warm_up in sides.values():
                await warm_up()
            await alternate(ROUNDS, {name: costs.of(name, SIZE, each) for name, each in sides.items()})
        await everyone.conserved()
    table = Table("workflow", "temporal", ALL, title="CPU ms of one, medians of the rounds")
    for name, parts in costs.wire().items():
        table.add_row(name, f"{parts['temporal']:.1f}", f"{parts[ALL]:.1f}")
    Console().print(table)


if __name__ == "__main__":
    asyncio.run(main())
    leave(0)
