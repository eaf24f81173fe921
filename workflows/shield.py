"""A Temporal cancellation is a wish to cancel, not a knife: the life of a payment goes on and decides about it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def survive_cancellation(life: Coroutine[Any, Any, T], on_cancel: Callable[[], object]) -> T:
    """Runs `life` to its end, however often the workflow is cancelled meanwhile; each time `on_cancel` is told.

    One `asyncio.shield` is not enough: the second cancellation would tear the wait, and with it the workflow, from
    a compensation that is still under way.
    """
    task = asyncio.create_task(life)
    while True:
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise
            on_cancel()
