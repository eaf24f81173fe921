"""`starter.py standing-order`: transfers by a timetable, or once at a later time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from activities.standing_order_steps import (
    AmendStandingOrderWish,
    CancelStandingOrderWish,
    PauseOrderWish,
    ResumeOrderWish,
    SkipRunWish,
    StandingOrderRequest,
    StandingOrderStep,
)
from cli.arguments import (
    AccountArgument,
    AmountArgument,
    CurrencyArgument,
    CursorOption,
    KeyOption,
    LimitOption,
    ReasonOption,
    money,
    pairs,
)
from cli.ids import new_id
from cli.output import JsonOption, console, print_fields, print_json, print_more, print_table
from cli.reading import run_query
from cli.session import ACTOR, DATA, DataOption, Session, run
from domain.errors import InvalidInput
from domain.standing_order_messages import Instruction
from domain.timetable import Timetable
from queries.standing_orders import list_runs, list_standing_orders

standing_orders_app = typer.Typer(
    help="Standing orders and scheduled transfers: create, pause, skip, look.", no_args_is_help=True
)

OrderArgument = Annotated[str, typer.Argument(metavar="ID", help="The standing order's id.")]


def register(app: typer.Typer) -> None:
    """Puts the commands of this module on the main application."""
    app.add_typer(standing_orders_app, name="standing-order")


def _instant(given: str | None, field: str) -> datetime | None:
    """With its offset, or in UTC."""
    if given is None:
        return None
    try:
        found = datetime.fromisoformat(given)
    except ValueError:
        said = f"{given} is no instant such as 2030-01-31T08:00:00+01:00"
        raise InvalidInput(f"invalid_{field}", said, field) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _at(instant: datetime | None) -> str:
    return "–" if instant is None else f"{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def _say(step: StandingOrderStep, as_json: bool) -> None:
    if as_json:
        print_json(step)
        return
    console.print(
        f"standing order [bold]{step.standing_order_id}[/bold] {step.status}: {step.amount} "
        f"{step.timetable.frequency}, next run {_at(step.next_at)}",
        soft_wrap=True,
    )


@standing_orders_app.command()
def create(
    from_account: AccountArgument,
    to_account: AccountArgument,
    amount: AmountArgument,
    currency: CurrencyArgument,
    first: Annotated[str, typer.Argument(metavar="FIRST", help="The first run: 2030-01-31T08:00:00+01:00.")],
    frequency: Annotated[
        str,
        typer.Option("--frequency", help="once, interval, daily, weekly, monthly, quarterly or yearly."),
    ] = "once",
    time_zone: Annotated[str, typer.Option("--time-zone", help="Whose clock it follows.")] = "UTC",
    every_s: Annotated[int | None, typer.Option("--every", min=1, help="Seconds, of an interval.")] = None,
    day: Annotated[int | None, typer.Option("--day", min=1, max=31, help="Of the month; 31: its last.")] = None,
    end: Annotated[str | None, typer.Option("--end", help="The last instant at which it may run.")] = None,
    missed: Annotated[
        str, typer.Option("--missed", help="A run that could not be made in time: catch_up or skip.")
    ] = "catch_up",
    reference: Annotated[str | None, typer.Option("--reference")] = None,
    purpose: Annotated[str | None, typer.Option("--purpose")] = None,
    category: Annotated[str | None, typer.Option("--category")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="May be repeated.")] = None,
    meta: Annotated[list[str] | None, typer.Option("--meta", help="key=value; may be repeated.")] = None,
    order_id: Annotated[
        str | None, typer.Option("--id", help="The standing order's id: repeating it creates one.")
    ] = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Transfer again and again by a timetable; with frequency once, one time later on."""

    async def work(session: Session) -> StandingOrderStep:
        table = {
            "frequency": frequency,
            "first_at": _instant(first, "first_at"),
            "time_zone": time_zone,
            "every_s": every_s,
            "day_of_month": day,
            "end_at": _instant(end, "end_at"),
        }
        request = StandingOrderRequest.model_validate(
            {
                "standing_order_id": new_id(order_id),
                "instruction": Instruction(
                    from_account=from_account,
                    to_account=to_account,
                    amount=money(amount, currency),
                    reference=reference,
                    purpose=purpose,
                    category=category,
                    tags=tuple(tag or ()),
                    metadata=pairs(meta),
                ),
                "timetable": Timetable.model_validate(table),
                "missed_runs": missed,
                "actor": ACTOR,
            }
        )
        return await session.standing_orders.create(request)

    _say(run(data, as_json, work), as_json)


@standing_orders_app.command()
def pause(
    order_id: OrderArgument,
    reason: ReasonOption = None,
    command_id: KeyOption = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """No run until it is resumed."""

    async def work(session: Session) -> StandingOrderStep:
        wish = PauseOrderWish(wish_id=new_id(command_id), reason=reason, actor=ACTOR)
        return await session.standing_orders.pause(order_id, wish)

    _say(run(data, as_json, work), as_json)


@standing_orders_app.command()
def resume(
    order_id: OrderArgument, command_id: KeyOption = None, as_json: JsonOption = False, data: DataOption = DATA
) -> None:
    """On with the next run from now on; what came due meanwhile is passed over."""

    async def work(session: Session) -> StandingOrderStep:
        wish = ResumeOrderWish(wish_id=new_id(command_id), actor=ACTOR)
        return await session.standing_orders.resume(order_id, wish)

    _say(run(data, as_json, work), as_json)


@standing_orders_app.command()
def amend(
    order_id: OrderArgument,
    amount: Annotated[str | None, typer.Option("--amount", help="In its currency.")] = None,
    reference: Annotated[str | None, typer.Option("--reference")] = None,
    purpose: Annotated[str | None, typer.Option("--purpose")] = None,
    end: Annotated[str | None, typer.Option("--end", help="The last instant at which it may run.")] = None,
    command_id: KeyOption = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Another amount, reference, purpose or end, for the runs to come; what is not said stays."""

    async def work(session: Session) -> StandingOrderStep:
        currency = (await session.standing_orders.show(order_id)).amount.currency
        wish = AmendStandingOrderWish(
            wish_id=new_id(command_id),
            amount=None if amount is None else money(amount, currency),
            reference=reference,
            purpose=purpose,
            end_at=_instant(end, "end_at"),
            actor=ACTOR,
        )
        return await session.standing_orders.amend(order_id, wish)

    _say(run(data, as_json, work), as_json)


@standing_orders_app.command()
def skip(
    order_id: OrderArgument,
    at: Annotated[str | None, typer.Option("--at", help="Only if this is the next run.")] = None,
    reason: ReasonOption = None,
    command_id: KeyOption = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Leave out the next run."""

    async def work(session: Session) -> StandingOrderStep:
        run_at = _instant(at, "run_at")
        wish = SkipRunWish(wish_id=new_id(command_id), run_at=run_at, reason=reason, actor=ACTOR)
        return await session.standing_orders.skip(order_id, wish)

    _say(run(data, as_json, work), as_json)


@standing_orders_app.command()
def cancel(
    order_id: OrderArgument,
    reason: ReasonOption = None,
    command_id: KeyOption = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """No run more; a transfer that a run has started goes on."""

    async def work(session: Session) -> StandingOrderStep:
        wish = CancelStandingOrderWish(wish_id=new_id(command_id), reason=reason, actor=ACTOR)
        return await session.standing_orders.cancel(order_id, wish)

    _say(run(data, as_json, work), as_json)


@standing_orders_app.command()
def show(order_id: OrderArgument, as_json: JsonOption = False, data: DataOption = DATA) -> None:
    """A standing order now, straight from the log."""
    step = run(data, as_json, lambda session: session.standing_orders.show(order_id))
    if as_json:
        print_json(step)
        return
    told = step.model_dump(mode="json", exclude={"timetable", "amount"}) | {"amount": str(step.amount)}
    print_fields(f"standing order {order_id}", told | step.timetable.model_dump(mode="json", exclude_none=True))


@standing_orders_app.command()
def runs(
    order_id: OrderArgument,
    limit: LimitOption = 50,
    cursor: CursorOption = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Its runs, the latest first, from the view."""
    page = run_query(data, as_json, list_runs(order_id, limit, cursor))
    if as_json:
        print_json(page)
        return
    print_table(
        f"Runs of {order_id}",
        ["due", "outcome", "transfer", "its status", "why"],
        [
            (_at(x.run_at), x.outcome, x.transfer_id or "", x.transfer_status or "", x.reason or "")
            for x in page.items
        ],
    )
    print_more(page.next_cursor)


@standing_orders_app.command("list")
def list_all(
    user: Annotated[str | None, typer.Option("--user", help="Only this user's.")] = None,
    status: Annotated[str | None, typer.Option("--status", help="active, paused, ended or cancelled.")] = None,
    limit: LimitOption = 50,
    cursor: CursorOption = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Standing orders, the newest first, from the view."""
    page = run_query(data, as_json, list_standing_orders(user, status, limit, cursor))
    if as_json:
        print_json(page)
        return
    print_table(
        "Standing orders",
        ["standing order", "user", "amount", "frequency", "status", "next run", "made", "failed", "missed"],
        [
            (
                x.standing_order_id,
                x.user_id,
                f"{x.amount} {x.currency}",
                x.frequency,
                x.status,
                _at(x.next_at),
                x.made,
                x.failed,
                x.missed,
            )
            for x in page.items
        ],
        right=["amount", "made", "failed", "missed"],
    )
    print_more(page.next_cursor)
