"""A small client with httpx that survives what a network does: `python examples/api/client.py URL KEY`.

A timeout or a 503 is an unknown outcome, not a failure. So every write carries an Idempotency-Key, and is simply
sent again with the same one until there is an answer.
"""

from __future__ import annotations

import sys
import time
import uuid
from typing import Any

import httpx

ATTEMPTS = 10


class Refused(Exception):
    """The API said no. `code` is stable, `field` names what was wrong."""

    def __init__(self, problem: dict[str, Any]) -> None:
        super().__init__(f"{problem['code']}: {problem['detail']}")
        self.code: str = problem["code"]
        self.field: str | None = problem.get("field")


class Tidemark:
    """Reads see this client's own writes."""

    def __init__(self, url: str, key: str) -> None:
        self._http = httpx.Client(base_url=url, headers={"Authorization": f"Bearer {key}"}, timeout=30)
        self._position = 0

    def post(self, path: str, body: dict[str, Any], idempotency_key: str | None = None) -> dict[str, Any]:
        """The answer, the first one where it was asked before. Raises Refused."""
        key = idempotency_key or str(uuid.uuid4())
        response = self._ask("POST", path, json=body, headers={"Idempotency-Key": key})
        self._position = max(self._position, int(response.headers.get("Event-Position", 0)))
        return _answer(response)

    def get(self, path: str, **query: str) -> dict[str, Any]:
        """As of this client's last write, or later. Raises Refused."""
        return _answer(self._ask("GET", path, params={**query, "min_position": self._position}))

    def _ask(self, method: str, path: str, **request: Any) -> httpx.Response:
        for attempt in range(ATTEMPTS):
            try:
                response = self._http.request(method, path, **request)
            except httpx.TransportError:
                time.sleep(min(2**attempt * 0.1, 2))
                continue
            if response.status_code not in (429, 503):
                return response
            time.sleep(float(response.headers.get("Retry-After", 1)))
        raise TimeoutError(f"no answer to {method} {path}: ask again later, with the same key")


def _answer(response: httpx.Response) -> dict[str, Any]:
    body: dict[str, Any] = response.json()
    if response.is_error:
        raise Refused(body)
    return body


def main(url: str, key: str) -> None:
    """Two users, a payment, a transfer back, and the statement."""
    tidemark, run = Tidemark(url, key), uuid.uuid4().hex[:8]
    ann, bob = f"ann-{run}", f"bob-{run}"
    for account in (ann, bob):
        tidemark.post("/v1/accounts", {"account_id": account, "user_id": account, "currency": "EUR"})
    tidemark.post(f"/v1/accounts/{ann}/deposits", {"amount": "100.00", "currency": "EUR"})
    paid = tidemark.post(
        "/v1/payments",
        {"from_account": ann, "to_account": bob, "amount": "40.00", "currency": "EUR", "capture": "manual"},
    )
    print("authorised:", paid["payment_id"], paid["status"])
    print("captured:", tidemark.post(f"/v1/payments/{paid['payment_id']}/capture", {})["status"])
    try:
        tidemark.post(
            "/v1/transfers", {"from_account": bob, "to_account": bob, "amount": "1.00", "currency": "EUR"}
        )
    except Refused as refusal:
        print("refused:", refusal, "in", refusal.field)
    for line in tidemark.get(f"/v1/accounts/{bob}/entries")["items"]:
        print("statement:", line["amount"], line["balance"], line["category"])


if __name__ == "__main__":
    main(*sys.argv[1:])
