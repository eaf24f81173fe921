"""`starter.py show|watch|cancel|review`: what payments and transfers have in common."""

from __future__ import annotations

from typing import Annotated, Literal

import typer
from rich.markup import escape

from activities.steps import CancelWish, PaymentStep, ReviewWish, TransferStep
from cli import payments, transfers
from cli.arguments import ByOption, NoteOption, ReasonOption
from cli.ids import new_id
from cli.output import JsonOption, console, print_json
from cli.session import ACTOR, DATA, DataOption, Session, run, usage
from cli.timeline import facts, print_timeline, wire
from domain.errors import NotFound
from domain.streams import id_of, payment_stream, transfer_stream
from eventstore.events import RecordedEvent
from eventstore.tail import Tail

Kind = Literal["payment", "transfer"]
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="A payment's or a transfer's id.")]
KindOption = Annotated[str | None, typer.Option("--kind", help="payment or transfer, where both have this id.")]


async def find(session: Session, subject_id: str, kind: str | None) -> tuple[Kind, list[RecordedEvent]]:
    """Which of the two the id names, and its events."""
    streams: dict[Kind, str] = {
        "payment": payment_stream(subject_id),
        "transfer": transfer_stream(subject_id),
    }
    loaded = await session.books.store.load_many(dict.fromkeys(streams.values(), 0))
    found: list[tuple[Kind, list[RecordedEvent]]] = [
        (name, loaded[stream]) for name, stream in streams.items() if loaded.get(stream) and kind in (None, name)
    ]
    if not found:
        raise NotFound("not_found", f"no {kind or 'payment or transfer'} has the id {subject_id}", "id")
    if len(found) > 1:
        raise NotFound("ambiguous_id", f"{subject_id} is a payment and a transfer: say --kind", "id")
    return found[0]


def register(app: typer.Typer) -> None:
    """Puts the commands of this module on the main application."""
    app.command()(show)
    app.command()(watch)
    app.command()(cancel)
    app.command()(review)


def show(
    subject_id: IdArgument, kind: KindOption = None, as_json: JsonOption = False, data: DataOption = DATA
) -> None:
    """The time line of a payment or a transfer, from the log."""
    name, events = run(data, as_json, lambda session: find(session, subject_id, kind))
    if as_json:
        print_json({"kind": name, "id": subject_id, "events": [wire(event) for event in events]})
    else:
        print_timeline(f"{name} {subject_id}", events)


def watch(
    subject_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="Only this one.")] = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Stop after so many events.")] = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Follow the log as it grows, until Ctrl-C."""

    async def work(session: Session) -> None:
        store, seen = session.books.store, 0
        position = (await store.head()).last_position if subject_id is None else 0
        async with Tail(session.settings.database_url) as tail:
            while limit is None or seen < limit:
                for event in await store.read(position, 500):
                    position = event.position or position
                    if subject_id is not None and id_of(event.stream) != subject_id:
                        continue
                    seen += 1
                    print_event(event, as_json)
                    if seen == limit:
                        return
                await tail.wait(position, 1.0)

    run(data, as_json, work)


def print_event(event: RecordedEvent, as_json: bool) -> None:
    """One event, as it comes."""
    if as_json:
        print_json({"position": event.position, **wire(event)})
    else:
        what = f"{event.stream}@{event.version} [bold]{event.type}[/bold] {escape(facts(event.data))}"
        console.print(f"{event.position:>8} {what}", soft_wrap=True)


def cancel(
    subject_id: IdArgument,
    reason: ReasonOption = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Send a signal; do not wait.")] = False,
    kind: KindOption = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Cancel a payment or transfer, and say what that achieved."""

    async def work(session: Session) -> PaymentStep | TransferStep | None:
        wish = CancelWish(wish_id=new_id(), reason=reason, actor=ACTOR)
        name, _ = await find(session, subject_id, kind)
        commands = session.payments if name == "payment" else session.transfers
        if no_wait:
            await commands.signal_cancel(subject_id, wish)
            return None
        return await commands.cancel(subject_id, wish)

    said(run(data, as_json, work), as_json)


def review(
    subject_id: IdArgument,
    decision: Annotated[str, typer.Argument(metavar="approve|reject")],
    note: NoteOption = None,
    by: ByOption = ACTOR,
    kind: KindOption = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Approve or reject what screening holds for review."""
    if decision not in ("approve", "reject"):
        raise usage(f"decide approve or reject, not {decision!r}", as_json)

    async def work(session: Session) -> PaymentStep | TransferStep:
        wish = ReviewWish(wish_id=new_id(), approve=decision == "approve", note=note, actor=by)
        name, _ = await find(session, subject_id, kind)
        if name == "payment":
            return await session.payments.review(subject_id, wish)
        return await session.transfers.review(subject_id, wish)

    said(run(data, as_json, work), as_json)


def said(step: PaymentStep | TransferStep | None, as_json: bool) -> None:
    """The answer, in the words of its kind."""
    match step:
        case PaymentStep():
            payments.say(step, as_json)
        case TransferStep():
            transfers.say(step, as_json)
        case None if as_json:
            print_json({"signalled": True})
        case None:
            console.print("signalled")
