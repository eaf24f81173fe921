"""`starter.py account …`: open, fund, look at, freeze and close accounts."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from activities.steps import AccountStep
from cli import statements
from cli.arguments import (
    AccountArgument,
    AmountArgument,
    AsOfOption,
    CurrencyArgument,
    CursorOption,
    KeyOption,
    LimitOption,
    ReasonOption,
    money,
)
from cli.ids import new_id
from cli.output import JsonOption, console, print_fields, print_json, print_more, print_table
from cli.reading import run_query
from cli.session import DATA, DataOption, Session, run
from domain.errors import NotFound
from eventstore.lookups import Lookups
from queries.accounts import account_entries, list_accounts
from queries.standing import standing_account

app = typer.Typer(help="Open, fund, look at, freeze and close accounts.", no_args_is_help=True)
statements.register_on_accounts(app)


def _say(step: AccountStep, as_json: bool, what: str) -> None:
    if as_json:
        print_json(step)
        return
    console.print(
        f"account [bold]{step.account_id}[/bold] {what}: {step.status}, balance {step.balance} {step.currency}, "
        f"held {step.held}, available {step.available}"
    )


@app.command("open")
def open_account(
    account_id: AccountArgument,
    user: Annotated[str, typer.Option("--user", help="Whose account it is.")],
    currency: Annotated[str, typer.Option("--currency", help="An ISO 4217 code such as EUR.")],
    overdraft: Annotated[str | None, typer.Option("--overdraft", help="How far below zero it may go.")] = None,
    iban: Annotated[str | None, typer.Option("--iban", help="The IBAN payment files know it by.")] = None,
    rail: Annotated[
        str | None, typer.Option("--rail", help="The rail that reaches it, for an account at another bank.")
    ] = None,
    deposit: Annotated[str | None, typer.Option("--deposit", help="An opening deposit.")] = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Open an account."""

    async def work(session: Session) -> AccountStep:
        limit = None if overdraft is None else money(overdraft, currency)
        opening = None if deposit is None else money(deposit, currency)
        step = await session.accounts.open(
            account_id, user, currency.upper(), overdraft_limit=limit, iban=iban, rail=rail
        )
        if opening is None:
            return step
        return await session.accounts.deposit(account_id, opening, "opening", "opening deposit")

    _say(run(data, as_json, work), as_json, "opened")


@app.command()
def deposit(
    account_id: AccountArgument,
    amount: AmountArgument,
    currency: CurrencyArgument,
    reference: Annotated[str | None, typer.Option("--reference", help="Shown on the statement.")] = None,
    command_id: KeyOption = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Put money in from outside."""

    async def work(session: Session) -> AccountStep:
        return await session.accounts.deposit(account_id, money(amount, currency), new_id(command_id), reference)

    _say(run(data, as_json, work), as_json, "credited")


@app.command()
def withdraw(
    account_id: AccountArgument,
    amount: AmountArgument,
    currency: CurrencyArgument,
    reference: Annotated[str | None, typer.Option("--reference", help="Shown on the statement.")] = None,
    command_id: KeyOption = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Take money out of the system."""

    async def work(session: Session) -> AccountStep:
        return await session.accounts.withdraw(account_id, money(amount, currency), new_id(command_id), reference)

    _say(run(data, as_json, work), as_json, "debited")


@app.command()
def freeze(
    account_id: AccountArgument,
    reason: ReasonOption = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Block new debits and holds; credits and what is already held go on."""
    step = run(data, as_json, lambda session: session.accounts.freeze(account_id, new_id(), reason))
    _say(step, as_json, "frozen")


@app.command()
def unfreeze(
    account_id: AccountArgument,
    reason: ReasonOption = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Lift a freeze."""
    step = run(data, as_json, lambda session: session.accounts.unfreeze(account_id, new_id(), reason))
    _say(step, as_json, "unfrozen")


@app.command()
def close(
    account_id: AccountArgument,
    reason: ReasonOption = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Close an account on which nothing is left."""
    step = run(data, as_json, lambda session: session.accounts.close(account_id, new_id(), reason))
    _say(step, as_json, "closed")


@app.command()
def show(
    account_id: AccountArgument, as_of: AsOfOption = None, as_json: JsonOption = False, data: DataOption = DATA
) -> None:
    """An account now, or as it was at any instant, straight from the log."""

    async def work(session: Session) -> dict[str, Any]:
        if as_of is None:
            return (await session.accounts.show(account_id)).model_dump(mode="json")
        found = await standing_account(Lookups(session.books.pool), account_id, instant=as_of)
        if found is None:
            raise NotFound("account_not_found", f"account {account_id} did not exist at that time", "account_id")
        return asdict(found)

    fields = run(data, as_json, work)
    if as_json:
        print_json(fields)
    else:
        print_fields(f"account {account_id}", fields)


@app.command("list")
def list_all(
    user: Annotated[str | None, typer.Option("--user", help="Only this user's.")] = None,
    limit: LimitOption = 50,
    cursor: CursorOption = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Accounts, the newest first, from the view."""
    page = run_query(data, as_json, list_accounts(user, limit, cursor))
    if as_json:
        print_json(page)
        return
    print_table(
        "Accounts",
        ["account", "user", "status", "currency", "balance", "held", "available"],
        [(x.account_id, x.user_id, x.status, x.currency, x.balance, x.held, x.available) for x in page.items],
        right=["balance", "held", "available"],
    )
    print_more(page.next_cursor)


@app.command()
def entries(
    account_id: AccountArgument,
    limit: LimitOption = 50,
    cursor: CursorOption = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """What was booked on an account, the newest first, from the view."""
    page = run_query(data, as_json, account_entries(account_id, limit, cursor))
    if as_json:
        print_json(page)
        return
    statements.print_lines(f"Statement of {account_id}", page.items)
    print_more(page.next_cursor)
