"""The path of every command above `append`: load, decide, append; on a conflict load again and decide again.

    streams' locks ─► states (cache, else snapshot + tail) ─► decide ─► group commit ─► cache
                          ▲                                     │          │
                          └──── refused, or nothing to do ──────┘          │   the cached states may be stale and
                          └──── version conflict ──────────────────────────┘   the command known: look, then decide

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
from eventstore.batch import Prepared, prepare
from eventstore.bulk import BulkWriter
from eventstore.codec import Codec, Decision, Handled
from eventstore.errors import ConcurrencyError, IdempotencyConflictError, VersionMismatch
from eventstore.events import (
    Appended,
    AppendRequest,
    IdempotencyConflict,
    Repeated,
    Snapshot,
    StreamWrite,
    VersionConflict,
)
from eventstore.group_commit import GroupCommitter
from eventstore.store import EventStore
from eventstore.stream_cache import Known, StreamCache, StreamLocks

__all__ = ["Aggregates", "Codec", "Command", "Decision", "Handled"]

State = TypeVar("State")
MAX_SAVING = 100
"""Snapshots being saved at once. One that is left out is taken when its stream has grown as much again."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Command(Generic[State]):
    """What `handle` takes, as one thing."""

    command_id: str
    fingerprint: bytes
    streams: tuple[str, ...]
    decide: Callable[[dict[str, State]], Decision]
    metadata: Mapping[str, Any]
    recorded_at: datetime
    if_version: int | None


@dataclass(frozen=True, slots=True)
class _Link(Generic[State]):
    """One of several chained appends."""

    prepared: Prepared
    decision: Decision
    events: dict[str, list[Any]]
    before: dict[str, Known[State]]
    after: dict[str, State]


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
    ) -> Handled:
        """Have `decide` look at the streams' states, and store what it decided; at most once per command id.

        `decide` may be called several times and must be pure; what it raises is a refusal and comes out of here
        once it stands on fresh states, unless the command was stored before: then the stored outcome is returned.
        Nothing is stored where it decides on no events. `if_version`: only while the first stream is at it. Raises
        IdempotencyConflictError, VersionMismatch, ConcurrencyError, and StoreUnavailable (outcome unknown: call
        again with the same command id).
        """
        names = tuple(dict.fromkeys(streams))
        command = Command(command_id, fingerprint, names, decide, metadata, recorded_at, if_version)
        async with self._locks.hold(names):
            known, fresh = await self._loader.recall(names)
            for attempt in range(self._max_attempts):
                result = await self._attempt(command, known, fresh)
                if result is not None:
                    return result
                if attempt:
                    await asyncio.sleep(backoff_s(attempt))
                known, fresh = await self._loader.refresh(names), True
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

    async def _attempt(
        self, command: Command[State], known: dict[str, Known[State]], fresh: bool
    ) -> Handled | None:
        """Decide and append once. None: decide again on fresh states."""
        at = known[command.streams[0]].version
        if command.if_version is not None and at != command.if_version:
            if not fresh:
                return None
            repeat = await self._stored_outcome(command)
            if repeat is not None:
                return repeat
            raise VersionMismatch(f"{command.streams[0]} is at version {at}, not {command.if_version}")
        try:
            decision = command.decide({stream: known[stream].state for stream in command.streams})
        except Exception:
            # On a stale state the refusal may be wrong; and if the command itself is what changed the state since
            # (its first try's answer was lost), its outcome is the answer. States first, then the look-up: whoever
            # sees the command's events will find the command.
            if not fresh:
                return None
            repeat = await self._stored_outcome(command)
            if repeat is not None:
                return repeat
            raise
        if not any(decision.events.values()):
            if not fresh:
                return None
            return await self._stored_outcome(command) or Handled(decision.outcome, None, False, {})
        return await self._append(command, known, decision)

    async def handle_chained(self, commands: Sequence[Command[State]]) -> list[Handled | None]:
        """Decide each on what those before it leave, and append all of them together, each with its own outcome.

        For streams that many commands want at once. It does only what is plain: None for a command that was
        refused, has nothing to store, or met a conflict; `handle` then says what is with it.
        """
        names = tuple(dict.fromkeys(stream for command in commands for stream in command.streams))
        async with self._locks.hold(names):
            known, _ = await self._loader.recall(names)
            links = [self._link(command, known) for command in commands]
            waiting = [self._committer.submit_prepared(link.prepared) for link in links if link is not None]
            outcomes = iter(await asyncio.gather(*waiting, return_exceptions=True))
            handled: list[Handled | None] = []
            for command, link in zip(commands, links, strict=True):
                outcome = None if link is None else next(outcomes)
                if link is None or not isinstance(outcome, Appended):
                    self._loader.forget(command.streams)
                    handled.append(None)
                    continue
                self._remember(outcome, link.before, link.after)
                handled.append(Handled(link.decision.outcome, outcome.append_id, False, link.events))
            return handled

    def _link(self, command: Command[State], known: dict[str, Known[State]]) -> _Link[State] | None:
        """The command's append, with `known` moved on as if it were stored."""
        try:
            decision = command.decide({stream: known[stream].state for stream in command.streams})
        except Exception:
            return None  # it may be right, and it may rest on a stale state
        if command.if_version is not None or not any(decision.events.values()):
            return None
        request, events, after = self._request(command, known, decision)
        prepared = prepare(request)
        before = {stream: known[stream] for stream in after}
        known.update({stream: Known(state, *prepared.ends[stream]) for stream, state in after.items()})
        return _Link(prepared, decision, events, before, after)

    def _request(
        self, command: Command[State], known: dict[str, Known[State]], decision: Decision
    ) -> tuple[AppendRequest, dict[str, list[Any]], dict[str, State]]:
        """The append of a decision, its events, and the states after them."""
        events = {stream: list(decided) for stream, decided in decision.events.items() if decided}
        asked = {**dict.fromkeys(events), **dict.fromkeys(decision.asked)}
        unknown = asked.keys() - known.keys()
        assert not unknown, f"decided on streams the command did not name: {sorted(unknown)}"
        after = {stream: self._evolved(stream, known[stream].state, decided) for stream, decided in events.items()}
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
        return request, events, after

    async def _append(
        self, command: Command[State], known: dict[str, Known[State]], decision: Decision
    ) -> Handled | None:
        request, events, after = self._request(command, known, decision)
        try:
            outcome = await self._committer.submit(request)
        except BaseException:
            self._loader.forget(command.streams)  # it may have been stored, or not
            raise
        match outcome:
            case Appended():
                self._remember(outcome, known, after)
                return Handled(decision.outcome, outcome.append_id, False, events)
            case Repeated():
                self._loader.forget(command.streams)  # they have gone on without us
                return Handled(outcome.outcome, outcome.append_id, True, {})
            case IdempotencyConflict():
                raise IdempotencyConflictError(command.command_id)
            case VersionConflict():
                # Behind what we know, or level with it and still wrong: ours is not this log's.
                self._loader.forget(s for s, version in outcome.streams.items() if version <= known[s].version)
                return None

    async def _stored_outcome(self, command: Command[State]) -> Handled | None:
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

    def _remember(self, outcome: Appended, known: dict[str, Known[State]], after: dict[str, State]) -> None:
        last = {event.stream: event for event in outcome.events}
        for stream, state in after.items():
            now = Known(state, last[stream].version, last[stream].hash)
            self._cache.put(stream, now)
            due = now.version // self._snapshot_every > known[stream].version // self._snapshot_every
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
