"""Transfer ids: the same file read twice gives the same ids, so that nothing in it is paid twice."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from payfiles.model import CreditTransfer

MAX_ID_LENGTH = 64
NOT_PROVIDED = "NOTPROVIDED"
"""What a sender writes who has no end-to-end id (ISO 20022 usage); it says nothing about identity."""

_HASH_CHARS = 24  # 96 bits: no two of a billion ids collide by accident
_UNREADABLE = re.compile(r"[^A-Za-z0-9._-]+")


def transfer_id(message_id: str, end_to_end_id: str, *distinguishing: str) -> str:
    """A readable start and a hash; letters, digits and `._-`, at most 64 characters, first a letter or digit."""
    parts = (message_id, end_to_end_id, *distinguishing)
    # The length before each part keeps ("a", "bc") and ("ab", "c") apart.
    digest = hashlib.sha256("".join(f"{len(part)}:{part}" for part in parts).encode()).hexdigest()
    room = MAX_ID_LENGTH - _HASH_CHARS - 1
    readable = _UNREADABLE.sub("-", end_to_end_id).lstrip("._-")[:room].rstrip("._-")
    return f"{readable or 'item'}-{digest[:_HASH_CHARS]}"


def with_transfer_ids(items: Sequence[CreditTransfer]) -> tuple[CreditTransfer, ...]:
    """The items with their ids. An end-to-end id that repeats is told apart by payment-info id, instruction id
    and, if these repeat too, by which of them it is in the file's order."""
    times = Counter(item.end_to_end_id for item in items)
    seen: Counter[tuple[str, str, str]] = Counter()
    named = []
    for item in items:
        distinguishing: tuple[str, ...] = ()
        if times[item.end_to_end_id] > 1:
            key = (item.end_to_end_id, item.payment_info_id, item.instruction_id)
            seen[key] += 1
            distinguishing = (item.payment_info_id, item.instruction_id, str(seen[key]))
        identity = transfer_id(item.message_id, item.end_to_end_id, *distinguishing)
        named.append(replace(item, transfer_id=identity))
    return tuple(named)


def repeated_end_to_end_ids(items: Sequence[CreditTransfer]) -> dict[str, int]:
    """Real end-to-end ids that occur more than once: perhaps one payment entered twice."""
    times = Counter(item.end_to_end_id for item in items)
    return {identity: n for identity, n in times.items() if n > 1 and identity != NOT_PROVIDED}
