"""What goes into the log and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

APPEND_BITS = 16
"""An event's id is its append's id shifted by this, plus its index: so many events fit into one append."""
MAX_EVENTS_PER_APPEND = 1 << APPEND_BITS


@dataclass(frozen=True, slots=True)
class NewEvent:
    """An event not yet stored. `data` is plain JSON without floats."""

    type: str
    schema_version: int
    data: dict[str, Any]


class RecordedEvent(NamedTuple):
    """A stored event. `position` is None while unsequenced, and when it was loaded by stream.

    A tuple, because a reader makes one of each row: a frozen dataclass takes five times as long to make.
    """

    position: int | None
    id: int
    event_id: UUID
    stream: str
    version: int
    type: str
    schema_version: int
    data: dict[str, Any]
    metadata: dict[str, Any]
    recorded_at: datetime
    prev_hash: bytes
    hash: bytes

    @property
    def append_id(self) -> int:
        """The append (one command) that stored it."""
        return self.id >> APPEND_BITS


class LoggedEvent(NamedTuple):
    """A stored event as `EventStore.follow` reads it: what it says, not who asked for it or what proves it."""

    position: int
    id: int
    stream: str
    version: int
    type: str
    schema_version: int
    data: dict[str, Any]
    recorded_at: datetime

    @property
    def append_id(self) -> int:
        """The append (one command) that stored it."""
        return self.id >> APPEND_BITS


@dataclass(frozen=True, slots=True)
class StreamWrite:
    """One stream's part of an append. Without events it only demands that the stream is still at that version.

    `last_hash` is the hash of the event at `expected_version` (hashing.GENESIS for 0).
    """

    stream: str
    expected_version: int
    last_hash: bytes
    events: tuple[NewEvent, ...]


@dataclass(frozen=True, slots=True)
class AppendRequest:
    """One command's append over any number of streams: all of it is stored, or nothing.

    `metadata` goes to every event (the store adds command_id); `outcome` is what a repeat of the command gets;
    `recorded_at` must have a time zone.
    """

    command_id: str
    fingerprint: bytes
    writes: tuple[StreamWrite, ...]
    metadata: dict[str, Any]
    outcome: dict[str, Any]
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Appended:
    """Stored now, durably. Events are in the order of the request's writes."""

    command_id: str
    append_id: int
    events: tuple[RecordedEvent, ...]


@dataclass(frozen=True, slots=True)
class Repeated:
    """Stored before, with the same fingerprint; nothing was written now."""

    command_id: str
    append_id: int
    outcome: dict[str, Any]


@dataclass(frozen=True, slots=True)
class IdempotencyConflict:
    """The command id was used before with another fingerprint; nothing was written."""

    command_id: str


@dataclass(frozen=True, slots=True)
class VersionConflict:
    """Streams were not at the expected version or hash; nothing was written. `streams`: actual versions."""

    command_id: str
    streams: Mapping[str, int]


Outcome = Appended | Repeated | IdempotencyConflict | VersionConflict


@dataclass(frozen=True, slots=True)
class StoredCommand:
    """What is remembered of a command that was stored."""

    command_id: str
    append_id: int
    fingerprint: bytes
    outcome: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A stream's state as of `version`. One of another `state_version` than the reader's is ignored."""

    stream: str
    version: int
    state_version: int
    state: dict[str, Any]
    last_hash: bytes


@dataclass(frozen=True, slots=True)
class Head:
    """The end of the log: the last position, and what has committed but has no position yet."""

    last_position: int
    unsequenced_events: int
    oldest_unsequenced_at: datetime | None
