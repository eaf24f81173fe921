"""What `handle` has to know of a domain, and what a domain's decision looks like to it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

from eventstore.events import NewEvent, RecordedEvent

State = TypeVar("State")


class Codec(Protocol[State]):
    """How a domain's streams are replayed and its events written and read. All pure; states are never changed."""

    def initial(self, stream: str) -> State:
        """The state of a stream without events."""
        ...

    def evolve(self, stream: str, state: State, event: Any) -> State:
        """The state after one more event of the domain."""
        ...

    def decode(self, event: RecordedEvent) -> Any:
        """The domain's event, brought up from whatever schema version it was stored in."""
        ...

    def encode(self, event: Any) -> NewEvent:
        """The domain's event as it is stored."""
        ...

    def dump_state(self, stream: str, state: State) -> dict[str, Any]:
        """A state as plain JSON, for a snapshot."""
        ...

    def load_state(self, stream: str, dumped: dict[str, Any]) -> State:
        """What `dump_state` of the same state_version wrote."""
        ...

    def state_version(self, stream: str) -> int:
        """Raised whenever `dump_state` or `evolve` change their meaning: older snapshots are then ignored."""
        ...


@dataclass(frozen=True, slots=True)
class Decision:
    """Events by stream, and the outcome that this command has for ever.

    `asked`: streams whose state the decision rests on, besides those it writes to. The append checks that they
    have not moved either.
    """

    events: Mapping[str, Sequence[Any]]
    outcome: dict[str, Any]
    asked: Collection[str] = field(default=())


@dataclass(frozen=True, slots=True)
class Handled:
    """What became of a command. `append_id` is None when there was nothing to store.

    Of a repeated command the outcome is the stored one, and `events` is empty.
    """

    outcome: dict[str, Any]
    append_id: int | None
    repeated: bool
    events: dict[str, list[Any]]
