"""A bank's rail gateway, started as a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

import httpx

from stack.ports import answers, free_port
from tests.fixtures.processes import ROOT


@dataclass(frozen=True)
class Rail:
    """Where it listens, and what it has booked."""

    url: str
    pid: int

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """It takes connections in and answers nothing during the block; then it goes through what came."""
        os.kill(self.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pid, signal.SIGCONT)

    def booked(self) -> list[str]:
        """The accounts credited, once per booking."""
        found: dict[str, dict[str, str]] = httpx.get(f"{self.url}/booked").json()["booked"]
        return [credit["account"] for credit in found.values()]


@asynccontextmanager
async def rail_gateway() -> AsyncIterator[Rail]:
    """A gateway for the time of the block."""
    port = free_port()
    script = ROOT / "tests" / "fixtures" / "rail_server.py"
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(script), str(port), stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(20):
            while not answers(port):
                await asyncio.sleep(0.05)
        yield Rail(f"http://127.0.0.1:{port}", process.pid)
    finally:
        process.terminate()
        await process.wait()
