"""A fraud case, alone and together with what it is about."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain import fraud_case as cases
from domain.account import AccountStatus
from domain.errors import DomainError
from domain.fraud_case import CaseStatus, FraudCase
from domain.fraud_case_messages import (
    AddNote,
    AssignCase,
    CaseAccountFrozen,
    CaseApproved,
    CaseAssigned,
    CaseEscalated,
    CaseNoteAdded,
    CaseRejected,
    CaseWithdrawn,
    DecideCase,
    EscalateCase,
    OpenCase,
    RecordFreeze,
    WithdrawCase,
)
from domain.fraud_legs import (
    CaseTerms,
    decide_case,
    freeze_account,
    open_case,
    settle_with_review,
    settle_with_subject,
)
from domain.leg import Leg
from domain.payment_legs import approve_payment, cancel_payment, open_payment, reject_payment
from domain.payment_messages import CancelPayment
from domain.review import ApproveReview, RejectReview
from domain.screening import ScreeningLimits
from tests.fixtures.books import Books
from tests.unit.given import AT, LATER, Given
from tests.unit.paying import REVIEW_ALL, books, terms

__all__ = ["books"]  # a fixture

P = "payment-p"
CASE: dict[str, Any] = {
    "case_id": "c",
    "source": "analyst",
    "account_id": "a",
    "user_id": "u",
    "risk_score": 70,
    "reasons": ("reported by the bank",),
    "by": "ana",
    "decide_by": LATER,
}


def case(*facts: Any) -> Given[FraudCase]:
    return Given(cases.initial(), cases.decide, cases.evolve).past(*facts)


OPEN = OpenCase(at=AT, **CASE)
APPROVE, REJECT = (DecideCase(at=AT, approve=approve, by="ana", note="seen") for approve in (True, False))
ASKS = [
    (AssignCase(at=AT, analyst="bo", by="ana"), CaseAssigned(analyst="bo", by="ana")),
    (AddNote(at=AT, note="called", by="ana"), CaseNoteAdded(note="called", by="ana")),
    (EscalateCase(at=AT, reason="late", by="deadline"), CaseEscalated(reason="late", by="deadline")),
    (APPROVE, CaseApproved(by="ana", note="seen")),
    (REJECT, CaseRejected(by="ana", note="seen")),
    (WithdrawCase(at=AT, reason="gone"), CaseWithdrawn(reason="gone")),
    (RecordFreeze(at=AT, account_id="a", by="ana"), CaseAccountFrozen(account_id="a", by="ana")),
]


@pytest.mark.parametrize(("command", "event"), ASKS, ids=lambda it: type(it).__name__)
def test_what_can_be_asked_of_an_open_case(command: Any, event: Any) -> None:
    case(OPEN).when(command).then(event)
    case().when(command).fails_with("fraud_case_not_found")
    for over in (APPROVE, REJECT, WithdrawCase(at=AT, reason="gone")):
        case(OPEN, over).when(command).fails_with("wrong_fraud_case_status", "is not in open or escalated status")


def test_a_case_is_opened_escalated_and_frozen_once() -> None:
    case(OPEN).when(OPEN).fails_with("fraud_case_exists")
    late = EscalateCase(at=AT, reason="late", by="deadline")
    case(OPEN, late).when(late).fails_with("fraud_case_escalated")
    case(OPEN, late).when(APPROVE).then_types("CaseApproved")
    freeze = RecordFreeze(at=AT, account_id="a", by="ana")
    case(OPEN, freeze).when(freeze).then()


# --- with a payment ------------------------------------------------------------


@pytest.fixture
def held(books: Books) -> Books:
    """The payment p of 60.00 from a to b is in review, and a case about it is open."""
    books = with_case(books)
    books.leg(lambda leg: open_payment(leg, terms(), REVIEW_ALL))
    books.leg(lambda leg: open_case(leg, screening()))
    return books


def with_case(books: Books) -> Books:
    books.states[f"fraud_case-{P}"] = FraudCase()
    return books


def screening(**change: Any) -> CaseTerms:
    fields: dict[str, Any] = {"case_id": P, "source": "screening", "subject": P, "by": "screening"}
    return CaseTerms(at=AT, decide_by=AT + timedelta(days=1), **{**fields, **change})


def status(books: Books) -> CaseStatus:
    found = books.states[f"fraud_case-{P}"]
    assert isinstance(found, FraudCase)
    return found.status


def test_a_case_says_what_the_screening_found(held: Books) -> None:
    found = held.states[f"fraud_case-{P}"]
    assert isinstance(found, FraudCase)
    assert (found.account_id, found.user_id, found.risk_score, found.status) == (
        "a",
        "user-a",
        60,
        CaseStatus.OPEN,
    )
    assert held.leg(lambda leg: open_case(leg, screening())) == [], "a workflow that runs again changes nothing"


@pytest.mark.parametrize("approve", [True, False])
def test_a_review_decides_the_payment_and_its_case_at_once(held: Books, approve: bool) -> None:
    def act(leg: Leg) -> None:
        if approve:
            review = ApproveReview(at=AT, by="ana", note="known")
            approve_payment(leg, "p", review)
            settle_with_review(leg, P, review)
        else:
            no = RejectReview(at=AT, by="ana", note="stolen")
            reject_payment(leg, "p", no)
            settle_with_review(leg, P, no)

    held.leg(act)
    assert status(held) is (CaseStatus.APPROVED if approve else CaseStatus.REJECTED)


def test_a_case_ends_with_a_payment_that_is_cancelled(held: Books) -> None:
    assert held.leg(lambda leg: settle_with_subject(leg, P, AT)) == [], "in review: the case stays open"
    held.leg(lambda leg: cancel_payment(leg, "p", CancelPayment(at=AT, reason="never mind")))
    held.leg(lambda leg: settle_with_subject(leg, P, AT))
    assert status(held) is CaseStatus.WITHDRAWN
    assert held.leg(lambda leg: settle_with_subject(leg, P, AT)) == []


def test_an_analyst_s_case_outlives_the_payment(books: Books) -> None:
    books = with_case(books)
    books.leg(lambda leg: open_payment(leg, terms(), ScreeningLimits()))
    by_hand = screening(source="analyst", risk_score=80, reason="a tip", by="ana")
    books.leg(lambda leg: open_case(leg, by_hand))
    books.leg(lambda leg: cancel_payment(leg, "p", CancelPayment(at=AT)))
    assert books.leg(lambda leg: settle_with_subject(leg, P, AT)) == []
    assert books.leg(lambda leg: decide_case(leg, P, APPROVE)) == ["CaseApproved"]


def test_a_decision_waits_for_the_payment_it_is_about(held: Books) -> None:
    with pytest.raises(DomainError, match="still in review"):
        held.leg(lambda leg: decide_case(leg, P, APPROVE))


def test_what_screening_declines_is_a_case_that_is_over(books: Books) -> None:
    books = with_case(books)
    limits = ScreeningLimits(review_above=Decimal(0), decline_at=60)
    types = books.leg(lambda leg: open_payment(leg, terms(), limits))
    assert types == ["PaymentInitiated", "PaymentHeldForReview", "ReviewRejected"]
    assert books.leg(lambda leg: open_case(leg, screening())) == ["CaseOpened", "CaseRejected"]


def test_an_analyst_opens_a_case_about_an_account(books: Books) -> None:
    books = with_case(books)
    by_hand = screening(source="analyst", subject=None, account_id="a", risk_score=80, reason="a tip", by="ana")
    books.leg(lambda leg: open_case(leg, by_hand))
    with pytest.raises(DomainError, match="exists already"):
        books.leg(lambda leg: open_case(leg, by_hand))
    books.leg(lambda leg: freeze_account(leg, P, AT, "ana"))
    frozen = books.states["account-a"]
    assert getattr(frozen, "status", None) is AccountStatus.FROZEN
    assert books.leg(lambda leg: freeze_account(leg, P, AT, "ana")) == []
    assert books.leg(lambda leg: decide_case(leg, P, REJECT)) == ["CaseRejected"]
    assert books.leg(lambda leg: decide_case(leg, P, REJECT)) == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"subject": None, "account_id": "none", "risk_score": 1}, "account_not_found"),
        ({"subject": None, "account_id": None, "risk_score": 1}, "subject_missing"),
        ({"subject": None, "account_id": "a"}, "risk_score_missing"),
        ({"subject": P}, "payment_not_found"),
    ],
)
def test_a_case_must_be_about_something(books: Books, change: dict[str, Any], code: str) -> None:
    with pytest.raises(DomainError) as refused:
        with_case(books).leg(lambda leg: open_case(leg, screening(source="analyst", by="ana", **change)))
    assert refused.value.code == code
