"""Temporal against the log: whatever is open in the log must have a running workflow, and the other way round."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError

from activities.ledger import Ledger
from commands.running import no_such_workflow
from domain.batch import FINAL as BATCH_OVER
from domain.batch import Batch, BatchStatus
from domain.fraud_case import UNDECIDED, CaseStatus, FraudCase
from domain.payment import Payment, PaymentStatus
from domain.streams import BATCH, FRAUD_CASE, PAYMENT, TRANSFER, category_of
from domain.transfer import FINAL, Transfer, TransferStatus
from eventstore.verify import Finding
from workflows.payment import OPEN as OPEN_PAYMENT

SETTLE_S = 3.0
"""Under load a workflow is for a moment ahead of what was read, or behind: what looks wrong is looked at twice."""
AT_ONCE = 16


def needs_workflow(state: object) -> bool:
    """Whether a payment, transfer, fraud case or batch in this state is somebody's to drive on."""
    match state:
        case Payment(status=status):
            return status in OPEN_PAYMENT
        case Transfer(status=status):
            return status is not TransferStatus.NONE and status not in FINAL
        case FraudCase(status=status):
            return status in UNDECIDED
        case Batch(status=status):
            return status is not BatchStatus.NONE and status not in BATCH_OVER
        case _:
            return False


async def check_histories(
    client: Client, ledger: Ledger, open_streams: set[str], task_queue: str
) -> tuple[int, list[Finding]]:
    """How many workflows were looked at, and the findings that still hold after a moment."""
    suspects = open_streams | await _running(client, task_queue)
    findings = await _check(client, ledger, suspects)
    if findings:
        await asyncio.sleep(SETTLE_S)
        findings = await _check(client, ledger, [finding.where for finding in findings])
    return len(suspects), findings


async def _running(client: Client, task_queue: str) -> set[str]:
    query = (
        "WorkflowType IN ('PaymentWorkflow', 'TransferWorkflow', 'FraudCaseWorkflow', 'BatchTransferWorkflow')"
        f" AND ExecutionStatus = 'Running' AND TaskQueue = '{task_queue}'"
    )
    return {found.id async for found in client.list_workflows(query)}


async def _check(client: Client, ledger: Ledger, streams: Iterable[str]) -> list[Finding]:
    limit = asyncio.Semaphore(AT_ONCE)

    async def one(stream: str) -> Finding | None:
        async with limit:
            return await _check_one(client, ledger, stream)

    found = await asyncio.gather(*(one(stream) for stream in sorted(set(streams))))
    return [finding for finding in found if finding is not None]


async def _check_one(client: Client, ledger: Ledger, stream: str) -> Finding | None:
    status = await workflow_status(client, stream)
    state = await ledger.state(stream)
    runs = status is WorkflowExecutionStatus.RUNNING
    if needs_workflow(state) and not runs:
        how = "has none" if status is None else f"is {status.name.lower()}"
        return Finding("workflow_missing", stream, f"open in the log, but its workflow {how}")
    if runs and _unknown(state):
        return Finding("workflow_without_events", stream, "its workflow runs, but the log has no event of it")
    if runs and not needs_workflow(state):
        return Finding("workflow_behind", stream, "over in the log, but its workflow still runs")
    return None


async def workflow_status(client: Client, stream: str) -> WorkflowExecutionStatus | None:
    """Of the workflow that drives a stream; None where Temporal knows none."""
    assert category_of(stream) in (PAYMENT, TRANSFER, FRAUD_CASE, BATCH)
    try:
        description = await client.get_workflow_handle(stream).describe()
    except RPCError as fault:
        if no_such_workflow(fault):
            return None
        raise
    return description.status


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
        case _:
            return False
