"""The way out: crediting an account at another bank, through that bank's rail gateway over HTTP.

The leg's key is the rail's idempotency key. Whatever is not a clear yes or no is `unknown`: the caller asks for
the key until it is known, and never undoes anything on a guess.
"""

from __future__ import annotations

from typing import Literal

import httpx
from pydantic import BaseModel
from temporalio import activity

from domain.money import Money
from settings import Settings

HTTP_OK, HTTP_NOT_FOUND, HTTP_REFUSED = 200, 404, 422


def rail_client() -> httpx.AsyncClient:
    """Each call on a connection of its own: what a confused gateway says twice is not taken for the next answer.

    A stale yes in the place of a no would book money that the other bank never got.
    """
    return httpx.AsyncClient(limits=httpx.Limits(max_keepalive_connections=0))


class RailCredit(BaseModel):
    """Credit `account` at the bank behind `rail`, once per `key`."""

    rail: str
    key: str
    account: str
    amount: Money
    reference: str | None = None


class RailOutcome(BaseModel):
    """`not_received`: the rail has never seen the key, so sending it again is safe."""

    outcome: Literal["accepted", "refused", "not_received", "unknown"]
    reference: str | None = None
    code: str = ""
    reason: str = ""


class RailActivities:
    """`client` is `rail_client()`; gateways by rail name from the settings."""

    def __init__(self, client: httpx.AsyncClient, settings: Settings) -> None:
        self._client = client
        self._settings = settings

    @activity.defn
    async def submit_credit(self, credit: RailCredit) -> RailOutcome:
        """`PUT /credits/{key}`: 200 accepted, 422 refused, anything else unknown."""
        body: dict[str, object] = {
            "account": credit.account,
            **credit.amount.wire(),
            "reference": credit.reference,
        }
        return await self._ask("PUT", credit, body)

    @activity.defn
    async def inquire_credit(self, credit: RailCredit) -> RailOutcome:
        """`GET /credits/{key}`: what became of it."""
        return await self._ask("GET", credit, None)

    async def _ask(self, method: str, credit: RailCredit, body: dict[str, object] | None) -> RailOutcome:
        base = self._settings.rails.get(credit.rail)
        if base is None:
            # Not configured is not refused: an operator adds the gateway, and the inquiry goes on.
            return RailOutcome(outcome="unknown", reason=f"no gateway is configured for rail {credit.rail}")
        try:
            response = await self._client.request(
                method, f"{base}/credits/{credit.key}", json=body, timeout=self._settings.rail_timeout_s
            )
        except httpx.HTTPError as fault:
            return RailOutcome(outcome="unknown", reason=f"{type(fault).__name__} from rail {credit.rail}")
        if response.status_code == HTTP_OK:
            return RailOutcome(outcome="accepted", reference=str(response.json()["reference"]))
        if response.status_code == HTTP_REFUSED:
            answer = response.json()
            return RailOutcome(outcome="refused", code=answer["code"], reason=answer["reason"])
        if response.status_code == HTTP_NOT_FOUND and method == "GET":
            return RailOutcome(outcome="not_received")
        return RailOutcome(outcome="unknown", reason=f"status {response.status_code} from rail {credit.rail}")
