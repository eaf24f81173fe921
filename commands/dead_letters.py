"""Taking in, after all, an event that a view could not."""

from __future__ import annotations

from eventstore.store import EventStore
from projections.catalogue import VIEWS
from projections.connecting import connector
from projections.dead_letters import Retried, retry_dead_letter


async def retry(projector_url: str, store: EventStore, letter: int) -> Retried:
    """The letter's event, then what waits behind it. `projector_url` is of the views' owner.

    Raises NoSuchDeadLetter.
    """
    return await retry_dead_letter(letter, VIEWS, connector(projector_url, "tidemark-retry"), store)
