"""`starter.py transfer|resolve`: start a cross-account saga, and an operator's way out of a stuck one."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from activities.steps import ResolveWish, TransferOrder, TransferStep
from cli.arguments import (
    AccountArgument,
    AmountArgument,
    ByOption,
    CurrencyArgument,
    KeyOption,
    NoteOption,
    TransferArgument,
    money,
    pairs,
)
from cli.ids import new_id
from cli.output import REFUSED, JsonOption, console, errors, print_json
from cli.quotes import QuoteOption, quotes_of
from cli.session import ACTOR, DATA, DataOption, Session, run, usage
from domain.transfer import Location, TransferStatus

ACTIONS = {"retry": "retry", "force-complete": "force_complete", "return": "return"}
SIGNS = {TransferStatus.COMPLETED: "green", TransferStatus.REJECTED: "red", TransferStatus.STUCK: "red"}
WHERE = {
    Location.SOURCE: "is at source",
    Location.HELD: "is held at source",
    Location.IN_TRANSIT: "is in transit",
    Location.SUSPENSE: "is in suspense",
    Location.DESTINATION: "is at destination",
    Location.RETURNED: "was returned to the account named",
}
UNDER_WAY = (TransferStatus.COMPLETED, TransferStatus.IN_REVIEW, TransferStatus.IN_TRANSIT)


def say(step: TransferStep, as_json: bool) -> None:
    """Where a transfer and its money stand."""
    if as_json:
        print_json(step)
    else:
        colour = SIGNS.get(step.status, "yellow")
        console.print(
            f"transfer [bold]{step.transfer_id}[/bold] [{colour}]{step.status}[/{colour}]: "
            f"{step.amount} {WHERE[step.location]}",
            soft_wrap=True,
        )
        if step.failure_reason:
            errors.print(f"[red]{step.failure_code}[/red]: {escape(step.failure_reason)}", soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Puts the commands of this module on the main application."""
    app.command()(transfer)
    app.command()(resolve)


def transfer(
    from_account: AccountArgument,
    to_account: AccountArgument,
    amount: AmountArgument,
    currency: CurrencyArgument,
    transfer_id: Annotated[
        str | None, typer.Option("--id", help="The transfer's id: repeating it transfers once.")
    ] = None,
    reference: Annotated[str | None, typer.Option("--reference")] = None,
    purpose: Annotated[str | None, typer.Option("--purpose")] = None,
    category: Annotated[str | None, typer.Option("--category")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="May be repeated.")] = None,
    quote: QuoteOption = None,
    meta: Annotated[list[str] | None, typer.Option("--meta", help="key=value; may be repeated.")] = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Transfer between two accounts and wait until it is done, undone, or waits for somebody."""

    async def work(session: Session) -> TransferStep:
        async with quotes_of(session) as quotes:
            promised = await quotes.promised(quote)
        order = TransferOrder(
            transfer_id=new_id(transfer_id),
            from_account=from_account,
            to_account=to_account,
            amount=money(amount, currency),
            reference=reference,
            quote=promised,
            purpose=purpose,
            category=category,
            tags=tuple(tag or ()),
            metadata=pairs(meta),
            actor=ACTOR,
        )
        return await session.transfers.transfer(order)

    step = run(data, as_json, work)
    say(step, as_json)
    if step.status not in UNDER_WAY:
        raise typer.Exit(REFUSED)


def resolve(
    transfer_id: TransferArgument,
    action: Annotated[str, typer.Argument(metavar="retry|force-complete|return")],
    to_account: Annotated[
        str | None, typer.Option("--to", help="With return: where to, if not to the source.")
    ] = None,
    note: NoteOption = None,
    by: ByOption = ACTOR,
    command_id: KeyOption = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Get a stuck transfer's money out of suspense: back to its source, or on to its destination."""
    if action not in ACTIONS and action not in ACTIONS.values():
        raise usage(f"a stuck transfer can be resolved by {', '.join(ACTIONS)}, not {action!r}", as_json)

    async def work(session: Session) -> TransferStep:
        wish = ResolveWish.model_validate(
            {
                "wish_id": new_id(command_id),
                "action": ACTIONS.get(action, action),
                "to_account": to_account,
                "note": note,
                "actor": by,
            }
        )
        return await session.transfers.resolve(transfer_id, wish)

    say(run(data, as_json, work), as_json)
