"""What became of a payment file, in the words of a pain.002 status report."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from activities.ledger import utc_now
from commands.batch import REFUSED, ItemOutcome
from domain.transfer import TransferStatus as S
from payfiles.errors import PaymentFileError
from payfiles.ids import NOT_PROVIDED
from payfiles.model import CreditTransfer, PaymentFile
from payfiles.pain001 import header_of
from payfiles.pain002 import Original, Status, TransferStatus, write_pain002, write_refusal
from queries.transfer_results import BatchItemView

NARRATIVE: Final = "NARR"
"""No code says it: the text does."""

REASONS: Final[Mapping[str, str]] = {
    "account_not_found": "AC01",
    "account_external": "AC01",
    "same_account": "AC01",
    "account_closed": "AC04",
    "account_frozen": "AC06",
    "review_rejected": "AG01",
    "declined": "AG01",
    "amount_too_large": "AM02",
    "currency_mismatch": "AM03",
    "insufficient_funds": "AM04",
    "idempotency_conflict": "AM05",
    "cancelled": "DS02",
}
"""Codes of refusals and of undone transfers → ExternalStatusReason1Code."""

FILE_REASONS: Final[Mapping[str, str]] = {
    "control_sum_mismatch": "AM10",
    "count_mismatch": "AM18",
    "wrong_decimals": "AM09",
    "invalid_amount": "AM09",
    "amount_not_positive": "AM01",
    "unknown_currency": "CURR",
    "invalid_date": "DT01",
    "invalid_iban": "AC01",
}
"""The same of files; without one the format itself was wrong: FF01."""

_SETTLED: Final = frozenset({S.COMPLETED.value})
_REFUSED: Final = frozenset({REFUSED, *(s.value for s in (S.REJECTED, S.COMPENSATED, S.CANCELLED))})


def status_of(item: CreditTransfer, status: str, code: str | None, reason: str | None) -> TransferStatus:
    """Stuck and in review are not decided yet; nor is what is on its way."""
    told: Status = "ACSC" if status in _SETTLED else "RJCT" if status in _REFUSED else "PDNG"
    if told == "ACSC":
        return TransferStatus(item, told)
    if told == "PDNG":
        return TransferStatus(item, told, NARRATIVE, reason or status.replace("_", " "))
    return TransferStatus(item, told, REASONS.get(code or "", NARRATIVE), reason or status)


def report(file: PaymentFile, outcomes: Iterable[ItemOutcome]) -> bytes:
    """Of a file that was run transfer by transfer."""
    return _written(file, [status_of(x.item, x.status, x.code, x.reason) for x in outcomes])


def report_of_batch(file: PaymentFile, items: Iterable[BatchItemView]) -> bytes:
    """Of a file that was run as one batch; its items are the file's, in order."""
    return _written(
        file,
        [
            status_of(item, view.transfer_status or view.status, view.failure_code, view.failure_reason)
            for item, view in zip(file.items, items, strict=True)
        ],
    )


def refusal_report(data: bytes, refusal: PaymentFileError) -> bytes:
    """Of a file that was refused as a whole, and of which nothing was done."""
    try:
        message_id, form, created_at = header_of(data, refusal.location)
    except PaymentFileError:
        message_id, form, created_at = NOT_PROVIDED, "pain.001", None
    texts = [problem.message for problem in refusal.problems]
    original = Original(message_id, form, created_at)
    return write_refusal(original, FILE_REASONS.get(refusal.code, "FF01"), texts, utc_now())


def _written(file: PaymentFile, statuses: list[TransferStatus]) -> bytes:
    original = Original(file.message_id, file.format, file.created_at, file.count, file.control_sum)
    return write_pain002(original, statuses, utc_now())
