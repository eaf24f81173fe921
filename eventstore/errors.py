"""Everything the event store raises on purpose.

    EventStoreError
    ├── IdempotencyConflictError   the command id is known with other content        idempotency_conflict
    ├── VersionMismatch            the stream is not at the version asked for        version_mismatch
    ├── ConcurrencyError           others kept changing the streams                  concurrency_conflict
    ├── StoreUnavailable           Postgres cannot be reached, or did not answer     store_unavailable
    │   └── Overloaded             too many wait already: this one was not sent      overloaded
    ├── InvalidAppend              the request itself is wrong: a bug of the caller  invalid_append
    └── UnsafeSettings             the server would acknowledge what is not durable  unsafe_settings

A floating-point number in an event is a TypeError (see hashing.py). After StoreUnavailable the outcome of an
append is unknown: send the same command id again to learn it.
"""

from __future__ import annotations


class EventStoreError(Exception):
    """The base; `code` is stable and may be shown to callers."""

    code = "event_store_error"


class IdempotencyConflictError(EventStoreError):
    """The same command id came with another fingerprint."""

    code = "idempotency_conflict"

    def __init__(self, command_id: str) -> None:
        super().__init__(f"command id {command_id} was already used for another command")
        self.command_id = command_id


class VersionMismatch(EventStoreError):
    """The command was to be carried out at another version of its stream only. Nothing was stored."""

    code = "version_mismatch"


class ConcurrencyError(EventStoreError):
    """Gave up after a bounded number of attempts; nothing was stored. Trying again later is safe."""

    code = "concurrency_conflict"


class StoreUnavailable(EventStoreError):
    """No answer from Postgres. Reads have no effect; an append may or may not have happened."""

    code = "store_unavailable"


class Overloaded(StoreUnavailable):
    """A queue is full. What was asked was not sent, so nothing was stored."""

    code = "overloaded"


class InvalidAppend(EventStoreError, ValueError):
    """A request that can never be stored, however often it is tried."""

    code = "invalid_append"


class UnsafeSettings(EventStoreError):
    """The server's settings would let it lose what it acknowledged."""

    code = "unsafe_settings"
