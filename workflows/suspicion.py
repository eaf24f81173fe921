"""What a payment or transfer that screening holds has to do with its fraud case.

The case is a workflow of its own: it outlives a decision here, and it may be decided there or here.
"""

from __future__ import annotations

import contextlib

from temporalio import workflow
from temporalio.exceptions import FailureError, WorkflowAlreadyStartedError

from activities.fraud_steps import CaseOrder, SettleWish
from domain.review import SCREENING
from domain.streams import fraud_case_stream
from workflows.fraud_case import FraudCaseWorkflow


async def open_case(subject: str, trace: str | None) -> bool:
    """A case about `subject`, the caller's stream. False in lives that began before there were cases."""
    if not workflow.patched("fraud-case"):
        return False
    order = CaseOrder(case_id=subject, source=SCREENING, subject=subject, actor=SCREENING, trace=trace)
    with contextlib.suppress(WorkflowAlreadyStartedError):  # a life that is led a second time
        await workflow.start_child_workflow(
            FraudCaseWorkflow.run,
            order,
            id=fraud_case_stream(subject),
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            static_summary=f"fraud case of {subject}",
        )
    return True


async def tell_case(subject: str, status: str) -> None:
    """`subject` is no longer in review. A case that nobody runs any more finds out when it is repaired."""
    case = workflow.get_external_workflow_handle(fraud_case_stream(subject))
    try:
        await case.signal(FraudCaseWorkflow.subject_moved, SettleWish(wish_id=status))
    except FailureError:
        workflow.logger.info("no case to tell", extra={"subject": subject})
