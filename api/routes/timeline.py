"""What happened to a payment or a transfer, event by event."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from eventstore.lookups import Lookups
from queries.paging import Page, decode_cursor, page_of


@dataclass(frozen=True)
class TimelineEvent:
    """One event. `position` is null until it is numbered, milliseconds later."""

    position: int | None
    version: int
    type: str
    at: datetime
    data: dict[str, Any]
    command_id: str | None
    correlation_id: str | None
    actor: str | None
    traceparent: str | None


async def timeline(lookups: Lookups, stream: str, limit: int, cursor: str | None) -> Page[TimelineEvent]:
    """The oldest first. Raises BadCursor."""
    (after,) = decode_cursor("events", cursor, (0,))
    found = await lookups.stream(stream, after, limit + 1)
    return page_of(
        found,
        limit,
        "events",
        lambda event: (event.version,),
        lambda event: TimelineEvent(
            position=event.position,
            version=event.version,
            type=event.type,
            at=event.recorded_at,
            data=event.data,
            command_id=event.metadata.get("command_id"),
            correlation_id=event.metadata.get("correlation_id"),
            actor=event.metadata.get("actor"),
            traceparent=event.metadata.get("traceparent"),
        ),
    )
