"""The API's own worker, where Temporal is away as the API starts. No other worker is on its task queue."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from settings import ApiSettings
from stack.ports import free_port
from tests.e2e.api import eventually, problem
from tests.fixtures.database import Database
from tests.fixtures.in_process import api_in_process, two_accounts
from tests.fixtures.stack import TemporalAddress


@asynccontextmanager
async def reachable_at(port: int, address: str) -> AsyncIterator[None]:
    """`address` answers at this port too, during the block."""
    host, _, its_port = address.rpartition(":")

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve_one(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(host, int(its_port))
        await asyncio.gather(pump(reader, back), pump(there, writer))

    async with await asyncio.start_server(serve_one, "127.0.0.1", port) as server:
        yield
        server.close()


async def test_an_api_that_starts_without_temporal_works_as_soon_as_it_answers(
    database: Database, temporal_server: TemporalAddress
) -> None:
    port, new = free_port(), f"p-{uuid.uuid4().hex[:8]}"
    settings = ApiSettings(temporal_timeout_s=1, position_timeout_s=0)
    async with api_in_process(database, f"127.0.0.1:{port}", settings) as (http, _):
        await two_accounts(http)
        order = {"payment_id": new, "from_account": "a", "to_account": "b", "amount": "1.00", "currency": "EUR"}
        problem(await http.post("/v1/payments", json=order), 503, "temporal_unavailable")

        async with reachable_at(port, temporal_server.address):

            async def paid() -> bool:
                return (await http.post("/v1/payments", json=order)).status_code == 201

            async def processed() -> bool:
                events = (await http.get(f"/v1/payments/{new}/events")).json()["items"]
                return bool(events[-1]["type"] == "PaymentProcessed")

            await eventually(paid, within_s=60)
            await eventually(processed, within_s=60)
