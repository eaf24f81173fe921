"""The commands a quote takes and the events it records."""

from __future__ import annotations

from decimal import Decimal

from pydantic import BaseModel, ConfigDict, Field

from domain.model import AwareDatetime, Command, Event, Id, Name
from domain.money import Money


class Quote(BaseModel):
    """A promised exchange: the order's amount buys `buys`, until `expires_at`. `rate` is for the record."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    quote_id: Id
    buys: Money
    rate: Decimal = Field(gt=0)
    expires_at: AwareDatetime


# --- commands ------------------------------------------------------------


class IssueQuote(Command):
    """`sells` is what the customer gives, `buys` what he gets. `rate` is `mid` less `spread`, which the platform
    keeps. `user_id`: nobody else may use it."""

    quote_id: Id
    sells: Money
    buys: Money
    rate: Decimal = Field(gt=0)
    mid: Decimal = Field(gt=0)
    spread: Decimal = Field(ge=0, lt=1)
    expires_at: AwareDatetime
    user_id: Id | None = None


class UseQuote(Command):
    """`by` is the stream of the order that takes it; `sells` and `quote` what that order believes was promised."""

    by: Name
    user_id: Id
    sells: Money
    quote: Quote


QuoteCommand = IssueQuote | UseQuote

# --- events --------------------------------------------------------------


class QuoteIssued(Event):
    quote_id: Id
    sells: Money
    buys: Money
    rate: Decimal
    mid: Decimal
    spread: Decimal
    expires_at: AwareDatetime
    user_id: Id | None = None


class QuoteUsed(Event):
    by: Name


QuoteEvent = QuoteIssued | QuoteUsed
