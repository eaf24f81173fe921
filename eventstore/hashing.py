"""The hash chain of a stream: each event's hash covers its content and the hash before it.

    hash = SHA-256(prev_hash ‖ JSON of
                   [event_id, stream, version, type, schema_version, data, metadata, recorded_at])

The JSON has sorted keys and no spaces, times in UTC with microseconds. What is hashed must come back from the
database (jsonb) as it went in, so only plain JSON without floats is let through.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import sha1
from typing import Any
from uuid import UUID

import orjson

GENESIS = bytes(32)
"""What the first event of a stream has as the hash before it."""

_NAMESPACE = UUID("5d1f0a52-6f0b-5c0e-9d7c-8a3b1e0f4c11").bytes
_MAX_INT = 2**63 - 1


def event_id_of(command_id: str, index: int) -> UUID:
    """The id of a command's event number `index` (from 0), a UUID 5: the same whenever the command is tried."""
    digest = sha1(_NAMESPACE + f"{command_id}:{index}".encode(), usedforsecurity=False).digest()
    return UUID(bytes=digest[:16], version=5)


def event_hash(  # noqa: PLR0917 – the fields in the order they are hashed in
    prev_hash: bytes,
    event_id: UUID,
    stream: str,
    version: int,
    type_: str,
    schema_version: int,
    data: Mapping[str, Any],
    metadata: Mapping[str, Any],
    recorded_at: datetime,
) -> bytes:
    """The 32 bytes that the next event of the stream names as its `prev_hash`."""
    content = [event_id, stream, version, type_, schema_version, data, metadata, _stamp(recorded_at)]
    return hashlib.sha256(prev_hash + orjson.dumps(content, option=orjson.OPT_SORT_KEYS)).digest()


@lru_cache(maxsize=64)
def _stamp(recorded_at: datetime) -> str:
    """As it is hashed. All events of an append have the same time."""
    return recorded_at.astimezone(UTC).isoformat(timespec="microseconds")


def must_be_plain(value: Any, path: str) -> None:
    """Raises TypeError, naming the path, for whatever would not come back from jsonb exactly as it is."""
    if not _plain(value):
        _complain(value, path)


def _plain(value: Any) -> bool:
    """The quick look at what is nearly always right."""
    kind = type(value)
    if kind is str:
        return "\x00" not in value
    if kind is dict:
        for key, inner in value.items():
            if type(key) is not str or "\x00" in key:
                return False
            if type(inner) is str:
                if "\x00" in inner:
                    return False
            elif not _plain(inner):
                return False
        return True
    if kind is list:
        return all(map(_plain, value))
    return value is None or kind is bool or (kind is int and -_MAX_INT <= value <= _MAX_INT)


def _complain(value: Any, path: str) -> None:
    if value is None or isinstance(value, bool):
        return
    if isinstance(value, str):
        if "\x00" in value:
            raise TypeError(f"{path}: a NUL character cannot be stored")
    elif isinstance(value, int):
        if not -_MAX_INT <= value <= _MAX_INT:
            raise TypeError(f"{path}: {value} does not fit into 64 bits; write it as a string")
    elif isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str) or "\x00" in key:
                raise TypeError(f"{path}: {key!r} is not a key that JSON can hold")
            _complain(inner, f"{path}.{key}")
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            _complain(inner, f"{path}[{number}]")
    elif isinstance(value, float):
        raise TypeError(f"{path}: {value!r} is a float; write amounts as strings or integers")
    else:
        raise TypeError(f"{path}: {type(value).__name__} is not JSON; convert it before it is appended")
