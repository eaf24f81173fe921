"""A proper client: asks once more, with the same key, until it knows; goes to the other API when one is away."""

from __future__ import annotations

import asyncio
import itertools
import time
from typing import Any

import httpx

from tests.chaos.history import History, Operation

TIMEOUT_S = 12.0
PAUSE_S = 0.3
REFUSALS = (400, 404, 409, 412, 422)


class Web:
    """HTTP to either API. Every operation is settled by what was answered, or stays unknown."""

    def __init__(self, apis: tuple[str, ...], key: str, history: History, timeout_s: float | None = None) -> None:
        self.history = history
        limits = httpx.Limits(max_connections=None, keepalive_expiry=20)
        headers = {"Authorization": f"Bearer {key}"}
        self._clients = [
            httpx.AsyncClient(base_url=api, headers=headers, timeout=timeout_s or TIMEOUT_S, limits=limits)
            for api in apis
        ]
        self._turn = itertools.count()

    async def close(self) -> None:
        for client in self._clients:
            await client.aclose()

    async def do(self, operation: Operation, patience_s: float) -> Operation:
        """Send it until it is answered, or for so long."""
        self.history.add(operation)
        return await self.insist(operation, patience_s)

    async def insist(self, operation: Operation, patience_s: float) -> Operation:
        deadline = time.monotonic() + patience_s
        while operation.outcome == "unknown":
            await self._once(operation)
            if operation.outcome != "unknown" or time.monotonic() > deadline:
                break
            await asyncio.sleep(PAUSE_S)
        return operation

    async def get(self, path: str, **query: object) -> httpx.Response | None:
        """None: no answer."""
        shown: dict[str, Any] = {name: value for name, value in query.items() if value is not None}
        try:
            return await self._client().get(path, params=shown)
        except httpx.TransportError:
            return None

    async def _once(self, operation: Operation) -> None:
        operation.attempts += 1
        headers = {"Idempotency-Key": operation.id}
        try:
            response = await self._client().post(operation.path, json=operation.body, headers=headers)
        except httpx.TransportError:
            return
        try:
            said = response.json()
        except ValueError:
            said = {}
        if response.status_code in (200, 201, 202):
            position = response.headers.get("event-position")
            operation.settle("acknowledged", response.status_code, said, int(position) if position else None)
        elif response.status_code in REFUSALS:
            operation.settle("refused", response.status_code, said, None)
        elif response.status_code not in (429, 503) or "code" not in said:
            self.history.errors.append(
                f"{operation.path} was answered {response.status_code}: {response.text[:200]}"
            )

    def _client(self) -> httpx.AsyncClient:
        return self._clients[next(self._turn) % len(self._clients)]
