"""The rate provider: mid-market rates over HTTP. `GET {base}/rates/EUR/USD` answers `{"rate": "1.0834", "at": …}`.

A rate is money: it comes as a decimal string, is looked at before it is believed, and is never guessed. Where the
provider does not answer in time, or with something old or odd, there is no quote.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Final

import httpx
from pydantic import AwareDatetime, BaseModel, Field, StrictStr, ValidationError

from domain.errors import InvalidInput
from settings import FxSettings

HTTP_OK: Final = 200
HTTP_NOT_FOUND: Final = 404
_CLOCKS_MAY_DIFFER: Final = timedelta(seconds=5)


class RatesUnavailable(Exception):
    """No rate that can be relied on: ask again later."""


class _Said(BaseModel):
    rate: Annotated[StrictStr, Field(max_length=40)]
    at: AwareDatetime

    @property
    def value(self) -> Decimal:
        return Decimal(self.rate)


class RateProvider:
    """Over one HTTP client per process. `settings.rates_url` is the provider's base."""

    def __init__(self, client: httpx.AsyncClient, settings: FxSettings) -> None:
        self._client = client
        self._settings = settings

    async def mid(self, sold: str, bought: str, now: datetime) -> Decimal:
        """What one major unit of `sold` is worth in `bought`.

        Raises RatesUnavailable, InvalidInput `pair_not_offered` where the provider has no such pair.
        """
        settings = self._settings
        if settings.rates_url is None:
            raise RatesUnavailable("no rate provider is configured: set TIDEMARK_FX__RATES_URL")
        url = f"{settings.rates_url.rstrip('/')}/rates/{sold}/{bought}"
        try:
            response = await self._client.get(url, timeout=settings.timeout_s)
        except httpx.HTTPError as fault:
            raise RatesUnavailable(f"the rate provider does not answer: {type(fault).__name__}") from fault
        if response.status_code == HTTP_NOT_FOUND:
            raise InvalidInput("pair_not_offered", f"{sold} cannot be exchanged for {bought}", "to_currency")
        if response.status_code != HTTP_OK:
            raise RatesUnavailable(f"the rate provider answers with status {response.status_code}")
        return self._believed(response.content, now)

    def _believed(self, body: bytes, now: datetime) -> Decimal:
        try:
            said = _Said.model_validate_json(body)
            rate = said.value
        except (ValidationError, ArithmeticError) as fault:
            raise RatesUnavailable("the rate provider's answer cannot be read") from fault
        if not rate.is_finite() or not Decimal("1e-9") < rate < Decimal("1e9"):
            raise RatesUnavailable(f"the rate provider says {said.rate}, which is no rate")
        age = now - said.at
        if not -_CLOCKS_MAY_DIFFER <= age <= timedelta(seconds=self._settings.max_age_s):
            raise RatesUnavailable(f"the rate provider's rate is of {said.at}")
        return rate
