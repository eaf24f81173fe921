"""How the requests of a refused batch are settled: each as if it were tried after the one before it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson

from eventstore.batch import Prepared, document, prepare, settle
from eventstore.events import AppendRequest, IdempotencyConflict, NewEvent, Repeated, StreamWrite, VersionConflict
from eventstore.hashing import GENESIS

AT = datetime(2026, 1, 1, tzinfo=UTC)


def prepared(command_id: str, **streams: tuple[int, bytes]) -> Prepared:
    """One event on each stream, which is expected at (version, hash)."""
    writes = tuple(
        StreamWrite(stream, version, last_hash, (NewEvent("Added", 1, {"n": 1}),))
        for stream, (version, last_hash) in streams.items()
    )
    return prepare(AppendRequest(command_id, b"\x01", writes, {}, {}, AT))


def actual(**streams: tuple[int, bytes]) -> dict[str, Any]:
    return {s: {"version": version, "last_hash": h.hex()} for s, (version, h) in streams.items()}


NEW = (0, GENESIS)
FIVE = (5, b"\x05" * 32)


def test_a_known_command_is_a_repeat_or_a_conflict_by_its_fingerprint() -> None:
    known = {
        "c1": {"append_id": 7, "fingerprint": "01", "outcome": {"x": 1}},
        "c2": {"append_id": 8, "fingerprint": "02", "outcome": {}},
    }
    batch = [prepared("c1", a=NEW), prepared("c2", b=NEW), prepared("c3", c=NEW)]
    assert settle(batch, known, None) == {
        "c1": Repeated("c1", 7, {"x": 1}),
        "c2": IdempotencyConflict("c2"),
    }


def test_a_rival_of_a_good_request_conflicts_with_where_that_leaves_the_stream() -> None:
    batch = [prepared("c1", a=FIVE), prepared("c2", a=FIVE)]
    assert settle(batch, None, actual(a=FIVE)) == {"c2": VersionConflict("c2", {"a": 6})}


def test_a_rival_of_a_bad_request_is_not_blamed_for_it() -> None:
    batch = [prepared("c1", a=NEW), prepared("c2", a=FIVE)]
    assert settle(batch, None, actual(a=FIVE)) == {"c1": VersionConflict("c1", {"a": 5})}


def test_what_is_chained_to_a_repeat_falls_with_it() -> None:
    first = prepared("c1", a=NEW)
    second = prepared("c2", a=first.ends["a"])
    known = {"c1": {"append_id": 7, "fingerprint": "01", "outcome": {}}}
    assert settle([first, second], known, actual(a=FIVE)) == {
        "c1": Repeated("c1", 7, {}),
        "c2": VersionConflict("c2", {"a": 5}),
    }


def test_a_chain_over_several_streams_is_followed() -> None:
    first = prepared("c1", a=NEW, b=NEW)
    second = prepared("c2", b=first.ends["b"], c=NEW)
    third = prepared("c3", c=second.ends["c"])
    settled = settle([first, second, third], None, actual(a=FIVE))
    assert settled == {
        "c1": VersionConflict("c1", {"a": 5}),
        "c2": VersionConflict("c2", {"b": 0}),
        "c3": VersionConflict("c3", {"c": 0}),
    } or set(settled) == {"c1"}


def test_another_hash_at_the_right_version_is_a_conflict() -> None:
    batch = [prepared("c1", a=(5, b"\x09" * 32))]
    assert settle(batch, None, actual(a=FIVE)) == {"c1": VersionConflict("c1", {"a": 5})}


def test_the_document_numbers_requests_and_events() -> None:
    laid_out = orjson.loads(document([prepared("c1", a=NEW, b=FIVE), prepared("c2", c=NEW)]))
    assert [(r["command_id"], r["fingerprint"], r["events"]) for r in laid_out["requests"]] == [
        ("c1", "\\x01", 2),
        ("c2", "\\x01", 1),
    ]
    assert [(w["request"], w["stream"], w["expected"], w["version"]) for w in laid_out["writes"]] == [
        (1, "a", 0, 1),
        (1, "b", 5, 6),
        (2, "c", 0, 1),
    ]
    assert [(e["request"], e["index"], e["stream"], e["version"]) for e in laid_out["events"]] == [
        (1, 0, "a", 1),
        (1, 1, "b", 6),
        (2, 0, "c", 1),
    ]
