"""What a gateway says belongs to the credit it was asked about, and to no other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from activities.rail import RailActivities, RailCredit, rail_client
from domain.money import Money
from settings import Settings

YES = b'HTTP/1.1 200 OK\r\nContent-Length: 25\r\n\r\n{"reference": "rail-ref"}'
UNSEEN = b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\n{}"


@asynccontextmanager
async def gateway_that_answers_twice() -> AsyncIterator[str]:
    """Says yes to a PUT, and says it again when the same connection is used for something else."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        owed = b""
        while request := await reader.readline():
            while (await reader.readline()).strip():
                pass
            if request.startswith(b"PUT"):
                await reader.readuntil(b"}")
            writer.write(owed or (YES if request.startswith(b"PUT") else UNSEEN))
            owed = YES
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def credit(key: str) -> RailCredit:
    return RailCredit(rail="sepa", key=key, account="a", amount=Money(100, "EUR"))


async def test_an_answer_said_twice_is_not_taken_for_the_next_one() -> None:
    async with gateway_that_answers_twice() as url, rail_client() as http:
        rail = RailActivities(http, Settings(rails={"sepa": url}))
        assert (await rail.submit_credit(credit("one"))).outcome == "accepted"
        assert (await rail.inquire_credit(credit("two"))).outcome == "not_received"
