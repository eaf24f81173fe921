"""Temporal against the log: whatever is open in the log must have a running workflow that knows no more than the
log does, and whatever Temporal saw done must be there.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client, WorkflowExecutionDescription, WorkflowExecutionStatus
from temporalio.service import RPCError

from activities.batches import batch_queue
from activities.ledger import Ledger
from commands.running import no_such_workflow
from domain.batch import FINAL as BATCH_OVER
from domain.batch import Batch, BatchStatus
from domain.fraud_case import UNDECIDED, CaseStatus, FraudCase
from domain.order import OPEN as OPEN_ORDER
from domain.order import Order, OrderStatus
from domain.payment import Payment, PaymentStatus
from domain.streams import BATCH, ORDER, PAYMENT
from domain.transfer import FINAL, Transfer, TransferStatus
from eventstore.lookups import Lookups
from eventstore.verify import Finding
from operations.orders import DISPUTE, REFUND, kind_of, stream_of
from operations.steps_taken import Step, last_step, progress_of
from workflows.payment import OPEN as OPEN_PAYMENT

SETTLE_S = 3.0
"""Under load a workflow is for a moment ahead of what was read, or behind: what looks wrong is looked at twice."""
AT_ONCE = 16
PAGE = 500
FAILING_ATTEMPTS = 3
"""A workflow task that was tried so often fails for a reason of its own."""
POLLED_WITHIN = timedelta(seconds=90)
"""A poll lasts for a minute; a worker that has not asked for longer is gone."""

Running = WorkflowExecutionStatus.RUNNING


@dataclass(frozen=True, slots=True)
class Histories:
    """What the look at Temporal needs."""

    client: Client
    ledger: Ledger
    lookups: Lookups
    task_queue: str

    async def check(self, open_streams: set[str]) -> tuple[int, list[Finding]]:
        """How many workflows were looked at, and the findings that still hold after a moment."""
        running = await self._running()
        suspects = open_streams | running
        findings = await self._look(suspects)
        if findings:
            await asyncio.sleep(SETTLE_S)
            findings = await self._look([finding.where for finding in findings])
        findings += [finding async for finding in self._lost()]
        findings += [finding async for finding in self._idle(suspects)]
        return len(suspects), findings

    async def _running(self) -> set[str]:
        query = (
            "WorkflowType IN ('PaymentWorkflow', 'TransferWorkflow', 'DisputeWorkflow', 'FraudCaseWorkflow',"
            " 'BatchTransferWorkflow', 'OrderWorkflow')"
            f" AND ExecutionStatus = 'Running' AND TaskQueue = '{self.task_queue}'"
        )
        return {found.id async for found in self.client.list_workflows(query)}

    async def _look(self, workflow_ids: Iterable[str]) -> list[Finding]:
        limit = asyncio.Semaphore(AT_ONCE)

        async def one(workflow_id: str) -> Finding | None:
            async with limit:
                return await self._look_at(workflow_id)

        found = await asyncio.gather(*(one(workflow_id) for workflow_id in sorted(set(workflow_ids))))
        return [finding for finding in found if finding is not None]

    async def _look_at(self, workflow_id: str) -> Finding | None:
        """First what Temporal knows, then the log: what was done in between is in the log and in no history."""
        known = await described(self.client, workflow_id)
        runs = known is not None and known.status is Running
        # A batch's steps tell no more than the log; what it asks for is beside it. An order's are of two kinds.
        told = runs and kind_of(workflow_id) not in (BATCH, ORDER)
        step = await last_step(self.client, workflow_id) if told else None
        state = await self.ledger.state(stream_of(workflow_id))
        if not runs:
            if not needs(workflow_id, state):
                return None
            how = "has none" if known is None or known.status is None else f"is {known.status.name.lower()}"
            return Finding("workflow_missing", workflow_id, f"open in the log, but its workflow {how}")
        assert known is not None
        if step is not None and _ahead(workflow_id, step, state):
            message = f"its workflow has seen it {step.status}, the log says {_status(state)}"
            return Finding("workflow_ahead", workflow_id, message)
        attempt = known.raw_description.pending_workflow_task.attempt
        if attempt >= FAILING_ATTEMPTS:
            return Finding("workflow_failing", workflow_id, f"its workflow task was tried {attempt} times")
        if step is None and _unknown(state):
            return Finding(
                "workflow_without_events", workflow_id, "its workflow runs, but the log has no event of it"
            )
        if not _unknown(state) and not needs(workflow_id, state):
            return Finding("workflow_behind", workflow_id, "over in the log, but its workflow still runs")
        return None

    async def _lost(self) -> AsyncIterator[Finding]:
        """Workflows that ended well, of which the log knows nothing: it was restored to a time before them."""
        query = (
            "WorkflowType IN ('PaymentWorkflow', 'TransferWorkflow', 'RefundWorkflow', 'FraudCaseWorkflow',"
            " 'OrderWorkflow')"
            f" AND ExecutionStatus = 'Completed' AND TaskQueue = '{self.task_queue}'"
        )
        page: list[str] = []
        async for found in self.client.list_workflows(query):
            page.append(found.id)
            if len(page) == PAGE:
                async for finding in self._lost_of(page):
                    yield finding
                page = []
        async for finding in self._lost_of(page):
            yield finding

    async def _lost_of(self, workflow_ids: list[str]) -> AsyncIterator[Finding]:
        """Of one page, in a few look-ups. What was run again since is judged by its latest run."""
        refunds = {name: _refund_commands(name) for name in workflow_ids if kind_of(name) == REFUND}
        stored = await self.lookups.commands([key for keys in refunds.values() for key in keys])
        there = await self.lookups.existing([name for name in workflow_ids if name not in refunds])
        there |= {name for name, keys in refunds.items() if any(key in stored for key in keys)}
        for workflow_id in sorted(set(workflow_ids) - there):
            known = await described(self.client, workflow_id)
            if known is not None and known.status is WorkflowExecutionStatus.COMPLETED:
                message = "its workflow is completed, but the log has no event of it"
                yield Finding("order_without_events", workflow_id, message)

    async def _idle(self, suspects: set[str]) -> AsyncIterator[Finding]:
        """Task queues on which something may wait, and for which nobody asks."""
        queues = {}
        if suspects:
            queues[self.task_queue] = TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW
        if any(kind_of(name) == BATCH for name in suspects):
            queues[batch_queue(self.task_queue)] = TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
        for queue, kind in queues.items():
            if not await self._polled(queue, kind):
                yield Finding("no_worker", queue, "no worker asks for the work of this task queue")

    async def _polled(self, queue: str, kind: TaskQueueType.ValueType) -> bool:
        asked = DescribeTaskQueueRequest(
            namespace=self.client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind
        )
        pollers = (await self.client.workflow_service.describe_task_queue(asked)).pollers
        since = datetime.now(UTC) - POLLED_WITHIN
        return any(poller.last_access_time.ToDatetime(UTC) > since for poller in pollers)


def _refund_commands(workflow_id: str) -> list[str]:
    """What its one step may be stored as: a refund's id does not say where its payment's ends."""
    rest = workflow_id.partition("-")[2]
    cuts = [index for index, letter in enumerate(rest) if letter == "-"]
    return [f"{PAYMENT}-{rest[:cut]}:refund:{rest[cut + 1 :]}" for cut in cuts]


def needs(workflow_id: str, state: object) -> bool:
    """Whether a payment, transfer, dispute, case, batch or order in this state is somebody's to drive on."""
    match state:
        case Payment(status=status):
            return status is PaymentStatus.DISPUTED if kind_of(workflow_id) == DISPUTE else status in OPEN_PAYMENT
        case Transfer(status=status):
            return status is not TransferStatus.NONE and status not in FINAL
        case FraudCase(status=status):
            return status in UNDECIDED
        case Batch(status=status):
            return status is not BatchStatus.NONE and status not in BATCH_OVER
        case Order(status=status):
            return status in OPEN_ORDER
        case _:
            return False


def _ahead(workflow_id: str, step: Step, state: object) -> bool:
    if kind_of(workflow_id) == DISPUTE:
        return isinstance(state, Payment) and step.status is PaymentStatus.DISPUTED and state.dispute is None
    return progress_of(step) > progress_of(state)


async def described(client: Client, workflow_id: str) -> WorkflowExecutionDescription | None:
    """The latest run of a workflow; None where Temporal knows none."""
    try:
        return await client.get_workflow_handle(workflow_id).describe()
    except RPCError as fault:
        if no_such_workflow(fault):
            return None
        raise


def _status(state: object) -> str:
    return state.status.value if isinstance(state, Payment | Transfer | FraudCase | Batch | Order) else "nothing"


def _unknown(state: object) -> bool:
    match state:
        case Payment(status=status):
            return status is PaymentStatus.NONE
        case Transfer(status=status):
            return status is TransferStatus.NONE
        case FraudCase(status=status):
            return status is CaseStatus.NONE
        case Batch(status=status):
            return status is BatchStatus.NONE
        case Order(status=status):
            return status is OrderStatus.NONE
        case _:
            return False
