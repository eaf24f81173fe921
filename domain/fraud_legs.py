"""What a fraud case does together with the payment, transfer or account it is about. One function, one append."""

from __future__ import annotations

from datetime import datetime

from domain.account import AccountStatus
from domain.account_messages import Freeze
from domain.errors import InvalidInput, NotFound, WrongState
from domain.fraud_case import UNDECIDED, CaseStatus
from domain.fraud_case_messages import (
    CaseSource,
    DecideCase,
    OpenCase,
    RecordFreeze,
    WithdrawCase,
)
from domain.leg import Leg
from domain.model import Command, Id, Name, Text
from domain.money import Money
from domain.payment import Payment, PaymentStatus
from domain.review import SCREENING, ApproveReview, RejectReview, Suspicion
from domain.streams import PAYMENT, account_stream, category_of, fraud_case_stream, id_of
from domain.transfer import Transfer, TransferStatus


class CaseTerms(Command):
    """What a case is opened with. Of a `subject`, account, user and amount are taken from it."""

    case_id: Name
    source: CaseSource
    subject: Name | None = None
    account_id: Id | None = None
    risk_score: int | None = None
    reason: Text | None = None
    by: Id
    decide_by: datetime


def open_case(leg: Leg, terms: CaseTerms) -> None:
    """Open it. One that screening opens too late, when its subject is decided, is closed in the same breath."""
    if leg.fraud_case(terms.case_id).status is not CaseStatus.NONE and terms.source == SCREENING:
        return  # a workflow that is run again
    account_id, user_id, counterparty, amount, suspicion = _about(leg, terms)
    leg.on_fraud_case(
        terms.case_id,
        OpenCase(
            at=terms.at,
            case_id=terms.case_id,
            source=terms.source,
            account_id=account_id,
            user_id=user_id,
            subject=terms.subject,
            counterparty=counterparty,
            amount=amount,
            risk_score=suspicion.score,
            reasons=suspicion.reasons,
            rules=suspicion.rules,
            by=terms.by,
            decide_by=terms.decide_by,
        ),
    )
    if terms.source == SCREENING:
        settle_with_subject(leg, terms.case_id, terms.at)


def _about(leg: Leg, terms: CaseTerms) -> tuple[str, str, str | None, Money | None, Suspicion]:
    """(account, user, counterparty, amount, why)"""
    given = None
    if terms.risk_score is not None:
        given = Suspicion(terms.risk_score, (terms.reason or "reported by an analyst",), ())
    if terms.subject is None:
        if terms.account_id is None:
            raise InvalidInput(
                "subject_missing", "say which account, payment or transfer it is about", "account_id"
            )
        account = leg.account(terms.account_id)
        leg.asked.add(account_stream(terms.account_id))
        if account.status is AccountStatus.UNOPENED:
            raise NotFound("account_not_found", f"account {terms.account_id} does not exist", "account_id")
        if given is None:
            raise InvalidInput("risk_score_missing", "risk_score is needed", "risk_score")
        return terms.account_id, account.user_id, None, None, given
    subject = _subject(leg, terms.subject)
    why = given or subject.suspicion or Suspicion(0, (terms.reason or "held for review",), ())
    amount = Money(subject.amount, subject.currency)
    return subject.from_account, subject.from_user, subject.to_account, amount, why


def _subject(leg: Leg, stream: str) -> Payment | Transfer:
    """Raises NotFound."""
    found = leg.payment(id_of(stream)) if category_of(stream) == PAYMENT else leg.transfer(id_of(stream))
    leg.asked.add(stream)
    if found.status in (PaymentStatus.NONE, TransferStatus.NONE):
        raise NotFound(f"{category_of(stream)}_not_found", f"{category_of(stream)} {id_of(stream)} does not exist")
    return found


def in_review(subject: Payment | Transfer) -> bool:
    return subject.status in (PaymentStatus.IN_REVIEW, TransferStatus.IN_REVIEW)


def subject_in_review(leg: Leg, case_id: str) -> bool:
    """Whether the payment or transfer of a case waits for its decision."""
    stream = leg.fraud_case(case_id).subject
    return stream is not None and in_review(_subject(leg, stream))


def settle_with_review(leg: Leg, stream: str, review: ApproveReview | RejectReview) -> None:
    """A reviewer's decision over a held payment or transfer decides its case, in the same append."""
    if leg.fraud_case(stream).status in UNDECIDED:
        approve = isinstance(review, ApproveReview)
        decision = DecideCase(at=review.at, approve=approve, by=review.by, note=review.note)
        leg.on_fraud_case(stream, decision)


def settle_with_subject(leg: Leg, case_id: str, at: datetime) -> None:
    """Where the subject was rejected by screening, or has ended by itself, screening's case is over too.

    An analyst's stays open: it is about more than whether this payment may pass.
    """
    found = leg.fraud_case(case_id)
    if found.status not in UNDECIDED or found.subject is None or found.source != SCREENING:
        return
    subject = _subject(leg, found.subject)
    if in_review(subject):
        return
    if subject.failure_code == "review_rejected":
        note = subject.failure_reason
        leg.on_fraud_case(case_id, DecideCase(at=at, approve=False, by=SCREENING, note=note))
    else:
        reason = f"{found.subject} is {subject.status.value}"
        leg.on_fraud_case(case_id, WithdrawCase(at=at, reason=reason))


def decide_case(leg: Leg, case_id: str, command: DecideCase) -> None:
    """A decision that no held payment waits for. Of a case that is decided already the same way: nothing to do."""
    case = leg.fraud_case(case_id)
    wanted = CaseStatus.APPROVED if command.approve else CaseStatus.REJECTED
    if case.status is wanted:
        leg.asked.add(fraud_case_stream(case_id))
        return
    if case.subject is not None and in_review(_subject(leg, case.subject)):
        raise WrongState("subject_in_review", f"{case.subject} is still in review")
    leg.on_fraud_case(case_id, command)


def freeze_account(leg: Leg, case_id: str, at: datetime, by: str) -> None:
    """Freeze the account of a case; one that is frozen already stays so."""
    case = leg.fraud_case(case_id)
    case.must_be_undecided()
    if leg.account(case.account_id).status is AccountStatus.OPEN:
        leg.on_account(case.account_id, Freeze(at=at, reason=f"fraud case {case_id}"))
    leg.on_fraud_case(case_id, RecordFreeze(at=at, account_id=case.account_id, by=by))
