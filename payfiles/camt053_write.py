"""Writing camt.053.001.08: a statement as banks send it, valid by the published schema."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime

from lxml import etree

from domain.money import Money
from payfiles.element import add, new_document, written, zulu
from payfiles.errors import PaymentFileError
from payfiles.ids import NOT_PROVIDED, transfer_id
from payfiles.model import AccountRef
from payfiles.statement import StatementEntry, StatementFile

NAMESPACE = "urn:iso:std:iso:20022:tech:xsd:camt.053.001.08"
ISSUER = "Tidemark"
MAX_ID, MAX_ACCOUNT, MAX_NAME, MAX_TEXT, MAX_INFO = 35, 34, 140, 140, 500

_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)


def write_camt053(statement: StatementFile, created_at: datetime) -> bytes:
    """UTF-8. Texts are cut to what the format has room for; an id that does not fit is left out.

    Raises PaymentFileError `cannot_write` where account or currency do not fit the format.
    """
    account, since, until = statement.account, statement.since, statement.until
    opening, closing = statement.opening, statement.closing
    assert account is not None and since is not None and until is not None  # noqa: PT018
    assert opening is not None and closing is not None  # noqa: PT018
    if _CURRENCY.fullmatch(statement.currency) is None:
        raise _cannot(f"{statement.currency} is no ISO 4217 currency, and camt.053 knows no other", account)
    document = new_document(NAMESPACE)
    message = add(document, "BkToCstmrStmt")
    header = add(message, "GrpHdr")
    add(header, "MsgId", statement.statement_id)
    add(header, "CreDtTm", zulu(created_at))
    body = add(message, "Stmt")
    add(body, "Id", statement.statement_id)
    add(body, "CreDtTm", zulu(created_at))
    period = add(body, "FrToDt")
    add(period, "FrDtTm", zulu(since))
    add(period, "ToDtTm", zulu(until))
    _add_account(body, account)
    _add_balance(body, "OPBD", opening, since)
    _add_balance(body, "CLBD", closing, until)
    _add_summary(body, statement.entries)
    for entry in statement.entries:
        _add_entry(body, entry)
    return written(document)


def statement_id(account_id: str, since: datetime, until: datetime) -> str:
    """The same for the same period of the same account; at most 35 characters."""
    return transfer_id(account_id, "stm", since.isoformat(), until.isoformat())[:MAX_ID]


def _add_account(body: etree._Element, account: AccountRef) -> None:
    node = add(body, "Acct")
    identity = add(node, "Id")
    if account.iban:
        add(identity, "IBAN", account.iban)
    else:
        if len(account.identifier) > MAX_ACCOUNT:
            raise _cannot(f"its id is longer than the {MAX_ACCOUNT} characters the format allows", account)
        add(add(identity, "Othr"), "Id", account.identifier)
    add(node, "Ccy", account.currency)
    if account.name:
        add(add(node, "Ownr"), "Nm", account.name, MAX_NAME)


def _add_balance(body: etree._Element, code: str, balance: Money, at: datetime) -> None:
    node = add(body, "Bal")
    add(add(add(node, "Tp"), "CdOrPrtry"), "Cd", code)
    _add_amount(node, balance)
    add(add(node, "Dt"), "DtTm", zulu(at))


def _add_summary(body: etree._Element, entries: Iterable[StatementEntry]) -> None:
    amounts = [entry.amount for entry in entries]
    summary = add(body, "TxsSummry")
    add(add(summary, "TtlNtries"), "NbOfNtries", str(len(amounts)))
    for tag, sign in (("TtlCdtNtries", 1), ("TtlDbtNtries", -1)):
        some = [amount for amount in amounts if amount.minor * sign > 0]
        node = add(summary, tag)
        add(node, "NbOfNtries", str(len(some)))
        if some:
            add(node, "Sum", some[0].with_minor(abs(sum(amount.minor for amount in some))).amount)


def _add_entry(body: etree._Element, entry: StatementEntry) -> None:
    node = add(body, "Ntry")
    assert isinstance(entry.booked, datetime)
    _add_amount(node, entry.amount)
    add(add(node, "Sts"), "Cd", "BOOK")
    for tag in ("BookgDt", "ValDt"):
        add(add(node, tag), "DtTm", zulu(entry.booked))
    add(node, "AcctSvcrRef", entry.entry_id)
    code = add(add(node, "BkTxCd"), "Prtry")
    add(code, "Cd", entry.kind, MAX_ID)
    add(code, "Issr", ISSUER)
    details = add(add(node, "NtryDtls"), "TxDtls")
    references = add(details, "Refs")
    known = 0 < len(entry.end_to_end_id) <= MAX_ID
    add(references, "EndToEndId", entry.end_to_end_id if known else NOT_PROVIDED)
    if entry.source:
        _add_other(references, "SOURCE", entry.source)
    _add_counterparty(details, entry)
    if entry.purpose:
        add(add(details, "Purp"), "Prtry", entry.purpose, MAX_ID)
    if entry.reference:
        add(add(details, "RmtInf"), "Ustrd", entry.reference, MAX_TEXT)
    told = (("category", entry.category), ("location", entry.location), ("tags", ", ".join(entry.tags)))
    about = [entry.description] if entry.description else []
    about += [f"{name}: {value}" for name, value in told if value]
    if about:
        add(details, "AddtlTxInf", "; ".join(about), MAX_INFO)


def _add_other(references: etree._Element, kind: str, value: str) -> None:
    if len(value) <= MAX_ID:
        node = add(references, "Prtry")
        add(node, "Tp", kind)
        add(node, "Ref", value)


def _add_counterparty(details: etree._Element, entry: StatementEntry) -> None:
    if not 0 < len(entry.counterparty) <= MAX_ACCOUNT:
        return
    node = add(add(details, "RltdPties"), "DbtrAcct" if entry.amount.minor > 0 else "CdtrAcct")
    add(add(add(node, "Id"), "Othr"), "Id", entry.counterparty)


def _add_amount(node: etree._Element, money: Money) -> None:
    """Its size, and which way it goes; nothing is a credit, by the format's custom."""
    add(node, "Amt", money.with_minor(abs(money.minor)).amount).set("Ccy", money.currency)
    add(node, "CdtDbtInd", "DBIT" if money.minor < 0 else "CRDT")


def _cannot(message: str, account: AccountRef) -> PaymentFileError:
    return PaymentFileError("cannot_write", message, f"account {account.identifier}")
