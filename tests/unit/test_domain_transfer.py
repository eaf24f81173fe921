"""The life of a transfer and where its money is: every row of the design's table, and every other pair refused."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from domain.errors import Conflict, InvalidInput, NotFound, WrongState
from domain.model import Command, Event
from domain.quote_messages import Quote
from domain.review import ApproveReview, RejectReview, ReviewApproved, ReviewRejected
from domain.transfer import FINAL, UNDER_WAY, Location, Transfer, TransferStatus, suspense_account
from domain.transfer_messages import (
    BlockCompensation,
    CancelRefused,
    CancelRequested,
    CancelTransfer,
    CompensationBlocked,
    CreditDestination,
    CreditRefused,
    DebitSource,
    DestinationCredited,
    FinishCompensation,
    FundsMovedToSuspense,
    HoldTransferForReview,
    InitiateTransfer,
    LegOutcomeUnknown,
    MoveToSuspense,
    QuoteExpired,
    RecordReservation,
    RecordUnknownOutcome,
    RefundSource,
    RefuseCredit,
    RejectTransfer,
    ReleaseSource,
    RequestResolution,
    ReservationExpired,
    ResolutionRequested,
    SourceDebited,
    SourceRefunded,
    SourceReleased,
    SourceReserved,
    TransferCancelled,
    TransferCompensated,
    TransferHeldForReview,
    TransferInitiated,
    TransferRejected,
)
from tests.unit.given import AT, LATER, Given, eur, transfer, usd

MUCH_LATER = LATER + timedelta(days=1)


def initiate(**change: Any) -> InitiateTransfer:
    terms: dict[str, Any] = {
        "transfer_id": "t-1",
        "from_account": "a-1",
        "from_user": "u-1",
        "to_account": "b-1",
        "to_user": "u-2",
        "amount": eur("10.00"),
    }
    return InitiateTransfer(at=AT, **{**terms, **change})


def quote(buys: str = "11.00", expires_at: Any = LATER) -> Quote:
    return Quote(quote_id="q-1", buys=usd(buys), rate=Decimal("1.1"), expires_at=expires_at)


COMMANDS: dict[str, Command] = {
    "initiate": initiate(),
    "reject": RejectTransfer(at=AT, code="insufficient_funds", reason="too little"),
    "hold for review": HoldTransferForReview(at=AT, score=60, reasons=("large",)),
    "approve": ApproveReview(at=AT, by="ops"),
    "reject review": RejectReview(at=AT, by="ops", note="no"),
    "reserve": RecordReservation(at=AT, hold_id="transfer-t-1", expires_at=LATER),
    "cancel": CancelTransfer(at=AT, reason="changed my mind"),
    "debit": DebitSource(at=AT),
    "debit late": DebitSource(at=LATER),
    "credit": CreditDestination(at=AT, rail_reference="R-1"),
    "refuse credit": RefuseCredit(at=AT, code="account_closed", reason="closed"),
    "unknown outcome": RecordUnknownOutcome(at=AT, leg="destination", key="k", reason="timeout"),
    "release": ReleaseSource(at=AT),
    "refund": RefundSource(at=AT, to_account="a-1"),
    "refund elsewhere": RefundSource(at=AT, to_account="c-1"),
    "finish": FinishCompensation(at=AT),
    "block": BlockCompensation(at=AT, step="refund_source", code="account_closed", reason="closed"),
    "move to suspense": MoveToSuspense(at=AT),
    "resolve": RequestResolution(at=AT, action="return", by="ops"),
}

_RESERVED: list[str] = ["initiate", "reserve"]
_TRANSIT = [*_RESERVED, "debit"]
_BACK_HELD = [*_RESERVED, "cancel"]
_BACK_TRANSIT = [*_TRANSIT, "refuse credit"]
# A status and, where it can differ, where the money is. `tombstone` is an undo that came before its original.
PASTS: dict[str, list[str]] = {
    "none source": [],
    "initiated source": ["initiate"],
    "in_review source": ["initiate", "hold for review"],
    "reserved held": _RESERVED,
    "in_transit in_transit": _TRANSIT,
    "compensating held": _BACK_HELD,
    "compensating in_transit": _BACK_TRANSIT,
    "compensating source": [*_BACK_HELD, "release"],
    "stuck held": [*_BACK_HELD, "block"],
    "stuck in_transit": [*_BACK_TRANSIT, "block"],
    "stuck suspense": [*_BACK_TRANSIT, "block", "move to suspense"],
    "stuck source": [*_BACK_HELD, "release", "block"],
    "stuck returned": [*_BACK_TRANSIT, "block", "move to suspense", "refund elsewhere"],
    "completed destination": [*_TRANSIT, "credit"],
    "rejected source": ["initiate", "reject"],
    "cancelled source": ["initiate", "cancel"],
    "cancelled source tombstone": ["release"],
    "compensated source": [*_BACK_HELD, "release", "finish"],
    "compensated returned": [*_BACK_TRANSIT, "block", "refund elsewhere", "finish"],
}

Row = tuple[type[Event] | None, str]
# (from, command) → the event, or None for "accepted, nothing to do"; then the status and the money's place.
TABLE: dict[tuple[str, str], Row] = {
    ("none source", "initiate"): (TransferInitiated, "initiated source"),
    ("none source", "release"): (TransferCancelled, "cancelled source"),
    ("initiated source", "reject"): (TransferRejected, "rejected source"),
    ("initiated source", "hold for review"): (TransferHeldForReview, "in_review source"),
    ("initiated source", "reserve"): (SourceReserved, "reserved held"),
    ("initiated source", "cancel"): (TransferCancelled, "cancelled source"),
    ("initiated source", "release"): (TransferCancelled, "cancelled source"),
    ("in_review source", "approve"): (ReviewApproved, "initiated source"),
    ("in_review source", "reject review"): (ReviewRejected, "rejected source"),
    ("in_review source", "cancel"): (TransferCancelled, "cancelled source"),
    ("in_review source", "release"): (TransferCancelled, "cancelled source"),
    ("reserved held", "debit"): (SourceDebited, "in_transit in_transit"),
    ("reserved held", "debit late"): (ReservationExpired, "compensating held"),
    ("reserved held", "cancel"): (CancelRequested, "compensating held"),
    ("in_transit in_transit", "credit"): (DestinationCredited, "completed destination"),
    ("in_transit in_transit", "refuse credit"): (CreditRefused, "compensating in_transit"),
    ("in_transit in_transit", "cancel"): (CancelRefused, "in_transit in_transit"),
    ("in_transit in_transit", "unknown outcome"): (LegOutcomeUnknown, "in_transit in_transit"),
    ("compensating held", "release"): (SourceReleased, "compensating source"),
    ("compensating held", "refund"): (None, "compensating held"),
    ("compensating in_transit", "refund"): (SourceRefunded, "compensating source"),
    ("compensating source", "refund"): (None, "compensating source"),
    ("compensating source", "finish"): (TransferCompensated, "compensated source"),
    ("stuck held", "release"): (SourceReleased, "stuck source"),
    ("stuck held", "refund"): (None, "stuck held"),
    ("stuck in_transit", "refund"): (SourceRefunded, "stuck source"),
    ("stuck suspense", "refund"): (SourceRefunded, "stuck source"),
    ("stuck source", "refund"): (None, "stuck source"),
    ("stuck in_transit", "move to suspense"): (FundsMovedToSuspense, "stuck suspense"),
    ("stuck held", "move to suspense"): (None, "stuck held"),
    ("stuck suspense", "move to suspense"): (None, "stuck suspense"),
    ("stuck source", "move to suspense"): (None, "stuck source"),
    ("stuck in_transit", "credit"): (DestinationCredited, "completed destination"),
    ("stuck suspense", "credit"): (DestinationCredited, "completed destination"),
    ("stuck source", "finish"): (TransferCompensated, "compensated source"),
    ("compensating in_transit", "refund elsewhere"): (SourceRefunded, "compensating returned"),
    ("stuck in_transit", "refund elsewhere"): (SourceRefunded, "stuck returned"),
    ("stuck suspense", "refund elsewhere"): (SourceRefunded, "stuck returned"),
    ("stuck returned", "refund"): (None, "stuck returned"),
    ("stuck returned", "move to suspense"): (None, "stuck returned"),
    ("stuck returned", "finish"): (TransferCompensated, "compensated returned"),
}
for _place in ("held", "source"):
    TABLE[f"compensating {_place}", "refund elsewhere"] = (None, f"compensating {_place}")
for _place in ("held", "source", "returned"):
    TABLE[f"stuck {_place}", "refund elsewhere"] = (None, f"stuck {_place}")
for _place in ("held", "in_transit", "source"):
    TABLE[f"compensating {_place}", "block"] = (CompensationBlocked, f"stuck {_place}")
for _place in ("held", "in_transit", "suspense", "source", "returned"):
    TABLE[f"stuck {_place}", "resolve"] = (ResolutionRequested, f"stuck {_place}")
for _past in PASTS:  # an undo of what is not there, or is not its to undo, does nothing
    if (_past, "release") not in TABLE:
        TABLE[_past, "release"] = (None, " ".join(_past.split()[:2]))
# Possible from the status, but not while the money is where it is.
MISPLACED = {
    ("stuck held", "credit"): "money_not_under_way",
    ("stuck source", "credit"): "money_not_under_way",
    ("stuck returned", "credit"): "money_not_under_way",
    ("compensating held", "finish"): "money_not_back",
    ("compensating in_transit", "finish"): "money_not_back",
    ("stuck held", "finish"): "money_not_back",
    ("stuck in_transit", "finish"): "money_not_back",
    ("stuck suspense", "finish"): "money_not_back",
}
ILLEGAL = [
    (past, name)
    for past in PASTS
    for name in COMMANDS
    if (past, name) not in TABLE and (past, name) not in MISPLACED
]


def given(past: str) -> Given[Transfer]:
    return transfer(*(COMMANDS[name] for name in PASTS[past]))


def whereabouts(state: Transfer) -> str:
    return f"{state.status} {state.location}"


def test_the_pasts_cover_every_status_and_place() -> None:
    for past in PASTS:
        assert whereabouts(given(past).state) == " ".join(past.split()[:2])
    assert {past.split()[0] for past in PASTS} == {status.value for status in TransferStatus}
    assert {past.split()[1] for past in PASTS} == {place.value for place in Location}


@pytest.mark.parametrize(("past", "name"), TABLE)
def test_every_row_of_the_table(past: str, name: str) -> None:
    event, after = TABLE[past, name]
    types = [] if event is None else [event.__name__]
    assert whereabouts(given(past).when(COMMANDS[name]).then_types(*types)) == after


@pytest.mark.parametrize(("past", "name"), ILLEGAL)
def test_every_pair_outside_the_table_is_refused(past: str, name: str) -> None:
    when, status = given(past).when(COMMANDS[name]), past.split(maxsplit=1)[0]
    if name == "initiate":
        assert isinstance(when.fails_with("transfer_exists", "transfer t-1 exists already"), Conflict)
    elif status == "none":
        assert isinstance(when.fails_with("transfer_not_found", "transfer does not exist"), NotFound)
    else:
        refusal = when.fails_with("wrong_transfer_status", "transfer is not in ")
        assert isinstance(refusal, WrongState)
        assert refusal.message.endswith(f"is {status}")
        wanted = refusal.message.removeprefix("transfer is not in ").partition(" status: ")[0].split(" or ")
        legal = {before.split()[0] for (before, command) in [*TABLE, *MISPLACED] if command == name}
        assert set(wanted) == legal


@pytest.mark.parametrize(("past", "name"), MISPLACED)
def test_money_is_moved_only_from_where_it_is(past: str, name: str) -> None:
    assert isinstance(given(past).when(COMMANDS[name]).fails_with(MISPLACED[past, name]), Conflict)


def test_final_is_final() -> None:
    final = {past for past in PASTS if given(past).state.status in FINAL}
    assert {past.split()[0] for past in final} == {"completed", "rejected", "cancelled", "compensated"}
    for past in final:
        for command in COMMANDS.values():
            assert given(past).when(command).after == given(past).state
    assert {Location.IN_TRANSIT, Location.SUSPENSE} == UNDER_WAY


# --- initiating ------------------------------------------------------------


def test_a_transfer_records_what_was_ordered() -> None:
    command = initiate(quote=quote(), rail="sepa", reference="INV-7", purpose="SALA", metadata={"run": "7"})
    transfer().when(command).then(
        TransferInitiated(
            transfer_id="t-1",
            from_account="a-1",
            from_user="u-1",
            to_account="b-1",
            to_user="u-2",
            amount=eur("10.00"),
            quote=quote(),
            rail="sepa",
            reference="INV-7",
            purpose="SALA",
            metadata={"run": "7"},
        )
    )


@pytest.mark.parametrize(
    ("change", "code", "message", "field"),
    [
        ({"amount": eur("0.00")}, "amount_not_positive", "amount must be positive", "amount"),
        ({"amount": eur("-1.00")}, "amount_not_positive", "amount must be positive", "amount"),
        ({"quote": quote("0.00")}, "amount_not_positive", "amount must be positive", "amount"),
        ({"to_account": "a-1"}, "same_account", "cannot transfer to the same account", "to_account"),
    ],
)
def test_a_transfer_that_makes_no_sense_is_refused(change: Any, code: str, message: str, field: str) -> None:
    refusal = transfer().when(initiate(**change)).fails_with(code, message, field)
    assert isinstance(refusal, InvalidInput)
    assert refusal.message == message


def test_a_rate_is_positive() -> None:
    with pytest.raises(ValidationError, match="rate"):
        Quote(quote_id="q", buys=usd("1.00"), rate=Decimal(0), expires_at=LATER)


# --- the pivot ------------------------------------------------------------


def test_a_quote_or_a_reservation_that_is_over_turns_the_debit_into_compensation() -> None:
    early = LATER - timedelta(microseconds=1)
    quoted = transfer(initiate(quote=quote()), RecordReservation(at=AT, hold_id="h", expires_at=MUCH_LATER))
    after = quoted.when(DebitSource(at=LATER)).then(QuoteExpired(quote_id="q-1", expired_at=LATER))
    assert (after.status, after.location, after.failure_code) == ("compensating", "held", "quote_expired")
    quoted.when(DebitSource(at=early)).then(SourceDebited(amount=eur("10.00")))
    after = given("reserved held").when(DebitSource(at=LATER)).then(ReservationExpired(expired_at=LATER))
    assert (after.status, after.location, after.failure_code) == ("compensating", "held", "reservation_expired")
    given("reserved held").when(DebitSource(at=early)).then(SourceDebited(amount=eur("10.00")))


def test_past_the_pivot_an_expired_quote_no_longer_matters() -> None:
    quoted = transfer(initiate(quote=quote()), COMMANDS["reserve"], DebitSource(at=AT))
    quoted.when(CreditDestination(at=MUCH_LATER)).then(DestinationCredited(amount=usd("11.00")))


# --- amounts and reasons ------------------------------------------------------------


def test_each_event_says_what_it_moved() -> None:
    given("compensating held").when(COMMANDS["release"]).then(SourceReleased(amount=eur("10.00")))
    given("stuck in_transit").when(COMMANDS["move to suspense"]).then(
        FundsMovedToSuspense(suspense_account="suspense-EUR", amount=eur("10.00"))
    )
    given("stuck suspense").when(RefundSource(at=AT, to_account="c-1")).then(
        SourceRefunded(to_account="c-1", amount=eur("10.00"))
    )
    given("in_transit in_transit").when(COMMANDS["credit"]).then(
        DestinationCredited(amount=eur("10.00"), rail_reference="R-1")
    )
    assert suspense_account("JPY") == "suspense-JPY"


@pytest.mark.parametrize(
    ("past", "code", "reason"),
    [
        ("rejected source", "insufficient_funds", "too little"),
        ("compensating held", "cancelled", "changed my mind"),
        ("compensating in_transit", "account_closed", "closed"),
        ("compensated source", "cancelled", "changed my mind"),
        ("stuck suspense", "account_closed", "closed"),
    ],
)
def test_why_it_failed_is_kept(past: str, code: str, reason: str) -> None:
    assert (given(past).state.failure_code, given(past).state.failure_reason) == (code, reason)


def test_a_reviewer_s_no_is_a_reason() -> None:
    assert given("in_review source").when(COMMANDS["reject review"]).after.failure_reason == "no"
    silent = given("in_review source").when(RejectReview(at=AT, by="ops")).after
    assert (silent.failure_code, silent.failure_reason) == ("review_rejected", "rejected in review")
    assert given("reserved held").when(CancelTransfer(at=AT)).after.failure_reason == "cancelled"
