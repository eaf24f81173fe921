"""The fraud rules. Pure: they see the order, what payer and payee did lately, and the limits.

Each rule that fires gives its score and its reason. The sum decides: below `review_at` it passes, from there on a
person reviews it, from `decline_at` on (off unless configured) it is rejected without one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from domain.account import RECENT_HOLDS, Account
from domain.account_messages import AccountLimits
from domain.money import Money

COUNTRY = "country"
"""The metadata key of an order that says where it was given, as ISO 3166-1 alpha-2."""


class Rule(StrEnum):
    """By these names rules are counted, scored and shown."""

    AMOUNT = "amount"
    VELOCITY = "velocity"
    PAYEE_VELOCITY = "payee_velocity"
    NEW_PAYEE = "new_payee"
    ROUND_TRIP = "round_trip"
    STRUCTURING = "structuring"
    DORMANT = "dormant"
    COUNTRY = "country"


SCORES = {
    Rule.AMOUNT: 60,
    Rule.VELOCITY: 50,
    Rule.PAYEE_VELOCITY: 40,
    Rule.NEW_PAYEE: 30,
    Rule.ROUND_TRIP: 40,
    Rule.STRUCTURING: 50,
    Rule.DORMANT: 40,
    Rule.COUNTRY: 30,
}
"""What a rule counts unless `ScreeningLimits.scores` says otherwise."""

_Major = Decimal | None
_Score = int


class ScreeningLimits(BaseModel):
    """When each rule fires. None switches a rule off. Amounts are in major units of any currency."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    review_above: _Major = Field(default=Decimal(10_000), ge=0)
    velocity_max: int | None = Field(default=None, ge=1, le=RECENT_HOLDS)
    payee_velocity_max: int | None = Field(default=None, ge=1, le=RECENT_HOLDS)
    velocity_window_s: int = Field(default=3600, ge=1)
    new_payee_above: _Major = Field(default=None, ge=0)
    round_trip_above: _Major = Field(default=None, ge=0)
    round_trip_window_s: int = Field(default=24 * 3600, ge=1)
    structuring_count: int | None = Field(default=None, ge=2, le=RECENT_HOLDS)
    structuring_share: Decimal = Field(default=Decimal("0.8"), gt=0, lt=1)
    structuring_window_s: int = Field(default=24 * 3600, ge=1)
    dormant_above: _Major = Field(default=None, ge=0)
    dormant_after_s: int = Field(default=90 * 24 * 3600, ge=1)
    foreign_above: _Major = Field(default=None, ge=0)

    scores: dict[Rule, int] = {}
    review_at: int = Field(default=30, ge=1, le=100)
    decline_at: int | None = Field(default=None, ge=1, le=100)

    def of_account(self, own: AccountLimits | None) -> ScreeningLimits:
        """As they are for an account that has limits of its own."""
        return self if own is None else self.model_copy(update=own.model_dump(exclude_none=True))


@dataclass(frozen=True, slots=True)
class Hit:
    rule: Rule
    score: int
    reason: str


Verdict = Literal["pass", "review", "decline"]


@dataclass(frozen=True, slots=True)
class Screening:
    """`score` 0 to 100: the sum of the hits'."""

    score: int
    hits: tuple[Hit, ...]
    verdict: Verdict

    @property
    def held(self) -> bool:
        return self.verdict != "pass"

    @property
    def declined(self) -> bool:
        return self.verdict == "decline"

    @property
    def reasons(self) -> tuple[str, ...]:
        return tuple(hit.reason for hit in self.hits)

    @property
    def rules(self) -> tuple[str, ...]:
        return tuple(hit.rule.value for hit in self.hits)


def screen(  # noqa: PLR0917 – an order and what is known of its parties
    amount: Money,
    payer: Account,
    payee_id: str,
    at: datetime,
    limits: ScreeningLimits,
    payee: Account | None = None,
    country: str | None = None,
) -> Screening:
    """What the rules make of an order. `payee` where its account is here, `country` where the order says one."""
    limits = limits.of_account(payer.limits)
    order = _Order(amount, Decimal(amount.amount), payer, payee_id, at, payee, country)
    hits = tuple(
        Hit(rule, limits.scores.get(rule, SCORES[rule]), reason) for rule, reason in _fired(order, limits)
    )
    score = min(sum(hit.score for hit in hits), 100)
    verdict: Verdict = "review" if score >= limits.review_at else "pass"
    if limits.decline_at is not None and score >= limits.decline_at:
        verdict = "decline"
    return Screening(score, hits, verdict)


@dataclass(frozen=True, slots=True)
class _Order:
    amount: Money
    major: Decimal
    payer: Account
    payee_id: str
    at: datetime
    payee: Account | None
    country: str | None

    def above(self, limit: Decimal | None) -> bool:
        return limit is not None and self.major > limit


def _fired(order: _Order, limits: ScreeningLimits) -> Iterator[tuple[Rule, str]]:
    currency = order.amount.currency
    if order.above(limits.review_above):
        yield Rule.AMOUNT, f"amount above {limits.review_above} {currency}"
    yield from _too_fast(order, limits)
    if order.above(limits.new_payee_above) and order.payee_id not in order.payer.payees:
        yield Rule.NEW_PAYEE, f"first debit to this payee is above {limits.new_payee_above} {currency}"
    if order.above(limits.round_trip_above) and _came_from_payee(order, limits.round_trip_window_s):
        yield Rule.ROUND_TRIP, f"the payee paid this payer within the last {limits.round_trip_window_s} s"
    yield from _structured(order, limits)
    yield from _dormant(order, limits)
    home = order.payer.country
    if order.above(limits.foreign_above) and None not in (home, order.country) and order.country != home:
        yield Rule.COUNTRY, f"given in {order.country}, the account is of {home}"


def _too_fast(order: _Order, limits: ScreeningLimits) -> Iterator[tuple[Rule, str]]:
    if limits.velocity_max is None and limits.payee_velocity_max is None:
        return
    since = order.at - timedelta(seconds=limits.velocity_window_s)
    recent = [hold for hold in order.payer.recent_holds if hold.at > since]
    if limits.velocity_max is not None and len(recent) >= limits.velocity_max:
        yield Rule.VELOCITY, f"{len(recent)} debits reserved within {limits.velocity_window_s} s"
    same = sum(hold.payee == order.payee_id for hold in recent)
    if limits.payee_velocity_max is not None and same >= limits.payee_velocity_max:
        yield (
            Rule.PAYEE_VELOCITY,
            f"{same} debits to this payee reserved within {limits.velocity_window_s} s",
        )


def _came_from_payee(order: _Order, window_s: int) -> bool:
    since = order.at - timedelta(seconds=window_s)
    back = () if order.payee is None else order.payee.recent_holds
    return any(hold.payee == order.payer.account_id and hold.at > since for hold in back)


def _structured(order: _Order, limits: ScreeningLimits) -> Iterator[tuple[Rule, str]]:
    """Many debits, each just below what would be reviewed."""
    if limits.structuring_count is None or limits.review_above is None or order.above(limits.review_above):
        return
    least = limits.review_above * limits.structuring_share
    if order.major < least:
        return
    since = order.at - timedelta(seconds=limits.structuring_window_s)
    just_below = 1 + sum(
        hold.at > since and least <= Decimal(order.amount.with_minor(hold.minor).amount) <= limits.review_above
        for hold in order.payer.recent_holds
    )
    if just_below >= limits.structuring_count:
        yield (
            Rule.STRUCTURING,
            f"{just_below} debits just below {limits.review_above} {order.amount.currency}"
            f" within {limits.structuring_window_s} s",
        )


def _dormant(order: _Order, limits: ScreeningLimits) -> Iterator[tuple[Rule, str]]:
    """An account that paid once, then long nothing, wakes up with a large debit."""
    if not order.above(limits.dormant_above) or not order.payer.recent_holds:
        return
    quiet = order.at - order.payer.recent_holds[-1].at
    if quiet > timedelta(seconds=limits.dormant_after_s):
        yield Rule.DORMANT, f"first debit after {quiet.days} days above {limits.dormant_above}"
