"""BatchTransferWorkflow: drives a batch of transfers on, stretch by stretch, and hears what is asked between two.

settle chunks ──► [atomic: release what was held] ──► completed
      any refusal in an atomic batch, or its cancel: undo chunks in reverse ──► compensated, or stuck items

What it does next is read off where the batch stands by the log, so that a run that takes over finds its way.
"""

from __future__ import annotations

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from activities.batches import BatchActivities, Stretch, batch_queue
from activities.steps import BatchOrder, BatchStep, CancelWish, PauseWish, ResumeWish, Wish
from domain.batch import BatchStatus
from workflows.life import TEMPORAL_CANCEL, Life
from workflows.steps import ledger_step, show, stretch

S = BatchStatus
DRIVEN = (S.RUNNING, S.RELEASING, S.COMPENSATING)


@workflow.defn
class BatchTransferWorkflow:
    """Workflow id `batch-<batch_id>`. Its items are in Postgres; nothing of them passes through here."""

    def __init__(self) -> None:
        self._life: Life[BatchStep] = Life()
        self._known: Stretch | None = None

    @workflow.run
    async def run(self, order: BatchOrder) -> BatchStep:
        return await self._life.lead(self._course(order), lambda: self._over(order), TEMPORAL_CANCEL)

    # --- what can be asked of it ---------------------------------------------

    @workflow.signal
    def cancel(self, wish: CancelWish) -> None:
        """Cancel if it still can be, without an answer."""
        self._life.inbox.put(wish)

    @workflow.update
    async def request_pause(self, wish: PauseWish) -> BatchStep:
        """Stop after the chunks that are under way."""
        return await self._life.inbox.ask(wish)

    @workflow.update
    async def request_resume(self, wish: ResumeWish) -> BatchStep:
        """Go on."""
        return await self._life.inbox.ask(wish)

    @workflow.update
    async def request_cancel(self, wish: CancelWish) -> BatchStep:
        """Cancel, and say what that achieved: how many items stay settled, or that all are being undone."""
        return await self._life.inbox.ask(wish)

    @workflow.update
    async def resting(self) -> BatchStep:
        """Waits until the batch is over or paused, and says where it stands then."""
        return await self._life.rest()

    @workflow.query
    def status(self) -> BatchStep | None:
        """Where the batch stands; None before its first stretch."""
        return self._life.step

    # --- its way -------------------------------------------------------------

    async def _course(self, order: BatchOrder) -> BatchStep:
        step = await self._advance(order)
        while step.status in DRIVEN or step.status is S.PAUSED:
            asked = self._life.inbox.take()
            if asked is None and step.status is S.PAUSED:
                asked = await self._life.next_wish()
            if asked is not None:
                step = self._at(await self._life.answer(asked, self._decided(order, asked.wish)))
            elif workflow.info().is_continue_as_new_suggested() and workflow.all_handlers_finished():
                workflow.continue_as_new(order)
            else:
                step = await self._advance(order)
        return step

    async def _advance(self, order: BatchOrder) -> BatchStep:
        """A stretch, and a saga of its own for each item that needs one."""
        came: Stretch = await workflow.execute_activity_method(
            BatchActivities.advance_batch,
            args=[order, self._known],
            **stretch("settle, release or undo items", batch_queue(workflow.info().task_queue)),
        )
        if came.noted_after is not None:
            await workflow.execute_activity_method(
                BatchActivities.hand_over_items,
                args=[order, came.noted_after],
                **stretch("start the sagas of items that need one"),
            )
        self._known = came
        return self._at(came.step)

    async def _decided(self, order: BatchOrder, wish: Wish) -> BatchStep:
        match wish:
            case PauseWish():
                return await ledger_step("pause", BatchActivities.pause_batch, order, wish)
            case ResumeWish():
                return await ledger_step("resume", BatchActivities.resume_batch, order, wish)
            case CancelWish():
                return await ledger_step("cancel", BatchActivities.cancel_batch, order, wish)
            case _:
                raise AssertionError(f"not a wish about a batch: {wish!r}")

    def _at(self, step: BatchStep) -> BatchStep:
        why = f" ({step.failure_reason})" if step.failure_reason else ""
        details = (
            f"**{step.status}**{why}: {step.settled} of {step.items} settled, {step.completed} completed, "
            f"{step.rejected} rejected, {step.started} started"
        )
        show(step.status, step.user, details)
        return self._life.at(step)

    def _over(self, order: BatchOrder) -> ApplicationError:
        return self._life.too_late("batch", f"batch is not in a status that allows this: {order.batch_id}")
