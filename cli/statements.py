"""`starter.py account statement|summary`: an account over a period, and at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from cli.arguments import AccountArgument, FromOption, ToOption
from cli.output import JsonOption, console, print_fields, print_json, print_table
from cli.reading import run_query
from cli.session import DATA, DataOption, guarded
from queries.periods import months_back, period
from queries.statement_results import AccountSummary, Statement, StatementLine
from queries.statements import MAX_MONTHS, account_summary, whole_statement


def register(app: typer.Typer) -> None:
    """Puts the commands of this module among those on accounts."""
    app.command()(statement)
    app.command()(summary)


def statement(
    account_id: AccountArgument,
    since: FromOption = None,
    until: ToOption = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """What was booked in a period, the oldest first, between opening and closing balance."""
    start, end = guarded(as_json, lambda: period(since, until, datetime.now(UTC)))
    found = run_query(data, as_json, whole_statement(account_id, start, end))
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


def print_statement(found: Statement) -> None:
    """For people."""
    print_lines(f"Statement of {found.account_id}, {_time(found.from_at)} to {_time(found.to_at)}", found.items)
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
