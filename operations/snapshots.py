"""Snapshots against their streams: a state kept for speed must be the one that its events make."""

from __future__ import annotations

from activities.codec import DomainCodec
from eventstore.events import Snapshot
from eventstore.hashing import GENESIS
from eventstore.lookups import Lookups
from eventstore.verify import Finding

PAGE, EVENTS = 100, 5_000


async def check_snapshots(lookups: Lookups) -> tuple[int, list[Finding]]:
    """How many were compared, and those that are wrong. One that this code would ignore is not looked at."""
    codec, findings, compared, after = DomainCodec(), list[Finding](), 0, ""
    while page := await lookups.snapshots(after, PAGE):
        after = page[-1].stream
        for snapshot in page:
            if snapshot.state_version != codec.state_version(snapshot.stream):
                continue
            compared += 1
            why = await _wrong(lookups, codec, snapshot)
            if why is not None:
                findings.append(Finding("snapshot_differs", snapshot.stream, why))
    return compared, findings


async def _wrong(lookups: Lookups, codec: DomainCodec, snapshot: Snapshot) -> str | None:
    stream, version = snapshot.stream, 0
    state, last_hash = codec.initial(stream), GENESIS
    while version < snapshot.version:
        events = await lookups.stream(stream, version, min(EVENTS, snapshot.version - version))
        if not events:
            return f"is of version {snapshot.version}, but the stream ends at {version}"
        for event in events:
            state = codec.evolve(stream, state, codec.decode(event))
        version, last_hash = events[-1].version, events[-1].hash
    try:
        kept = codec.load_state(stream, snapshot.state)
    except ValueError as error:
        return f"cannot be read: {str(error).splitlines()[0]}"
    if snapshot.last_hash != last_hash:
        return f"carries another hash than version {version} has"
    return None if kept == state else f"is not what the first {version} events make"
