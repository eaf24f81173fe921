"""What a view is, and what it gets to see: a batch of decoded events in, a few set-based statements out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, LiteralString, NamedTuple, Protocol, TypeVar

from domain.leg import AnyEvent
from domain.model import Event
from domain.streams import id_of
from eventstore.events import Head, LoggedEvent, RecordedEvent

Folded = TypeVar("Folded")
Row = dict[str, Any]
Record = LoggedEvent | RecordedEvent
"""An event of the log, read by position or by stream."""


class Log(Protocol):
    """What the engine needs of `eventstore.EventStore`."""

    async def follow(self, _after_position: int, _limit: int, /) -> list[LoggedEvent]:
        """In the order of positions; never splits an append."""

    async def head(self) -> Head:
        """Where the log ends."""


class Statement(NamedTuple):
    """One set-based statement. `rows` travels as a single JSON parameter, for `json_to_recordset`."""

    sql: LiteralString
    rows: Sequence[Row]


class Seen(NamedTuple):
    """An event in its present shape and its place in the log."""

    event: AnyEvent
    record: Record

    @property
    def id(self) -> str:
        """The aggregate's own id, without the category."""
        return id_of(self.record.stream)

    @property
    def position(self) -> int:
        return position_of(self.record)

    @property
    def version(self) -> int:
        return self.record.version

    @property
    def at(self) -> datetime:
        return self.record.recorded_at

    @property
    def append_id(self) -> int:
        """Events of one append share it: they happened at once."""
        return self.record.append_id


def position_of(record: Record) -> int:
    """What is read by position has one."""
    assert record.position is not None, "the event has no position"
    return record.position


class Batch:
    """What one view gets to see at once, in the log's order: only the types it asked for."""

    def __init__(self, events: Sequence[Seen], folds: dict[Any, Any] | None = None) -> None:
        self.events = events
        self._folds = {} if folds is None else folds

    def fold(self, folding: Callable[[Sequence[Seen]], Folded]) -> Folded:
        """`folding` of the events; done once for all the views that see the very same ones."""
        if folding not in self._folds:
            self._folds[folding] = folding(self.events)
        found: Folded = self._folds[folding]
        return found


@dataclass(frozen=True)
class View:
    """A read view. `version` is raised whenever tables or handler change: the engine then builds it anew, beside.

    `tables` is DDL for plainly named tables, run inside a schema of the build's own. `faces` are those that
    readers see (as `read.<table>`). `apply` is a pure function of the events: no clock, no look at the database.
    """

    name: str
    version: int
    faces: tuple[str, ...]
    tables: LiteralString
    wants: frozenset[tuple[str, str]]
    apply: Callable[[Batch], list[Statement]]


def wanted(category: str, types: Iterable[type[Event]]) -> frozenset[tuple[str, str]]:
    """For `View.wants`: event types of one category of streams."""
    return frozenset((category, type_.__name__) for type_ in types)


@dataclass
class Track:
    """One build of a view as the engine follows it. `position` is the last event it has taken in."""

    view: View
    build: int
    position: int
    epoch: int
    """Raised by whoever changes the parked streams from outside: the engine then looks again."""
    parked: set[str] = field(default_factory=set)
    skipped: set[int] = field(default_factory=set)
    """Positions that an operator dropped for this view."""
    failures: int = 0
    retry_at: float = 0.0
    """Monotonic seconds; before that the view is left alone."""

    @property
    def schema(self) -> str:
        return schema_of(self.view.name, self.build)


def schema_of(view: str, build: int) -> str:
    """The Postgres schema of a build's tables."""
    return f"view_{view}_{build}"


Views = Mapping[str, View]
"""By name."""
