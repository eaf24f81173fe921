"""Where the money of transfers is that left its source and has not arrived: shared by the views that follow it.

A stream's fold says where its money is at the end of the batch: in transit, in suspense, or `None`: no longer on
its way. What sets out and arrives within one batch leaves no trace.
"""

from __future__ import annotations

from collections.abc import Sequence

from domain.model import Event
from domain.streams import TRANSFER
from domain.transfer_messages import DestinationCredited, FundsMovedToSuspense, SourceDebited, SourceRefunded
from projections.model import Row, Seen, wanted

_MOVES: frozenset[type[Event]] = frozenset(
    {SourceDebited, FundsMovedToSuspense, DestinationCredited, SourceRefunded}
)
MONEY_MOVES = wanted(TRANSFER, _MOVES)


def fold(events: Sequence[Seen]) -> list[Row]:
    """One row per transfer: `place`, and what set out where it did so now. Others' events are ignored."""
    rows: dict[str, Row] = {}
    for seen in events:
        if type(seen.event) not in _MOVES:
            continue
        match seen.event:
            case SourceDebited(amount=amount):
                rows[seen.record.stream] = {
                    "transfer_id": seen.id,
                    "currency": amount.currency,
                    "amount": amount.minor,
                    "place": "in_transit",
                    "debited_at": seen.record.recorded_at,
                    "since": seen.record.recorded_at,
                    "position": seen.record.position,
                }
            case FundsMovedToSuspense():
                row = rows.setdefault(seen.record.stream, {"transfer_id": seen.id})
                row["place"], row["since"] = "suspense", seen.record.recorded_at
            case DestinationCredited() | SourceRefunded():
                row = rows.setdefault(seen.record.stream, {"transfer_id": seen.id})
                row["place"] = None
            case _:
                pass
    return [row for row in rows.values() if row["place"] is not None or "currency" not in row]
