"""/v1/fraud-cases and what goes with them: for analysts and operators."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Path, Query
from starlette.responses import Response

from activities.fraud_steps import AssignWish, CaseOrder, DecideWish, EscalateWish, FreezeWish, NoteWish
from api.bodies import CaseAssignment, CaseDecision, CaseNote, NewFraudCase, StatusChange
from api.call import Call, Operating, OperatorReading
from api.documented import Items, reads, writes
from api.routes.accounts import Cursor, Limit
from api.routes.analytics import DAYS, Day, day_of
from api.strict import StrictRoute
from commands.catalogue import COMMANDS
from commands.fraud import FraudCommands
from domain.errors import InvalidInput, NotFound
from domain.model import Id, Name
from domain.streams import fraud_case_stream, payment_stream, transfer_stream
from queries.fraud import (
    fraud_analytics,
    get_fraud_case,
    list_fraud_cases,
    risk_profile,
    similar_fraud_cases,
)
from queries.fraud_results import FraudAnalytics, FraudCaseView, RiskProfile
from queries.paging import Page
from queries.standing import standing_case

router = APIRouter(prefix="/v1", tags=["fraud"], route_class=StrictRoute)

CaseId = Annotated[Name, Path(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$", max_length=150, examples=["payment-p-1"])]
Status = Literal["open", "escalated", "approved", "rejected", "withdrawn"]

CASE: Final[dict[str, Any]] = {
    "case_id": "payment-p-1",
    "status": "open",
    "source": "screening",
    "subject": "payment-p-1",
    "account_id": "acc-ann",
    "user_id": "ann",
    "counterparty": "acc-bob",
    "amount": "20000.00",
    "currency": "EUR",
    "risk_score": 60,
    "reasons": ["amount above 10000 EUR"],
    "rules": ["amount"],
    "opened_by": "screening",
    "opened_at": "2026-03-01T09:33:00Z",
    "decide_by": "2026-03-02T09:33:00Z",
    "assignee": None,
    "escalated_at": None,
    "decided_at": None,
    "decided_by": None,
    "decision_note": None,
    "frozen": False,
    "notes": [],
    "updated_at": "2026-03-01T09:33:00Z",
    "version": 1,
}
PROFILE: Final[dict[str, Any]] = {
    "user_id": "ann",
    "risk_score": 60,
    "cases": 1,
    "open_cases": 1,
    "confirmed": 0,
    "cleared": 0,
    "ever_frozen": False,
    "last_case_at": "2026-03-01T09:33:00Z",
    "rules": {"amount": 1},
}
ANALYTICS: Final[dict[str, Any]] = {
    "from_day": "2026-03-01",
    "to_day": "2026-03-31",
    "screened": 200,
    "held": 2,
    "held_rate": 0.01,
    "cases_by_status": {"open": 1, "rejected": 1},
    "rules": [{"rule": "amount", "hits": 2, "confirmed": 1, "cleared": 0, "hit_rate": 0.01, "precision": 1.0}],
    "queue": [{"status": "open", "cases": 1, "unassigned": 1, "overdue": 0, "oldest_s": 60.0, "median_s": 60.0}],
}


@router.post("/fraud-cases", status_code=201, response_model=FraudCaseView, responses=writes(201, CASE))
async def open_case(body: NewFraudCase, call: Operating) -> Response:
    """Open a case by hand, about an account, a payment or a transfer. What screening holds has one already."""
    case_id = body.case_id or call.new_id("case")
    order = CaseOrder(
        case_id=case_id,
        source="analyst",
        account_id=body.account_id,
        subject=_subject(body),
        risk_score=body.risk_score,
        reason=body.reason,
        decide_within_s=body.decide_within_s,
        actor=call.who.actor,
        trace=call.trace,
    )

    async def work() -> Response:
        await COMMANDS["open_fraud_case"](_commands(call), order)
        return await _written(call, case_id, 201, Location=f"/v1/fraud-cases/{case_id}")

    return await call.once(work, body.case_id)


def _subject(body: NewFraudCase) -> str | None:
    if body.payment_id is not None:
        return payment_stream(body.payment_id)
    return None if body.transfer_id is None else transfer_stream(body.transfer_id)


@router.get(
    "/fraud-cases",
    response_model=Page[FraudCaseView],
    responses=reads({"items": [CASE], "next_cursor": None}),
)
async def list_(  # noqa: PLR0917 – filters
    call: OperatorReading,
    status: Annotated[list[Status] | None, Query()] = None,
    user_id: Annotated[Id | None, Query()] = None,
    account_id: Annotated[Id | None, Query(description="On either side.")] = None,
    assignee: Annotated[Id | None, Query()] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> Response:
    """Cases, the newest first: a queue, a user's history, or what an account has to do with."""
    return await call.ask(list_fraud_cases(status, user_id, account_id, assignee, limit, cursor))


@router.get("/fraud-cases/{case_id}", response_model=FraudCaseView, responses=reads(CASE, 404))
async def get(case_id: CaseId, call: OperatorReading) -> Response:
    """One case with its notes."""
    return await call.ask(get_fraud_case(case_id))


@router.get(
    "/fraud-cases/{case_id}/similar",
    response_model=Items[FraudCaseView],
    responses=reads({"items": [CASE], "next_cursor": None}, 404),
)
async def similar(case_id: CaseId, call: OperatorReading) -> Response:
    """Up to 20 others, the most alike first: of the same user, the same parties, the same rules."""
    return await call.ask_items(similar_fraud_cases(case_id))


@router.post(
    "/fraud-cases/{case_id}/assign",
    response_model=FraudCaseView,
    responses=writes(200, CASE | {"assignee": "ana"}),
)
async def assign(case_id: CaseId, body: CaseAssignment, call: Operating) -> Response:
    """Somebody takes it on."""
    return await _do(call, case_id, "assign_fraud_case", lambda wish: AssignWish(analyst=body.analyst, **wish))


@router.post("/fraud-cases/{case_id}/notes", response_model=FraudCaseView, responses=writes(200, CASE))
async def note(case_id: CaseId, body: CaseNote, call: Operating) -> Response:
    """Keep what somebody found out; notes are never changed."""
    return await _do(call, case_id, "note_fraud_case", lambda wish: NoteWish(note=body.note, **wish))


@router.post(
    "/fraud-cases/{case_id}/escalate",
    response_model=FraudCaseView,
    responses=writes(200, CASE | {"status": "escalated"}),
)
async def escalate(case_id: CaseId, call: Operating, body: StatusChange | None = None) -> Response:
    """Somebody else must decide. Happens by itself once `decide_by` has passed."""
    reason = (body.reason if body else None) or "by hand"
    return await _do(call, case_id, "escalate_fraud_case", lambda wish: EscalateWish(reason=reason, **wish))


@router.post(
    "/fraud-cases/{case_id}/freeze", response_model=FraudCaseView, responses=writes(200, CASE | {"frozen": True})
)
async def freeze(case_id: CaseId, call: Operating) -> Response:
    """Freeze the case's account while it is looked at. A decision does not lift the freeze."""
    return await _do(call, case_id, "freeze_for_fraud_case", lambda wish: FreezeWish(**wish))


@router.post(
    "/fraud-cases/{case_id}/decide",
    response_model=FraudCaseView,
    responses=writes(200, CASE | {"status": "approved"}),
)
async def decide(case_id: CaseId, body: CaseDecision, call: Operating) -> Response:
    """Approve: the held payment or transfer goes on. Reject: it ends, and with `freeze` the account is frozen."""
    return await _do(
        call,
        case_id,
        "decide_fraud_case",
        lambda wish: DecideWish(approve=body.decision == "approve", note=body.note, freeze=body.freeze, **wish),
    )


@router.get("/users/{user_id}/risk-profile", response_model=RiskProfile, responses=reads(PROFILE, 404))
async def profile(user_id: Annotated[Id, Path(examples=["ann"])], call: OperatorReading) -> Response:
    """What the cases about a user add up to."""
    return await call.ask(risk_profile(user_id))


@router.get("/analytics/fraud", response_model=FraudAnalytics, responses=reads(ANALYTICS))
async def analytics(
    call: OperatorReading, from_: Annotated[Day, Query(alias="from")] = None, to: Day = None
) -> Response:
    """How often each rule fired and was right, and how long undecided cases wait; the last 30 days by default."""
    last = day_of(to) or datetime.now(UTC).date()
    first = day_of(from_) or last - timedelta(DAYS)
    if last < first:
        raise InvalidInput("invalid_range", "to must not be before from", "to")
    return await call.ask(fraud_analytics(first, last))


def _commands(call: Call) -> FraudCommands:
    return FraudCommands(call.services.temporal, call.services.books.ledger, call.services.settings)


async def _do(call: Call, case_id: str, command: str, wish: Callable[[dict[str, Any]], object]) -> Response:
    """One wish about a case, and how it stands after it."""
    told = {"wish_id": call.new_id("c"), "actor": call.who.actor, "trace": call.trace}
    carry_out: Callable[..., Awaitable[object]] = COMMANDS[command]

    async def work() -> Response:
        await carry_out(_commands(call), case_id, wish(told))
        return await _written(call, case_id, 200)

    return await call.once(work)


async def _written(call: Call, case_id: str, status: int, **headers: str) -> Response:
    found = await call.services.lookups.stream(fraud_case_stream(case_id))
    if not found:
        raise NotFound("fraud_case_not_found", f"fraud case {case_id} does not exist", "case_id")
    return await call.written(standing_case(found), found[-1], status, **headers)
