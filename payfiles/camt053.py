"""ISO 20022 camt.053 (bank to customer statement), versions 02 to 14: what reconciliation needs of it.

Strict about account, balances, amounts and directions; indifferent to the rest. Element names are the standard's.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta

from lxml import etree

from domain.errors import DomainError
from domain.money import Money
from payfiles import amounts, iban
from payfiles.errors import Findings, PaymentFileError
from payfiles.model import AccountRef
from payfiles.node import Node
from payfiles.statement import MAX_ENTRIES, WRONG_SUM, StatementEntry, StatementFile, adds_up
from payfiles.xmlsafe import parse_xml

_NAMESPACE = re.compile(r"urn:iso:std:iso:20022:tech:xsd:(camt\.053\.001\.(0[2-9]|1[0-4]))", re.ASCII)
_SIGNS = {"CRDT": 1, "DBIT": -1}
_REFERENCES = ("AcctSvcrRef", "PmtInfId", "InstrId", "UETR", "TxId", "ClrSysRef", "MsgId", "Prtry/Ref")


def read_camt053(data: bytes, name: str) -> tuple[StatementFile, ...]:
    """Every statement of the message `data`; `name` is for messages. Raises PaymentFileError."""
    root = parse_xml(data, name)
    qname = etree.QName(root)
    found = _NAMESPACE.fullmatch(qname.namespace or "")
    message = Node(root, qname.namespace or "", name, "").find("BkToCstmrStmt") if found else None
    if found is None or message is None or qname.localname != "Document":
        raise PaymentFileError(
            "unsupported_message",
            f"found <{qname.localname}> of namespace {qname.namespace!r}, expected a camt.053 statement, "
            "versions camt.053.001.02 to 14. Ask the bank for one of these",
            f"{name}:{root.sourceline}",
        )
    message.path = ""
    statements = tuple(_statement(node, found[1], name) for node in message.all("Stmt"))
    if not statements:
        raise message.error("no_statement", "the message has no statement (Stmt)")
    return statements


def _statement(node: Node, form: str, name: str) -> StatementFile:
    """Entries that are not booked (pending, for information) are left out, and warned of."""
    account = _account(node)
    if node.count("Ntry") > MAX_ENTRIES:
        raise node.error("too_many_items", f"more than {MAX_ENTRIES} entries: ask for a shorter period")
    balances = {code: found for balance in node.all("Bal") for code, found in [_balance(balance)] if code}
    opening, closing = balances.get("OPBD") or balances.get("PRCD"), balances.get("CLBD")
    since, until = _moment(node, "FrToDt/FrDtTm"), _moment(node, "FrToDt/ToDtTm")
    problems, warnings, entries = Findings(), Findings(), []
    for entry in node.all("Ntry"):
        try:
            status = entry.text("Sts/Cd", "Sts/Prtry") or entry.text(
                "Sts"
            )  # the older versions have the code itself
            if status != "BOOK":
                warnings.add("not_booked", f"left out, its status is {status[:35]!r}", entry.location)
            else:
                entries.append(_entry(entry, account.currency))
        except PaymentFileError as error:
            problems.add_error(error)
    problems.raise_if_any(name)
    if not adds_up(opening and opening[0], closing and closing[0], entries):
        warnings.add("does_not_add_up", WRONG_SUM, node.location)
    currency = account.currency or (entries[0].amount.currency if entries else "")
    return StatementFile(
        statement_id=node.required("Id"),
        account=account,
        currency=currency,
        since=since or (_edge(opening[1], 0) if "OPBD" in balances and opening else None),
        until=until or (_edge(closing[1], 1) if closing else None),
        opening=opening[0] if opening else None,
        closing=closing[0] if closing else None,
        entries=tuple(entries),
        format=form,
        warnings=warnings.all(name),
    )


def _account(node: Node) -> AccountRef:
    plain, other = node.text("Acct/Id/IBAN"), node.text("Acct/Id/Othr/Id")
    if bool(plain) == bool(other):
        raise node.error("missing_element", "Acct/Id must hold an IBAN or another id")
    known = iban.normalise(plain) if plain else None
    return AccountRef(known, other or None, node.text("Acct/Ownr/Nm"), node.text("Acct/Ccy"))


def _balance(node: Node) -> tuple[str, tuple[Money, date | datetime]]:
    """By its code; where a day has several (CLBD of each page), the last counts."""
    return node.text("Tp/CdOrPrtry/Cd", "Tp/CdOrPrtry/Prtry"), (_amount(node, ""), _booked(node, "Dt"))


def _entry(node: Node, currency: str) -> StatementEntry:
    details = list(node.all("NtryDtls/TxDtls"))
    ends = list(dict.fromkeys(text for detail in details if (text := detail.text("Refs/EndToEndId"))))
    references = [node.text("NtryRef"), node.text("NtryDtls/Btch/PmtInfId"), node.text("NtryDtls/Btch/MsgId")]
    texts = []
    for detail in details:
        references += [part.own_text for tag in _REFERENCES for part in detail.all(f"Refs/{tag}")]
        references += [part.own_text for part in detail.all("RmtInf/Strd/CdtrRefInf/Ref")]
        texts += [part.own_text for part in detail.all("RmtInf/Ustrd")]
    amount = _amount(node, currency)
    side = "DbtrAcct" if amount.minor > 0 else "CdtrAcct"
    single = details[0] if len(details) == 1 else None
    return StatementEntry(
        amount=amount,
        booked=_booked(node, "BookgDt"),
        entry_id=node.text("AcctSvcrRef"),
        end_to_end_id=ends[0] if len(ends) == 1 else "",
        references=tuple(text for text in (*references, *(ends if len(ends) > 1 else ()), *texts[1:]) if text),
        kind=node.text("BkTxCd/Prtry/Cd", "BkTxCd/Domn/Fmly/SubFmlyCd"),
        counterparty=single.text(f"RltdPties/{side}/Id/IBAN", f"RltdPties/{side}/Id/Othr/Id") if single else "",
        reference=texts[0] if texts else "",
        description=node.text("AddtlNtryInf"),
        purpose=single.text("Purp/Cd", "Purp/Prtry") if single else "",
    )


def _amount(node: Node, currency: str) -> Money:
    """Signed by its direction. `currency`: that of the account, where it says one."""
    found, direction = node.find("Amt"), node.required("CdtDbtInd")
    if found is None:
        raise node.error("missing_element", "Amt is missing; the format requires it")
    if direction not in _SIGNS:
        raise node.error("invalid_direction", f"CdtDbtInd {direction[:10]!r} is neither CRDT nor DBIT")
    code = found.attribute("Ccy")
    if currency and code != currency:
        raise found.error("currency_mismatch", f"{code[:10]} on an account in {currency}")
    number = amounts.decimal(found.own_text, "amount", found.location)
    try:
        money = Money.from_decimal(number, code)
    except DomainError as error:
        raise found.error(error.code, error.message) from error
    return money if _SIGNS[direction] > 0 else -money


def _booked(node: Node, path: str) -> date | datetime:
    day = node.text(f"{path}/Dt")
    moment = _moment(node, f"{path}/DtTm")
    if moment is None and not day:
        raise node.error("missing_element", f"{path} is missing; when was it booked?")
    if moment is not None:
        return moment
    try:
        return date.fromisoformat(day[:10])  # xs:date may carry a zone; the day is the bank's
    except ValueError:
        raise node.error("invalid_date", f"{path} {day[:40]!r} is no date") from None


def _moment(node: Node, path: str) -> datetime | None:
    text = node.text(path)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise node.error("invalid_date", f"{path} {text[:40]!r} is no date and time") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _edge(of: date | datetime, days: int) -> datetime:
    """The beginning of a day, or so many days later; an instant is one."""
    return of if isinstance(of, datetime) else datetime.combine(of, time(), UTC) + timedelta(days=days)
