"""States of streams from the log, by way of the cache and snapshots."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

from eventstore.codec import Codec
from eventstore.events import RecordedEvent
from eventstore.hashing import GENESIS
from eventstore.store import EventStore
from eventstore.stream_cache import Known, StreamCache

State = TypeVar("State")


class AggregateLoader(Generic[State]):
    """Loads states and keeps the cache filled with them."""

    def __init__(self, store: EventStore, codec: Codec[State], cache: StreamCache[State]) -> None:
        self._store = store
        self._codec = codec
        self._cache = cache

    async def recall(self, streams: Sequence[str], unborn: Sequence[str] = ()) -> dict[str, Known[State]]:
        """States by stream, from the cache where it has them; the `unborn` are taken not to exist otherwise."""
        found = {stream: known for stream in streams if (known := self._cache.get(stream)) is not None}
        missing = [stream for stream in streams if stream not in found and stream not in unborn]
        loaded = await self._load(missing) if missing else {}
        return {**{stream: self.unborn(stream) for stream in unborn}, **found, **loaded}

    def unborn(self, stream: str) -> Known[State]:
        """A stream without events."""
        return Known(self._codec.initial(stream), 0, GENESIS)

    async def refresh(self, streams: Sequence[str]) -> dict[str, Known[State]]:
        """States by stream, as of now: what is cached catches up with the log, the rest is loaded."""
        found = {stream: known for stream in streams if (known := self._cache.get(stream)) is not None}
        caught_up: dict[str, Known[State]] = {}
        if found:
            tails = await self._store.load_many({stream: known.version for stream, known in found.items()})
            for stream, known in found.items():
                events = tails[stream]
                if events and events[0].prev_hash != known.last_hash:
                    # Not the log this was loaded from: somebody restored a backup under us.
                    self._cache.forget([stream])
                    continue
                caught_up[stream] = self._replay(stream, known, events)
        missing = [stream for stream in streams if stream not in caught_up]
        return {**caught_up, **(await self._load(missing) if missing else {})}

    def forget(self, streams: Iterable[str]) -> None:
        """Do not trust what is cached of these any more."""
        self._cache.forget(streams)

    def put(self, stream: str, known: Known[State]) -> None:
        """Remember what an append has left."""
        self._cache.put(stream, known)

    async def _load(self, streams: Sequence[str]) -> dict[str, Known[State]]:
        stored = await self._store.load_with_snapshots({s: self._codec.state_version(s) for s in streams})
        loaded: dict[str, Known[State]] = {}
        for stream, (snapshot, events) in stored.items():
            known = self.unborn(stream)
            if snapshot is not None:
                state = self._codec.load_state(stream, snapshot.state)
                known = Known(state, snapshot.version, snapshot.last_hash)
            loaded[stream] = self._replay(stream, known, events)
        return loaded

    def _replay(self, stream: str, known: Known[State], events: Sequence[RecordedEvent]) -> Known[State]:
        state = known.state
        for event in events:
            state = self._codec.evolve(stream, state, self._codec.decode(event))
        if events:
            known = Known(state, events[-1].version, events[-1].hash)
        self._cache.put(stream, known)
        return known
