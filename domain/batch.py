"""Batch: many transfers as one saga. How far it has come; the accounts' side of each chunk is in `batch_legs`.

A plain batch goes through its items once; a bad one is refused and the others go on. An atomic one settles all of
them, or none: what it credits is held until the last item is settled (the pivot), then released; any refusal
before that undoes what was settled, the last item first.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import assert_never

from domain.batch_messages import (
    AcceptBatch,
    BatchAccepted,
    BatchCancelled,
    BatchCommand,
    BatchCompensated,
    BatchCompleted,
    BatchEvent,
    BatchFailed,
    BatchItemsReleased,
    BatchItemsSettled,
    BatchItemsUndone,
    BatchPaused,
    BatchResumed,
    CancelBatch,
    FailBatch,
    ItemNote,
    ItemSum,
    PauseBatch,
    ReleaseItems,
    ResumeBatch,
    SettleItems,
    UndoItems,
)
from domain.errors import Conflict, InvalidInput
from domain.status import must_be_in


class BatchStatus(StrEnum):
    NONE = "none"
    RUNNING = "running"
    PAUSED = "paused"
    RELEASING = "releasing"
    COMPENSATING = "compensating"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    COMPENSATED = "compensated"
    STUCK = "stuck"


S = BatchStatus
FINAL = frozenset({S.COMPLETED, S.CANCELLED, S.COMPENSATED, S.STUCK})
"""Nothing drives it on any more. The items of a stuck one are transfers that wait for an operator."""

MAX_ITEMS = 100_000


@dataclass(frozen=True, slots=True)
class Batch:
    """Items 1 to `settled` have an outcome; of an atomic batch 1 to `released` are final; `undone` counts back."""

    batch_id: str = ""
    user_id: str | None = None
    status: BatchStatus = S.NONE
    items: int = 0
    content_hash: str = ""
    chunk: int = 0
    atomic: bool = False
    settled: int = 0
    released: int = 0
    undone: int = 0
    completed: int = 0
    rejected: int = 0
    started: int = 0
    stuck: int = 0
    failure_code: str | None = None
    failure_reason: str | None = None

    @property
    def standing(self) -> int:
        """While it turns back: items 1 to this one are settled and not undone."""
        return self.settled - self.undone

    def chunk_of(self, item: int) -> tuple[int, int]:
        """First and last item of the chunk that an item is in: the same however often it is tried."""
        first = (item - 1) // self.chunk * self.chunk + 1
        return first, min(first + self.chunk - 1, self.items)

    def must_be(self, *allowed: BatchStatus) -> None:
        must_be_in(allowed, "batch", self.batch_id, self.status)


def initial() -> Batch:
    """A batch nobody has sent."""
    return Batch()


def decide(command: BatchCommand, batch: Batch) -> list[BatchEvent]:
    """The events `command` causes, or a DomainError."""
    match command:
        case AcceptBatch():
            return [_accept(command, batch)]
        case SettleItems():
            return _settle(command, batch)
        case FailBatch(item=item, code=code, reason=reason):
            batch.must_be(S.RUNNING)
            assert batch.atomic, "only an atomic batch fails"
            failed = BatchFailed(item=item, code=code, reason=reason)
            return [failed] if batch.settled else [failed, BatchCompensated()]
        case ReleaseItems(last=last):
            batch.must_be(S.RELEASING)
            assert batch.released < last <= batch.items
            released = BatchItemsReleased(first=batch.released + 1, last=last)
            return [released] if last < batch.items else [released, BatchCompleted()]
        case UndoItems(first=first, sums=sums, notes=notes):
            batch.must_be(S.COMPENSATING)
            assert 1 <= first <= batch.standing
            undone = BatchItemsUndone(first=first, last=batch.standing, sums=sums, notes=notes)
            return [undone] if first > 1 else [undone, BatchCompensated(stuck=batch.stuck + len(notes))]
        case PauseBatch(by=by, reason=reason):
            batch.must_be(S.RUNNING)
            return [BatchPaused(by=by, reason=reason)]
        case ResumeBatch(by=by):
            batch.must_be(S.PAUSED)
            return [BatchResumed(by=by)]
        case CancelBatch(by=by, reason=reason):
            batch.must_be(S.RUNNING, S.PAUSED)
            cancelled = BatchCancelled(by=by, settled=batch.settled, reason=reason)
            return [cancelled, BatchCompensated()] if batch.atomic and not batch.settled else [cancelled]
        case _:
            assert_never(command)


def _accept(command: AcceptBatch, batch: Batch) -> BatchAccepted:
    if batch.status is not S.NONE:
        raise Conflict("batch_exists", f"batch {command.batch_id} exists already")
    if command.items > MAX_ITEMS:
        raise InvalidInput("too_many_items", f"a batch may have {MAX_ITEMS} items", "items")
    return BatchAccepted(**{name: value for name, value in command if name != "at"})


def _settle(command: SettleItems, batch: Batch) -> list[BatchEvent]:
    batch.must_be(S.RUNNING)
    assert batch.settled < command.last <= batch.items
    assert not (batch.atomic and command.notes), "an item of an atomic batch has one good outcome"
    assert sum(part.count for part in command.sums) == command.last - batch.settled, "an item without an outcome"
    settled = BatchItemsSettled(first=batch.settled + 1, last=command.last, sums=command.sums, notes=command.notes)
    return [settled] if batch.atomic or command.last < batch.items else [settled, BatchCompleted()]


def evolve(batch: Batch, event: BatchEvent) -> Batch:
    """The batch after `event`."""
    match event:
        case BatchAccepted():
            return Batch(
                batch_id=event.batch_id,
                user_id=event.user_id,
                status=S.RUNNING,
                items=event.items,
                content_hash=event.content_hash,
                chunk=event.chunk,
                atomic=event.atomic,
            )
        case BatchItemsSettled(last=last, sums=sums):
            status = S.RELEASING if batch.atomic and last == batch.items else batch.status
            return replace(
                batch,
                status=status,
                settled=last,
                completed=batch.completed + count(sums, "completed"),
                rejected=batch.rejected + count(sums, "rejected"),
                started=batch.started + count(sums, "started"),
            )
        case BatchFailed(item=item, code=code, reason=reason):
            return replace(
                batch, status=S.COMPENSATING, failure_code=code, failure_reason=f"item {item}: {reason}"
            )
        case BatchPaused():
            return replace(batch, status=S.PAUSED)
        case BatchResumed():
            return replace(batch, status=S.RUNNING)
        case BatchCancelled(reason=reason):
            status = S.COMPENSATING if batch.atomic else S.CANCELLED
            return replace(batch, status=status, failure_code="cancelled", failure_reason=reason or "cancelled")
        case BatchItemsReleased(last=last):
            return replace(batch, released=last)
        case BatchItemsUndone(first=first, sums=sums, notes=notes):
            return replace(
                batch,
                undone=batch.settled - first + 1,
                completed=batch.completed - sum(part.count for part in sums),
                stuck=batch.stuck + len(notes),
            )
        case BatchCompleted():
            return replace(batch, status=S.COMPLETED)
        case BatchCompensated(stuck=stuck):
            return replace(batch, status=S.STUCK if stuck else S.COMPENSATED)
        case _:
            assert_never(event)


def count(sums: tuple[ItemSum, ...], status: str) -> int:
    """How many items have that outcome."""
    return sum(part.count for part in sums if part.status == status)


__all__ = ["FINAL", "MAX_ITEMS", "Batch", "BatchStatus", "ItemNote", "count", "decide", "evolve", "initial"]
