"""Keyset pagination: a cursor names the last row of a page, so pages stay right while rows are added."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import orjson

from queries.errors import BadCursor

MAX_LIMIT = 200
NEWEST = 2**62
"""Above every position: where a list without a cursor begins."""

Item = TypeVar("Item")
Raw = TypeVar("Raw")


@dataclass(frozen=True)
class Page(Generic[Item]):
    """`next_cursor` is None on the last page."""

    items: tuple[Item, ...]
    next_cursor: str | None = None


def checked_limit(limit: int) -> int:
    """Between 1 and MAX_LIMIT; raises ValueError otherwise."""
    if not 1 <= limit <= MAX_LIMIT:
        raise ValueError(f"limit must be between 1 and {MAX_LIMIT}")
    return limit


def encode_cursor(kind: str, *keys: int) -> str:
    return base64.urlsafe_b64encode(orjson.dumps([kind, *keys])).decode().rstrip("=")


def decode_cursor(kind: str, cursor: str | None, start: tuple[int, ...]) -> tuple[int, ...]:
    """The keys to go on after; `start` without a cursor. Raises BadCursor."""
    if cursor is None:
        return start
    try:
        found: Any = orjson.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (binascii.Error, ValueError):
        raise BadCursor("the cursor is not one of ours") from None
    whole = isinstance(found, list) and len(found) == len(start) + 1 and found[0] == kind
    if not whole or not all(type(key) is int and abs(key) <= NEWEST for key in found[1:]):
        raise BadCursor("the cursor belongs to another list")
    return tuple(found[1:])


def page_of(
    rows: Sequence[Raw], limit: int, kind: str, keys: Callable[[Raw], tuple[int, ...]], make: Callable[[Raw], Item]
) -> Page[Item]:
    """Of `limit` + 1 rows asked for: one more than fits means there is a next page."""
    shown = rows[:limit]
    more = len(rows) > limit
    return Page(tuple(make(row) for row in shown), encode_cursor(kind, *keys(shown[-1])) if more else None)
