"""The API as a client has it: real HTTP to a running stack, and the small world that a test plays in."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from stack import StackInfo
from tests.fixtures.running import RunningStack

TIMEOUT_S = 40


def headers(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


def client(info: StackInfo, key: str | None = None) -> httpx.Client:
    """With the operator's key, or another."""
    return httpx.Client(base_url=info.api, headers=headers(key or info.api_key), timeout=TIMEOUT_S)


def async_client(info: StackInfo, key: str | None = None) -> httpx.AsyncClient:
    limits = httpx.Limits(max_connections=None)
    return httpx.AsyncClient(
        base_url=info.api, headers=headers(key or info.api_key), timeout=TIMEOUT_S, limits=limits
    )


def problem(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The response is this problem, and whole."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    said: dict[str, Any] = response.json()
    assert said["code"] == code, said
    assert said["type"] == f"urn:tidemark:problem:{code}"
    assert said["status"] == status
    assert said["title"]
    assert said["detail"]
    assert (
        said["correlation_id"] == response.headers["x-correlation-id"]
        or "idempotency-replayed" in response.headers
    )
    assert "Traceback" not in response.text
    if status in (429, 503):
        assert int(response.headers["retry-after"]) >= 1
    return said


@dataclass
class World:
    """Accounts of one test, and short ways to use them."""

    info: StackInfo
    http: httpx.Client
    run: str = field(default_factory=lambda: f"t{uuid.uuid4().hex[:10]}")

    def account(
        self, name: str, balance: str | None = None, *, user: str | None = None, currency: str = "EUR"
    ) -> str:
        account_id = f"{self.run}-{name}"
        body = {"account_id": account_id, "user_id": user or f"{self.run}-user-{name}", "currency": currency}
        response = self.http.post("/v1/accounts", json=body)
        assert response.status_code == 201, response.text
        if balance is not None:
            self.deposit(account_id, balance, currency)
        return account_id

    def deposit(self, account_id: str, amount: str, currency: str = "EUR") -> httpx.Response:
        response = self.http.post(
            f"/v1/accounts/{account_id}/deposits", json={"amount": amount, "currency": currency}
        )
        assert response.status_code == 201, response.text
        return response

    def pay(self, payer: str, payee: str, amount: str = "10.00", **more: object) -> httpx.Response:
        body = {"from_account": payer, "to_account": payee, "amount": amount, "currency": "EUR", **more}
        return self.http.post("/v1/payments", json=body)

    def held_payment(self, payer: str, payee: str, amount: str = "10.00", **more: object) -> str:
        """An authorised payment with manual capture."""
        response = self.pay(payer, payee, amount, capture="manual", **more)
        assert response.status_code == 201, response.text
        payment_id: str = response.json()["payment_id"]
        return payment_id

    def processed_payment(self, payer: str, payee: str, amount: str = "10.00", **more: object) -> str:
        """A payment that is captured."""
        response = self.pay(payer, payee, amount, **more)
        assert response.status_code == 201, response.text
        payment_id: str = response.json()["payment_id"]
        self.until(f"/v1/payments/{payment_id}", "processed")
        return payment_id

    def transfer(self, source: str, target: str, amount: str = "10.00", **more: object) -> httpx.Response:
        body = {"from_account": source, "to_account": target, "amount": amount, "currency": "EUR", **more}
        return self.http.post("/v1/transfers", json=body)

    def until(self, path: str, *statuses: str, within_s: float = 20) -> dict[str, Any]:
        """What `path` shows once it is in one of the statuses."""
        deadline = time.monotonic() + within_s
        while True:
            response = self.http.get(path)
            if response.status_code == 200 and response.json()["status"] in statuses:
                found: dict[str, Any] = response.json()
                return found
            assert time.monotonic() < deadline, f"{path} is not {statuses}: {response.text}"
            time.sleep(0.02)

    def expired(self, at: str) -> None:
        """Waits until this instant is over."""
        until = datetime.fromisoformat(at)
        while (left := (until - datetime.now(UTC)).total_seconds()) > 0:
            time.sleep(left + 0.01)

    def seen(self, written: httpx.Response, path: str) -> dict[str, Any]:
        """What `path` shows, once it shows what was written."""
        response = self.http.get(path, params={"min_position": written.headers["event-position"]})
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found


def make_key(running: RunningStack, *scopes: str, user: str | None = None) -> tuple[str, str]:
    """A key and its id, made as an administrator makes one."""
    scoped = [argument for scope in scopes for argument in ("--scope", scope)]
    bound = ["--user", user] if user else []
    made = running.json("keys", "create", f"test {user or 'unbound'}", *scoped, *bound)
    return made["key"], made["key_id"]


async def eventually(good: Callable[[], Awaitable[bool]], within_s: float = 30) -> None:
    """Waits until it is so."""
    async with asyncio.timeout(within_s):
        while not await good():
            await asyncio.sleep(0.1)
