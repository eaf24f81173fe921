"""Far more than the API takes on, with Postgres there, hanging, gone, and there again.

Each answer in time, in words that a client can go by; memory bounded; every acknowledged deposit there once.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psutil

from commands.batch import in_parallel
from tests.chaos.proxied import Proxy
from tests.e2e.api import World, async_client
from tests.e2e.test_api_limits import own_api
from tests.fixtures.running import RunningStack

CLIENTS = 200
ENOUGH = 20
AT_ONCE = 48
REQUEST_TIMEOUT_S = 4
LATE_S = REQUEST_TIMEOUT_S + 3
"""What a client sees on a busy machine that also runs two hundred of them."""
MOST_MB = 250
HUGE = json.dumps({"items": [{}] * 300_000}).encode()
"""A batch of 1.2 MB that is 25 MB in memory once it is read, and refused then."""


Wire = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Flood:
    """Clients that ask as fast as they are answered, by raw HTTP: they must not be what is slow."""

    world: World
    account: str
    stop: asyncio.Event = field(default_factory=asyncio.Event)
    seen: Counter[tuple[int, str]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    slowest_s: float = 0
    acknowledged: int = 0
    unsettled: list[str] = field(default_factory=list)
    _number: int = 0

    async def client(self) -> None:
        address = urlsplit(self.world.info.api)
        assert address.port
        wire = await asyncio.open_connection(address.hostname, address.port)
        while not self.stop.is_set():
            self._number += 1
            match self._number % 16:
                case 0:
                    await self._ask(wire, "POST", "/v1/transfer-batches", HUGE)
                case number if number < 8:
                    await self._ask(wire, "GET", "/v1/accounts?limit=5")
                case _:
                    await self._deposit(wire, f"{self.world.run}-{self._number}")
        wire[1].close()

    async def _deposit(self, wire: Wire, key: str) -> None:
        body = b'{"amount": "1.00", "currency": "EUR"}'
        said = await self._ask(wire, "POST", f"/v1/accounts/{self.account}/deposits", body, key)
        if said == (201, ""):
            self.acknowledged += 1
        elif said != (503, "overloaded"):
            self.unsettled.append(key)

    async def _ask(
        self,
        wire: Wire,
        method: str,
        path: str,
        body: bytes = b"",
        key: str = "",
    ) -> tuple[int, str]:
        more = f"Idempotency-Key: {key}\r\n" if key else ""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {self.world.info.api_key}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n{more}\r\n"
        )
        reader, writer = wire
        started = time.monotonic()
        writer.write(head.encode() + body)
        answered = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
        headers = dict(line.split(": ", 1) for line in answered.split("\r\n")[1:] if line)
        text = await reader.readexactly(int(headers["content-length"]))
        self.slowest_s = max(self.slowest_s, time.monotonic() - started)
        status = int(answered.split(" ", 2)[1])
        code = json.loads(text).get("code", "") if status >= 400 else ""
        self.seen[status, code] += 1
        if status not in (200, 201, 422, 429, 503):
            self.wrong.append(f"{method} {path}: {status} {text[:200]!r}")
        if status in (429, 503) and int(headers.get("retry-after", "0")) < 1:
            self.wrong.append(f"{method} {path}: {status} without Retry-After")
        return status, code

    def taken(self) -> Counter[tuple[int, str]]:
        """What was answered since the last look."""
        seen, self.seen = self.seen, Counter()
        return seen


async def test_a_flood_with_postgres_there_gone_and_hanging(running_stack: RunningStack, tmp_path: Path) -> None:
    port = urlsplit(running_stack.info.database).port
    assert port
    proxy = Proxy({"postgres": port}, tmp_path / "proxy.log")
    limits = {"concurrent": str(AT_ONCE), "request_timeout_s": str(REQUEST_TIMEOUT_S)}
    try:
        async with own_api(running_stack, tmp_path, proxy.ports["postgres"], **limits) as (world, process):
            flood = Flood(world, world.account("a"))
            memory, most = psutil.Process(process.pid).memory_info, 0
            before = memory().rss
            clients = [asyncio.create_task(flood.client()) for _ in range(CLIENTS)]

            async def flooded(*until: set[tuple[int, str]]) -> Counter[tuple[int, str]]:
                """Until one of each was heard 20 times: a matter of seconds, more on a busy machine."""
                nonlocal most
                async with asyncio.timeout(15):
                    while any(sum(flood.seen[answer] for answer in either) < ENOUGH for either in until):
                        await asyncio.sleep(0.1)
                        most = max(most, memory().rss)
                return flood.taken()

            there = await flooded({(201, "")}, {(503, "overloaded")})
            await proxy.set("postgres", stalled=True)
            # Who has a connection waits out his time; who gets none is told so before that.
            hanging = await flooded({(503, "timeout"), (503, "postgres_unavailable")}, {(503, "overloaded")})
            await proxy.set("postgres", closed=True, cut=True)
            gone = await flooded({(503, "postgres_unavailable")}, {(503, "overloaded")})
            await proxy.set("postgres")
            again_there = await flooded({(201, "")})
            flood.stop.set()
            await asyncio.gather(*clients)

            seen = f"{there} {hanging} {gone} {again_there}, {flood.slowest_s:.1f} s, {(most - before) >> 20} MB"
            assert flood.wrong == []
            assert (hanging + gone)[503, "timeout"] > 0, seen
            assert flood.slowest_s < LATE_S, seen
            assert (most - before) >> 20 < MOST_MB, seen
            assert world.http.get("/readyz").status_code == 200
            # What may have happened is asked again under its key; what found no room has not happened.
            body = {"amount": "1.00", "currency": "EUR"}
            path = f"/v1/accounts/{flood.account}/deposits"
            async with async_client(world.info) as http:

                async def again(key: str) -> int:
                    return (await http.post(path, json=body, headers={"Idempotency-Key": key})).status_code

                assert set(await in_parallel(AT_ONCE, flood.unsettled, again)) == {201}
                last = await http.post(path, json=body)
            deposits = flood.acknowledged + len(flood.unsettled) + 1
            assert last.json()["balance"] == f"{deposits}.00"
    finally:
        proxy.stop()
