"""The commands a fraud case takes and the events it records: who looked at what, when, and what they decided."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from domain.model import AwareDatetime, Command, Event, Id, Name, Text
from domain.money import Money

CaseSource = Literal["screening", "analyst"]


class _Case(Command):
    """`subject` is the stream of the payment or transfer it is about, if it is about one."""

    case_id: Name
    source: CaseSource
    account_id: Id
    user_id: Id
    subject: Name | None = None
    counterparty: Name | None = None
    amount: Money | None = None
    risk_score: int = Field(ge=0, le=100)
    reasons: tuple[Text, ...] = Field(min_length=1, max_length=20)
    rules: tuple[Id, ...] = ()
    by: Id
    decide_by: AwareDatetime


# --- commands ------------------------------------------------------------


class OpenCase(_Case):
    """`decide_by`: when it is escalated if nobody has decided it."""


class AssignCase(Command):
    analyst: Id
    by: Id


class AddNote(Command):
    note: Text = Field(min_length=1)
    by: Id


class EscalateCase(Command):
    reason: Text
    by: Id


class DecideCase(Command):
    """Approve: the suspicion was unfounded. Reject: it was fraud."""

    approve: bool
    by: Id
    note: Text | None = None


class WithdrawCase(Command):
    """What the case was about has ended without a decision of a person: cancelled, expired."""

    reason: Text


class RecordFreeze(Command):
    account_id: Id
    by: Id


FraudCaseCommand = OpenCase | AssignCase | AddNote | EscalateCase | DecideCase | WithdrawCase | RecordFreeze


# --- events --------------------------------------------------------------


class CaseOpened(Event):
    case_id: Name
    source: CaseSource
    account_id: Id
    user_id: Id
    subject: Name | None = None
    counterparty: Name | None = None
    amount: Money | None = None
    risk_score: int
    reasons: tuple[Text, ...]
    rules: tuple[Id, ...] = ()
    by: Id
    decide_by: AwareDatetime


class CaseAssigned(Event):
    analyst: Id
    by: Id


class CaseNoteAdded(Event):
    note: Text
    by: Id


class CaseEscalated(Event):
    reason: Text
    by: Id


class CaseApproved(Event):
    by: Id
    note: Text | None = None


class CaseRejected(Event):
    by: Id
    note: Text | None = None


class CaseWithdrawn(Event):
    reason: Text


class CaseAccountFrozen(Event):
    account_id: Id
    by: Id


FraudCaseEvent = (
    CaseOpened
    | CaseAssigned
    | CaseNoteAdded
    | CaseEscalated
    | CaseApproved
    | CaseRejected
    | CaseWithdrawn
    | CaseAccountFrozen
)
