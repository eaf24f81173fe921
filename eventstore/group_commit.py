"""Group commit: appends that arrive together share one transaction, and so one wait for the disk.

A request that finds no batch under way goes at once, alone; else it gathers with others, and they go together when
that batch is done. One that is late (it waits for a lock, or for the disk) is not waited for: the next goes beside
it. Each request has its own outcome, and its own failure. Who finds the queue full is refused at once: a disk that
is too slow must not show as memory that grows. After each batch the sequencer is told that there is something.

    submit ──► waiting (bounded) ──► batch ──► EventStore.append ──► outcomes
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import psycopg

from eventstore.batch import Prepared, prepare
from eventstore.errors import ConcurrencyError, Overloaded, StoreUnavailable
from eventstore.events import Appended, AppendRequest, Outcome
from eventstore.store import EventStore

MAX_BATCH = 256
MAX_WAITING = 4_096
SLOTS = 2
LATE_S = 0.025
"""Several commits' time. Two batches side by side from the start are half as large: more CPU, done no sooner."""

_log = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Waiting:
    prepared: Prepared
    done: asyncio.Future[Outcome]


class GroupCommitter:
    """One per process. `batches` and `requests` count what was sent; `heard` is told of each durable append."""

    def __init__(
        self,
        store: EventStore,
        *,
        max_batch: int = MAX_BATCH,
        max_waiting: int = MAX_WAITING,
        slots: int = SLOTS,
        late_s: float = LATE_S,
    ) -> None:
        self._store = store
        self._max_batch = max_batch
        self._slots = slots
        self._late_s = late_s
        self._started_at = 0.0
        self._when_late: asyncio.TimerHandle | None = None
        self._max_waiting = max_waiting
        self._waiting: deque[_Waiting] = deque()
        self._flushing: set[asyncio.Task[None]] = set()
        self._waking: set[asyncio.Task[None]] = set()
        # Of the batches under way: a second append to such a stream would only wait for its lock, holding a slot.
        self._busy: set[str] = set()
        self._closed = False
        self.heard: Callable[[Appended], None] = lambda _appended: None
        self.batches = 0
        self.requests = 0

    async def submit(self, request: AppendRequest) -> Outcome:
        """As EventStore.append of one request. Raises Overloaded while too many others wait.

        A caller that is cancelled leaves its request's outcome unknown: it may be on its way already.
        """
        return await self.send(prepare(request))  # what is wrong with it alone must not reach a batch

    def send(self, prepared: Prepared) -> asyncio.Future[Outcome]:
        """As `submit`, of a request that has been checked and hashed; it has its place in the line at once."""
        if self._closed:
            raise StoreUnavailable("this process is shutting down")
        if len(self._waiting) >= self._max_waiting:
            raise Overloaded(f"{self._max_waiting} appends wait already")
        waiting = _Waiting(prepared, asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        self._pump()
        return waiting.done

    async def close(self) -> None:
        """Take no more, finish what was taken."""
        self._closed = True
        while under_way := self._flushing | self._waking:
            await asyncio.wait(under_way)

    def _pump(self) -> None:
        while self._waiting and self._may_start():
            batch = self._take()
            if not batch:
                return
            self._started_at = asyncio.get_running_loop().time()
            names = {name for waiting in batch for name in _names(waiting.prepared.request)}
            self._busy |= names
            self.batches += 1
            self.requests += len(batch)
            task = asyncio.create_task(self._flush(batch), name="group-commit")
            self._flushing.add(task)
            task.add_done_callback(partial(self._flushed, names))

    def _may_start(self) -> bool:
        if not self._flushing:
            return True
        if len(self._flushing) >= self._slots:
            return False
        loop = asyncio.get_running_loop()
        late_at = self._started_at + self._late_s
        if loop.time() >= late_at:
            return True
        if self._when_late is None:
            self._when_late = loop.call_at(late_at, self._look_again)
        return False

    def _look_again(self) -> None:
        self._when_late = None
        self._pump()

    def _flushed(self, names: set[str], task: asyncio.Task[None]) -> None:
        self._flushing.discard(task)
        self._busy -= names
        self._pump()
        waking = asyncio.create_task(self._wake_sequencer(), name="wake-sequencer")
        self._waking.add(waking)
        waking.add_done_callback(self._waking.discard)

    async def _wake_sequencer(self) -> None:
        try:
            await self._store.wake_sequencer()
        except psycopg.Error as error:
            _log.debug("the sequencer was not woken, and looks by itself: %s", error)

    def _take(self) -> list[_Waiting]:
        """The next batch, first come first served. Requests on one stream go together only if chained (each
        expects what the one before leaves), and never overtake each other; nor do those of one command id.
        """
        batch: list[_Waiting] = []
        held_back: list[_Waiting] = []
        ends: dict[str, int] = {}
        ids: set[str] = set()
        blocked = set(self._busy)
        while self._waiting and len(batch) < self._max_batch and len(held_back) < self._max_batch:
            waiting = self._waiting.popleft()
            if waiting.done.done():  # cancelled before it was sent: it never will be
                continue
            request = waiting.prepared.request
            names = _names(request)
            chained = all(ends.get(w.stream, w.expected_version) == w.expected_version for w in request.writes)
            if not chained or request.command_id in ids or not blocked.isdisjoint(names):
                held_back.append(waiting)
                blocked.update(names)
                continue
            batch.append(waiting)
            ids.add(request.command_id)
            ends.update((w.stream, w.expected_version + len(w.events)) for w in request.writes)
        self._waiting.extendleft(reversed(held_back))
        return batch

    async def _flush(self, batch: list[_Waiting]) -> None:
        try:
            try:
                outcomes = await self._store.append_prepared([waiting.prepared for waiting in batch])
            except (psycopg.Error, ConcurrencyError):
                if len(batch) == 1:
                    raise
                # One request that Postgres refuses, or whose stream somebody holds locked, must not take the
                # others with it. Chained ones may then arrive in the wrong order: a version conflict, no more.
                await asyncio.gather(*(self._flush([waiting]) for waiting in batch))
                return
            for waiting, outcome in zip(batch, outcomes, strict=True):
                if not waiting.done.done():
                    waiting.done.set_result(outcome)
                if isinstance(outcome, Appended):
                    self.heard(outcome)
        except BaseException as error:
            for waiting in batch:
                if not waiting.done.done():
                    told = error if isinstance(error, Exception) else StoreUnavailable("cancelled")
                    waiting.done.set_exception(told)
            if not isinstance(error, Exception):
                raise


def _names(request: AppendRequest) -> list[str]:
    """What of a request must not be in two batches at once. A NUL cannot occur in either kind of name."""
    return [f"\x00{request.command_id}", *(write.stream for write in request.writes)]
