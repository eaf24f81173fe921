"""Quote: a rate that the platform has promised for one amount, one order and a time. Clients only have its id."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import assert_never

from domain.errors import Conflict, InvalidInput, NotFound
from domain.money import Money, positive
from domain.quote_messages import IssueQuote, Quote, QuoteCommand, QuoteEvent, QuoteIssued, QuoteUsed, UseQuote


class QuoteStatus(StrEnum):
    NONE = "none"
    OPEN = "open"
    USED = "used"


@dataclass(frozen=True, slots=True)
class IssuedQuote:
    """`promise` is what orders are given of it."""

    status: QuoteStatus = QuoteStatus.NONE
    sells: Money | None = None
    promise: Quote | None = None
    user_id: str | None = None
    used_by: str | None = None


def initial() -> IssuedQuote:
    """A quote nobody has issued."""
    return IssuedQuote()


def decide(command: QuoteCommand, quote: IssuedQuote) -> list[QuoteEvent]:
    """The events `command` causes, or a DomainError."""
    match command:
        case IssueQuote():
            return [_issue(command, quote)]
        case UseQuote():
            return [_use(command, quote)]
        case _:
            assert_never(command)


def _issue(command: IssueQuote, quote: IssuedQuote) -> QuoteIssued:
    if quote.status is not QuoteStatus.NONE:
        raise Conflict("quote_exists", f"quote {command.quote_id} exists already")
    positive(command.sells)
    positive(command.buys)
    if command.sells.currency == command.buys.currency:
        raise InvalidInput("same_currency", "a quote is between two currencies", "to_currency")
    if command.expires_at <= command.at:
        raise InvalidInput("invalid_expiry", "a quote must expire in the future", "valid_for_s")
    return QuoteIssued(**{name: value for name, value in command if name != "at"})


def not_found(quote_id: str) -> NotFound:
    """There is no such quote, or it is somebody else's."""
    return NotFound("quote_not_found", f"quote {quote_id} does not exist", "quote_id")


def _use(command: UseQuote, quote: IssuedQuote) -> QuoteUsed:
    quote_id = command.quote.quote_id
    if quote.promise is None or quote.user_id not in (None, command.user_id):
        raise not_found(quote_id)
    if quote.status is QuoteStatus.USED:
        raise Conflict("quote_used", f"quote {quote_id} has been used: a quote is good for one order", "quote_id")
    if command.quote != quote.promise:
        raise InvalidInput("quote_mismatch", f"quote {quote_id} promises something else", "quote_id")
    if command.sells != quote.sells:
        raise InvalidInput(
            "quote_mismatch", f"quote {quote_id} is for {quote.sells}, not {command.sells}", "amount"
        )
    if command.at >= quote.promise.expires_at:
        raise Conflict("quote_expired", f"quote {quote_id} expired at {quote.promise.expires_at}", "quote_id")
    return QuoteUsed(by=command.by)


def evolve(quote: IssuedQuote, event: QuoteEvent) -> IssuedQuote:
    """The quote after `event`."""
    match event:
        case QuoteIssued():
            promise = Quote(quote_id=event.quote_id, buys=event.buys, rate=event.rate, expires_at=event.expires_at)
            return IssuedQuote(QuoteStatus.OPEN, event.sells, promise, event.user_id)
        case QuoteUsed(by=by):
            return replace(quote, status=QuoteStatus.USED, used_by=by)
        case _:
            assert_never(event)
