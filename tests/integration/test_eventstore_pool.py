"""The pool of connections, where those who use it are cancelled in the middle."""

from __future__ import annotations

import asyncio

from eventstore.connect import Pool, open_pool
from tests.fixtures.database import Database


async def all_there(pool: Pool, size: int) -> None:
    """That many can be had at once, each for a query."""
    everybody = asyncio.Barrier(size)

    async def use() -> None:
        async with pool.connection() as connection:
            await everybody.wait()
            await connection.execute("SELECT")

    async with asyncio.timeout(5):
        await asyncio.gather(*(use() for _ in range(size)))


async def test_who_is_cancelled_while_giving_a_connection_back_does_not_take_it_along(database: Database) -> None:
    async with await open_pool(database.app, max_size=1) as pool:
        taken, give_back = asyncio.Event(), asyncio.Event()

        async def user() -> None:
            async with pool.connection():
                taken.set()
                await give_back.wait()

        using = asyncio.create_task(user())
        await taken.wait()
        async with pool._lock:  # somebody else is being served
            give_back.set()
            await asyncio.sleep(0.01)
            using.cancel()
            await asyncio.wait([using])
            assert using.cancelled()
        await all_there(pool, 1)
