"""What questions about the books and the views as a whole are answered with."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class Conservation:
    """One currency. Promised: accounts + in_transit + in_suspense = deposits − withdrawals; difference = 0."""

    currency: str
    accounts: str
    in_transit: str
    in_suspense: str
    deposits: str
    withdrawals: str
    difference: str
    holds: bool


@dataclass(frozen=True)
class ViewLag:
    """`status` is live or building. `lag_ms` is the age of the oldest event not taken in, 0 with none."""

    view: str
    build: int
    version: int
    status: str
    position: int
    head_position: int
    unsequenced_events: int
    lag_events: int
    lag_ms: float
    dead_letters: int


@dataclass(frozen=True)
class DeadLetterView:
    id: int
    view: str
    stream: str
    position: int
    event_id: str
    type: str
    status: str
    error_class: str | None
    error: str | None
    attempts: int
    first_failed_at: datetime
    last_failed_at: datetime
