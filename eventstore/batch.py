"""One batch of append requests: checked, hashed, laid out as append_events reads it, and its answer read.

Pure but for the CPU it takes: nothing here talks to Postgres.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from eventstore.errors import InvalidAppend
from eventstore.events import (
    APPEND_BITS,
    MAX_EVENTS_PER_APPEND,
    Appended,
    AppendRequest,
    IdempotencyConflict,
    Outcome,
    RecordedEvent,
    Repeated,
    StreamWrite,
    VersionConflict,
)
from eventstore.hashing import event_hash, event_id_of, must_be_plain

MAX_NAME_CHARS = 500


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request with its events hashed. Their ids still lack the append's: they are the index only."""

    request: AppendRequest
    metadata: dict[str, Any]
    events: tuple[RecordedEvent, ...]
    ends: dict[str, tuple[int, bytes]]
    """Version and hash of each stream after the request."""


def prepare(request: AppendRequest) -> Prepared:
    """Check and hash. Raises InvalidAppend, and TypeError for data that is not plain JSON."""
    _check(request)
    metadata = {**request.metadata, "command_id": request.command_id}
    must_be_plain(metadata, "metadata")
    events: list[RecordedEvent] = []
    ends: dict[str, tuple[int, bytes]] = {}
    for write in request.writes:
        ends[write.stream] = _hash_write(request, write, metadata, events)
    if len(events) > MAX_EVENTS_PER_APPEND:
        raise InvalidAppend(f"{len(events)} events in one append; {MAX_EVENTS_PER_APPEND} is the limit")
    if not events:
        raise InvalidAppend("an append needs at least one event")
    return Prepared(request, metadata, tuple(events), ends)


def _hash_write(
    request: AppendRequest, write: StreamWrite, metadata: dict[str, Any], events: list[RecordedEvent]
) -> tuple[int, bytes]:
    version, last_hash, at = write.expected_version, write.last_hash, request.recorded_at
    for new in write.events:
        index, version = len(events), version + 1
        must_be_plain(new.data, f"{new.type}.data")
        event_id = event_id_of(request.command_id, index)
        digest = event_hash(
            last_hash, event_id, write.stream, version, new.type, new.schema_version, new.data, metadata, at
        )
        events.append(
            RecordedEvent(
                None, index, event_id, write.stream, version, new.type, new.schema_version, new.data, metadata, at,
                last_hash, digest,
            )
        )  # fmt: skip
        last_hash = digest
    return version, last_hash


def _check(request: AppendRequest) -> None:
    streams = [write.stream for write in request.writes]
    if len(set(streams)) != len(streams):
        raise InvalidAppend("a stream may occur once per request")
    for name in (request.command_id, *streams):
        if not 0 < len(name) <= MAX_NAME_CHARS or "\x00" in name:
            raise InvalidAppend(f"a name needs 1 to {MAX_NAME_CHARS} characters: {name[:50]!r}")
    if request.recorded_at.tzinfo is None:
        raise InvalidAppend("recorded_at needs a time zone")
    if any(write.expected_version < 0 or len(write.last_hash) != 32 for write in request.writes):
        raise InvalidAppend("an expected version is 0 or more and a hash has 32 bytes")


def document(batch: Sequence[Prepared]) -> str:
    """The parameter of queries.APPEND, as JSON. A command id may occur once in a batch."""
    content = {
        "requests": [
            {
                "command_id": prepared.request.command_id,
                "fingerprint": _hex(prepared.request.fingerprint),
                "outcome": prepared.request.outcome,
                "metadata": prepared.metadata,
                "recorded_at": prepared.request.recorded_at,
                "events": len(prepared.events),
            }
            for prepared in batch
        ],
        "writes": [
            {
                "request": number,
                "stream": write.stream,
                "expected": write.expected_version,
                "last_hash": _hex(write.last_hash),
                "version": prepared.ends[write.stream][0],
                "hash": _hex(prepared.ends[write.stream][1]),
            }
            for number, prepared in enumerate(batch, 1)
            for write in prepared.request.writes
        ],
        "events": [
            {
                "request": number,
                "index": event.id,
                "event_id": event.event_id,
                "stream": event.stream,
                "version": event.version,
                "type": event.type,
                "schema_version": event.schema_version,
                "data": event.data,
                "prev_hash": _hex(event.prev_hash),
                "hash": _hex(event.hash),
            }
            for number, prepared in enumerate(batch, 1)
            for event in prepared.events
        ],
    }
    return orjson.dumps(content).decode()


def _hex(value: bytes) -> str:
    """As Postgres reads bytea."""
    return f"\\x{value.hex()}"


def appended(prepared: Prepared, append_id: int) -> Appended:
    """The outcome of a request that was stored as `append_id`."""
    base = append_id << APPEND_BITS
    events = tuple(
        RecordedEvent(
            None, base | e.id, e.event_id, e.stream, e.version, e.type, e.schema_version, e.data, e.metadata,
            e.recorded_at, e.prev_hash, e.hash,
        )
        for e in prepared.events
    )  # fmt: skip
    return Appended(prepared.request.command_id, append_id, events)


def settle(
    batch: Sequence[Prepared], known: Mapping[str, Any] | None, actual: Mapping[str, Any] | None
) -> dict[str, Outcome]:
    """Outcomes, by command id, of the requests that a refused batch cannot store; at least one.

    `known` and `actual` are the answer of append_events. Requests count in their order, as if each were tried
    after the one before: one chained on a request that is settled here fails with it.
    """
    ends: dict[str, tuple[int, bytes]] = {
        stream: (found["version"], bytes.fromhex(found["last_hash"])) for stream, found in (actual or {}).items()
    }
    settled: dict[str, Outcome] = {}
    for prepared in batch:
        request = prepared.request
        for write in request.writes:  # a stream that is not in `actual` is where its first write expects it
            ends.setdefault(write.stream, (write.expected_version, write.last_hash))
        stored = (known or {}).get(request.command_id)
        wrong = {
            write.stream: ends[write.stream][0]
            for write in request.writes
            if ends[write.stream] != (write.expected_version, write.last_hash)
        }
        if stored is not None:
            same = bytes.fromhex(stored["fingerprint"]) == request.fingerprint
            settled[request.command_id] = (
                Repeated(request.command_id, stored["append_id"], stored["outcome"])
                if same
                else IdempotencyConflict(request.command_id)
            )
        elif wrong:
            settled[request.command_id] = VersionConflict(request.command_id, wrong)
        else:
            ends.update(prepared.ends)
    assert settled, "append_events refused a batch without a reason"
    return settled
