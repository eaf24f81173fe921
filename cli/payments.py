"""`starter.py pay|capture|refund` and `dispute …`: the life of a payment from the command line."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape

from activities.steps import (
    CaptureWish,
    DisputeDecision,
    DisputeWish,
    PaymentOrder,
    PaymentStep,
    RefundWish,
)
from cli.arguments import (
    AccountArgument,
    AmountArgument,
    ByOption,
    CurrencyArgument,
    KeyOption,
    NoteOption,
    PaymentArgument,
    ReasonOption,
    money,
    optional_money,
    pairs,
)
from cli.ids import new_id
from cli.output import REFUSED, JsonOption, console, errors, print_json
from cli.quotes import QuoteOption, quotes_of
from cli.session import ACTOR, DATA, DataOption, Session, run, usage
from domain.payment import PaymentStatus

dispute_app = typer.Typer(help="Open and decide disputes.", no_args_is_help=True)

NOT_PAID = (PaymentStatus.FAILED, PaymentStatus.CANCELLED, PaymentStatus.EXPIRED)
SIGNS = {PaymentStatus.PROCESSED: "green", PaymentStatus.FAILED: "red"}


def say(step: PaymentStep, as_json: bool) -> None:
    """Where a payment stands."""
    if as_json:
        print_json(step)
    else:
        colour = SIGNS.get(step.status, "yellow")
        console.print(
            f"payment [bold]{step.payment_id}[/bold] [{colour}]{step.status}[/{colour}]: "
            f"{step.captured} of {step.amount} captured, fee {step.fee}, refunded {step.refunded.amount}",
            soft_wrap=True,
        )
        if step.failure_reason:
            errors.print(f"[red]{step.failure_code}[/red]: {escape(step.failure_reason)}", soft_wrap=True)


def register(app: typer.Typer) -> None:
    """Puts the commands of this module on the main application."""
    app.command()(pay)
    app.command()(capture)
    app.command()(refund)
    app.add_typer(dispute_app, name="dispute")


def pay(
    from_account: AccountArgument,
    to_account: AccountArgument,
    amount: AmountArgument,
    currency: CurrencyArgument,
    payment_id: Annotated[
        str | None, typer.Option("--id", help="The payment's id: repeating it pays once.")
    ] = None,
    manual: Annotated[bool, typer.Option("--manual", help="Authorise only; capture later.")] = False,
    expires_in_s: Annotated[
        int | None, typer.Option("--expires-in", help="Seconds until what is not captured is voided.")
    ] = None,
    reference: Annotated[str | None, typer.Option("--reference")] = None,
    description: Annotated[str | None, typer.Option("--description")] = None,
    category: Annotated[str | None, typer.Option("--category")] = None,
    quote: QuoteOption = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="May be repeated.")] = None,
    meta: Annotated[list[str] | None, typer.Option("--meta", help="key=value; may be repeated.")] = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Pay from one account to another and wait until it is done or waits for somebody."""

    async def work(session: Session) -> PaymentStep:
        async with quotes_of(session) as quotes:
            promised = await quotes.promised(quote)
        order = PaymentOrder(
            payment_id=new_id(payment_id),
            from_account=from_account,
            to_account=to_account,
            amount=money(amount, currency),
            capture="manual" if manual else "automatic",
            expires_in_s=expires_in_s,
            reference=reference,
            quote=promised,
            description=description,
            category=category,
            tags=tuple(tag or ()),
            metadata=pairs(meta),
            actor=ACTOR,
        )
        return await session.payments.pay(order)

    step = run(data, as_json, work)
    say(step, as_json)
    if step.status in NOT_PAID:
        raise typer.Exit(REFUSED)


def capture(
    payment_id: PaymentArgument,
    amount: Annotated[str | None, typer.Argument(help="All that is left, if not given.")] = None,
    currency: Annotated[str | None, typer.Argument()] = None,
    command_id: KeyOption = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Capture all or a part of a payment made with --manual."""

    async def work(session: Session) -> PaymentStep:
        wish = CaptureWish(wish_id=new_id(command_id), amount=optional_money(amount, currency), actor=ACTOR)
        return await session.payments.capture(payment_id, wish)

    say(run(data, as_json, work), as_json)


def refund(
    payment_id: PaymentArgument,
    amount: Annotated[str | None, typer.Argument(help="All that is left, if not given.")] = None,
    currency: Annotated[str | None, typer.Argument()] = None,
    reason: ReasonOption = None,
    command_id: KeyOption = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Give back all or a part of a processed payment, from the payee."""

    async def work(session: Session) -> PaymentStep:
        wish = RefundWish(
            wish_id=new_id(command_id), amount=optional_money(amount, currency), reason=reason, actor=ACTOR
        )
        return await session.payments.refund(payment_id, wish)

    say(run(data, as_json, work), as_json)


@dispute_app.command("open")
def dispute_open(
    payment_id: PaymentArgument,
    reason: Annotated[str, typer.Option("--reason", help="What the payer says.")],
    command_id: KeyOption = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Dispute a processed payment; what the payee has of it is reserved."""

    async def work(session: Session) -> PaymentStep:
        wish = DisputeWish(wish_id=new_id(command_id), reason=reason, actor=ACTOR)
        return await session.payments.dispute(payment_id, wish)

    say(run(data, as_json, work), as_json)


@dispute_app.command("resolve")
def dispute_resolve(
    payment_id: PaymentArgument,
    outcome: Annotated[str, typer.Argument(metavar="won|lost", help="won: the payee keeps the money.")],
    note: NoteOption = None,
    by: ByOption = ACTOR,
    command_id: KeyOption = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Decide a dispute."""
    if outcome not in ("won", "lost"):
        raise usage(f"a dispute is won or lost, not {outcome!r}", as_json)

    async def work(session: Session) -> PaymentStep:
        decision = DisputeDecision.model_validate(
            {"wish_id": new_id(command_id), "outcome": outcome, "note": note, "actor": by}
        )
        return await session.payments.resolve_dispute(payment_id, decision)

    say(run(data, as_json, work), as_json)
