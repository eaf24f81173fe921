"""`starter.py account statement|summary`, `reconcile`: an account over a period, at a glance, by its bank."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, cast

import typer
from rich.markup import escape

from cli.arguments import AccountArgument, FromOption, ToOption
from cli.output import REFUSED, JsonOption, console, print_fields, print_json, print_table, write_file
from cli.reading import open_reader, run_query
from cli.session import DATA, DataOption, addresses, guarded, usage
from commands.statements import MEDIA_TYPES, Format, Reconciled, as_report, exported, reconciled_file
from payfiles.statement import StatementEntry
from queries.periods import months_back, period
from queries.reader import Question
from queries.statement_results import AccountSummary, Statement, StatementLine
from queries.statements import MAX_MONTHS, account_summary, whole_statement

MAX_ROWS = 50
"""Differences in the table for people; --json has them all."""

FormatOption = Annotated[str | None, typer.Option("--format", help="With --output: csv or camt.053.")]
OutputOption = Annotated[Path | None, typer.Option("--output", help="Write it to this file, in --format.")]


def register(app: typer.Typer) -> None:
    """Puts the command of this module on the main application."""
    app.command()(reconcile)


def register_on_accounts(app: typer.Typer) -> None:
    """Puts the others among those on accounts."""
    app.command()(statement)
    app.command()(summary)


def statement(
    account_id: AccountArgument,
    since: FromOption = None,
    until: ToOption = None,
    form: FormatOption = None,
    output: OutputOption = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """What was booked in a period, the oldest first, between opening and closing balance; or a file of it."""
    if form not in (None, *MEDIA_TYPES) or (form is None) != (output is None):
        raise usage(f"a file needs --format {' or '.join(MEDIA_TYPES)}, and --output with it", as_json)
    start, end = guarded(as_json, lambda: period(since, until, datetime.now(UTC)))
    found = run_query(data, as_json, whole_statement(account_id, start, end))
    if output is not None:
        content = guarded(as_json, lambda: exported(found, cast("Format", form)))
        write_file(output, content, as_json)
        if not as_json:
            console.print(
                f"{len(found.items)} entries, closing {found.closing_balance} {found.currency}: {output}"
            )
            return
    if as_json:
        print_json(found)
    else:
        print_statement(found)


def summary(
    account_id: AccountArgument,
    months: Annotated[
        int, typer.Option("--months", min=1, max=MAX_MONTHS, help="Of spending, this one included.")
    ] = 3,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Balance, available, the newest entries, and what was spent by month and category."""
    found = run_query(data, as_json, account_summary(account_id, months_back(datetime.now(UTC), months)))
    if as_json:
        print_json(found)
    else:
        print_summary(found)


def reconcile(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A camt.053 (ISO 20022) or CSV statement.")],
    account_id: Annotated[
        str | None, typer.Option("--account", help="The account it is of, if the file does not name it.")
    ] = None,
    days: Annotated[
        int,
        typer.Option("--days", min=0, max=10, help="How far apart equal amounts of no common name may be booked."),
    ] = 0,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Compare a bank's statement with the ledger: matched, missing, differing. Exit code 1 where they differ."""
    if not file.is_file():
        raise usage(f"there is no file {file}", as_json)

    async def compared() -> list[Reconciled]:
        async with open_reader(addresses(data)) as reader:

            async def ask(question: Question[Any]) -> Any:
                return (await reader.ask(question)).value

            return await reconciled_file(file, ask, account_id, days)

    found = guarded(as_json, lambda: asyncio.run(compared()))
    if as_json:
        print_json(as_report(found))
    else:
        for one in found:
            print_reconciled(one)
    if not all(one.result.agrees for one in found):
        raise typer.Exit(REFUSED)


def print_statement(found: Statement) -> None:
    """For people."""
    print_lines(f"Statement of {found.account_id}, {_time(found.from_at)} to {_time(found.to_at)}", found.items)
    print_sums(found)


def print_sums(found: Statement) -> None:
    """A whole period in one line."""
    console.print(
        f"opening {found.opening_balance} + {found.credits} ({found.credit_count}) − {found.debits} "
        f"({found.debit_count}) = closing {found.closing_balance} {found.currency}"
    )


def print_summary(found: AccountSummary) -> None:
    """For people."""
    standing = ("user_id", "status", "currency", "balance", "held", "available", "overdraft_limit")
    print_fields(f"account {found.account_id}", {name: getattr(found, name) for name in standing})
    print_lines("Newest", found.recent)
    rows = [(x.month, x.category, x.entries, x.amount) for x in found.spending]
    print_table("Spent", ["month", "category", "entries", "amount"], rows, right=["entries", "amount"])


def print_reconciled(found: Reconciled) -> None:
    """For people: what does not agree, and how much does."""
    result, rows = found.result, []
    for pair in result.differing:
        rows.append(("differs", *_told(pair.theirs), f"{pair.ours.amount} in the ledger ({pair.ours.entry_id})"))
    rows += [("missing in the ledger", *_told(entry), "") for entry in result.missing_in_ledger]
    rows += [("missing on the statement", *_told(entry), entry.entry_id) for entry in result.missing_in_statement]
    shown, more = rows[:MAX_ROWS], len(rows) - MAX_ROWS
    title = f"{found.file.statement_id} of {found.account_id}, {_time(found.since)} to {_time(found.until)}"
    if rows:
        print_table(title, ["", "booked", "amount", "known by", ""], shown, right=["amount"])
    else:
        console.print(f"{escape(title)}: every entry agrees", soft_wrap=True)
    if more > 0:
        console.print(f"… and {more} more; --json prints them all")
    for balance in result.balances:
        console.print(f"{balance.which} balance {balance.theirs}, {balance.ours} in the ledger")
    for warning in found.file.warnings:
        console.print(f"[yellow]warning[/yellow] {escape(str(warning))}", soft_wrap=True)
    console.print(
        f"{len(result.matched)} matched, {len(result.differing)} differ, {len(result.missing_in_ledger)} missing "
        f"in the ledger, {len(result.missing_in_statement)} missing on the statement",
        soft_wrap=True,
    )


def _told(entry: StatementEntry) -> tuple[object, ...]:
    return entry.day.isoformat(), entry.amount, ", ".join(entry.known_by[:2])


def print_lines(title: str, lines: Sequence[StatementLine]) -> None:
    """Entries as a table; category, location and tags only where there are any."""
    columns = ["at", "what", "counterparty", "amount", "balance"]
    rows: list[list[object]] = [[_time(x.at), x.kind, x.counterparty, x.amount, x.balance] for x in lines]
    for name, told in (
        ("category", ["" if x.category == x.kind else x.category for x in lines]),
        ("location", [x.location for x in lines]),
        ("tags", [", ".join(x.tags) for x in lines]),
    ):
        if any(told):
            columns.append(name)
            for row, value in zip(rows, told, strict=True):
                row.append(value)
    print_table(title, columns, rows, right=["amount", "balance"])


def _time(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S")
