"""Writing pain.002.001.03 (customer payment status report): what became of each transfer of a pain.001.

Of versions 03 and 09 of pain.001 alike: the elements used mean the same, and version 03 is what everybody reads.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from typing import Final, Literal

from lxml import etree

from payfiles import amounts
from payfiles.assemble import found_in
from payfiles.element import add, new_document, written, zulu
from payfiles.ids import transfer_id
from payfiles.model import CreditTransfer

NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:pain.002.001.03"
ISSUER = "Tidemark"
MAX_ID, MAX_INFO, ID_HASH = 35, 105, 24

Status = Literal["ACSC", "RJCT", "PDNG"]
"""Settled; refused, undone or cancelled; on its way, or waiting for somebody."""

ORDER: Final[tuple[Status, ...]] = ("ACSC", "PDNG", "RJCT")


@dataclass(frozen=True, slots=True)
class TransferStatus:
    """`reason`: a code of the external list ExternalStatusReason1Code, and words; "" without one."""

    item: CreditTransfer
    status: Status
    reason: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class Original:
    """The message that is answered. `count` and `control_sum` are None where it could not be read."""

    message_id: str
    format: str
    created_at: datetime | None = None
    count: int | None = None
    control_sum: Decimal | None = None


def write_pain002(original: Original, statuses: Sequence[TransferStatus], created_at: datetime) -> bytes:
    """Of a message that was taken: every transfer in the file's order."""
    document, group = _begun(original, created_at)
    add(group, "GrpSts", group_status(statuses))
    _add_counts(group, statuses)
    message = document[0]
    for payment_info_id, some in groupby(statuses, key=lambda each: each.item.payment_info_id):
        part = list(some)
        node = add(message, "OrgnlPmtInfAndSts")
        add(node, "OrgnlPmtInfId", payment_info_id, MAX_ID)
        found = found_in([each.item for each in part])
        add(node, "OrgnlNbOfTxs", str(found.count))
        add(node, "OrgnlCtrlSum", f"{found.control_sum:f}")
        add(node, "PmtInfSts", group_status(part))
        _add_counts(node, part)
        for each in part:
            _add_transfer(node, each)
    return written(document)


def write_refusal(original: Original, reason: str, texts: Iterable[str], created_at: datetime) -> bytes:
    """Of a message that was refused as a whole, and why."""
    document, group = _begun(original, created_at)
    add(group, "GrpSts", "RJCT")
    _add_reason(group, reason, texts)
    return written(document)


def group_status(statuses: Sequence[TransferStatus]) -> str:
    """RJCT where all were refused, PART where some were, else ACCP: accepted, whether settled yet or not."""
    refused = sum(each.status == "RJCT" for each in statuses)
    return "ACCP" if not refused else "RJCT" if refused == len(statuses) else "PART"


def _begun(original: Original, created_at: datetime) -> tuple[etree._Element, etree._Element]:
    """The document, and its part about the original message, up to the status."""
    document = new_document(NAMESPACE)
    message = add(document, "CstmrPmtStsRpt")
    header = add(message, "GrpHdr")
    add(header, "MsgId", transfer_id(original.message_id, "sts", created_at.isoformat()), MAX_ID)
    add(header, "CreDtTm", zulu(created_at))
    add(add(header, "InitgPty"), "Nm", ISSUER)
    group = add(message, "OrgnlGrpInfAndSts")
    add(group, "OrgnlMsgId", original.message_id, MAX_ID)
    add(group, "OrgnlMsgNmId", original.format, MAX_ID)
    if original.created_at is not None:
        add(group, "OrgnlCreDtTm", zulu(original.created_at))
    if original.count is not None:
        add(group, "OrgnlNbOfTxs", str(original.count))
    if original.control_sum is not None:
        add(group, "OrgnlCtrlSum", f"{original.control_sum:f}")
    return document, group


def _add_counts(node: etree._Element, statuses: Sequence[TransferStatus]) -> None:
    counts = Counter(each.status for each in statuses)
    for status in ORDER:
        if counts[status]:
            total = Decimal(0)
            for each in statuses:
                if each.status == status:
                    total = amounts.add(total, Decimal(each.item.amount.amount))
            detail = add(node, "NbOfTxsPerSts")
            add(detail, "DtldNbOfTxs", str(counts[status]))
            add(detail, "DtldSts", status)
            add(detail, "DtldCtrlSum", f"{total:f}")


def _add_transfer(part: etree._Element, each: TransferStatus) -> None:
    item = each.item
    node = add(part, "TxInfAndSts")
    add(node, "StsId", item.transfer_id[-ID_HASH:])
    if item.instruction_id:
        add(node, "OrgnlInstrId", item.instruction_id, MAX_ID)
    add(node, "OrgnlEndToEndId", item.end_to_end_id, MAX_ID)
    add(node, "TxSts", each.status)
    if each.reason:
        _add_reason(node, each.reason, [each.text] if each.text else [])
    order = add(node, "OrgnlTxRef")
    add(add(order, "Amt"), "InstdAmt", item.amount.amount).set("Ccy", item.amount.currency)
    if item.requested_on is not None:
        add(order, "ReqdExctnDt", item.requested_on.isoformat())


def _add_reason(node: etree._Element, reason: str, texts: Iterable[str]) -> None:
    info = add(node, "StsRsnInf")
    add(add(info, "Rsn"), "Cd", reason)
    for text in texts:
        add(info, "AddtlInf", text, MAX_INFO)
