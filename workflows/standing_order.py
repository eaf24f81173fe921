"""StandingOrderRunWorkflow: what a standing order's schedule starts. It wakes the log, and starts transfers.

woken ──► make the run that is due ──► start its transfer ──► another due? ──► no run left: away with the schedule

Whether there is a run, and which, is the log's to say: a waking too many, too late or of a zombie changes nothing.
"""

from __future__ import annotations

import contextlib
from datetime import timedelta

from temporalio import workflow
from temporalio.common import RetryPolicy, SearchAttributeKey, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError

from activities.search import search_attributes
from activities.standing_order_steps import RunStep, WakeUp
from activities.standing_orders import StandingOrderActivities
from activities.steps import TransferOrder
from domain.streams import transfer_stream
from workflows.shield import survive_cancellation
from workflows.steps import ledger_step
from workflows.transfer import TransferWorkflow

DUE = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")
"""What Temporal gives to what a schedule starts."""
MOST_AT_ONCE = 100
"""Runs that one workflow catches up with; then it goes on as a new one, with a short history."""


@workflow.defn
class StandingOrderRunWorkflow:
    """Workflow id `standing_order_run-<standing_order_id>-<time>`."""

    @workflow.run
    async def run(self, standing_order_id: str, begun: int = 0) -> RunStep:
        return await survive_cancellation(self._course(standing_order_id, begun), lambda: None)

    async def _course(self, standing_order_id: str, begun: int) -> RunStep:
        at = workflow.info().typed_search_attributes.get(DUE) or workflow.info().workflow_start_time
        for number in range(begun, begun + MOST_AT_ONCE):
            step = await self._make_run(WakeUp(standing_order_id=standing_order_id, at=at, number=number))
            if step.transfer is not None:
                await self._start(step.transfer)
            if not step.due:
                break
        else:
            workflow.continue_as_new(args=[standing_order_id, begun + MOST_AT_ONCE])
        if step.over:
            await workflow.execute_activity_method(
                StandingOrderActivities.follow_order,
                standing_order_id,
                summary="take the schedule away",
                start_to_close_timeout=timedelta(seconds=15),
                retry_policy=RetryPolicy(maximum_interval=timedelta(seconds=30)),
            )
        return step

    async def _make_run(self, wake: WakeUp) -> RunStep:
        return await ledger_step("make the run that is due", StandingOrderActivities.make_run, wake)

    async def _start(self, order: TransferOrder) -> None:
        """Its saga goes on without us. What has one already (this workflow, run again) needs no other."""
        with contextlib.suppress(WorkflowAlreadyStartedError):
            await workflow.start_child_workflow(
                TransferWorkflow.run,
                order,
                id=transfer_stream(order.transfer_id),
                id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE_FAILED_ONLY,
                parent_close_policy=workflow.ParentClosePolicy.ABANDON,
                task_timeout=workflow.info().task_timeout,
                static_summary=f"{order.amount} {order.from_account} → {order.to_account}",
                search_attributes=search_attributes("transfer", "initiated", order.from_account, order.to_account),
            )
