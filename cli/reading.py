"""The read views for a command: a reader over a small pool of the reader's role."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

from cli.session import addresses, guarded
from eventstore.connect import open_pool
from queries.errors import ReadUnavailable
from queries.reader import Question, Reader
from stack import StackInfo
from wiring import Unreachable

Answer = TypeVar("Answer")


@asynccontextmanager
async def open_reader(info: StackInfo) -> AsyncIterator[Reader]:
    """Raises Unreachable where a question finds no views."""
    pool = await open_pool(info.read_database, max_size=4, application_name="tidemark-cli-reader")
    try:
        yield Reader(pool)
    except ReadUnavailable as fault:
        raise Unreachable(f"{fault}: is a projector running?") from fault
    finally:
        await pool.close()


def run_query(data: Path, as_json: bool, question: Question[Answer]) -> Answer:
    """One question's answer; whatever goes wrong becomes one line and the right exit code."""

    async def ask() -> Answer:
        async with open_reader(addresses(data)) as reader:
            return (await reader.ask(question)).value

    return guarded(as_json, lambda: asyncio.run(ask()))
