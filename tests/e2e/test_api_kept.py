"""Answers that go out before they are kept: where keeping fails, a repeat makes the very same ones again."""

from __future__ import annotations

import uuid

import httpx
import pytest

from tests.e2e.api import eventually, problem
from tests.fixtures.database import Database
from tests.fixtures.in_process import api_in_process, two_accounts
from tests.fixtures.stack import TemporalAddress

RUN = uuid.uuid4().hex[:8]
"""Workflow ids must be new to the session's Temporal server."""
ORDER = {"from_account": "a", "to_account": "b", "amount": "5.00", "currency": "EUR"}
ASKED: list[tuple[str, dict[str, str], dict[str, str]]] = [
    ("/v1/payments", ORDER | {"payment_id": f"p-{RUN}"}, {}),
    ("/v1/payments", ORDER, {"Idempotency-Key": "k1"}),
    ("/v1/transfers", ORDER | {"transfer_id": f"t-{RUN}"}, {}),
    ("/v1/accounts/a/deposits", {"amount": "5.00", "currency": "EUR"}, {"Idempotency-Key": "k2"}),
]


async def test_an_answer_that_was_lost_is_made_again_to_the_byte(
    database: Database, temporal_server: TemporalAddress, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def crash(*_: object) -> None:
        raise OSError("the process died before this")

    async with api_in_process(database, temporal_server.address) as (http, services):
        await two_accounts(http)
        monkeypatch.setattr(services.answers, "_keep", crash)
        monkeypatch.setattr("api.idempotency.ELSEWHERE_S", 0.1)
        firsts = [await http.post(path, json=body, headers=given) for path, body, given in ASKED]
        for first in firsts:
            if "location" in first.headers:
                await eventually(lambda first=first: _moved_on(http, first))  # type: ignore[misc]
        await http.post("/v1/accounts/a/deposits", json={"amount": "1.00", "currency": "EUR"})
        for (path, body, given), first in zip(ASKED, firsts, strict=True):
            again = await http.post(path, json=body, headers=given)
            assert (again.status_code, again.content) == (first.status_code, first.content)
            assert ("idempotency-replayed" in first.headers, again.headers["idempotency-replayed"]) == (
                False,
                "true",
            )
            for name in ("etag", "location", "event-position", "content-type"):
                assert again.headers.get(name) == first.headers.get(name), name
            other = await http.post(path, json=body | {"amount": "6.00"}, headers=given)
            problem(other, 422, "idempotency_conflict")


async def _moved_on(http: httpx.AsyncClient, first: httpx.Response) -> bool:
    events = (await http.get(f"{first.headers['location']}/events")).json()["items"]
    return events[-1]["type"] in ("PaymentProcessed", "DestinationCredited")
