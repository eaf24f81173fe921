"""`starter.py repair`: whatever is open in the log and has no running workflow gets one again.

Running a workflow a second time is safe: every step has its own key, so what was done is found done, and the
workflow goes on from where the events say it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from temporalio.client import Client
from temporalio.common import WorkflowIDReusePolicy
from temporalio.service import RPCError

from activities.fraud_steps import CaseOrder
from activities.search import search_attributes
from activities.steps import BatchOrder, PaymentOrder, TransferOrder
from commands.running import no_such_workflow
from domain.batch_messages import BatchAccepted
from domain.catalogue import decode
from domain.fraud_case_messages import CaseOpened
from domain.payment_messages import PaymentInitiated
from domain.streams import BATCH, FRAUD_CASE, PAYMENT, TRANSFER, category_of
from domain.transfer_messages import TransferInitiated
from eventstore.store import EventStore
from eventstore.verify import Finding
from settings import Settings

REPAIRABLE = "workflow_missing"

Order = PaymentOrder | TransferOrder | CaseOrder | BatchOrder
ORDERS: dict[str, type[Order]] = {
    PAYMENT: PaymentOrder,
    TRANSFER: TransferOrder,
    FRAUD_CASE: CaseOrder,
    BATCH: BatchOrder,
}
WORKFLOWS = {
    PAYMENT: "PaymentWorkflow",
    TRANSFER: "TransferWorkflow",
    FRAUD_CASE: "FraudCaseWorkflow",
    BATCH: "BatchTransferWorkflow",
}


@dataclass(frozen=True, slots=True)
class Repaired:
    """A workflow that runs again. `order_from` says where its order was found: `history` or `events`."""

    workflow_id: str
    order_from: str


async def repair(client: Client, store: EventStore, settings: Settings, findings: list[Finding]) -> list[Repaired]:
    """Restarts the workflow of each finding `workflow_missing`; other findings are not for a machine to mend."""
    return [
        await restart(client, store, settings, finding.where) for finding in findings if finding.code == REPAIRABLE
    ]


async def restart(client: Client, store: EventStore, settings: Settings, stream: str) -> Repaired:
    """Runs the stream's workflow again, with the order it was first given."""
    order = await _order_from_history(client, stream)
    order_from = "events" if order is None else "history"
    if order is None:
        order = await _order_from_events(store, stream)
    summary, accounts = _told_of(order)
    await client.start_workflow(
        WORKFLOWS[category_of(stream)],
        order,
        id=stream,
        task_queue=settings.task_queue,
        id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
        task_timeout=timedelta(seconds=settings.workflow_task_timeout_s),
        static_summary=f"{summary} (repaired)",
        search_attributes=search_attributes(category_of(stream), "repaired", *accounts),
    )
    return Repaired(stream, order_from)


def _told_of(order: Order) -> tuple[str, tuple[str, ...]]:
    """What the web UI shows of it, and the accounts it can be found by."""
    match order:
        case CaseOrder():
            return f"fraud case about {order.subject or order.account_id}", ()
        case BatchOrder():
            return f"batch {order.batch_id}", ()
        case _:
            accounts = (order.from_account, order.to_account)
            return f"{order.amount} {order.from_account} → {order.to_account}", accounts


async def _order_from_history(client: Client, stream: str) -> Order | None:
    """The input of the latest run; None where Temporal has forgotten it."""
    handle = client.get_workflow_handle(stream)
    try:
        async for event in handle.fetch_history_events(page_size=1):
            payloads = event.workflow_execution_started_event_attributes.input.payloads
            [order] = await client.data_converter.decode(payloads, [ORDERS[category_of(stream)]])
            return order if isinstance(order, Order) else None
    except RPCError as fault:
        if not no_such_workflow(fault):
            raise
    return None


async def _order_from_events(store: EventStore, stream: str) -> Order:
    record = (await store.load(stream))[0]
    first = decode(record.stream, record.type, record.schema_version, record.data)
    actor = str(record.metadata.get("actor", "system"))
    fields = dict(first)
    match first:
        case PaymentInitiated():
            names = PaymentOrder.model_fields.keys() & fields.keys()
            expires_in_s = round((first.expires_at - record.recorded_at).total_seconds())
            given = {name: fields[name] for name in names}
            return PaymentOrder(**given, actor=actor, expires_in_s=expires_in_s)
        case TransferInitiated():
            names = TransferOrder.model_fields.keys() & fields.keys()
            return TransferOrder(**{name: fields[name] for name in names}, actor=actor)
        case CaseOpened():
            return CaseOrder(case_id=first.case_id, source=first.source, **_about(first), actor=actor)
        case BatchAccepted():
            return BatchOrder(batch_id=first.batch_id, actor=actor)
        case _:
            raise ValueError(f"{stream} does not begin with its initiation: nothing can be restarted")


def _about(opened: CaseOpened) -> dict[str, str]:
    """Its subject; where it has none, its account."""
    return {"account_id": opened.account_id} if opened.subject is None else {"subject": opened.subject}
