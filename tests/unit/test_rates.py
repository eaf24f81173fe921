"""The rate provider is believed only when it says something sensible, in time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import httpx
import pytest

from activities.rates import RateProvider, RatesUnavailable
from domain.errors import InvalidInput
from settings import FxSettings

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def said(rate: object, age_s: float = 1) -> httpx.Response:
    return httpx.Response(200, json={"rate": rate, "at": (NOW - timedelta(seconds=age_s)).isoformat()})


async def ask(answer: httpx.Response | Exception, rates_url: str | None = "http://rates") -> Decimal:
    def handler(request: httpx.Request) -> httpx.Response:
        assert str(request.url) == "http://rates/rates/EUR/USD"
        if isinstance(answer, Exception):
            raise answer
        return answer

    async with httpx.AsyncClient(transport=httpx.MockTransport(handler)) as client:
        return await RateProvider(client, FxSettings(rates_url=rates_url)).mid("EUR", "USD", NOW)


async def test_a_fresh_rate_is_believed() -> None:
    assert await ask(said("1.0834")) == Decimal("1.0834")


@pytest.mark.parametrize(
    "answer",
    [
        said(1.0834),
        said("0"),
        said("-1"),
        said("NaN"),
        said("Infinity"),
        said("1e12"),
        said("much"),
        said("1.0834", age_s=301),
        said("1.0834", age_s=-60),
        httpx.Response(200, json={"rate": "1.08"}),
        httpx.Response(200, text="<html>"),
        httpx.Response(500),
        httpx.Response(302, headers={"location": "http://elsewhere"}),
        httpx.ReadTimeout("slow"),
        httpx.ConnectError("away"),
    ],
)
async def test_anything_else_is_no_rate(answer: httpx.Response | Exception) -> None:
    with pytest.raises(RatesUnavailable):
        await ask(answer)


async def test_a_pair_that_is_not_offered_is_the_caller_s_to_change() -> None:
    with pytest.raises(InvalidInput) as refused:
        await ask(httpx.Response(404))
    assert (refused.value.code, refused.value.field) == ("pair_not_offered", "to_currency")


async def test_without_a_provider_there_are_no_quotes() -> None:
    with pytest.raises(RatesUnavailable, match="TIDEMARK_FX__RATES_URL"):
        await ask(said("1.08"), rates_url=None)
