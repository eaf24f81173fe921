"""Statements in and out: an account's statement as a file, and a bank's file against the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal

from activities.ledger import utc_now
from domain.errors import InvalidInput, NotFound
from domain.money import Money
from payfiles.camt053_write import statement_id, write_camt053
from payfiles.errors import PaymentFileError
from payfiles.model import AccountRef
from payfiles.read import read_statements
from payfiles.reconcile import Pair, Reconciliation, reconcile
from payfiles.statement import StatementEntry, StatementFile
from payfiles.statement_csv import write_statement_csv
from queries.accounts import AccountView, find_account_by_iban, get_account
from queries.errors import NotFound as Missing
from queries.reader import Question
from queries.statement_results import Statement, StatementLine
from queries.statements import whole_statement

Ask = Callable[[Question[Any]], Awaitable[Any]]
"""A question's answer."""

Sees = Callable[[AccountView], bool]
"""Whether who asks may know of an account; one that they may not is as one that is not there."""

Unreadable = PaymentFileError
"""The file is refused as a whole; `problems` says what is wrong where."""

Format = Literal["csv", "camt.053"]
MEDIA_TYPES: Final[dict[Format, str]] = {"csv": "text/csv; charset=utf-8", "camt.053": "application/xml"}


def everybody(_account: AccountView) -> bool:
    """Of who may see all accounts."""
    return True


def exported(statement: Statement, form: Format) -> bytes:
    """The whole statement as a file. Raises PaymentFileError where the format has no room for the account."""
    file = as_file(statement)
    return write_statement_csv(file) if form == "csv" else write_camt053(file, utc_now())


def as_file(statement: Statement) -> StatementFile:
    """What the views say, in the words of files."""
    currency, account_id = statement.currency, statement.account_id
    return StatementFile(
        statement_id=statement_id(account_id, statement.from_at, statement.to_at),
        account=AccountRef(statement.iban, None if statement.iban else account_id, statement.user_id, currency),
        currency=currency,
        since=statement.from_at,
        until=statement.to_at,
        opening=Money.from_decimal(statement.opening_balance, currency),
        closing=Money.from_decimal(statement.closing_balance, currency),
        entries=tuple(map(_entry, statement.items)),
        format="ledger",
    )


def _entry(line: StatementLine) -> StatementEntry:
    source = line.source or ""
    return StatementEntry(
        amount=Money.from_decimal(line.amount, line.currency),
        booked=line.at,
        entry_id=f"TM-{line.position}",
        end_to_end_id=line.end_to_end_id or source.partition("-")[2],
        balance=Money.from_decimal(line.balance, line.currency),
        kind=line.kind,
        category="" if line.category == line.kind else line.category,
        counterparty=line.counterparty or "",
        reference=line.reference or "",
        description=line.description or "",
        purpose=line.purpose or "",
        location=line.location or "",
        tags=line.tags,
        source=source,
    )


@dataclass(frozen=True, slots=True)
class Reconciled:
    """One statement of a file against the ledger of `account_id` over [since, until)."""

    file: StatementFile
    account_id: str
    since: datetime
    until: datetime
    result: Reconciliation


def as_document(found: Reconciled) -> dict[str, Any]:
    """As JSON has it."""
    file, result = found.file, found.result
    return {
        "statement_id": file.statement_id,
        "format": file.format,
        "account_id": found.account_id,
        "currency": file.currency,
        "from_at": found.since,
        "to_at": found.until,
        "agrees": result.agrees,
        "matched": [_pair(pair) for pair in result.matched],
        "differing": [_pair(pair) for pair in result.differing],
        "missing_in_ledger": [_booking(entry) for entry in result.missing_in_ledger],
        "missing_in_statement": [_booking(entry) for entry in result.missing_in_statement],
        "balances": [
            {"which": x.which, "statement": x.theirs.amount, "ledger": x.ours.amount} for x in result.balances
        ],
        "warnings": [asdict(warning) for warning in file.warnings],
    }


def _pair(pair: Pair) -> dict[str, Any]:
    return {"by": pair.by, "statement": _booking(pair.theirs), "ledger": _booking(pair.ours)}


def _booking(entry: StatementEntry) -> dict[str, Any]:
    return {
        "entry": entry.entry_id or None,
        "booked": entry.booked.isoformat(),
        **entry.amount.wire(),
        "end_to_end_id": entry.end_to_end_id or None,
        "reference": entry.reference or None,
        "counterparty": entry.counterparty or None,
    }


async def reconciled(
    file: StatementFile, ask: Ask, account_id: str | None = None, days: int = 0, sees: Sees = everybody
) -> Reconciled:
    """`account_id`: the account it is of; else the one that the file names, by IBAN or id.

    Raises NotFound, InvalidInput where the period or the currency is not the account's.
    """
    account = await _account(file, ask, account_id, sees)
    if file.currency and account.currency != file.currency:
        message = f"account {account.account_id} is in {account.currency}, the statement in {file.currency}"
        raise InvalidInput("currency_mismatch", message, "currency")
    if file.period is None:
        raise InvalidInput("no_period", "the statement is empty and states no period: nothing to compare", "from")
    since, until = file.period
    ours = as_file(await ask(whole_statement(account.account_id, since, until)))
    return Reconciled(file, account.account_id, since, until, await asyncio.to_thread(reconcile, file, ours, days))


async def reconciled_file(
    source: Path | bytes,
    ask: Ask,
    account_id: str | None = None,
    days: int = 0,
    *,
    sees: Sees = everybody,
    most: int | None = None,
) -> list[Reconciled]:
    """Every statement of a file, or of its bytes, of which there may be `most`. Raises Unreadable besides."""
    currency = "" if account_id is None else (await _existing(account_id, ask, sees)).currency
    name = "statement" if isinstance(source, bytes) else None
    files = await asyncio.to_thread(read_statements, source, name=name, currency=currency)
    if most is not None and len(files) > most:
        message = f"the file holds {len(files)} statements, and {most} are compared at once: split it"
        raise InvalidInput("too_many_statements", message)
    return [await reconciled(file, ask, account_id, days, sees) for file in files]


def as_report(found: Sequence[Reconciled]) -> dict[str, Any]:
    """A whole file's, as JSON has it."""
    return {"agrees": all(one.result.agrees for one in found), "statements": list(map(as_document, found))}


async def _account(file: StatementFile, ask: Ask, account_id: str | None, sees: Sees) -> AccountView:
    named = account_id or (file.account.other if file.account else None)
    if named is None and file.account is not None and file.account.iban is not None:
        found: AccountView | None = await ask(find_account_by_iban(file.account.iban, file.currency or None))
        if found is None or not sees(found):
            message = f"no account has IBAN {file.account.iban} in {file.currency}: name the account it is of"
            raise NotFound("account_not_found", message, "account_id")
        return found
    if named is None:
        raise InvalidInput(
            "account_missing", "the statement names no account: name the one it is of", "account_id"
        )
    return await _existing(named, ask, sees)


async def _existing(account_id: str, ask: Ask, sees: Sees) -> AccountView:
    missing = NotFound("account_not_found", f"account {account_id} does not exist", "account_id")
    try:
        found: AccountView = await ask(get_account(account_id))
    except Missing:
        raise missing from None
    if not sees(found):
        raise missing
    return found
