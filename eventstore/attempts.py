"""Trying again: what Postgres says may be tried again, and how often and how fast."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import psycopg
from psycopg import errors
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from eventstore.errors import ConcurrencyError, Overloaded, StoreUnavailable

Result = TypeVar("Result")
_log = logging.getLogger(__name__)

# The transaction was rolled back, and nothing but bad luck is to blame.
_UNLUCKY = (errors.SerializationFailure, errors.DeadlockDetected, errors.LockNotAvailable)
MAX_UNLUCKY = 20
UNLUCKY_FOR_S = 8.0
# The server went away. It may be back in a moment: a restart takes a second or two.
RECONNECT_FOR_S = 5.0


def backoff_s(attempt: int, first_s: float = 0.005, most_s: float = 0.5) -> float:
    """How long to wait before attempt number `attempt + 1`: doubled each time, half of it by chance."""
    return min(most_s, first_s * float(1 << min(attempt, 16))) * random.uniform(0.5, 1.0)  # noqa: S311 – not a secret


async def retried(pool: AsyncConnectionPool[Any], work: Callable[[], Awaitable[Result]]) -> Result:
    """`work`, which may safely be done twice, until it gets an answer; a bounded number of times.

    Raises ConcurrencyError after too many deadlocks or the like, StoreUnavailable when Postgres stays away,
    Overloaded when too many wait for a connection. Other errors of psycopg pass: they are bugs, or say that the
    request cannot be stored.
    """
    loop = asyncio.get_running_loop()
    started, attempt = loop.time(), 0
    while True:
        attempt += 1
        try:
            return await work()
        except _UNLUCKY as error:
            if attempt >= MAX_UNLUCKY or loop.time() > started + UNLUCKY_FOR_S:
                raise ConcurrencyError(f"given up after {attempt} attempts: {error}") from error
        except TooManyRequests as error:  # it may have been sent at an earlier attempt
            raise (Overloaded if attempt == 1 else StoreUnavailable)(str(error)) from error
        except (PoolTimeout, PoolClosed) as error:
            raise StoreUnavailable(str(error)) from error
        except errors.QueryCanceled as error:
            raise StoreUnavailable(f"no answer in time: {error}") from error
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            if loop.time() > started + RECONNECT_FOR_S:
                raise StoreUnavailable(str(error)) from error
            _log.warning("connection to Postgres lost, trying again: %s", str(error).strip())
            await _drop_dead_connections(pool)
        await asyncio.sleep(backoff_s(attempt))


async def _drop_dead_connections(pool: AsyncConnectionPool[Any]) -> None:
    """One connection was found dead: most likely all that lie idle in the pool are."""
    with contextlib.suppress(psycopg.Error):
        await pool.check()
