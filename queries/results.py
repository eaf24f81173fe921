"""What questions are answered with. Amounts are decimal strings in the currency's own decimals; times are UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import WithJsonSchema

RATE: Final = {"anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"type": "null"}]}


@dataclass(frozen=True)
class AccountView:
    account_id: str
    user_id: str
    currency: str
    status: str
    balance: str
    held: str
    available: str
    overdraft_limit: str
    iban: str | None
    rail: str | None
    version: int
    opened_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class PaymentView:
    """`held` is what the payer's hold still holds. `dispute` and `review` are as recorded, None without one.

    `settled` is what the payee's side got of it, the fee included; it and the fee are in `settled_currency`, which
    a quote makes another one than the payer's.
    """

    payment_id: str
    status: str
    amount: str
    currency: str
    captured: str
    refunded: str
    fee: str
    settled: str
    settled_currency: str
    held: str
    from_account: str
    from_user: str
    to_account: str
    to_user: str
    fee_account: str
    capture: str
    reference: str | None
    description: str | None
    category: str | None
    quote: dict[str, Any] | None
    tags: tuple[str, ...]
    metadata: dict[str, str]
    failure_code: str | None
    failure_reason: str | None
    cancel_reason: str | None
    review: dict[str, Any] | None
    dispute: dict[str, Any] | None
    expires_at: datetime
    authorized_at: datetime | None
    processed_at: datetime | None
    created_at: datetime
    updated_at: datetime
    version: int


@dataclass(frozen=True)
class QuoteView:
    """`sells` of from_currency buy `buys` of to_currency, until `expires_at`. `status`: open or used, `used_by` an
    order's stream."""

    quote_id: str
    status: str
    from_currency: str
    to_currency: str
    sells: str
    buys: str
    rate: str
    expires_at: datetime
    used_by: str | None


@dataclass(frozen=True)
class TransferView:
    """`legs`: `{name, outcome, at, position, …}` in order. The terms are None on a tombstone (see `transfers`)."""

    transfer_id: str
    status: str
    location: str
    amount: str | None
    currency: str | None
    from_account: str | None
    from_user: str | None
    to_account: str | None
    to_user: str | None
    rail: str | None
    quote: dict[str, Any] | None
    reference: str | None
    purpose: str | None
    category: str | None
    tags: tuple[str, ...]
    metadata: dict[str, str]
    failure_code: str | None
    failure_reason: str | None
    legs: tuple[dict[str, Any], ...]
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None
    version: int


@dataclass(frozen=True)
class ItemTotal:
    """So many items of a batch with that status, and what they come to in one currency."""

    status: str
    count: int
    amount: str
    currency: str


@dataclass(frozen=True)
class BatchView:
    """`settled`: that many of `items` have an outcome; `outcomes` says which. `submitted`: what was asked for."""

    batch_id: str
    user_id: str | None
    status: str
    atomic: bool
    items: int
    settled: int
    submitted: tuple[ItemTotal, ...]
    outcomes: tuple[ItemTotal, ...]
    reference: str | None
    failure_code: str | None
    failure_reason: str | None
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None
    version: int


@dataclass(frozen=True)
class BatchItemView:
    """`status`: pending, held (atomic, not final yet), completed, rejected, cancelled (not carried out),
    compensated, started or stuck; the last two are transfers of their own, in `transfer_status`."""

    item: int
    transfer_id: str
    status: str
    transfer_status: str | None
    amount: str
    currency: str
    from_account: str
    to_account: str
    reference: str | None
    purpose: str | None
    metadata: dict[str, str]
    failure_code: str | None
    failure_reason: str | None
    position: int | None
    settled_at: datetime | None


@dataclass(frozen=True)
class UserTotals:
    """One currency's part of a summary."""

    total_payments: int
    total_amount: str
    failed_payments: int
    pending_payments: int


@dataclass(frozen=True)
class UserPaymentSummary:
    """As payer. `total_amount` by currency: every payment initiated, whatever became of it."""

    user_id: str
    total_payments: int
    total_amount: dict[str, str]
    failed_payments: int
    pending_payments: int
    last_payment_date: datetime | None
    by_currency: dict[str, UserTotals]
    recent_payments: tuple[PaymentView, ...]


@dataclass(frozen=True)
class DailyVolume:
    date: date
    count: int
    amount: dict[str, str]


@dataclass(frozen=True)
class PaymentAnalytics:
    """Of payments created within [from_day, to_day]. Amounts by currency: they cannot be added up across them.

    `success_rate`: the share of payments of which money was captured, whatever happened to it later; 0 to 1, None
    without payments. `average_amount` is rounded half-even to the minor unit.
    """

    from_day: date
    to_day: date
    currency: str | None
    total_payments: int
    total_amount: dict[str, str]
    average_amount: dict[str, str]
    success_rate: Annotated[Decimal | None, WithJsonSchema(RATE)]
    payments_by_currency: dict[str, int]
    payments_by_status: dict[str, int]
    daily_volume: tuple[DailyVolume, ...]


@dataclass(frozen=True)
class UnderWay:
    """`place` is in_transit or suspense, `age_s` for how long (of the asking; never below 0)."""

    transfer_id: str
    place: str
    amount: str
    currency: str
    debited_at: datetime
    since: datetime
    age_s: float


@dataclass(frozen=True)
class Conservation:
    """One currency. Promised: accounts + in_transit + in_suspense = deposits − withdrawals; difference = 0."""

    currency: str
    accounts: str
    in_transit: str
    in_suspense: str
    deposits: str
    withdrawals: str
    difference: str
    holds: bool


@dataclass(frozen=True)
class ViewLag:
    """`status` is live or building. `lag_ms` is the age of the oldest event not taken in, 0 with none."""

    view: str
    build: int
    version: int
    status: str
    position: int
    head_position: int
    unsequenced_events: int
    lag_events: int
    lag_ms: float
    dead_letters: int


@dataclass(frozen=True)
class DeadLetterView:
    id: int
    view: str
    stream: str
    position: int
    event_id: str
    type: str
    status: str
    error_class: str | None
    error: str | None
    attempts: int
    first_failed_at: datetime
    last_failed_at: datetime


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
    hit_rate: Annotated[Decimal | None, WithJsonSchema(RATE)]
    precision: Annotated[Decimal | None, WithJsonSchema(RATE)]


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
    held_rate: Annotated[Decimal | None, WithJsonSchema(RATE)]
    cases_by_status: dict[str, int]
    rules: tuple[RuleHits, ...]
    queue: tuple[QueueAge, ...]
