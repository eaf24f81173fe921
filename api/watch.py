"""Waiting for things to appear in Postgres: however many wait, one statement at a time looks for all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")

TICK_S = 0.003
MOST_AT_ONCE = 1000


async def tick() -> None:
    """What is between two looks, where nothing tells that another one is worth it."""
    await asyncio.sleep(TICK_S)


class Watch(Generic[Key, Value]):
    """`look` is given keys and says which of them are there, with their values; `pause` comes between two looks.

    Who knows that something is there may `tell`: then nobody needs to look, and the first look waits `patience_s`.
    """

    def __init__(
        self,
        look: Callable[[Sequence[Key]], Awaitable[Mapping[Key, Value]]],
        pause: Callable[[], Awaitable[object]] = tick,
        patience_s: float = 0,
    ) -> None:
        self._look = look
        self._pause = pause
        self._patience_s = patience_s
        self._waiting: dict[Key, set[asyncio.Future[Value]]] = {}
        self._task: asyncio.Task[None] | None = None

    async def wait(self, key: Key, timeout_s: float) -> Value | None:
        """The value as soon as it is there; None if it is not in time. Raises what `look` raises."""
        future: asyncio.Future[Value] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, set()).add(future)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="watch")
        try:
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError:
            return None
        finally:
            self._leave(key, future)

    def tell(self, key: Key, value: Value) -> None:
        """It is there."""
        for future in self._waiting.pop(key, ()):
            if not future.done():
                future.set_result(value)

    async def _run(self) -> None:
        try:
            await asyncio.sleep(self._patience_s)
            while self._waiting:
                await self._once()
                await self._pause()
        finally:
            self._task = None

    async def _once(self) -> None:
        keys = list(self._waiting)[:MOST_AT_ONCE]
        try:
            found = await self._look(keys)
        except Exception as error:
            for key in keys:
                for future in self._waiting.pop(key, ()):
                    if not future.done():
                        future.set_exception(error)
            return
        for key, value in found.items():
            self.tell(key, value)
        for key in keys:  # those that were not there go to the end, so that nobody is looked for too seldom
            if key in self._waiting:
                self._waiting[key] = self._waiting.pop(key)

    def _leave(self, key: Key, future: asyncio.Future[Value]) -> None:
        waiting = self._waiting.get(key)
        if waiting is not None:
            waiting.discard(future)
            if not waiting:
                del self._waiting[key]
