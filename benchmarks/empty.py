"""A worker of its own for a workflow that does nothing: what Temporal alone costs."""

from __future__ import annotations

import asyncio
import sys

from temporalio import workflow
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from wiring import connect_temporal

QUEUE = "benchmark-empty"


@workflow.defn
class EmptyWorkflow:
    """Starts and is over."""

    @workflow.run
    async def run(self) -> str:
        return "done"


async def main(address: str) -> None:
    """Serves until it is killed."""
    client = await connect_temporal(address)
    worker = Worker(
        client,
        task_queue=QUEUE,
        workflows=[EmptyWorkflow],
        workflow_runner=UnsandboxedWorkflowRunner(),
        build_id="benchmark",
    )
    await worker.run()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
