"""What questions about fraud are answered with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from queries.shares import Share


@dataclass(frozen=True)
class FraudCaseView:
    """`subject` is the stream of the payment or transfer it is about. `notes`: `{at, by, note}` in order."""

    case_id: str
    status: str
    source: str
    subject: str | None
    account_id: str
    user_id: str
    counterparty: str | None
    amount: str | None
    currency: str | None
    risk_score: int
    reasons: tuple[str, ...]
    rules: tuple[str, ...]
    opened_by: str
    opened_at: datetime
    decide_by: datetime
    assignee: str | None
    escalated_at: datetime | None
    decided_at: datetime | None
    decided_by: str | None
    decision_note: str | None
    frozen: bool
    notes: tuple[dict[str, Any], ...]
    updated_at: datetime
    version: int


@dataclass(frozen=True)
class RiskProfile:
    """`risk_score`: the highest of the cases that were not cleared, 0 to 100. `rules`: how often each fired."""

    user_id: str
    risk_score: int
    cases: int
    open_cases: int
    confirmed: int
    cleared: int
    ever_frozen: bool
    last_case_at: datetime | None
    rules: dict[str, int]


@dataclass(frozen=True)
class RuleHits:
    """Cases in which a rule fired. `hit_rate`: of all screened; `precision`: confirmed of what was decided."""

    rule: str
    hits: int
    confirmed: int
    cleared: int
    hit_rate: Share | None
    precision: Share | None


@dataclass(frozen=True)
class QueueAge:
    """Undecided cases of one status, now; ages in seconds."""

    status: str
    cases: int
    unassigned: int
    overdue: int
    oldest_s: float
    median_s: float


@dataclass(frozen=True)
class FraudAnalytics:
    """Of what was screened, and of cases opened, within [from_day, to_day]; `queue` is as it is now."""

    from_day: date
    to_day: date
    screened: int
    held: int
    held_rate: Share | None
    cases_by_status: dict[str, int]
    rules: tuple[RuleHits, ...]
    queue: tuple[QueueAge, ...]
