"""One command over hundreds of streams and thousands of events: a chunk of a batch.

Two ways to the same append. Optimistic, many in a row: each is decided on what the one before leaves while that
one is still on its way to the disk. Where others changed a stream meanwhile, under locks: the streams' rows are
locked as an append locks them, so that nobody can be first any more, then loaded, decided and appended in one
transaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, TypeVar

from eventstore.aggregate_loader import AggregateLoader
from eventstore.batch import Prepared, prepare
from eventstore.codec import Codec
from eventstore.events import Appended, AppendRequest, Outcome, Snapshot, StreamWrite
from eventstore.store import EventStore
from eventstore.stream_cache import Known

State = TypeVar("State")

# Take the streams' locks in the order in which appends take them; held until the transaction ends.
LOCK_STREAMS: Final = "SELECT lock_streams(%(streams)s::text[])"

MAX_SNAPSHOTS: Final = 200
"""Saved after one append; a stream that is left out gets its turn after a later one."""


class _NotAppended(Exception):
    """Ends the transaction without a trace."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(repr(outcome))
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class Draft(Generic[State]):
    """An append that is ready to go, and the states it leaves if it is stored."""

    prepared: Prepared
    after: Mapping[str, Known[State]]


class BulkWriter(Generic[State]):
    """Over the same cache as the process's Aggregates."""

    def __init__(
        self, store: EventStore, loader: AggregateLoader[State], codec: Codec[State], snapshot_every: int = 100
    ) -> None:
        self._store = store
        self._loader = loader
        self._codec = codec
        self._snapshot_every = snapshot_every
        self._alone = asyncio.Lock()

    async def refresh(self, streams: Sequence[str]) -> dict[str, Known[State]]:
        """States as of now."""
        return await self._loader.refresh(streams)

    def unborn(self, stream: str) -> Known[State]:
        """A stream that is taken not to exist; the append finds out if it does."""
        return self._loader.unborn(stream)

    def draft(
        self,
        request: AppendRequest,
        asked: Mapping[str, Known[State]],
        states: Mapping[str, State],
        events: Mapping[str, Sequence[Any]],
    ) -> Draft[State]:
        """`events`, decided on `asked`, with `states` after them, as an append. `request` comes without writes."""
        writes = tuple(
            StreamWrite(
                stream, known.version, known.last_hash, tuple(map(self._codec.encode, events.get(stream, ())))
            )
            for stream, known in asked.items()
        )
        prepared = prepare(replace(request, writes=writes))
        return Draft(prepared, {stream: Known(states[stream], *prepared.ends[stream]) for stream in events})

    async def append(self, draft: Draft[State]) -> Outcome:
        """Durable when it answers `Appended`. Raises StoreUnavailable: then the outcome is unknown."""
        [outcome] = await self._store.append_prepared([draft.prepared])
        if isinstance(outcome, Appended):
            await self._keep(draft)
        return outcome

    async def append_alone(
        self, streams: Sequence[str], decide: Callable[[dict[str, Known[State]]], Draft[State]]
    ) -> Outcome:
        """Lock the streams, let `decide` look at them as they are, and append its draft; nobody can be first.

        `decide` must ask all of the streams. It may be called again, and what it raises comes out of here.
        """

        async def once() -> tuple[Draft[State], Outcome]:
            async with self._store.transaction() as connection:
                await connection.execute(LOCK_STREAMS, {"streams": list(streams)})
                draft = decide(await self._loader.refresh(streams))
                [outcome] = await self._store.append_prepared_on(connection, [draft.prepared])
                if not isinstance(outcome, Appended):
                    raise _NotAppended(outcome)
            return draft, outcome

        async with self._alone:  # it holds one connection and needs another: never all of the pool
            try:
                draft, outcome = await self._store.retried(once)
            except _NotAppended as refused:
                self._loader.forget(streams)
                return refused.outcome
            except BaseException:
                self._loader.forget(streams)
                raise
        await self._keep(draft)
        return outcome

    async def _keep(self, draft: Draft[State]) -> None:
        due: list[Snapshot] = []
        before = {write.stream: write.expected_version for write in draft.prepared.request.writes}
        for stream, known in draft.after.items():
            self._loader.put(stream, known)
            if known.version // self._snapshot_every > before[stream] // self._snapshot_every:
                dumped = self._codec.dump_state(stream, known.state)
                state_version = self._codec.state_version(stream)
                due.append(Snapshot(stream, known.version, state_version, dumped, known.last_hash))
        if due:
            await self._store.save_snapshots(due[:MAX_SNAPSHOTS])
