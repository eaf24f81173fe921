"""Answers to writes come from events that may have no position yet: nothing waits for one or needs it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from eventstore.events import RecordedEvent
from queries.standing import standing_batch, standing_case, standing_order, standing_payment, standing_transfer
from tests.fixtures.histories import History, recorded

STANDING: dict[str, Callable[[Sequence[RecordedEvent]], Any]] = {
    "payment": standing_payment,
    "transfer": standing_transfer,
    "fraud_case": standing_case,
    "batch": standing_batch,
    "order": standing_order,
}


@pytest.fixture(scope="module")
def streams() -> dict[str, list[RecordedEvent]]:
    found: dict[str, list[RecordedEvent]] = defaultdict(list)
    for event in recorded(History(70).showcase().run(300)):
        found[event.stream].append(event)
    return found


@pytest.mark.parametrize("category", STANDING)
def test_an_event_without_a_position_tells_the_same(
    category: str, streams: dict[str, list[RecordedEvent]]
) -> None:
    mine = {stream: events for stream, events in streams.items() if stream.startswith(f"{category}-")}
    assert len(mine) >= 2, sorted({stream.partition("-")[0] for stream in streams})
    for events in mine.values():
        told = STANDING[category](events)
        new = STANDING[category]([event._replace(position=None) for event in events])
        assert (new.status, new.version) == (told.status, told.version)
