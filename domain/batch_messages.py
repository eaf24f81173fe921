"""The commands a batch of transfers takes and the events it records. Items are counted from 1."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from domain.model import Command, Event, Id, Text
from domain.money import Money

ItemStatus = Literal["completed", "rejected", "started", "compensated", "stuck"]
"""What became of an item that was settled or undone. `started`: handed over to a transfer saga of its own."""


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class ItemSum(_Value):
    """So many items with that outcome, and what they come to in one currency."""

    status: Literal["submitted"] | ItemStatus
    count: int
    amount: Money


class ItemNote(_Value):
    """An item with another outcome than the plain one, and why."""

    item: int
    status: Literal["rejected", "started", "stuck"]
    code: Id
    reason: Text


# --- commands ------------------------------------------------------------


class AcceptBatch(Command):
    """`content_hash` (hex) is of all the items, in order: see `batch_items.Content`. `chunk`: items per append."""

    batch_id: Id
    user_id: Id | None = None
    items: int = Field(ge=1)
    content_hash: str
    chunk: int = Field(default=1000, ge=1, le=10_000)
    atomic: bool = False
    reference: Text | None = None
    submitted: tuple[ItemSum, ...]


class SettleItems(Command):
    """The items up to `last` have their outcomes."""

    last: int
    sums: tuple[ItemSum, ...]
    notes: tuple[ItemNote, ...] = ()


class FailBatch(Command):
    """An item of an atomic batch is refused: all of it turns back."""

    item: int
    code: Id
    reason: Text


class ReleaseItems(Command):
    """What an atomic batch has credited may be spent, up to item `last`."""

    last: int


class UndoItems(Command):
    """The items from `first` on are undone."""

    first: int
    sums: tuple[ItemSum, ...]
    notes: tuple[ItemNote, ...] = ()


class PauseBatch(Command):
    by: Id
    reason: Text | None = None


class ResumeBatch(Command):
    by: Id


class CancelBatch(Command):
    by: Id
    reason: Text | None = None


BatchCommand = (
    AcceptBatch | SettleItems | FailBatch | ReleaseItems | UndoItems | PauseBatch | ResumeBatch | CancelBatch
)

# --- events --------------------------------------------------------------


class BatchAccepted(Event):
    """Its items are in table batch_items; `content_hash` proves that they are still the same."""

    batch_id: Id
    user_id: Id | None = None
    items: int
    content_hash: str
    chunk: int
    atomic: bool
    reference: Text | None = None
    submitted: tuple[ItemSum, ...]


class BatchItemsSettled(Event):
    """Items `first` to `last`: those without a note are completed."""

    first: int
    last: int
    sums: tuple[ItemSum, ...]
    notes: tuple[ItemNote, ...] = ()


class BatchFailed(Event):
    item: int
    code: Id
    reason: Text


class BatchPaused(Event):
    by: Id
    reason: Text | None = None


class BatchResumed(Event):
    by: Id


class BatchCancelled(Event):
    """The items after `settled` are not carried out; those of an atomic batch are undone."""

    by: Id
    settled: int
    reason: Text | None = None


class BatchItemsReleased(Event):
    first: int
    last: int


class BatchItemsUndone(Event):
    """Items `first` to `last`, the last one first: those without a note are back at their source."""

    first: int
    last: int
    sums: tuple[ItemSum, ...]
    notes: tuple[ItemNote, ...] = ()


class BatchCompleted(Event):
    pass


class BatchCompensated(Event):
    """Everything is undone but `stuck` items, whose money is in suspense: see their transfers."""

    stuck: int = 0


BatchEvent = (
    BatchAccepted
    | BatchItemsSettled
    | BatchFailed
    | BatchPaused
    | BatchResumed
    | BatchCancelled
    | BatchItemsReleased
    | BatchItemsUndone
    | BatchCompleted
    | BatchCompensated
)
