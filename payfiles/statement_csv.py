"""Account statements as CSV, UTF-8.

    # account=lena currency=EUR from=2026-03-01T00:00:00Z to=… opening_balance=0.00 closing_balance=9.00
    entry,booked_at,amount,currency,balance,kind,category,counterparty,reference,…
    TM-12,2026-03-01T09:32:00Z,-10.00,EUR,90.00,payment,leisure,acc-bob,order 4711,…

Read are the columns of `COLUMNS` in any order; `booked_at` (a day or a time) and `amount` (signed) must be there.
Unknown columns are left alone: every bank has its own. A text that a spreadsheet would take for a formula is
written with an apostrophe before it, and read without.
"""

from __future__ import annotations

import csv
import io
from datetime import UTC, date, datetime
from typing import Final

from domain.errors import DomainError
from domain.money import Money
from payfiles import amounts, iban
from payfiles.csvlines import decode
from payfiles.element import zulu
from payfiles.errors import Findings, PaymentFileError
from payfiles.model import AccountRef
from payfiles.statement import MAX_ENTRIES, WRONG_SUM, StatementEntry, StatementFile, adds_up

COLUMNS: Final = (
    "entry", "booked_at", "amount", "currency", "balance", "kind", "category", "counterparty", "reference",
    "description", "purpose", "location", "tags", "end_to_end_id", "source",
)  # fmt: skip
FACTS: Final = ("statement", "account", "currency", "from", "to", "opening_balance", "closing_balance")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


def write_statement_csv(statement: StatementFile) -> bytes:
    """A line of facts, a header, then one booking a line, the oldest first."""
    assert statement.account is not None
    facts = {
        "statement": statement.statement_id,
        "account": statement.account.identifier,
        "currency": statement.currency,
        "from": statement.since and zulu(statement.since),
        "to": statement.until and zulu(statement.until),
        "opening_balance": statement.opening and statement.opening.amount,
        "closing_balance": statement.closing and statement.closing.amount,
    }
    out = io.StringIO()
    out.write("# " + " ".join(f"{name}={value}" for name, value in facts.items() if value) + "\r\n")
    lines = csv.writer(out)
    lines.writerow(COLUMNS)
    for entry in statement.entries:
        assert isinstance(entry.booked, datetime)
        texts = (entry.kind, entry.category, entry.counterparty, entry.reference, entry.description)
        more = (entry.purpose, entry.location, ", ".join(entry.tags), entry.end_to_end_id, entry.source)
        balance = entry.balance.amount if entry.balance else ""
        money = (entry.amount.amount, entry.amount.currency, balance)
        lines.writerow((entry.entry_id, zulu(entry.booked), *money, *map(_harmless, (*texts, *more))))
    return out.getvalue().encode()


def read_statement_csv(data: bytes, name: str, currency: str = "") -> StatementFile:
    """The statement `data`; `currency` is that of lines that say none. Raises PaymentFileError."""
    text = decode(data, name)
    facts, problems, warnings, entries = _facts(text, name), Findings(), Findings(), []
    rows = _rows(text, name)
    for number, row in rows:
        location = f"{name}:{number}"
        try:
            entries.append(_entry(row, facts.get("currency", currency), location))
        except PaymentFileError as error:
            problems.add_error(error)
    problems.raise_if_any(name)
    code = facts.get("currency") or currency or (entries[0].amount.currency if entries else "")
    if any(entry.amount.currency != code for entry in entries):
        raise PaymentFileError("currency_mismatch", f"not all of it is in {code}: one account, one currency", name)
    account = facts.get("account", "")
    known = iban.normalise(account) if iban.looks_like(account) else None
    stated = [facts.get(fact) for fact in ("opening_balance", "closing_balance")]
    opening, closing = (_money(amount, code, name) if amount else None for amount in stated)
    if not adds_up(opening, closing, entries):
        warnings.add("does_not_add_up", WRONG_SUM, name)
    return StatementFile(
        statement_id=facts.get("statement", name),
        account=AccountRef(known, None if known else account, "", code) if account else None,
        currency=code,
        since=_instant(facts["from"], name) if "from" in facts else None,
        until=_instant(facts["to"], name) if "to" in facts else None,
        opening=opening,
        closing=closing,
        entries=tuple(entries),
        format="csv",
        warnings=warnings.all(name),
    )


def _facts(text: str, name: str) -> dict[str, str]:
    line = text.split("\n", 1)[0].strip()
    if not line.startswith("#") or "=" not in line:
        return {}
    facts = dict(token.partition("=")[::2] for token in line.lstrip("#").split() if "=" in token)
    unknown = sorted(facts.keys() - set(FACTS))
    if unknown:
        message = f"{unknown[0]!r} is not understood: the # line may state {', '.join(FACTS)} as key=value"
        raise PaymentFileError("unknown_fact", message, f"{name}:1")
    return facts


def _rows(text: str, name: str) -> list[tuple[int, dict[str, str]]]:
    """By column, with the number of the line each ends on."""
    body = text
    skipped = 0
    while body.startswith("#") or (body and not body.split("\n", 1)[0].strip()):
        body, skipped = body.partition("\n")[2], skipped + 1
    header = body.split("\n", 1)[0]
    reader = csv.reader(
        io.StringIO(body), delimiter=";" if header.count(";") > header.count(",") else ",", strict=True
    )
    try:
        columns = [column.strip().lower() for column in next(reader, [])]
        for needed in ("booked_at", "amount"):
            if columns.count(needed) != 1:
                message = f"the header line needs one column {needed!r}: expected {','.join(COLUMNS)}"
                raise PaymentFileError("missing_column", message, f"{name}:{skipped + 1}")
        rows: list[tuple[int, dict[str, str]]] = []
        for fields in reader:
            if any(field.strip() for field in fields):
                if len(fields) != len(columns):
                    message = f"{len(fields)} fields, but the header line has {len(columns)}"
                    raise PaymentFileError("bad_line", message, f"{name}:{skipped + reader.line_num}")
                if len(rows) == MAX_ENTRIES:
                    raise PaymentFileError("too_many_items", f"more than {MAX_ENTRIES} entries: split it", name)
                rows.append((skipped + reader.line_num, dict(zip(columns, map(str.strip, fields), strict=True))))
        return rows
    except csv.Error as error:
        place = f"{name}:{skipped + reader.line_num}"
        raise PaymentFileError("bad_line", f"cannot be read as CSV ({error})", place) from None


def _entry(row: dict[str, str], currency: str, location: str) -> StatementEntry:
    told = {name: _plain(row.get(name, "")) for name in COLUMNS}
    code = told["currency"] or currency
    if not code:
        raise PaymentFileError("missing_field", "no currency: add a column, or state it in the # line", location)
    return StatementEntry(
        amount=_money(row["amount"], code, location),
        booked=_booked(row["booked_at"], location),
        entry_id=told["entry"],
        end_to_end_id=told["end_to_end_id"],
        balance=_money(row["balance"], code, location) if row.get("balance") else None,
        kind=told["kind"],
        category=told["category"],
        counterparty=told["counterparty"],
        reference=told["reference"],
        description=told["description"],
        purpose=told["purpose"],
        location=told["location"],
        tags=tuple(filter(None, told["tags"].split(", "))),
        source=told["source"],
    )


def _money(text: str, currency: str, location: str) -> Money:
    """Signed."""
    negative = text.startswith("-")
    number = amounts.decimal(text[1:] if negative else text, "amount", location)
    try:
        money = Money.from_decimal(number, currency)
    except DomainError as error:
        raise PaymentFileError(error.code, error.message, location) from error
    return -money if negative else money


def _booked(text: str, location: str) -> date | datetime:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return _instant(text, location)


def _instant(text: str, location: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        message = f"{text[:40]!r} is no day like 2026-01-31 and no time like 2026-01-31T12:00:00Z"
        raise PaymentFileError("invalid_date", message, location) from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _harmless(text: str) -> str:
    return f"'{text}" if text.startswith((*_FORMULA, "'")) else text


def _plain(text: str) -> str:
    return text[1:] if text[:1] == "'" and text[1:2] in (*_FORMULA, "'") and len(text) > 1 else text
