"""Fraud cases: one for each payment and transfer that was held, decided with it and as somebody asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tests.chaos.checker.books import Books, Row, Saga

Wrong = Callable[[str, str, str], None]
UNDECIDED: Final = ("open", "escalated")
HELD: Final = ("PaymentHeldForReview", "TransferHeldForReview")
_STATUS: Final = {
    "CaseOpened": "open",
    "CaseEscalated": "escalated",
    "CaseApproved": "approved",
    "CaseRejected": "rejected",
    "CaseWithdrawn": "withdrawn",
}
_REVIEW: Final = {"approved": "ReviewApproved", "rejected": "ReviewRejected"}


@dataclass
class Case:
    """`subject` is the stream of what it is about, where it is about a payment or transfer."""

    stream: str
    status: str = "none"
    source: str = ""
    subject: str | None = None
    account: str = ""
    frozen: bool = False
    ended: Row | None = None

    @property
    def id(self) -> str:
        return self.stream.partition("-")[2]

    def see(self, row: Row, wrong: Wrong) -> None:
        """The next event of its stream."""
        if self.ended is not None:
            wrong("order", f"{row.stream}@{row.version}", f"{row.type} after it was {self.status}")
        if row.type == "CaseOpened":
            self.source, self.subject = row.data["source"], row.data.get("subject")
            self.account = row.data["account_id"]
        elif row.type == "CaseAccountFrozen":
            self.frozen = True
        self.status = _STATUS.get(row.type, self.status)
        if self.status not in UNDECIDED:
            self.ended = row


def drives_on(case: Case, books: Books) -> bool:
    """Whether something other than a person still has to move it: its deadline, or the end of its subject."""
    if case.status not in UNDECIDED:
        return False
    of_screening = case.source == "screening" and case.subject is not None
    return case.status == "open" or (of_screening and books.saga(str(case.subject)).status != "in_review")


def check(case: Case, books: Books, wrong: Wrong) -> None:
    if drives_on(case, books):
        wrong("ends", case.stream, f"is still {case.status}, and was to be decided within seconds")
    if case.frozen and books.accounts[case.account].status == "open":
        wrong("effect as asked", case.stream, f"has frozen {case.account}, which is open")
    if case.source == "screening":
        saga = books.saga(str(case.subject))
        sign = _REVIEW.get(case.status)
        if sign is not None and sign not in saga.signs:
            wrong("effect once", case.stream, f"is {case.status}, but {saga.stream} has no {sign}")


def check_held(saga: Saga, books: Books, wrong: Wrong) -> None:
    """What was held has a case, and a review of it decided that one too."""
    if not set(saga.signs) & set(HELD):
        return
    case = books.cases.get(f"fraud_case-{saga.stream}")
    if case is None:
        wrong("ends", saga.stream, f"was held and is {saga.status}, and nobody has a case to decide")
        return
    for status, sign in _REVIEW.items():
        if sign in saga.signs and case.status != status:
            wrong("effect once", case.stream, f"is {case.status}, but {saga.stream} has {sign}")
