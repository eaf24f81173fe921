"""The read views for a command: a reader over a small pool of the reader's role."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from eventstore.connect import open_pool
from queries.errors import QueryError
from queries.reader import Reader
from stack import StackInfo
from wiring import Unreachable


@asynccontextmanager
async def open_reader(info: StackInfo) -> AsyncIterator[Reader]:
    """Raises Unreachable where a question finds no views, or they are too late."""
    pool = await open_pool(info.read_database, max_size=4, application_name="tidemark-cli-reader")
    try:
        yield Reader(pool)
    except QueryError as fault:
        raise Unreachable(f"{fault}: is a projector running?") from fault
    finally:
        await pool.close()
