"""The items of a batch: one wished-for transfer each, fixed once and for all by a hash over all of them."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass, field

from domain.batch_messages import ItemSum
from domain.money import Money
from domain.streams import transfer_stream


@dataclass(frozen=True, slots=True)
class BatchItem:
    """`item` is its number, from 1."""

    item: int
    from_account: str
    to_account: str
    amount: Money
    reference: str | None = None
    purpose: str | None = None
    metadata: dict[str, str] = field(default_factory=dict)


def item_transfer_id(batch_id: str, item: int) -> str:
    """The transfer that an item is: `payroll-11-42`."""
    return f"{batch_id}-{item}"


def item_stream(batch_id: str, item: int) -> str:
    """What account events name as their transaction."""
    return transfer_stream(item_transfer_id(batch_id, item))


def item_of(transfer_id: str) -> tuple[str, int] | None:
    """Which batch's which item a transfer of this id would be, if it is one."""
    batch_id, dash, number = transfer_id.rpartition("-")
    if not (dash and batch_id and number.isascii() and number.isdigit() and len(number) < 10):
        return None
    return (batch_id, int(number)) if number[0] != "0" else None


class Content:
    """SHA-256 over the items as they come, one JSON array a line; and what they come to."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._totals: dict[str, list[int]] = defaultdict(lambda: [0, 0])
        self.items = 0

    def add(self, item: BatchItem) -> None:
        """The next one."""
        assert item.item == self.items + 1, "items are counted from 1, without a gap"
        self.items += 1
        money = item.amount
        line = [
            item.item, item.from_account, item.to_account, money.minor, money.currency,
            item.reference, item.purpose, item.metadata,
        ]  # fmt: skip
        self._hash.update(json.dumps(line, sort_keys=True, separators=(",", ":")).encode() + b"\n")
        total = self._totals[money.currency]
        total[0] += 1
        total[1] += money.minor

    @property
    def hash(self) -> str:
        return self._hash.hexdigest()

    @property
    def submitted(self) -> tuple[ItemSum, ...]:
        return tuple(
            ItemSum(status="submitted", count=count, amount=Money(minor, currency))
            for currency, (count, minor) in sorted(self._totals.items())
        )
