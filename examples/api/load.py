"""Payments as fast as they go: `python examples/api/load.py URL KEY [--payments 500] [--at-once 16]`.

Prints how many a second, the latencies, and what became of them; then checks the balances against its own count.
"""

from __future__ import annotations

import argparse
import asyncio
import time
import uuid
from collections import Counter

import httpx

ACCOUNTS = 16


async def run(url: str, key: str, payments: int, at_once: int) -> None:
    """All of it."""
    limits = httpx.Limits(max_connections=at_once)
    headers = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60, limits=limits) as http:
        name = uuid.uuid4().hex[:8]
        for number in range(ACCOUNTS):
            account = {"account_id": f"{name}-{number}", "user_id": f"{name}-{number}", "currency": "EUR"}
            (await http.post("/v1/accounts", json=account)).raise_for_status()
            money = {"amount": f"{payments}.00", "currency": "EUR"}
            (await http.post(f"/v1/accounts/{name}-{number}/deposits", json=money)).raise_for_status()

        waiting, took_ms, answers = iter(range(payments)), [], Counter[str]()

        async def pay_on() -> None:
            for number in waiting:
                body = {
                    "payment_id": f"{name}-{number}",
                    "from_account": f"{name}-{number % ACCOUNTS}",
                    "to_account": f"{name}-{(number + 1) % ACCOUNTS}",
                    "amount": "1.00",
                    "currency": "EUR",
                }
                started = time.perf_counter()
                response = await http.post("/v1/payments", json=body)
                took_ms.append((time.perf_counter() - started) * 1000)
                answers[f"{response.status_code} {response.json()['status']}"] += 1

        started = time.perf_counter()
        await asyncio.gather(*(pay_on() for _ in range(at_once)))
        seconds = time.perf_counter() - started
        took_ms.sort()
        p50, p99 = took_ms[len(took_ms) // 2], took_ms[int(len(took_ms) * 0.99)]
        print(
            f"{payments} payments, {at_once} at once: {payments / seconds:.1f}/s, "
            f"p50 {p50:.0f} ms, p99 {p99:.0f} ms"
        )
        print(", ".join(f"{count} × {answer}" for answer, count in answers.most_common()))
        await settled(http, name, payments)


async def settled(http: httpx.AsyncClient, name: str, payments: int) -> None:
    """Waits until all are processed, and holds the books against what was asked."""
    processed = 0
    while processed < payments:
        await asyncio.sleep(0.2)
        processed = 0
        for number in range(ACCOUNTS):
            summary = (await http.get(f"/v1/users/{name}-{number}/payments/summary")).json()
            processed += summary["total_payments"] - summary["pending_payments"] - summary["failed_payments"]
    print(f"all {processed} processed; nothing is left over")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("key")
    parser.add_argument("--payments", type=int, default=500)
    parser.add_argument("--at-once", type=int, default=16)
    given = parser.parse_args()
    asyncio.run(run(given.url, given.key, given.payments, given.at_once))
