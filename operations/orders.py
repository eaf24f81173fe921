"""What a workflow was first asked for: from its history, or from the events where Temporal has forgotten it.

The log knows the fingerprint of the command that was carried out, so an order put together from events is used
only where it is the very one that was given: a workflow run with another would be refused its own first step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from temporalio.client import Client
from temporalio.service import RPCError

from activities.fraud_steps import CaseOrder
from activities.ledger import fingerprint
from activities.steps import BatchOrder, DisputeWish, PaymentOrder, PaymentRef, TransferOrder
from activities.trading_steps import TradingOrder
from commands.running import no_such_workflow
from commands.trading import summary_of
from domain.batch_messages import BatchAccepted
from domain.catalogue import decode
from domain.fraud_case_messages import CaseOpened
from domain.order_messages import OrderPlaced
from domain.payment_messages import DisputeOpened, PaymentInitiated
from domain.streams import BATCH, FRAUD_CASE, ORDER, PAYMENT, TRANSFER, category_of, payment_stream
from domain.transfer_messages import TransferInitiated
from eventstore.events import RecordedEvent
from eventstore.store import EventStore
from workflows.after_payment import DisputeWorkflow, RefundWorkflow
from workflows.fraud_case import FraudCaseWorkflow
from workflows.order import OrderWorkflow
from workflows.payment import PaymentWorkflow
from workflows.transfer import TransferWorkflow
from workflows.transfer_batch import BatchTransferWorkflow

DISPUTE, REFUND = "dispute", "refund"
"""Categories of workflow ids that are no streams: both belong to a payment's."""
RUNS: dict[str, Any] = {
    PAYMENT: PaymentWorkflow.run,
    TRANSFER: TransferWorkflow.run,
    DISPUTE: DisputeWorkflow.run,
    REFUND: RefundWorkflow.run,
    FRAUD_CASE: FraudCaseWorkflow.run,
    BATCH: BatchTransferWorkflow.run,
    ORDER: OrderWorkflow.run,
}
Order = PaymentOrder | TransferOrder | CaseOrder | BatchOrder | TradingOrder
_FIRST_COMMAND = {PAYMENT: "payer:authorize", TRANSFER: "source:reserve", FRAUD_CASE: "open", ORDER: "place"}
"""What the first step's command id ends with; the stream comes before it. What others have opened (a batch, and
the transfers that are items of one) has no such command.
"""


class NoOrder(Exception):
    """Neither Temporal nor the log says what was asked for."""


@dataclass(frozen=True, slots=True)
class Given:
    """What to start the workflow with. `source`: `history` or `events`."""

    arguments: tuple[Any, ...]
    accounts: tuple[str, ...]
    summary: str
    source: str
    opened_by: str | None = None
    """The stream whose own workflow asks for it: a fraud case's subject."""


def kind_of(workflow_id: str) -> str:
    """`payment`, `transfer`, `fraud_case`, `batch`, `order`, `dispute` or `refund`."""
    return category_of(workflow_id)


def stream_of(workflow_id: str) -> str:
    """The stream that a payment's, a transfer's or a dispute's workflow writes to."""
    kind, _, rest = workflow_id.partition("-")
    return payment_stream(rest) if kind == DISPUTE else workflow_id


async def given_order(client: Client, store: EventStore, workflow_id: str) -> Given:
    """Raises NoOrder."""
    kind = kind_of(workflow_id)
    told = await _from_history(client, workflow_id)
    if kind in (DISPUTE, REFUND):
        if told is None and kind == DISPUTE:
            return await _dispute_from_events(store, workflow_id)
        if told is None:
            raise NoOrder(f"{workflow_id}: its history is gone")
        ref, wish = told
        assert isinstance(ref, PaymentRef)
        return Given((ref, wish), ref.accounts or (), f"{kind} of {ref.payment_id}", "history")
    first = _FIRST_COMMAND.get(kind)
    stored = None if first is None else await store.find_command(f"{workflow_id}:{first}")
    if told is not None and (stored is None or fingerprint(told[0]) == stored.fingerprint):
        return _given(told[0], "history")
    for order in _candidates(await store.load(workflow_id)):
        if stored is None or fingerprint(order) == stored.fingerprint:
            return _given(order, "events")
    raise NoOrder(f"{workflow_id}: its order is in no history, and its events do not tell all of it")


def _given(order: Order, source: str) -> Given:
    if isinstance(order, CaseOrder):
        return Given((order,), (), f"fraud case about {order.subject or order.account_id}", source, order.subject)
    if isinstance(order, BatchOrder):
        return Given((order,), (), f"batch {order.batch_id}", source)
    if isinstance(order, TradingOrder):
        return Given((order,), (order.cash_account, order.share_account), summary_of(order), source)
    summary = f"{order.amount} {order.from_account} → {order.to_account}"
    return Given((order,), (order.from_account, order.to_account), summary, source)


async def _from_history(client: Client, workflow_id: str) -> tuple[Any, ...] | None:
    """The input of the latest run; None where Temporal has forgotten it."""
    run = RUNS[kind_of(workflow_id)]
    hints = [hint for name, hint in run.__annotations__.items() if name != "return"]
    try:
        async for event in client.get_workflow_handle(workflow_id).fetch_history_events(page_size=1):
            payloads = event.workflow_execution_started_event_attributes.input.payloads
            return tuple(await client.data_converter.decode(payloads, _types(run, hints)))
    except RPCError as fault:
        if not no_such_workflow(fault):
            raise
    return None


def _types(run: Any, hints: list[Any]) -> list[type]:
    return [run.__globals__[hint] if isinstance(hint, str) else hint for hint in hints]


def _candidates(events: list[RecordedEvent]) -> list[Order]:
    """What the order may have been, as its first event tells. The expiry may have been asked for, or not."""
    if not events:
        return []
    record = events[0]
    first = decode(record.stream, record.type, record.schema_version, record.data)
    actor, fields = str(record.metadata.get("actor", "system")), dict(first)
    match first:
        case PaymentInitiated():
            given = {name: fields[name] for name in PaymentOrder.model_fields.keys() & fields.keys()}
            asked = round((first.expires_at - record.recorded_at).total_seconds())
            return [PaymentOrder(**given, actor=actor, expires_in_s=expiry) for expiry in (None, asked)]
        case TransferInitiated():
            given = {name: fields[name] for name in TransferOrder.model_fields.keys() & fields.keys()}
            return [TransferOrder(**given, actor=actor)]
        case OrderPlaced():
            given = {name: fields[name] for name in TradingOrder.model_fields.keys() & fields.keys()}
            return [TradingOrder(**given, actor=actor)]
        case CaseOpened():
            return _case_candidates(first, record, actor)
        case BatchAccepted():
            return [BatchOrder(batch_id=first.batch_id, actor=actor)]
        case _:
            return []


def _case_candidates(opened: CaseOpened, record: RecordedEvent, actor: str) -> list[Order]:
    """An analyst may have said how bad, why and until when; what was not said was filled in."""
    about: dict[str, Any] = {"subject": opened.subject}
    if opened.subject is None:
        about = {"account_id": opened.account_id}
    within_s = round((opened.decide_by - record.recorded_at).total_seconds())
    return [
        CaseOrder(
            case_id=opened.case_id,
            source=opened.source,
            risk_score=score,
            reason=reason,
            decide_within_s=within,
            actor=actor,
            **about,
        )
        for score in (None, opened.risk_score)
        for reason in (None, *opened.reasons)
        for within in (None, within_s)
    ]


async def _dispute_from_events(store: EventStore, workflow_id: str) -> Given:
    stream = stream_of(workflow_id)
    accounts: tuple[str, ...] = ()
    last: tuple[DisputeOpened, RecordedEvent] | None = None
    for record in await store.load(stream):
        event = decode(record.stream, record.type, record.schema_version, record.data)
        if isinstance(event, PaymentInitiated):
            accounts = (event.from_account, event.to_account, event.fee_account)
        if isinstance(event, DisputeOpened):
            last = (event, record)
    if last is None:
        raise NoOrder(f"{workflow_id}: its history is gone, and the log knows of no dispute")
    event, record = last
    wish_id = str(record.metadata["command_id"]).removeprefix(f"{stream}:dispute:")
    wish = DisputeWish(wish_id=wish_id, reason=event.reason, actor=str(record.metadata.get("actor", "system")))
    payment_id = stream.removeprefix(f"{PAYMENT}-")
    return Given(
        (PaymentRef(payment_id=payment_id, accounts=accounts), wish),
        accounts,
        f"dispute of {payment_id}",
        "events",
    )
