"""FraudCaseWorkflow: a suspicion from its opening to somebody's decision; escalated when nobody decides in time.

A payment or transfer that waits in review is decided by its own workflow, asked by signal from here: what it
records decides the case in the same append, and its signal back says so.
"""

from __future__ import annotations

from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

from activities.fraud import FraudActivities
from activities.fraud_steps import (
    AssignWish,
    CaseOrder,
    CaseStep,
    DecideWish,
    EscalateWish,
    FreezeWish,
    NoteWish,
    SettleWish,
)
from activities.steps import CancelWish, ReviewWish, Wish
from domain.fraud_case import UNDECIDED, CaseStatus
from workflows.life import Life
from workflows.steps import ledger_step, show

ANSWER_WITHIN = timedelta(seconds=30)
"""How long a case waits for the payment or transfer that it asked."""


@workflow.defn
class FraudCaseWorkflow:
    """Workflow id `fraud_case-<case_id>`; the case id of what screening held is its stream, `payment-p-1`."""

    def __init__(self) -> None:
        self._life: Life[CaseStep] = Life()
        self._moved = 0

    @workflow.run
    async def run(self, order: CaseOrder) -> CaseStep:
        return await self._life.lead(self._course(order), lambda: self._over(order))

    @workflow.signal
    def subject_moved(self, wish: SettleWish) -> None:
        """What the case is about is no longer in review."""
        self._moved += 1
        self._life.inbox.put(wish)

    @workflow.update
    async def request_assignment(self, wish: AssignWish) -> CaseStep:
        """Somebody takes it on."""
        return await self._life.inbox.ask(wish)

    @workflow.update
    async def request_note(self, wish: NoteWish) -> CaseStep:
        """Keep what somebody found out."""
        return await self._life.inbox.ask(wish)

    @workflow.update
    async def request_escalation(self, wish: EscalateWish) -> CaseStep:
        """Somebody else must decide."""
        return await self._life.inbox.ask(wish)

    @workflow.update
    async def request_freeze(self, wish: FreezeWish) -> CaseStep:
        """Freeze the account until it is decided."""
        return await self._life.inbox.ask(wish)

    @workflow.update
    async def request_decision(self, wish: DecideWish) -> CaseStep:
        """Approve or reject. What waits in review is decided before this answers; what is authorised, after."""
        return await self._life.inbox.ask(wish)

    @workflow.update
    async def resting(self) -> CaseStep:
        """Waits until the case is open or over, and says where it stands then."""
        return await self._life.rest()

    @workflow.query
    def status(self) -> CaseStep | None:
        """Where the case stands; None before its first step."""
        return self._life.step

    # --- its life ------------------------------------------------------------

    async def _course(self, order: CaseOrder) -> CaseStep:
        step = self._life.at(await ledger_step("open case", FraudActivities.open_case, order))
        while step.status in UNDECIDED:
            self._show(step)
            asked = await self._life.next_wish(until=step.decide_by if step.status is CaseStatus.OPEN else None)
            if asked is None:
                step = self._life.at(await self._late(step))
            else:
                step = await self._life.answer(asked, self._do(asked.wish, step))
        self._show(step)
        return step

    async def _late(self, step: CaseStep) -> CaseStep:
        """The deadline. A signal that was lost is made up for first: the case may be over with its subject."""
        settled = await ledger_step(
            "settle case", FraudActivities.settle_case, step, SettleWish(wish_id="deadline")
        )
        if settled.status is not CaseStatus.OPEN:
            return settled
        wish = EscalateWish(wish_id="deadline", reason="nobody decided it in time", actor="deadline")
        return await ledger_step("escalate case", FraudActivities.escalate_case, settled, wish)

    async def _do(self, wish: Wish, step: CaseStep) -> CaseStep:
        match wish:
            case AssignWish():
                return await ledger_step("assign case", FraudActivities.assign_case, step, wish)
            case NoteWish():
                return await ledger_step("note case", FraudActivities.note_case, step, wish)
            case EscalateWish():
                return await ledger_step("escalate case", FraudActivities.escalate_case, step, wish)
            case FreezeWish():
                return await ledger_step("freeze account", FraudActivities.freeze_account, step, wish)
            case SettleWish():
                return await ledger_step("settle case", FraudActivities.settle_case, step, wish)
            case DecideWish():
                return await self._decide(wish, step)
            case _:
                raise AssertionError(f"not a wish about a fraud case: {wish!r}")

    async def _decide(self, wish: DecideWish, step: CaseStep) -> CaseStep:
        """Freeze first: rejecting releases nothing that could then be spent again."""
        if wish.freeze and not wish.approve:
            freeze = FreezeWish(wish_id=wish.wish_id, actor=wish.actor, trace=wish.trace)
            step = await ledger_step("freeze account", FraudActivities.freeze_account, step, freeze)
        step = await ledger_step(
            "settle case", FraudActivities.settle_case, step, SettleWish(wish_id=f"before-{wish.wish_id}")
        )
        if step.subject is not None and step.subject_in_review:
            moved = self._moved
            review = ReviewWish(
                wish_id=f"case:{wish.wish_id}",
                approve=wish.approve,
                note=wish.note,
                actor=wish.actor,
                trace=wish.trace,
            )
            await self._tell(step.subject, "review", review)
            await self._wait_for_subject(moved)
        elif step.subject is not None and not wish.approve:
            cancel = CancelWish(wish_id=f"case:{wish.wish_id}", reason="fraud", actor=wish.actor, trace=wish.trace)
            await self._tell(step.subject, "cancel", cancel, must=False)
        return await ledger_step("decide case", FraudActivities.decide_case, step, wish)

    async def _wait_for_subject(self, moved: int) -> None:
        try:
            await workflow.wait_condition(lambda: self._moved > moved, timeout=ANSWER_WITHIN)
        except TimeoutError:
            return  # the decision below is refused while it is still in review

    async def _tell(self, subject: str, signal: str, wish: Wish, must: bool = True) -> None:
        """Ask the subject's workflow. Refused where none runs; without `must`, nothing is left to void then."""
        try:
            await workflow.get_external_workflow_handle(subject).signal(signal, wish)
        except FailureError as fault:
            if must:
                details = {"code": "workflow_missing", "field": None, "kind": "Conflict"}
                message = f"{subject} is in review but no workflow runs it: `starter.py repair` restarts it"
                raise ApplicationError(message, details, type="workflow_missing", non_retryable=True) from fault

    def _show(self, step: CaseStep) -> None:
        who = f", with {step.assignee}" if step.assignee else ""
        about = step.subject or f"account {step.account_id}"
        show(step.status, step.user, f"**{step.status}**{who}: {about}, risk score {step.risk_score}")

    def _over(self, order: CaseOrder) -> ApplicationError:
        return self._life.too_late("fraud_case", f"fraud case is not in open or escalated status: {order.case_id}")
