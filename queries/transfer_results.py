"""What questions about transfers and batches of them are answered with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True)
class TransferView:
    """`legs`: `{name, outcome, at, position, …}` in order. The terms are None on a tombstone (see `transfers`)."""

    transfer_id: str
    status: str
    location: str
    amount: str | None
    currency: str | None
    from_account: str | None
    from_user: str | None
    to_account: str | None
    to_user: str | None
    rail: str | None
    quote: dict[str, Any] | None
    reference: str | None
    purpose: str | None
    category: str | None
    tags: tuple[str, ...]
    metadata: dict[str, str]
    failure_code: str | None
    failure_reason: str | None
    legs: tuple[dict[str, Any], ...]
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None
    version: int


@dataclass(frozen=True)
class UnderWay:
    """`place` is in_transit or suspense, `age_s` for how long (of the asking; never below 0)."""

    transfer_id: str
    place: str
    amount: str
    currency: str
    debited_at: datetime
    since: datetime
    age_s: float


@dataclass(frozen=True)
class ItemTotal:
    """So many items of a batch with that status, and what they come to in one currency."""

    status: str
    count: int
    amount: str
    currency: str


@dataclass(frozen=True)
class BatchView:
    """`settled`: that many of `items` have an outcome; `outcomes` says which. `submitted`: what was asked for."""

    batch_id: str
    user_id: str | None
    status: str
    atomic: bool
    items: int
    settled: int
    submitted: tuple[ItemTotal, ...]
    outcomes: tuple[ItemTotal, ...]
    reference: str | None
    failure_code: str | None
    failure_reason: str | None
    created_at: datetime
    updated_at: datetime
    finished_at: datetime | None
    version: int


@dataclass(frozen=True)
class BatchItemView:
    """`status`: pending, held (atomic, not final yet), completed, rejected, cancelled (not carried out),
    compensated, started or stuck; the last two are transfers of their own, in `transfer_status`."""

    item: int
    transfer_id: str
    status: str
    transfer_status: str | None
    amount: str
    currency: str
    from_account: str
    to_account: str
    reference: str | None
    purpose: str | None
    metadata: dict[str, str]
    failure_code: str | None
    failure_reason: str | None
    position: int | None
    settled_at: datetime | None
