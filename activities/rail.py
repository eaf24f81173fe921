"""The way out: crediting an account at another bank, through that bank's rail gateway over HTTP.

The leg's key is the rail's idempotency key. Whatever is not a clear yes or no is `unknown`: the caller asks for
the key until it is known, and never undoes anything on a guess. A rail that does not answer is not asked for a
while (breaker.py): `not_asked` is no outcome of the credit, only of this try.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Final, Literal

import httpx
import orjson
import structlog
from pydantic import BaseModel
from temporalio import activity

from activities.breaker import Breaker, NotAsked
from domain.money import Money
from settings import Settings

HTTP_OK, HTTP_NOT_FOUND, HTTP_REFUSED = 200, 404, 422
HTTP_TOO_MANY, HTTP_FAULT = 429, 500
RAIL_OPEN: Final = "tidemark_rail_open"
RAIL_OPEN_HELP: Final = "1 while a rail is not asked, since it did not answer; by this process."
MAX_ANSWER_BYTES: Final = 64 * 1024

log = structlog.get_logger()


def rail_client() -> httpx.AsyncClient:
    """Each call on a connection of its own: what a confused gateway says twice is not taken for the next answer.

    A stale yes in the place of a no would book money that the other bank never got.
    """
    return httpx.AsyncClient(limits=httpx.Limits(max_keepalive_connections=0))


def breakers(
    settings: Settings, tell: Callable[[str, bool], None] = lambda _rail, _closed: None
) -> dict[str, Breaker]:
    """One for each rail there is. `tell` hears of each that opens (False) or closes (True), and of all now."""

    def told(rail: str) -> Callable[[bool], None]:
        def tell_and_log(closed: bool) -> None:
            tell(rail, closed)
            if not closed:
                log.warning("a rail does not answer, and is not asked for a while", rail=rail)

        return tell_and_log

    return {rail: Breaker(told(rail)) for rail in settings.rails}


class RailCredit(BaseModel):
    """Credit `account` at the bank behind `rail`, once per `key`."""

    rail: str
    key: str
    account: str
    amount: Money
    reference: str | None = None


class RailOutcome(BaseModel):
    """`not_received`: the rail has never seen the key, so sending it again is safe. `not_asked`: nothing was sent,
    since the rail did not answer others; whatever was known of the key before is still so.
    """

    outcome: Literal["accepted", "refused", "not_received", "unknown", "not_asked"]
    reference: str | None = None
    code: str = ""
    reason: str = ""


class RailActivities:
    """`client` is `rail_client()`; gateways by rail name from the settings. `guards`: `breakers()` of these."""

    def __init__(
        self, client: httpx.AsyncClient, settings: Settings, guards: Mapping[str, Breaker] | None = None
    ) -> None:
        self._client = client
        self._settings = settings
        self._guards = breakers(settings) if guards is None else guards

    @activity.defn
    async def submit_credit(self, credit: RailCredit) -> RailOutcome:
        """`PUT /credits/{key}`: 200 accepted, 422 refused, anything else that was asked unknown."""
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
            with self._guards[credit.rail].call() as call:
                status, content = await self._send(method, f"{base}/credits/{credit.key}", body)
                call.answered = status < HTTP_FAULT and status != HTTP_TOO_MANY
        except NotAsked as why:
            return RailOutcome(outcome="not_asked", reason=f"rail {credit.rail}: {why}")
        except (httpx.HTTPError, TimeoutError) as fault:
            return RailOutcome(outcome="unknown", reason=f"{type(fault).__name__} from rail {credit.rail}")
        if status == HTTP_NOT_FOUND and method == "GET":
            return RailOutcome(outcome="not_received")
        try:
            if status == HTTP_OK:
                return RailOutcome(outcome="accepted", reference=str(orjson.loads(content)["reference"]))
            if status == HTTP_REFUSED:
                said = orjson.loads(content)
                return RailOutcome(outcome="refused", code=said["code"], reason=said["reason"])
        except (ValueError, LookupError, TypeError):
            return RailOutcome(outcome="unknown", reason=f"unreadable answer from rail {credit.rail}")
        return RailOutcome(outcome="unknown", reason=f"status {status} from rail {credit.rail}")

    async def _send(self, method: str, url: str, body: dict[str, object] | None) -> tuple[int, bytes]:
        """Status and body. Raises httpx.HTTPError, and TimeoutError when all of it takes too long: the client's
        own limit is for each part, and a gateway that sends a byte now and then would never be over it.
        """
        limit_s = self._settings.rail_timeout_s
        content = b""
        async with (
            asyncio.timeout(limit_s),
            self._client.stream(method, url, json=body, timeout=limit_s) as response,
        ):
            async for part in response.aiter_bytes():
                content += part
                if len(content) > MAX_ANSWER_BYTES:
                    raise httpx.DecodingError("the answer is too long")
        return response.status_code, content
