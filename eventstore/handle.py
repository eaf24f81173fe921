"""The path of every command above `append`: load, decide, append; on a conflict load again and decide again.

    load what is not cached ─► streams' locks ─► states ─► decide ─► group commit ─► cache
            ▲                                      ▲         │             │
            │                                      └─────────┘             │
            │             refused, or nothing to do: once more, on the log │
            └────────────── version conflict ──────────────────────────────┘

A stream's lock is held while it is decided and not while that is stored. So commands on a stream that everybody
writes to (the fee account, a book) are each decided on what the one before leaves, and share one commit. If one is
not stored after all, those decided on it meet a version conflict and are decided again: nobody was told of it.

Generic over the domain by a small codec; see codec.py.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar

from eventstore.aggregate_loader import AggregateLoader
from eventstore.attempts import backoff_s
from eventstore.batch import prepare
from eventstore.bulk import BulkWriter
from eventstore.codec import Codec, Decision, Handled
from eventstore.errors import ConcurrencyError, IdempotencyConflictError, VersionMismatch
from eventstore.events import (
    Appended,
    AppendRequest,
    IdempotencyConflict,
    Outcome,
    Repeated,
    Snapshot,
    StreamWrite,
    VersionConflict,
)
from eventstore.group_commit import GroupCommitter
from eventstore.store import EventStore
from eventstore.stream_cache import Known, StreamCache, StreamLocks
from eventstore.under_way import UnderWay

__all__ = ["Aggregates", "Codec", "Decision", "Handled"]

State = TypeVar("State")
MAX_SAVING = 100
"""Snapshots being saved at once. One that is left out is taken when its stream has grown as much again."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Command(Generic[State]):
    """What `handle` takes, as one thing."""

    command_id: str
    fingerprint: bytes
    streams: tuple[str, ...]
    decide: Callable[[dict[str, State]], Decision]
    metadata: Mapping[str, Any]
    recorded_at: datetime
    if_version: int | None
    unborn: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Sent(Generic[State]):
    """An append on its way. `known` is what it was decided on, `after` what it leaves."""

    outcome: asyncio.Future[Outcome]
    decision: Decision
    events: dict[str, list[Any]]
    known: dict[str, Known[State]]
    after: dict[str, Known[State]]


class Aggregates(Generic[State]):
    """One per process. `snapshot_every`: events of a stream between its snapshots."""

    def __init__(
        self,
        store: EventStore,
        committer: GroupCommitter,
        codec: Codec[State],
        *,
        cache_size: int = 10_000,
        max_attempts: int = 16,
        snapshot_every: int = 100,
    ) -> None:
        self._store = store
        self._committer = committer
        self._codec = codec
        self._max_attempts = max_attempts
        self._snapshot_every = snapshot_every
        self._cache: StreamCache[State] = StreamCache(cache_size)
        self._loader = AggregateLoader(store, codec, self._cache)
        self._locks = StreamLocks()
        self._under_way: UnderWay[State] = UnderWay()
        self._saving: set[asyncio.Task[None]] = set()

    async def handle(  # noqa: PLR0917 – what a command consists of
        self,
        command_id: str,
        fingerprint: bytes,
        streams: Sequence[str],
        decide: Callable[[dict[str, State]], Decision],
        metadata: Mapping[str, Any],
        recorded_at: datetime,
        if_version: int | None = None,
        begins: bool = False,
    ) -> Handled:
        """Have `decide` look at the streams' states, and store what it decided; at most once per command id.

        `decide` may be called several times and must be pure; what it raises is a refusal and comes out of here
        once it stands on fresh states, unless the command was stored before: then the stored outcome is returned.
        Nothing is stored where it decides on no events. `if_version`: only while the first stream is at it.
        `begins`: the first stream is taken not to exist, which spares a look; the append finds out. Raises
        IdempotencyConflictError, VersionMismatch, ConcurrencyError, and StoreUnavailable (outcome unknown: call
        again with the same command id).
        """
        names = tuple(dict.fromkeys(streams))
        unborn = names[:1] if begins else ()
        command = _Command(command_id, fingerprint, names, decide, metadata, recorded_at, if_version, unborn)
        await self._loader.recall(names, unborn)
        for attempt in range(self._max_attempts):
            async with self._locks.hold(names):
                begun = await self._begin(command)
            if isinstance(begun, Handled):
                return begun
            handled = self._handled(command, begun, await begun.outcome)
            if handled is not None:
                return handled
            if attempt:
                await asyncio.sleep(backoff_s(attempt))
            await self._loader.refresh(names)
        raise ConcurrencyError(
            f"{command_id}: its streams changed {self._max_attempts} times while it was decided"
        )

    async def state(self, stream: str) -> tuple[State, int]:
        """The stream's state and version now, from the log."""
        return (await self.states([stream]))[stream]

    async def states(self, streams: Sequence[str]) -> dict[str, tuple[State, int]]:
        """The streams' states and versions now, as of one instant where none of them is cached."""
        known = await self._loader.refresh(list(dict.fromkeys(streams)))
        return {stream: (known[stream].state, known[stream].version) for stream in known}

    def bulk(self) -> BulkWriter[State]:
        """A writer of big appends over the same cache."""
        return BulkWriter(self._store, self._loader, self._codec, self._snapshot_every)

    async def close(self) -> None:
        """Wait for snapshots that are being saved."""
        while self._saving:
            await asyncio.wait(set(self._saving))

    async def _begin(self, command: _Command[State]) -> Handled | _Sent[State]:
        """Decide, and send what that is; the answer at once where there is nothing to send."""
        known = await self._loader.recall(command.streams, command.unborn)
        known |= self._under_way.of(command.streams)
        decision = self._plain(command, known)
        if decision is not None:
            return self._send(command, known, decision)
        # On a state that is stale, or may never be, a refusal may be wrong; and if the command itself is what
        # changed the state since (its first try's answer was lost), its outcome is the answer. States first, then
        # the look-up: whoever sees the command's events will find the command.
        await self._under_way.settled(command.streams)
        known = await self._loader.refresh(command.streams)
        try:
            decision = _decided(command, known)
        except Exception:
            repeat = await self._stored_outcome(command)
            if repeat is not None:
                return repeat
            raise
        if not any(decision.events.values()):
            return await self._stored_outcome(command) or Handled(decision.outcome, None, False, {})
        return self._send(command, known, decision)

    def _plain(self, command: _Command[State], known: dict[str, Known[State]]) -> Decision | None:
        """The decision; None where it would be an answer already."""
        try:
            decision = _decided(command, known)
        except Exception:
            return None
        return decision if any(decision.events.values()) else None

    def _send(self, command: _Command[State], known: dict[str, Known[State]], decision: Decision) -> _Sent[State]:
        events = {stream: list(decided) for stream, decided in decision.events.items() if decided}
        asked = {**dict.fromkeys(events), **dict.fromkeys(decision.asked)}
        unknown = asked.keys() - known.keys()
        assert not unknown, f"decided on streams the command did not name: {sorted(unknown)}"
        writes = tuple(
            StreamWrite(
                stream,
                known[stream].version,
                known[stream].last_hash,
                tuple(self._codec.encode(event) for event in events.get(stream, ())),
            )
            for stream in asked
        )
        request = AppendRequest(
            command.command_id,
            command.fingerprint,
            writes,
            dict(command.metadata),
            decision.outcome,
            command.recorded_at,
        )
        prepared = prepare(request)
        after = {
            stream: Known(self._evolved(stream, known[stream].state, decided), *prepared.ends[stream])
            for stream, decided in events.items()
        }
        sent = _Sent(self._committer.send(prepared), decision, events, known, after)
        sent.outcome.add_done_callback(lambda outcome: self._remember(command, sent, outcome))
        self._under_way.add(after, sent.outcome)
        return sent

    def _handled(self, command: _Command[State], sent: _Sent[State], outcome: Outcome) -> Handled | None:
        """The answer. None: decide again on fresh states."""
        match outcome:
            case Appended():
                return Handled(sent.decision.outcome, outcome.append_id, False, sent.events)
            case Repeated():
                return Handled(outcome.outcome, outcome.append_id, True, {})
            case IdempotencyConflict():
                raise IdempotencyConflictError(command.command_id)
            case VersionConflict():
                return None

    async def _stored_outcome(self, command: _Command[State]) -> Handled | None:
        stored = await self._store.find_command(command.command_id)
        if stored is None:
            return None
        if stored.fingerprint != command.fingerprint:
            raise IdempotencyConflictError(command.command_id)
        return Handled(stored.outcome, stored.append_id, True, {})

    def _evolved(self, stream: str, state: State, events: Sequence[Any]) -> State:
        for event in events:
            state = self._codec.evolve(stream, state, event)
        return state

    def _remember(self, command: _Command[State], sent: _Sent[State], done: asyncio.Future[Outcome]) -> None:
        """What the streams are now, as far as the outcome tells."""
        outcome = None if done.cancelled() or done.exception() is not None else done.result()
        match outcome:
            case Appended():
                self._stored(sent)
            case VersionConflict():
                # Behind what we know, or level with it and still wrong: ours is not this log's.
                known = sent.known
                self._loader.forget(s for s, version in outcome.streams.items() if version <= known[s].version)
            case _:  # it may have been stored or not; or it was, and they have gone on without us
                self._loader.forget(command.streams)

    def _stored(self, sent: _Sent[State]) -> None:
        for stream, now in sent.after.items():
            self._loader.put(stream, now)
            due = now.version // self._snapshot_every > sent.known[stream].version // self._snapshot_every
            if due and len(self._saving) < MAX_SAVING:
                task = asyncio.create_task(self._save_snapshot(stream, now), name=f"snapshot {stream}")
                self._saving.add(task)
                task.add_done_callback(self._saving.discard)

    async def _save_snapshot(self, stream: str, known: Known[State]) -> None:
        """A snapshot saves time and nothing else depends on it, so a failure is only worth a line in the log."""
        try:
            dumped = self._codec.dump_state(stream, known.state)
            version = self._codec.state_version(stream)
            await self._store.save_snapshot(Snapshot(stream, known.version, version, dumped, known.last_hash))
        except Exception:
            _log.exception("could not save a snapshot of %s at version %s", stream, known.version)


def _decided(command: _Command[State], known: Mapping[str, Known[State]]) -> Decision:
    """Raises VersionMismatch, and what the domain refuses with."""
    at = known[command.streams[0]].version
    if command.if_version is not None and at != command.if_version:
        raise VersionMismatch(f"{command.streams[0]} is at version {at}, not {command.if_version}")
    return command.decide({stream: known[stream].state for stream in command.streams})
