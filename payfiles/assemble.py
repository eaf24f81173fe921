"""The last step of every format: from checked items to a PaymentFile with transfer ids."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from payfiles import amounts
from payfiles.errors import Findings, PaymentFileError
from payfiles.ids import repeated_end_to_end_ids, with_transfer_ids
from payfiles.model import CreditTransfer, PaymentFile
from payfiles.totals import Found


def found_in(items: Sequence[CreditTransfer]) -> Found:
    """Count and plain sum of the items, to be compared with what a header states."""
    total = Decimal(0)
    for item in items:
        total = amounts.add(total, Decimal(item.amount.amount))
    return Found(len(items), total)


def assemble(
    items: Sequence[CreditTransfer],
    name: str,
    *,
    message_id: str,
    created_at: datetime | None,
    form: str,
    warnings: Findings,
) -> PaymentFile:
    """The finished file. Raises PaymentFileError `no_items` if it holds none."""
    if not items:
        raise PaymentFileError("no_items", "the file has no transfers: nothing to do", name)
    for identity, times in repeated_end_to_end_ids(items).items():
        note = f"end-to-end id {identity} occurs {times} times: each is taken as a payment of its own"
        warnings.add("repeated_end_to_end_id", note, name)
    found = found_in(items)
    return PaymentFile(
        message_id=message_id,
        created_at=created_at,
        format=form,
        count=found.count,
        control_sum=found.control_sum,
        items=with_transfer_ids(items),
        warnings=warnings.all(name),
    )
