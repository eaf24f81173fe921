"""ISO 20022 pain.001 (customer credit transfer initiation), versions 03 and 09, and the Swiss variant of 03.

Strict about what moves money (ids, accounts, amounts, counts, sums), indifferent to the rest of the message:
addresses, agents and remittance details of any shape are let through. Element names are the standard's.
"""

from __future__ import annotations

from datetime import UTC, datetime

from lxml import etree

from payfiles import amounts
from payfiles.assemble import assemble, found_in
from payfiles.errors import Findings, PaymentFileError
from payfiles.model import MAX_ITEMS, CreditTransfer, PaymentFile
from payfiles.node import Node
from payfiles.pain001_items import Debit, read_transfer
from payfiles.totals import CountPolicy, Found, Stated, check
from payfiles.xmlsafe import parse_xml

FORMATS = {
    "urn:iso:std:iso:20022:tech:xsd:pain.001.001.03": "pain.001.001.03",
    "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09": "pain.001.001.09",
    "http://www.six-interbank-clearing.com/de/pain.001.001.03.ch.02.xsd": "pain.001.001.03.ch.02",
}


def read_pain001(data: bytes, name: str, count_policy: CountPolicy = "strict") -> PaymentFile:
    """The file `data`, checked. `name` is for messages. Raises PaymentFileError."""
    message, form = _message_of(parse_xml(data, name), name)
    header = message.find("GrpHdr")
    if header is None:
        raise message.error("missing_element", "GrpHdr is missing; the format requires it")
    message_id, created_at, stated = header.required("MsgId"), _moment(header), _stated(header)
    if stated.count is None:
        raise header.error("missing_element", "NbOfTxs is missing; the format requires it")

    problems, warnings = Findings(), Findings()
    items: list[CreditTransfer] = []
    to_check: list[tuple[Stated, Found]] = []
    _refuse_too_many(message, name)
    for group in message.all("PmtInf"):
        try:
            before = len(items)
            stated_of_group = _stated(group)
            debit = Debit.read(group)
            for node in group.all("CdtTrfTxInf"):
                try:
                    items.append(read_transfer(node, debit, message_id, warnings))
                except PaymentFileError as error:
                    problems.add_error(error)
            to_check.append((stated_of_group, found_in(items[before:])))
        except PaymentFileError as error:
            problems.add_error(error)
    # Sums mean nothing while an amount could not be read, so these problems come first.
    problems.raise_if_any(name)
    for said, found in ((stated, found_in(items)), *to_check):
        check(said, found, count_policy, problems, warnings)
    problems.raise_if_any(name)
    return assemble(items, name, message_id=message_id, created_at=created_at, form=form, warnings=warnings)


def header_of(data: bytes, name: str) -> tuple[str, str, datetime | None]:
    """Message id, format and time of a message that need not be right otherwise. Raises PaymentFileError."""
    message, form = _message_of(parse_xml(data, name), name)
    header = message.find("GrpHdr")
    if header is None:
        raise message.error("missing_element", "GrpHdr is missing; the format requires it")
    return header.required("MsgId"), form, _moment(header)


def _refuse_too_many(message: Node, name: str) -> None:
    count = message.count("PmtInf/CdtTrfTxInf")
    if count > MAX_ITEMS:
        raise PaymentFileError(
            "too_many_items", f"{count} transfers, {MAX_ITEMS} are allowed: split the file", name
        )


def _message_of(root: etree._Element, name: str) -> tuple[Node, str]:
    """The CstmrCdtTrfInitn element and the format. Says what was found instead, if something else was."""
    qname = etree.QName(root)
    namespace = qname.namespace or ""
    form = FORMATS.get(namespace)
    if form is None or qname.localname != "Document":
        what = f"<{qname.localname}> of namespace {namespace!r}" if namespace else f"<{qname.localname}>"
        raise PaymentFileError(
            "unsupported_message",
            f"found {what}, expected <Document> of one of these: {', '.join(FORMATS)}. "
            "Ask the sender to export a credit transfer in one of these formats",
            f"{name}:{root.sourceline}",
        )
    message = Node(root, namespace, name, "").find("CstmrCdtTrfInitn")
    if message is None:
        held = ", ".join(str(etree.QName(child).localname) for child in root) or "nothing"
        raise PaymentFileError(
            "unsupported_message",
            f"<Document> holds {held}, expected CstmrCdtTrfInitn, a credit transfer initiation",
            f"{name}:{root.sourceline}",
        )
    message.path = ""  # places start at GrpHdr or PmtInf: what is above is the same for all
    return message, form


def _stated(node: Node) -> Stated:
    """The count and control sum of a GrpHdr or PmtInf."""
    count, control_sum = node.text("NbOfTxs"), node.text("CtrlSum")
    return Stated(
        amounts.whole(count, "NbOfTxs", node.location) if count else None,
        amounts.decimal(control_sum, "CtrlSum", node.location) if control_sum else None,
        node.location,
    )


def _moment(header: Node) -> datetime | None:
    text = header.text("CreDtTm")
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise header.error("invalid_date", f"CreDtTm {text[:40]!r} is no date and time") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
