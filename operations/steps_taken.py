"""How far a workflow believes it is: the last ledger step that its history has the result of."""

from __future__ import annotations

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import GetWorkflowExecutionHistoryReverseRequest
from temporalio.client import Client

from activities.fraud_steps import CaseStep
from activities.steps import PaymentStep, TransferStep
from domain.fraud_case import UNDECIDED, CaseStatus, FraudCase
from domain.payment import Payment, PaymentStatus
from domain.streams import FRAUD_CASE, TRANSFER
from domain.transfer import FINAL, Location, Transfer, TransferStatus
from operations.orders import kind_of

Step = PaymentStep | TransferStep | CaseStep
_STEPS: dict[str, type[Step]] = {TRANSFER: TransferStep, FRAUD_CASE: CaseStep}
PAGE = 50
_LOCAL_ACTIVITY = "core_local_activity"
"""The SDK's marker of a local activity that has ended."""
_PAYMENT = (
    PaymentStatus.NONE,
    PaymentStatus.PENDING,
    PaymentStatus.IN_REVIEW,
    PaymentStatus.AUTHORIZED,
    PaymentStatus.PARTIALLY_CAPTURED,
)
_TRANSFER = (
    TransferStatus.NONE,
    TransferStatus.INITIATED,
    TransferStatus.IN_REVIEW,
    TransferStatus.RESERVED,
    TransferStatus.IN_TRANSIT,
    TransferStatus.COMPENSATING,
    TransferStatus.STUCK,
)
OVER = len(_TRANSFER)


async def last_step(client: Client, workflow_id: str) -> Step | None:
    """Of the latest run; None where none is done. Read from the end, so a long history costs no more."""
    hint = _STEPS.get(kind_of(workflow_id), PaymentStep)
    token = b""
    while True:
        asked = GetWorkflowExecutionHistoryReverseRequest(
            namespace=client.namespace,
            execution=WorkflowExecution(workflow_id=workflow_id),
            maximum_page_size=PAGE,
            next_page_token=token,
        )
        page = await client.workflow_service.get_workflow_execution_history_reverse(asked)
        for event in page.history.events:
            if _is_step(event):
                result = event.marker_recorded_event_attributes.details["result"].payloads
                [step] = await client.data_converter.decode(result, [hint])
                return step if isinstance(step, Step) else None
        token = page.next_page_token
        if not token:
            return None


def _is_step(event: HistoryEvent) -> bool:
    if event.event_type != EventType.EVENT_TYPE_MARKER_RECORDED:
        return False
    marker = event.marker_recorded_event_attributes
    return marker.marker_name == _LOCAL_ACTIVITY and "result" in marker.details


def progress_of(known: object) -> tuple[int, int]:
    """A number that only grows in the life of a payment or transfer before it is over, and stays then.

    A workflow's step that has a larger one than the log is of another log than this.
    """
    match known:
        case PaymentStep(status=status, captured=captured):
            return _payment(status, captured.minor)
        case Payment(status=status, captured=captured):
            return _payment(status, captured)
        case TransferStep(status=status, location=location) | Transfer(status=status, location=location):
            if status in FINAL:
                return OVER, 0
            return _TRANSFER.index(status), int(location is Location.SUSPENSE)
        case CaseStep(status=status) | FraudCase(status=status):
            if status is CaseStatus.NONE:
                return 0, 0
            return (1 + UNDECIDED.index(status), 0) if status in UNDECIDED else (OVER, 0)
        case _:
            return 0, 0


def _payment(status: PaymentStatus, captured: int) -> tuple[int, int]:
    if status not in _PAYMENT:
        return OVER, 0
    return _PAYMENT.index(status), captured
