"""Commands about quotes: ask the provider, promise a rate, record the promise. No workflow: one append."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from activities.ledger import Ledger, LedgerCommand, utc_now
from activities.rates import RateProvider
from domain.errors import InvalidInput
from domain.exchange import bought_for, customer_rate, sold_for
from domain.model import AwareDatetime, Id
from domain.money import Money, positive
from domain.quote import IssuedQuote, not_found
from domain.quote_messages import IssueQuote, Quote
from domain.streams import quote_stream
from settings import FxSettings


class QuoteRequest(BaseModel):
    """`amount` is in `from_currency` (sell it) or in `to_currency` (buy it); that side is exact."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    quote_id: Id
    from_currency: str
    to_currency: str
    amount: Money
    valid_for_s: int | None = Field(default=None, ge=1)
    user_id: Id | None = None


class QuoteStep(BaseModel):
    """A quote after a command. `status`: open or used; one that is over is open, but `expires_at` has passed."""

    quote_id: str
    status: Literal["none", "open", "used"]
    sells: Money
    buys: Money
    rate: str
    expires_at: AwareDatetime
    used_by: str | None = None

    @classmethod
    def of(cls, quote: IssuedQuote) -> QuoteStep:
        assert quote.promise is not None
        assert quote.sells is not None
        return cls(
            quote_id=quote.promise.quote_id,
            status=quote.status.value,
            sells=quote.sells,
            buys=quote.promise.buys,
            rate=f"{quote.promise.rate:f}",
            expires_at=quote.promise.expires_at,
            used_by=quote.used_by,
        )


def issue_key(quote_id: str) -> str:
    """The command id of a quote's only command of its own."""
    return f"{quote_stream(quote_id)}:issue"


class QuoteCommands:
    """The quote id is its own idempotency key: asked again, the same promise is the answer, not a newer rate."""

    def __init__(
        self, ledger: Ledger, rates: RateProvider, settings: FxSettings, actor: str, trace: str | None = None
    ) -> None:
        self._ledger = ledger
        self._rates = rates
        self._settings = settings
        self._actor = actor
        self._trace = trace

    async def issue(self, request: QuoteRequest) -> QuoteStep:
        """Raises RatesUnavailable, or the refusal of what cannot be quoted."""
        self._check(request)
        key, stream = issue_key(request.quote_id), quote_stream(request.quote_id)
        if await self._ledger.repeats(key, request):
            return QuoteStep.of(await self._state(request.quote_id))
        command = await self._priced(request)
        return await self._ledger.run(
            LedgerCommand(
                name="quote.issue",
                key=key,
                content=request,
                streams=[stream],
                act=lambda leg: leg.on_quote(request.quote_id, command),
                result=lambda leg: QuoteStep.of(leg.quote(request.quote_id)),
                returns=QuoteStep,
                actor=self._actor,
                trace=self._trace,
            )
        )

    async def show(self, quote_id: str, user_id: str | None = None) -> QuoteStep:
        """Raises NotFound, also of another user's."""
        return QuoteStep.of(await self._seen(quote_id, user_id))

    async def promised(self, quote_id: str | None, user_id: str | None = None) -> Quote | None:
        """What an order that names this quote is promised; None of None. Raises NotFound.

        It comes from the log and nowhere else. Whether it is still good is decided when the order begins.
        """
        return None if quote_id is None else (await self._seen(quote_id, user_id)).promise

    def _check(self, request: QuoteRequest) -> None:
        positive(request.amount)
        if request.from_currency == request.to_currency:
            raise InvalidInput("same_currency", "a quote is between two currencies", "to_currency")
        if request.amount.currency not in (request.from_currency, request.to_currency):
            raise InvalidInput("currency_mismatch", "the amount is in neither of the two currencies", "amount")
        limit = self._settings.valid_for_max_s
        if request.valid_for_s is not None and request.valid_for_s > limit:
            raise InvalidInput("invalid_expiry", f"a quote is valid for {limit} s at the most", "valid_for_s")

    async def _priced(self, request: QuoteRequest) -> IssueQuote:
        mid = await self._rates.mid(request.from_currency, request.to_currency, utc_now())
        rate = customer_rate(mid, self._settings.spread)
        if request.amount.currency == request.from_currency:
            sells, buys = request.amount, bought_for(request.amount, request.to_currency, rate)
        else:
            sells, buys = sold_for(request.amount, request.from_currency, rate), request.amount
        now = utc_now()
        return IssueQuote(
            at=now,
            quote_id=request.quote_id,
            sells=sells,
            buys=buys,
            rate=rate,
            mid=mid,
            spread=self._settings.spread,
            expires_at=now + timedelta(seconds=request.valid_for_s or self._settings.valid_for_s),
            user_id=request.user_id,
        )

    async def _seen(self, quote_id: str, user_id: str | None) -> IssuedQuote:
        quote = await self._state(quote_id)
        if quote.promise is None or not _may_see(quote, user_id):
            raise not_found(quote_id)
        return quote

    async def _state(self, quote_id: str) -> IssuedQuote:
        state = await self._ledger.state(quote_stream(quote_id))
        assert isinstance(state, IssuedQuote)
        return state


def _may_see(quote: IssuedQuote, user_id: str | None) -> bool:
    return user_id is None or quote.user_id in (None, user_id)
