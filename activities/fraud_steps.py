"""What the workflow of a fraud case asks of its activities, and what it gets back. Plain data."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from activities.steps import Data, Wish
from domain.fraud_case import CaseStatus, FraudCase
from domain.fraud_case_messages import CaseSource
from domain.model import AwareDatetime, Id, Name, Text


class CaseOrder(Data):
    """What a case is about: a payment or transfer (`subject`, its stream), or an account.

    `risk_score` and `reason` are an analyst's; screening's own are taken from the subject.
    """

    case_id: Name
    source: CaseSource
    subject: Name | None = None
    account_id: Id | None = None
    risk_score: int | None = Field(default=None, ge=0, le=100)
    reason: Text | None = None
    decide_within_s: int | None = Field(default=None, ge=1, le=365 * 24 * 3600)
    actor: Id = "system"
    trace: Text | None = None

    @model_validator(mode="after")
    def _about_one_thing(self) -> Self:
        if (self.subject is None) == (self.account_id is None):
            raise ValueError("a case is about one account, payment or transfer")
        return self


class AssignWish(Wish):
    analyst: Id


class NoteWish(Wish):
    note: Text = Field(min_length=1)


class EscalateWish(Wish):
    reason: Text


class DecideWish(Wish):
    """`approve`: unfounded. Otherwise it was fraud; `freeze` then also freezes the account."""

    approve: bool
    note: Text | None = None
    freeze: bool = False


class FreezeWish(Wish):
    """Freeze the account while the case is looked at."""


class SettleWish(Wish):
    """What the case is about has moved on: see whether the case is over with it."""


class CaseStep(Data):
    """Where a case stands. `subject_in_review`: its payment or transfer waits for the decision."""

    case_id: str
    status: CaseStatus
    account_id: str = ""
    user: str = ""
    risk_score: int = 0
    subject: str | None = None
    subject_in_review: bool = False
    assignee: str | None = None
    frozen: bool = False
    decide_by: AwareDatetime | None = None

    @classmethod
    def of(cls, case: FraudCase, case_id: str, subject_in_review: bool) -> CaseStep:
        return cls(
            case_id=case_id,
            status=case.status,
            account_id=case.account_id,
            user=case.user_id,
            risk_score=case.risk_score,
            subject=case.subject,
            subject_in_review=subject_in_review,
            assignee=case.assignee,
            frozen=case.frozen,
            decide_by=case.decide_by,
        )
