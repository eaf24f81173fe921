"""A worker inside the API, so that what is asked here begins here, without a way over the server.

An eager start needs client and worker on one connection, and a worker needs a server that answers. So it begins as
soon as Temporal does: at once as a rule, later where Temporal is away as the API starts.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

import structlog
from temporalio.client import Client
from temporalio.worker import Worker

LOOK_S: Final = 2.0
LOOK_EVERY_S: Final = 0.5

log = structlog.get_logger()


@asynccontextmanager
async def working(client: Client, make: Callable[[], Worker]) -> AsyncIterator[None]:
    """`make`'s worker runs during the block, from when Temporal first answers on. The block does not wait for it
    where Temporal is away; its end waits for what the worker has under way.
    """
    if not await temporal_answers(client, LOOK_S):
        log.warning("no worker in this process until Temporal answers: payments start slower until then")
    work = asyncio.create_task(_work(client, make), name="own worker")
    try:
        yield
    finally:
        work.cancel()  # the worker takes that as the wish to shut down, and lets activities finish
        await asyncio.wait({work})


async def temporal_answers(client: Client, timeout_s: float) -> bool:
    """Whether the server says that it serves."""
    try:
        async with asyncio.timeout(timeout_s):
            return await client.service_client.check_health(timeout=timedelta(seconds=timeout_s))
    except Exception:
        return False


async def _work(client: Client, make: Callable[[], Worker]) -> None:
    while True:
        if await temporal_answers(client, LOOK_S):
            client.service_client.config.lazy = False  # it is connected by now, which is all that a worker needs
            log.info("worker of this process starts")
            try:
                await make().run()
            except Exception as error:  # a server without our namespace, say
                log.warning("worker of this process ended", why=str(error)[:500])
        await asyncio.sleep(LOOK_EVERY_S * random.uniform(0.5, 1.0))  # noqa: S311 – not a secret
