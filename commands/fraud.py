"""Commands about fraud cases: each starts a case's workflow or asks a running one."""

from __future__ import annotations

from temporalio.client import Client
from temporalio.common import SearchAttributePair, TypedSearchAttributes

from activities.fraud_steps import (
    AssignWish,
    CaseOrder,
    CaseStep,
    DecideWish,
    EscalateWish,
    FreezeWish,
    NoteWish,
)
from activities.ledger import Ledger
from activities.search import KIND, STATUS
from activities.steps import Wish
from commands.running import WorkflowOver, ask, resting, start_workflow, update_id, workflow_missing
from domain.errors import Conflict
from domain.fraud_case import CaseStatus, FraudCase
from domain.streams import fraud_case_stream
from settings import Settings
from workflows.fraud_case import FraudCaseWorkflow


class FraudCommands:
    """`ledger` is only read: every change of a case goes through its workflow."""

    def __init__(self, client: Client, ledger: Ledger, settings: Settings) -> None:
        self._client = client
        self._ledger = ledger
        self._settings = settings

    async def open(self, order: CaseOrder) -> CaseStep:
        """Opens a case; the same again joins it. Refused where there is one of this id about something else."""
        stream = fraud_case_stream(order.case_id)
        pairs = [SearchAttributePair(KIND, "fraud_case"), SearchAttributePair(STATUS, "open")]
        _, started = await start_workflow(
            self._client,
            self._settings,
            FraudCaseWorkflow.run,
            order,
            workflow_id=stream,
            summary=f"fraud case about {order.subject or order.account_id}",
            search_attributes=TypedSearchAttributes(pairs),
        )
        if not started and not await self._ledger.repeats(f"{stream}:open", order):
            raise Conflict("fraud_case_exists", f"fraud case {order.case_id} exists already", "case_id")
        handle = self._client.get_workflow_handle(stream, result_type=CaseStep)
        step: CaseStep = await resting(handle, FraudCaseWorkflow.resting)
        return step

    async def assign(self, case_id: str, wish: AssignWish) -> CaseStep:
        """Somebody takes it on."""
        return await self._ask(case_id, FraudCaseWorkflow.request_assignment, wish)

    async def note(self, case_id: str, wish: NoteWish) -> CaseStep:
        """Keeps what somebody found out."""
        return await self._ask(case_id, FraudCaseWorkflow.request_note, wish)

    async def escalate(self, case_id: str, wish: EscalateWish) -> CaseStep:
        """Somebody else must decide."""
        return await self._ask(case_id, FraudCaseWorkflow.request_escalation, wish)

    async def freeze(self, case_id: str, wish: FreezeWish) -> CaseStep:
        """Freezes the case's account."""
        return await self._ask(case_id, FraudCaseWorkflow.request_freeze, wish)

    async def decide(self, case_id: str, wish: DecideWish) -> CaseStep:
        """Approves or rejects: what waits in review is decided by it, what is authorised already is cancelled."""
        return await self._ask(case_id, FraudCaseWorkflow.request_decision, wish)

    async def _ask(self, case_id: str, update: object, wish: Wish) -> CaseStep:
        stream = fraud_case_stream(case_id)
        handle = self._client.get_workflow_handle(stream)
        try:
            step: CaseStep = await ask(handle, update, wish, update_id=update_id(wish))
        except WorkflowOver:
            (await self._found(stream)).must_be_undecided()
            raise workflow_missing(stream) from None
        except Conflict as refused:
            if refused.code != "workflow_missing":
                raise
            return await self._once_more(case_id, update, wish, refused)
        return step

    async def _once_more(self, case_id: str, update: object, wish: Wish, refused: Conflict) -> CaseStep:
        """That nobody runs what it is about holds until `repair`; Temporal keeps it under the update's id."""
        stream = fraud_case_stream(case_id)
        try:
            step: CaseStep = await ask(self._client.get_workflow_handle(stream), update, wish)
        except WorkflowOver:
            found = await self._found(stream)
            if isinstance(wish, DecideWish) and found.status is (
                CaseStatus.APPROVED if wish.approve else CaseStatus.REJECTED
            ):
                return CaseStep.of(found, case_id, subject_in_review=False)  # granted then, and answered in vain
            found.must_be_undecided()
            raise refused from None
        return step

    async def _found(self, stream: str) -> FraudCase:
        found = await self._ledger.state(stream)
        assert isinstance(found, FraudCase)
        return found
