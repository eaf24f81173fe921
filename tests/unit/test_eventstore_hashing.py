"""The hash chain covers everything, and lets nothing in that would not come back as it was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest

from eventstore.hashing import GENESIS, event_hash, event_id_of, must_be_plain

AT = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
FIELDS: dict[str, Any] = {
    "prev_hash": GENESIS,
    "event_id": event_id_of("c1", 0),
    "stream": "account-1",
    "version": 1,
    "type_": "Opened",
    "schema_version": 1,
    "data": {"b": 1, "a": "x"},
    "metadata": {"actor": "me"},
    "recorded_at": AT,
}


def test_the_hash_is_the_one_written_down() -> None:
    """Changing the canonical form would make every stored chain wrong."""
    assert event_hash(**FIELDS).hex() == "93bc9c7482bd8ce4f4c7340ff378dfdd8d8a181c4204b76c7ae5ed336402d7eb"


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("prev_hash", b"\x01" * 32),
        ("event_id", event_id_of("c1", 1)),
        ("stream", "account-2"),
        ("version", 2),
        ("type_", "Closed"),
        ("schema_version", 2),
        ("data", {"b": 2, "a": "x"}),
        ("metadata", {"actor": "you"}),
        ("recorded_at", AT + timedelta(microseconds=1)),
    ],
)
def test_every_field_counts(name: str, other: Any) -> None:
    assert event_hash(**{**FIELDS, name: other}) != event_hash(**FIELDS)


def test_neither_the_order_of_keys_nor_the_time_zone_counts() -> None:
    elsewhere = AT.astimezone(timezone(timedelta(hours=5)))
    assert event_hash(**{**FIELDS, "data": {"a": "x", "b": 1}, "recorded_at": elsewhere}) == event_hash(**FIELDS)


def test_event_ids_follow_from_command_and_index() -> None:
    assert event_id_of("c1", 0) == event_id_of("c1", 0)
    assert len({event_id_of("c1", 0), event_id_of("c1", 1), event_id_of("c11", 0)}) == 3


@pytest.mark.parametrize(
    ("data", "path"),
    [
        ({"amount": 1.5}, "data.amount"),
        ({"a": [{"b": float("nan")}]}, "data.a[0].b"),
        ({"a": 2**63}, "data.a"),
        ({"a": "x\x00y"}, "data.a"),
        ({1: "a"}, "data"),
        ({"a": (1, 2)}, "data.a"),
        ({"at": AT}, "data.at"),
        ({"id": UUID(int=1)}, "data.id"),
    ],
)
def test_what_would_come_back_changed_is_refused_by_name(data: Any, path: str) -> None:
    with pytest.raises(TypeError) as refused:
        must_be_plain(data, "data")
    assert str(refused.value).startswith(f"{path}:")


def test_plain_json_is_let_through() -> None:
    must_be_plain({"a": [1, -(2**63) + 1, "ü", None, True, {"b": {}}]}, "data")
