"""The time line of a payment or transfer: its events, and those of the accounts it moved money on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cli.output import print_table
from domain.money import Money
from eventstore.events import RecordedEvent

HIDDEN = frozenset({"payment_id", "transfer_id", "metadata", "tags", "hold_id", "from_user", "to_user"})
FIRST = ("amount", "from_account", "to_account", "code", "reason")
"""Postgres keeps a JSON object's names in an order of its own."""


def wire(event: RecordedEvent) -> dict[str, Any]:
    """An event as `--json` prints it."""
    return {
        "stream": event.stream,
        "version": event.version,
        "type": event.type,
        "recorded_at": event.recorded_at.isoformat(),
        "actor": event.metadata.get("actor"),
        "command_id": event.metadata.get("command_id"),
        "data": event.data,
    }


def print_timeline(title: str, events: Sequence[RecordedEvent]) -> None:
    """One line per event: milliseconds since the first, what happened, and the facts that matter."""
    first = events[0].recorded_at

    def row(event: RecordedEvent) -> tuple[object, ...]:
        since = int((event.recorded_at - first).total_seconds() * 1000)
        return event.version, f"+{since} ms", event.type, facts(event.data)

    started = first.strftime("%Y-%m-%d %H:%M:%S UTC")
    print_table(f"{title}, since {started}", ["#", "at", "event", "facts"], map(row, events), right=["#", "at"])


def facts(data: dict[str, Any]) -> str:
    """`amount 10.00 EUR, reason …` without what is noise to people."""
    names = [name for name in FIRST if name in data]
    names += [name for name in data if name not in FIRST and name not in HIDDEN]
    return ", ".join(f"{name.replace('_', ' ')} {_short(data[name])}" for name in names)


def _short(value: object) -> str:
    if isinstance(value, dict) and value.keys() == {"amount", "currency"}:
        return str(Money.parse(value["amount"], value["currency"]))
    if isinstance(value, list):
        return "; ".join(map(_short, value))
    return str(value)
