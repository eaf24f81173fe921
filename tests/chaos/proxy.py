"""A TCP proxy process between our processes and their servers: `python proxy.py '{"control": PORT, "links": …}'`.

Each link can be closed, stalled, slowed, made deaf (nothing comes back), or told to lose the answers to the next
commits: the request goes through, the server does it, and the connection is cut before anybody is told.
Controlled by one JSON object per line on the control port. Standard library only.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from typing import Any

HOST = "127.0.0.1"
CHUNK = 65536
SSL_REQUESTS = (80877103, 80877104)
"""Of a first message that asks for encryption; the server declines and the real first one follows."""


class Commits:
    """Reads what a client says to Postgres, and tells when a commit of ours goes by: an append, or a COMMIT."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._started = False
        self._statements: set[bytes] = set()

    def see(self, data: bytes) -> bool:
        self._buffer += data
        seen = False
        while (message := self._next()) is not None:
            seen |= self._is_commit(*message)
        return seen

    def _next(self) -> tuple[bytes, bytes] | None:
        head = 1 if self._started else 0
        if len(self._buffer) < head + 4:
            return None
        size = head + int.from_bytes(self._buffer[head : head + 4], "big")
        if len(self._buffer) < size:
            return None
        kind, body = bytes(self._buffer[:head]), bytes(self._buffer[head + 4 : size])
        del self._buffer[:size]
        if not self._started and int.from_bytes(body[:4], "big") not in SSL_REQUESTS:
            self._started = True
        return kind, body

    def _is_commit(self, kind: bytes, body: bytes) -> bool:
        if kind == b"Q":
            return body.upper().startswith(b"COMMIT")
        if kind == b"P":
            name, _, rest = body.partition(b"\0")
            self._statements.discard(name)
            query = rest.partition(b"\0")[0]
            if b"append_events" in query or query.upper().startswith(b"COMMIT"):
                self._statements.add(name)
        return kind == b"B" and body.split(b"\0", 2)[1] in self._statements


class Pair:
    """One client's connection and ours to the server for it."""

    def __init__(self, client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client, self.server = client, server
        self.losing = False

    def cut(self) -> None:
        for side in (self.client, self.server):
            side.transport.abort()


class Link:
    """A port to connect to, the server behind it, and what is wrong with the way at present."""

    def __init__(self, to: int, postgres: bool) -> None:
        self._to = to
        self._postgres = postgres
        self._pairs: set[Pair] = set()
        self._going = asyncio.Event()
        self._going.set()
        self.closed = self.deaf = False
        self.delay_s = 0.0
        self.lose = self.lost = 0

    def set(self, closed: bool, stalled: bool, deaf: bool, delay_ms: float, lose: int) -> None:
        self.closed, self.deaf, self.delay_s, self.lose = closed, deaf, delay_ms / 1000, lose
        if stalled:
            self._going.clear()
        else:
            self._going.set()

    def cut(self) -> int:
        pairs = list(self._pairs)
        for pair in pairs:
            pair.cut()
        return len(pairs)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.closed:
            writer.transport.abort()
            return
        try:
            up_reader, up_writer = await asyncio.open_connection(HOST, self._to)
        except OSError:
            writer.transport.abort()
            return
        pair = Pair(writer, up_writer)
        self._pairs.add(pair)
        pumps = [
            asyncio.create_task(self._requests(reader, pair)),
            asyncio.create_task(self._answers(up_reader, pair)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            # What the one side sent before it hung up still reaches the other.
            await asyncio.wait(pumps, timeout=0.2)
        finally:
            for pump in pumps:
                pump.cancel()
            pair.cut()
            self._pairs.discard(pair)

    async def _requests(self, reader: asyncio.StreamReader, pair: Pair) -> None:
        commits = Commits() if self._postgres else None
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                await self._way()
                if commits is not None and commits.see(data) and self.lose:
                    self.lose -= 1
                    pair.losing = True
                pair.server.write(data)
                await pair.server.drain()

    async def _answers(self, reader: asyncio.StreamReader, pair: Pair) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(CHUNK):
                await self._way()
                if pair.losing and data[-6:-5] == b"Z":  # ready for the next query: it is done
                    self.lost += 1
                    return
                if not (pair.losing or self.deaf):
                    pair.client.write(data)
                    await pair.client.drain()

    async def _way(self) -> None:
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        await self._going.wait()


async def control(links: dict[str, Link], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """`{"link": NAME, "cut": true, "set": {…}}` → `{"cut": connections cut, "lost": answers lost so far}`."""
    with contextlib.suppress(OSError):
        while line := await reader.readline():
            order: dict[str, Any] = json.loads(line)
            link = links[order["link"]]
            if "set" in order:
                link.set(**order["set"])
            answer = {"cut": link.cut() if order.get("cut") else 0, "lost": link.lost}
            writer.write(json.dumps(answer).encode() + b"\n")
            await writer.drain()
    writer.close()


async def main(config: dict[str, Any]) -> None:
    """Serves until the process is ended."""
    links: dict[str, Link] = {}
    for name, one in config["links"].items():
        links[name] = Link(one["to"], one["postgres"])
        await asyncio.start_server(links[name].serve, HOST, one["port"], backlog=512)
    server = await asyncio.start_server(lambda r, w: control(links, r, w), HOST, config["control"])
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(json.loads(sys.argv[1])))
