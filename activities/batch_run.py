"""Drives a batch on, chunk after chunk: the next one is decided while the last is on its way to the disk.

    items ──► states ──► decide (domain) ──► append ──────┐ Appended: go on
                ▲                                         │ Repeated: somebody did it; look where it stands
                └── under locks, others were faster ◄─────┘ VersionConflict

A chunk's command id is `batch-<id>:<phase>:<first item>`: the same whoever tries it, however often.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Final

from activities.batch_items import BatchItemTable
from activities.ledger import utc_now
from domain import transfer
from domain.batch import Batch, BatchStatus
from domain.batch_items import BatchItem, item_stream
from domain.batch_legs import Chunk, release_items, settle_atomically, settle_items, undo_items
from domain.leg import Leg, State
from domain.streams import TRANSFER, account_stream, batch_stream, category_of
from eventstore.bulk import BulkWriter, Draft
from eventstore.errors import ConcurrencyError, IdempotencyConflictError
from eventstore.events import Appended, AppendRequest, IdempotencyConflict, Outcome, Repeated, VersionConflict
from eventstore.stream_cache import Known
from failpoints import reach
from settings import Settings

DRIVEN: Final = frozenset({BatchStatus.RUNNING, BatchStatus.RELEASING, BatchStatus.COMPENSATING})
"""In these a batch goes on by itself."""

MAX_ATTEMPTS: Final = 16
"""Of one chunk under locks. It takes a second one only where a transfer has an item's id already."""

Act = Callable[[Leg, Chunk], None]


class _Overtaken(Exception):
    """The chunk is not due any more: somebody else has done it."""


@dataclass(frozen=True, slots=True)
class _Next:
    """The chunk that is due."""

    phase: str
    first: int
    last: int
    act: Act


def due(batch: Batch) -> _Next:
    """What a driven batch does next."""
    match batch.status:
        case BatchStatus.RUNNING:
            first, last = batch.chunk_of(batch.settled + 1)
            return _Next("settle", first, last, settle_atomically if batch.atomic else settle_items)
        case BatchStatus.RELEASING:
            first, last = batch.chunk_of(batch.released + 1)
            return _Next("release", first, last, release_items)
        case BatchStatus.COMPENSATING:
            first, last = batch.chunk_of(batch.standing)
            return _Next("undo", first, last, undo_items)
        case _:
            raise AssertionError(f"nothing drives a batch that is {batch.status}")


@dataclass(slots=True)
class BatchRun:
    """One stretch of a batch's way. `known`: states as they will be once what is under way is stored."""

    batch_id: str
    metadata: dict[str, str]
    bulk: BulkWriter[State]
    table: BatchItemTable
    settings: Settings
    beat: Callable[[], None]
    known: dict[str, Known[State]] = field(default_factory=dict)
    _flying: tuple[_Next, Draft[State], asyncio.Task[Outcome]] | None = None
    _taken: set[str] = field(default_factory=set)

    @property
    def stream(self) -> str:
        return batch_stream(self.batch_id)

    async def go(self, for_s: float) -> tuple[Batch, int]:
        """Chunk after chunk until nothing is due any more, or the time is up. State and version then, durably."""
        until = time.monotonic() + for_s
        try:
            batch, _ = await self.look()
            while batch.status in DRIVEN and time.monotonic() < until:
                await self._step(batch)
                self.beat()
                batch, _ = self._here()
            await self._land()
            return await self.look()
        finally:
            if self._flying is not None:
                await asyncio.gather(self._flying[2], return_exceptions=True)

    async def look(self) -> tuple[Batch, int]:
        """The batch and its version. Raises NotFound."""
        if self.stream not in self.known:
            self.known.update(await self.bulk.refresh([self.stream]))
        return self._here()

    def _here(self) -> tuple[Batch, int]:
        known = self.known[self.stream]
        assert isinstance(known.state, Batch)
        known.state.must_be(*(status for status in BatchStatus if status is not BatchStatus.NONE))
        return known.state, known.version

    async def _step(self, batch: Batch) -> None:
        """Decide the next chunk and send it, once the one before it is known to be stored."""
        chunk = due(batch)
        items = await self._items(chunk)
        await self._recall(items)
        draft = self._draft(chunk, batch, items, self.known)
        if not await self._land():
            return  # what this one was decided on is not so
        self.known.update(draft.after)
        self._flying = chunk, draft, asyncio.create_task(self._send(chunk, draft), name=f"{self.stream} chunk")
        await asyncio.sleep(0)  # off it goes

    async def _land(self) -> bool:
        """Wait for what is under way; False where it went another way, and all else has to be looked at anew."""
        if self._flying is None:
            return True
        chunk, draft, task = self._flying
        self._flying = None
        outcome = await task
        if isinstance(outcome, Appended):
            return True
        self.known.clear()
        await self._otherwise(chunk, draft, outcome)
        await self.look()
        return False

    async def _otherwise(self, chunk: _Next, draft: Draft[State], outcome: Outcome) -> None:
        """The chunk was not appended as it was decided."""
        for _ in range(MAX_ATTEMPTS):
            match outcome:
                case Appended() | Repeated():
                    return
                case IdempotencyConflict():
                    raise IdempotencyConflictError(outcome.command_id)
                case VersionConflict(streams=moved):
                    self._taken |= {stream for stream in moved if category_of(stream) == TRANSFER}
            items = await self._items(chunk)
            streams = [*self._streams(items), *sorted(self._taken)]
            try:
                await reach(f"batch.{chunk.phase}:under_locks")
                outcome = await self.bulk.append_alone(streams, partial(self._again, chunk, items))
            except _Overtaken:
                return
        raise ConcurrencyError(f"{draft.prepared.request.command_id}: given up after {MAX_ATTEMPTS} attempts")

    def _again(self, chunk: _Next, items: list[BatchItem], known: dict[str, Known[State]]) -> Draft[State]:
        batch = known[self.stream].state
        assert isinstance(batch, Batch)
        if batch.status not in DRIVEN or due(batch) != chunk:
            raise _Overtaken
        # All that is locked: what the lock made of a stream that does not exist goes with the append.
        return self._draft(chunk, batch, items, known, also_asked=known)

    async def _send(self, chunk: _Next, draft: Draft[State]) -> Outcome:
        await reach(f"batch.{chunk.phase}:before_commit")
        outcome = await self.bulk.append(draft)
        await reach(f"batch.{chunk.phase}:after_commit")
        return outcome

    async def _items(self, chunk: _Next) -> list[BatchItem]:
        items = await self.table.read(self.batch_id, chunk.first, chunk.last)
        assert len(items) == chunk.last - chunk.first + 1, f"{self.stream}: items are missing"
        return items

    def _streams(self, items: list[BatchItem]) -> list[str]:
        accounts = {account: None for item in items for account in (item.from_account, item.to_account)}
        return [self.stream, *map(account_stream, accounts)]

    async def _recall(self, items: list[BatchItem]) -> None:
        missing = [stream for stream in self._streams(items) if stream not in self.known]
        if missing:
            # Another process may have carried the last batch: a stale account sends its whole chunk the long way.
            self.known.update(await self.bulk.refresh(missing))

    def _draft(
        self,
        chunk: _Next,
        batch: Batch,
        items: list[BatchItem],
        known: Mapping[str, Known[State]],
        also_asked: Iterable[str] = (),
    ) -> Draft[State]:
        now = utc_now()
        states = {stream: known[stream].state for stream in self._streams(items)}
        for item in items:  # where one becomes a transfer of its own
            stream = item_stream(self.batch_id, item.item)
            states[stream] = known[stream].state if stream in known else transfer.initial()
        leg = Leg(states)
        until, limits = now + self.settings.reservation_expiry, self.settings.screening
        chunk.act(leg, Chunk(self.batch_id, items, now, until, limits))
        asked = leg.asked.union(also_asked)
        before = {stream: known.get(stream) or self.bulk.unborn(stream) for stream in asked}
        return self.bulk.draft(self._request(chunk, batch, now), before, leg.states, leg.events)

    def _request(self, chunk: _Next, batch: Batch, now: datetime) -> AppendRequest:
        content = f"{batch.content_hash}:{chunk.phase}:{chunk.first}:{chunk.last}"
        return AppendRequest(
            command_id=f"{self.stream}:{chunk.phase}:{chunk.first}",
            fingerprint=hashlib.sha256(content.encode()).digest(),
            writes=(),
            metadata={"correlation_id": self.stream, **self.metadata},
            outcome={"first": chunk.first, "last": chunk.last},
            recorded_at=now,
        )
