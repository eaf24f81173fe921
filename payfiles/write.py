"""Writing pain.001.001.09: what `pain001` reads, schema-valid, with counts and control sums at both levels."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime
from itertools import groupby

from lxml import etree

from domain.money import Money
from payfiles import iban
from payfiles.assemble import found_in
from payfiles.errors import PaymentFileError
from payfiles.ids import NOT_PROVIDED, transfer_id
from payfiles.model import AccountRef, CreditTransfer

NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:pain.001.001.09"
MAX_ID = 35
MAX_OTHER_ACCOUNT = 34
MAX_NAME = 140
MAX_TEXT = 140

_BIC = re.compile(r"[A-Z0-9]{4}[A-Z]{2}[A-Z0-9]{2}([A-Z0-9]{3})?", re.ASCII)
_CODE = re.compile(r"[A-Z]{4}", re.ASCII)
_CHARGE_BEARERS = ("CRED", "DEBT", "SHAR", "SLEV")


def account_ref(identifier: str, name: str, currency: str) -> AccountRef:
    """An account by IBAN if `identifier` looks like one, else by that id."""
    if iban.looks_like(identifier):
        return AccountRef(iban.normalise(identifier), None, name, currency)
    return AccountRef(None, identifier, name, currency)


def write_pain001(
    items: Iterable[CreditTransfer], *, message_id: str, created_at: datetime, initiator: str
) -> bytes:
    """A pain.001.001.09 file of `items`, in their order; UTF-8.

    Neighbours with the same payment_info_id must share debtor and date: they become one PmtInf. Transfer ids are
    not written, a reader derives them again. Raises PaymentFileError `cannot_write` for what the
    format has no room for.
    """
    transfers = list(items)
    if not transfers:
        raise _cannot("there are no transfers to write", message_id)
    document = etree.Element(_tag("Document"), nsmap={None: NAMESPACE})  # type: ignore[dict-item]  # stubs lack None
    message = _add(document, "CstmrCdtTrfInitn")
    header = _add(message, "GrpHdr")
    _add(header, "MsgId", _limited(message_id, MAX_ID, "message id", message_id))
    _add(header, "CreDtTm", _utc(created_at))
    _add_totals(header, transfers)
    _add(_add(header, "InitgPty"), "Nm", _limited(initiator, MAX_NAME, "initiator", message_id))
    written: set[str] = set()
    for payment_info_id, group in groupby(transfers, key=lambda item: item.payment_info_id):
        if payment_info_id in written:
            raise _cannot("its transfers must stand next to each other", f"payment info {payment_info_id}")
        written.add(payment_info_id)
        _add_group(message, payment_info_id, list(group))
    return etree.tostring(document, xml_declaration=True, encoding="UTF-8", pretty_print=True)


def instruct(
    message_id: str,
    end_to_end_id: str,
    *,
    debtor: AccountRef,
    creditor: AccountRef,
    amount: Money,
    reference: str = "",
    purpose: str = "",
    requested_on: date | None = None,
    payment_info_id: str = "PMT-1",
) -> CreditTransfer:
    """A transfer to be written, with the id it will have when it is read (its end-to-end id being unique)."""
    return CreditTransfer(
        transfer_id=transfer_id(message_id, end_to_end_id),
        message_id=message_id,
        payment_info_id=payment_info_id,
        instruction_id=end_to_end_id,
        end_to_end_id=end_to_end_id,
        debtor=debtor,
        creditor=creditor,
        amount=amount,
        reference=reference,
        purpose=purpose,
        requested_on=requested_on,
    )


def _add_group(message: etree._Element, payment_info_id: str, group: Sequence[CreditTransfer]) -> None:
    first = group[0]
    place = f"payment info {payment_info_id}"
    for item in group:
        same_debtor = (item.debtor.identifier, item.debtor.name) == (first.debtor.identifier, first.debtor.name)
        if not same_debtor or item.requested_on != first.requested_on:
            raise _cannot("its transfers differ in debtor or requested date", place)
    if first.requested_on is None:
        raise _cannot("its transfers need a requested date", place)
    info = _add(message, "PmtInf")
    _add(info, "PmtInfId", _limited(payment_info_id, MAX_ID, "payment info id", place))
    _add(info, "PmtMtd", "TRF")
    _add_totals(info, group)
    _add(_add(info, "ReqdExctnDt"), "Dt", first.requested_on.isoformat())
    _add_party(info, "Dbtr", first.debtor.name, place)
    _add_account(info, "DbtrAcct", first.debtor, place)
    _add_agent(info, "DbtrAgt", first.metadata.get("debtor_agent", ""), required=True)
    for item in group:
        _add_transfer(info, item)


def _add_transfer(info: etree._Element, item: CreditTransfer) -> None:
    place = item.end_to_end_id
    transfer = _add(info, "CdtTrfTxInf")
    ids = _add(transfer, "PmtId")
    if item.instruction_id:
        _add(ids, "InstrId", _limited(item.instruction_id, MAX_ID, "instruction id", place))
    _add(ids, "EndToEndId", _limited(item.end_to_end_id, MAX_ID, "end-to-end id", place))
    amount = _add(transfer, "Amt")
    wished = item.metadata.get("currency_of_transfer")
    if wished:
        amount = _add(amount, "EqvtAmt")
    stated = _add(amount, "Amt" if wished else "InstdAmt", item.amount.amount)
    stated.set("Ccy", item.amount.currency)
    if wished:
        _add(amount, "CcyOfTrf", wished)
    bearer = item.metadata.get("charge_bearer")
    if bearer in _CHARGE_BEARERS:
        _add(transfer, "ChrgBr", bearer)
    _add_agent(transfer, "CdtrAgt", item.metadata.get("creditor_agent", ""), required=False)
    _add_party(transfer, "Cdtr", item.creditor.name, place)
    _add_account(transfer, "CdtrAcct", item.creditor, place)
    if item.purpose:
        kind = "Cd" if _CODE.fullmatch(item.purpose) else "Prtry"
        _add(_add(transfer, "Purp"), kind, _limited(item.purpose, MAX_ID, "purpose", place))
    if item.reference:
        _add(_add(transfer, "RmtInf"), "Ustrd", _limited(item.reference, MAX_TEXT, "reference", place))


def _add_totals(parent: etree._Element, items: Sequence[CreditTransfer]) -> None:
    found = found_in(items)
    _add(parent, "NbOfTxs", str(found.count))
    _add(parent, "CtrlSum", f"{found.control_sum:f}")


def _add_party(parent: etree._Element, tag: str, name: str, place: str) -> None:
    party = _add(parent, tag)
    if name:
        _add(party, "Nm", _limited(name, MAX_NAME, "name", place))


def _add_account(parent: etree._Element, tag: str, account: AccountRef, place: str) -> None:
    identity = _add(_add(parent, tag), "Id")
    if account.iban:
        _add(identity, "IBAN", account.iban)
    else:
        other = _limited(account.identifier, MAX_OTHER_ACCOUNT, "account id", place)
        _add(_add(identity, "Othr"), "Id", other)


def _add_agent(parent: etree._Element, tag: str, bic: str, *, required: bool) -> None:
    """The bank; where the format insists on one and none is known, it is said to be not provided."""
    known = _BIC.fullmatch(bic) is not None
    if not known and not required:
        return
    institution = _add(_add(parent, tag), "FinInstnId")
    if known:
        _add(institution, "BICFI", bic)
    else:
        _add(_add(institution, "Othr"), "Id", NOT_PROVIDED)


def _add(parent: etree._Element, tag: str, text: str | None = None) -> etree._Element:
    element = etree.SubElement(parent, _tag(tag))
    if text is not None:
        try:
            element.text = text
        except ValueError:
            raise _cannot("has a character that XML cannot hold", f"{tag} {text[:40]!r}") from None
    return element


def _tag(tag: str) -> str:
    return f"{{{NAMESPACE}}}{tag}"


def _limited(text: str, limit: int, what: str, place: str) -> str:
    if not text.strip():
        raise _cannot(f"{what} is empty", place)
    if text != text.strip():
        raise _cannot(f"{what} has white space around it, which readers drop", place)
    if len(text) > limit:
        raise _cannot(f"{what} is longer than the {limit} characters the format allows", place)
    return text


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).replace(microsecond=0).isoformat().replace("+00:00", "Z")


def _cannot(message: str, location: str) -> PaymentFileError:
    return PaymentFileError("cannot_write", message, location)
