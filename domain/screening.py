"""The first fraud rules: amount, velocity, new payee. Pure: they see the payer's account and the limits.

What a rule finds is held for a person's review, never declined by a machine alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field

from domain.account import RECENT_HOLDS, Account
from domain.money import Money


class ScreeningLimits(BaseModel):
    """What is held for review. None switches a rule off. Amounts are in major units of any currency."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    review_above: Decimal | None = Field(default=Decimal(10_000), ge=0)
    velocity_max: int | None = Field(default=None, ge=1, le=RECENT_HOLDS)
    velocity_window_s: int = Field(default=3600, ge=1)
    new_payee_above: Decimal | None = Field(default=None, ge=0)


@dataclass(frozen=True, slots=True)
class Screening:
    """`score` 0 to 100; with any reason, the payment or transfer is held for review."""

    score: int
    reasons: tuple[str, ...]

    @property
    def held(self) -> bool:
        return bool(self.reasons)


def screen(amount: Money, payer: Account, payee_id: str, at: datetime, limits: ScreeningLimits) -> Screening:
    """Every rule that fires gives its reason and its part of the score."""
    score, reasons = 0, []
    if limits.review_above is not None and _above(amount, limits.review_above):
        score += 60
        reasons.append(f"amount above {limits.review_above} {amount.currency}")
    if limits.velocity_max is not None:
        since = at - timedelta(seconds=limits.velocity_window_s)
        recent = sum(reserved_at > since for reserved_at in payer.recent_holds)
        if recent >= limits.velocity_max:
            score += 50
            reasons.append(f"{recent} debits reserved within {limits.velocity_window_s} s")
    new_payee = payee_id not in payer.payees
    if new_payee and limits.new_payee_above is not None and _above(amount, limits.new_payee_above):
        score += 30
        reasons.append(f"first debit to this payee is above {limits.new_payee_above} {amount.currency}")
    return Screening(min(score, 100), tuple(reasons))


def _above(amount: Money, major: Decimal) -> bool:
    return Decimal(amount.amount) > major
