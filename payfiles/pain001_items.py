"""One CdtTrfTxInf of a pain.001 with what it shares with its PmtInf: from elements to a CreditTransfer."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from payfiles import amounts, iban
from payfiles.errors import Findings
from payfiles.model import MAX_REFERENCE, AccountRef, CreditTransfer
from payfiles.node import Node

_METADATA = {
    "category_purpose": ("PmtTpInf/CtgyPurp/Cd", "PmtTpInf/CtgyPurp/Prtry"),
    "service_level": ("PmtTpInf/SvcLvl/Cd", "PmtTpInf/SvcLvl/Prtry"),
    "local_instrument": ("PmtTpInf/LclInstrm/Cd", "PmtTpInf/LclInstrm/Prtry"),
    "charge_bearer": ("ChrgBr",),
    "creditor_agent": ("CdtrAgt/FinInstnId/BICFI", "CdtrAgt/FinInstnId/BIC"),
    "debtor_agent": ("DbtrAgt/FinInstnId/BICFI", "DbtrAgt/FinInstnId/BIC"),
    "uetr": ("PmtId/UETR",),
}
"""What is kept beside the fields of CreditTransfer; looked for in the transfer, then in its PmtInf."""


@dataclass(frozen=True, slots=True)
class Debit:
    """What all transfers of one PmtInf share."""

    payment_info_id: str
    requested_on: date | None
    account: AccountRef  # its currency is what the file says of the account, "" if it says nothing
    metadata: dict[str, str]

    @classmethod
    def read(cls, group: Node) -> Debit:
        method = group.text("PmtMtd") or "TRF"
        if method not in ("TRF", "TRA"):
            raise group.error("unsupported_method", f"PmtMtd {method} is no credit transfer: only TRF and TRA are")
        return cls(
            payment_info_id=group.required("PmtInfId"),
            requested_on=_requested_on(group),
            account=_account(group, "DbtrAcct", "Dbtr", "debit"),
            metadata=dict(_metadata(group)),
        )


def read_transfer(node: Node, debit: Debit, message_id: str, warnings: Findings) -> CreditTransfer:
    """One CdtTrfTxInf. The transfer id comes later, when all items are known."""
    end_to_end_id = node.required("PmtId/EndToEndId")
    node.label = end_to_end_id
    amount_node, wished = _amount_of(node)
    currency = amount_node.attribute("Ccy")
    amount = amounts.money(amount_node.own_text, currency, amount_node.location)
    metadata = {**debit.metadata, **dict(_metadata(node))}
    if wished:
        metadata["currency_of_transfer"] = wished
        if wished != currency:
            note = f"to arrive as {wished}, but no exchange is done here: {amount} are moved"
            warnings.add("no_exchange", note, node.location)
    creditor = _account(node, "CdtrAcct", "Cdtr", "credit")
    for account, side in ((debit.account, "debtor's"), (creditor, "creditor's")):
        _warn_of_account(account, side, currency, node, warnings)
    reference = _reference(node)
    if len(reference) > MAX_REFERENCE:
        warnings.add("reference_cut", f"remittance text cut to {MAX_REFERENCE} characters", node.location)
    return CreditTransfer(
        transfer_id="",
        message_id=message_id,
        payment_info_id=debit.payment_info_id,
        instruction_id=node.text("PmtId/InstrId"),
        end_to_end_id=end_to_end_id,
        debtor=_in(debit.account, currency),
        creditor=_in(creditor, currency),
        amount=amount,
        reference=reference[:MAX_REFERENCE],
        purpose=node.text("Purp/Cd", "Purp/Prtry"),
        requested_on=debit.requested_on,
        metadata=metadata,
    )


def _amount_of(node: Node) -> tuple[Node, str]:
    """The element with the amount to move, and the currency the sender wishes it to arrive in ("" if as it is).

    An equivalent amount is taken as it is stated, in the debtor's currency.
    """
    instructed, equivalent = node.find("Amt/InstdAmt"), node.find("Amt/EqvtAmt")
    if instructed is not None and equivalent is not None:
        raise node.error("repeated_element", "Amt has both InstdAmt and EqvtAmt; it may have one of them")
    if instructed is not None:
        return instructed, ""
    stated = equivalent.find("Amt") if equivalent is not None else None
    if equivalent is None or stated is None:
        raise node.error("missing_element", "Amt has no InstdAmt and no EqvtAmt/Amt; the format requires one")
    return stated, equivalent.required("CcyOfTrf")


def _account(node: Node, account_path: str, party_path: str, verb: str) -> AccountRef:
    """The account at `account_path`; its currency is what the file says of the account, "" if nothing."""
    stated_iban, other = node.text(f"{account_path}/Id/IBAN"), node.text(f"{account_path}/Id/Othr/Id")
    if bool(stated_iban) == bool(other):
        found = "both an IBAN and another id" if other else "no IBAN and no Othr/Id"
        message = f"{account_path} has {found}: name the account to {verb} in one way"
        raise node.error("missing_account" if not other else "repeated_element", message)
    name, currency = node.text(f"{party_path}/Nm"), node.text(f"{account_path}/Ccy")
    if not stated_iban:
        return AccountRef(None, other, name, currency)
    normal = iban.normalise(stated_iban)
    if not iban.has_shape(normal):
        raise node.error("invalid_iban", f"{account_path}: {stated_iban[:40]!r} is no IBAN")
    return AccountRef(normal, None, name, currency)


def _in(account: AccountRef, currency: str) -> AccountRef:
    return AccountRef(account.iban, account.other, account.name, currency)


def _warn_of_account(account: AccountRef, side: str, currency: str, node: Node, warnings: Findings) -> None:
    """Banks' own samples have IBANs with wrong check digits, so a doubt about one is told, not refused."""
    doubt = iban.doubt(account.iban) if account.iban else None
    if doubt:
        warnings.add_once("doubtful_iban", f"the {side} {doubt}", node.location)
    if account.currency and account.currency != currency:
        note = f"the {side} account is said to be in {account.currency}; its {currency} pocket is used"
        warnings.add_once("account_currency", note, node.location)


def _metadata(node: Node) -> Iterator[tuple[str, str]]:
    for key, paths in _METADATA.items():
        text = node.text(*paths)
        if text:
            yield key, text


def _reference(node: Node) -> str:
    """Free text, then structured creditor references, else the numbers of the documents paid."""
    texts = [
        found.own_text
        for path in ("RmtInf/Ustrd", "RmtInf/Strd/CdtrRefInf/Ref")
        for found in node.all(path)
        if found.own_text
    ]
    if not texts:
        texts = [found.own_text for found in node.all("RmtInf/Strd/RfrdDocInf/Nb") if found.own_text]
    return " ".join(texts)


def _requested_on(group: Node) -> date | None:
    """ReqdExctnDt is a date in version 03, a choice of date and date-time in 09."""
    text = group.text("ReqdExctnDt/Dt", "ReqdExctnDt/DtTm", "ReqdExctnDt")
    if not text:
        return None
    try:
        day = date.fromisoformat(text[:10])
    except ValueError:
        raise group.error("invalid_date", f"ReqdExctnDt {text[:40]!r} is no date like 2026-01-31") from None
    return day
