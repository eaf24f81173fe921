"""How projecting goes wrong, and what each kind of failure calls for.

ProjectionError
├── UnknownView         no view has this name
├── RebuildRunning      somebody else is building the same view
├── NoSuchDeadLetter    the id names no open dead letter
├── CheckpointMoved     another process advanced, parked or swapped: look again
└── Undecodable         the event cannot be read by this code

Anything else is told apart by `fault_of`.
"""

from __future__ import annotations

from enum import Enum

import psycopg
from psycopg_pool import PoolTimeout

from eventstore.errors import StoreUnavailable

CHECKPOINT_MOVED = "TM001"
"""SQLSTATE raised by projection.advance()."""


class ProjectionError(Exception):
    """Root of this package's errors. `code` is stable."""

    code = "projection_error"


class UnknownView(ProjectionError):
    code = "unknown_view"


class RebuildRunning(ProjectionError):
    code = "rebuild_running"


class NoSuchDeadLetter(ProjectionError):
    code = "dead_letter_not_found"


class CheckpointMoved(ProjectionError):
    code = "checkpoint_moved"


class Undecodable(ProjectionError):
    """Wraps the reason; poison for each view that wants the event's type."""

    code = "undecodable"


class Fault(Enum):
    """What a failure says about the event at hand: nothing, nothing yet, or that it is poison."""

    MOVED = "moved"
    TRANSIENT = "transient"
    BROKEN_VIEW = "broken_view"
    """The view's tables or its rights are at fault, so no event is: retried, never parked."""
    POISON = "poison"


# SQLSTATE classes: connection, transaction rollback, resources, lock or object state, intervention, system error,
# and a server that went read-only in a failover.
_TRANSIENT_CLASSES = frozenset({"08", "25", "40", "53", "55", "57", "58"})
_BROKEN_CLASSES = frozenset({"28", "3D", "3F", "42", "XX", "0A"})


def fault_of(error: BaseException) -> Fault:
    """Tell them apart. What is neither Postgres's nor the network's doing comes of the event itself."""
    if isinstance(error, CheckpointMoved):
        return Fault.MOVED
    if isinstance(error, psycopg.Error):
        state = error.sqlstate
        if state == CHECKPOINT_MOVED:
            return Fault.MOVED
        if state is None:
            data_at_fault = isinstance(error, psycopg.DataError | psycopg.IntegrityError)
            return Fault.POISON if data_at_fault else Fault.TRANSIENT
        if state[:2] in _TRANSIENT_CLASSES:
            return Fault.TRANSIENT
        return Fault.BROKEN_VIEW if state[:2] in _BROKEN_CLASSES else Fault.POISON
    if isinstance(error, PoolTimeout | StoreUnavailable | OSError | TimeoutError | MemoryError):
        return Fault.TRANSIENT
    return Fault.POISON
