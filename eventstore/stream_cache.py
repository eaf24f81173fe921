"""What a process remembers of streams, and who in it may write to them now."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

State = TypeVar("State")


@dataclass(frozen=True, slots=True)
class Known(Generic[State]):
    """A stream's state as of `version`, whose event has `last_hash`. It may have gone on since."""

    state: State
    version: int
    last_hash: bytes


class StreamCache(Generic[State]):
    """The states used last, by stream; the least recently used goes when there are more than `size`."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._known: OrderedDict[str, Known[State]] = OrderedDict()

    def get(self, stream: str) -> Known[State] | None:
        known = self._known.get(stream)
        if known is not None:
            self._known.move_to_end(stream)
        return known

    def put(self, stream: str, known: Known[State]) -> None:
        """Remember, unless something newer is remembered already."""
        old = self._known.get(stream)
        if old is not None and old.version > known.version:
            return
        self._known[stream] = known
        self._known.move_to_end(stream)
        if len(self._known) > self._size:
            self._known.popitem(last=False)

    def forget(self, streams: Iterable[str]) -> None:
        for stream in streams:
            self._known.pop(stream, None)


class StreamLocks:
    """One writer at a time per stream within the process. Locks exist only while somebody holds or wants them."""

    def __init__(self) -> None:
        self._locks: dict[str, tuple[asyncio.Lock, int]] = {}

    @asynccontextmanager
    async def hold(self, streams: Iterable[str]) -> AsyncIterator[None]:
        """Hold the locks of all the streams. Everybody takes them in sorted order, so nobody waits in a circle."""
        held: list[str] = []
        try:
            for stream in sorted(set(streams)):
                await self._take(stream)
                held.append(stream)
            yield
        finally:
            for stream in reversed(held):
                self._locks[stream][0].release()
                self._leave(stream)

    async def _take(self, stream: str) -> None:
        lock, users = self._locks.get(stream) or (asyncio.Lock(), 0)
        self._locks[stream] = (lock, users + 1)
        try:
            await lock.acquire()
        except asyncio.CancelledError:
            self._leave(stream)
            raise

    def _leave(self, stream: str) -> None:
        lock, users = self._locks[stream]
        if users == 1:
            del self._locks[stream]
        else:
            self._locks[stream] = (lock, users - 1)
