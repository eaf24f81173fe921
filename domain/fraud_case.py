"""FraudCase: a suspicion that somebody has to decide. Opened by screening or by an analyst; all of it is audited.

– ──► OPEN ──► ESCALATED ──► APPROVED | REJECTED | WITHDRAWN
        └────────────────────────┘
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import assert_never

from domain.errors import Conflict, WrongState
from domain.fraud_case_messages import (
    AddNote,
    AssignCase,
    CaseAccountFrozen,
    CaseApproved,
    CaseAssigned,
    CaseEscalated,
    CaseNoteAdded,
    CaseOpened,
    CaseRejected,
    CaseSource,
    CaseWithdrawn,
    DecideCase,
    EscalateCase,
    FraudCaseCommand,
    FraudCaseEvent,
    OpenCase,
    RecordFreeze,
    WithdrawCase,
)
from domain.status import must_be_in


class CaseStatus(StrEnum):
    NONE = "none"
    OPEN = "open"
    ESCALATED = "escalated"
    APPROVED = "approved"
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"


S = CaseStatus
UNDECIDED = (S.OPEN, S.ESCALATED)


@dataclass(frozen=True, slots=True)
class FraudCase:
    """`frozen`: the account was frozen on behalf of this case."""

    case_id: str = ""
    status: CaseStatus = S.NONE
    source: CaseSource = "screening"
    subject: str | None = None
    account_id: str = ""
    user_id: str = ""
    risk_score: int = 0
    assignee: str | None = None
    decide_by: datetime | None = None
    frozen: bool = False

    def must_be_undecided(self) -> None:
        must_be_in(UNDECIDED, "fraud_case", self.case_id, self.status)


def initial() -> FraudCase:
    """A case nobody has opened."""
    return FraudCase()


def decide(command: FraudCaseCommand, case: FraudCase) -> list[FraudCaseEvent]:
    """The events `command` causes, or a DomainError."""
    if isinstance(command, OpenCase):
        if case.status is not S.NONE:
            raise Conflict("fraud_case_exists", f"fraud case {command.case_id} exists already")
        return [CaseOpened(**{name: value for name, value in command if name != "at"})]
    case.must_be_undecided()
    match command:
        case AssignCase(analyst=analyst, by=by):
            return [CaseAssigned(analyst=analyst, by=by)]
        case AddNote(note=note, by=by):
            return [CaseNoteAdded(note=note, by=by)]
        case EscalateCase(reason=reason, by=by):
            if case.status is S.ESCALATED:
                raise WrongState("fraud_case_escalated", f"fraud case {case.case_id} is escalated already")
            return [CaseEscalated(reason=reason, by=by)]
        case DecideCase(approve=approve, by=by, note=note):
            return [CaseApproved(by=by, note=note) if approve else CaseRejected(by=by, note=note)]
        case WithdrawCase(reason=reason):
            return [CaseWithdrawn(reason=reason)]
        case RecordFreeze(account_id=account_id, by=by):
            return [] if case.frozen else [CaseAccountFrozen(account_id=account_id, by=by)]
        case _:
            assert_never(command)


def evolve(case: FraudCase, event: FraudCaseEvent) -> FraudCase:
    """The case after `event`."""
    match event:
        case CaseOpened():
            return FraudCase(
                case_id=event.case_id,
                status=S.OPEN,
                source=event.source,
                subject=event.subject,
                account_id=event.account_id,
                user_id=event.user_id,
                risk_score=event.risk_score,
                decide_by=event.decide_by,
            )
        case CaseAssigned(analyst=analyst):
            return replace(case, assignee=analyst)
        case CaseNoteAdded():
            return case
        case CaseEscalated():
            return replace(case, status=S.ESCALATED)
        case CaseApproved():
            return replace(case, status=S.APPROVED)
        case CaseRejected():
            return replace(case, status=S.REJECTED)
        case CaseWithdrawn():
            return replace(case, status=S.WITHDRAWN)
        case CaseAccountFrozen():
            return replace(case, frozen=True)
        case _:
            assert_never(event)
