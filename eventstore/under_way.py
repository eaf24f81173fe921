"""What this process's appends will leave that are on their way to the disk: the next ones are decided on it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Generic, TypeVar

from eventstore.events import Appended, Outcome
from eventstore.stream_cache import Known

State = TypeVar("State")


class _Chain(Generic[State]):
    """Appends to one stream, each decided on what the one before leaves."""

    __slots__ = ("known", "last")

    known: Known[State]
    last: asyncio.Future[Outcome]


class UnderWay(Generic[State]):
    """By stream, what it is after the last append on its way. It may never be, so nobody outside is told of it."""

    def __init__(self) -> None:
        self._chains: dict[str, _Chain[State]] = {}

    def of(self, streams: Iterable[str]) -> dict[str, Known[State]]:
        """What those of the streams will be that are written to now."""
        return {stream: self._chains[stream].known for stream in streams if stream in self._chains}

    def add(self, after: Mapping[str, Known[State]], append: asyncio.Future[Outcome]) -> None:
        """An append has been sent that was decided on `of`; `after` is what it leaves."""
        links: dict[str, _Chain[State]] = {}
        for stream, known in after.items():
            links[stream] = chain = self._chains.setdefault(stream, _Chain())
            chain.known, chain.last = known, append
        append.add_done_callback(partial(self._over, links))

    async def settled(self, streams: Iterable[str]) -> None:
        """Waits until none of the streams is written to."""
        names = tuple(streams)
        while waits := {self._chains[stream].last for stream in names if stream in self._chains}:
            await asyncio.wait(waits)

    def _over(self, links: Mapping[str, _Chain[State]], append: asyncio.Future[Outcome]) -> None:
        """Where it failed, all that was decided on it fails too: who comes next begins another chain."""
        failed = append.cancelled() or append.exception() is not None or not isinstance(append.result(), Appended)
        for stream, chain in links.items():
            if self._chains.get(stream) is chain and (failed or chain.last is append):
                del self._chains[stream]

    def __len__(self) -> int:
        return len(self._chains)
