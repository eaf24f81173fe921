"""`starter.py batch FILE --as-one`, `batch-status`, `-pause`, `-resume`, `-cancel`: a batch as one saga."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from rich.markup import escape

from activities.steps import BatchStep, CancelWish, PauseWish, ResumeWish
from cli.arguments import ByOption, KeyOption, ReasonOption
from cli.ids import new_id
from cli.output import REFUSED, JsonOption, console, errors, invalid, print_json, print_table
from cli.progress import counting
from cli.session import ACTOR, DATA, DataOption, Session, run
from commands.batch import order_of
from commands.batch_accounts import AccountBook, Unresolved, pocket_of
from commands.transfer_batches import BatchTerms
from domain.batch import FINAL, BatchStatus
from domain.batch_items import BatchItem
from domain.errors import InvalidInput
from domain.model import Id, Metadata, Text
from domain.money import Money
from payfiles.model import PaymentFile

POLL_S = 0.2
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,92}", re.ASCII)
MAX_REASONS = 20
BatchArgument = Annotated[str, typer.Argument(metavar="BATCH", help="The batch's id.")]


def register(app: typer.Typer) -> None:
    """Puts the commands of this module on the main application."""
    app.command("batch-status")(status)
    app.command("batch-pause")(pause)
    app.command("batch-resume")(resume)
    app.command("batch-cancel")(cancel)


class Line(BaseModel):
    """One line of an NDJSON file."""

    model_config = ConfigDict(extra="forbid")

    from_account: Id
    to_account: Id
    amount: str
    currency: str
    reference: Text | None = None
    purpose: Text | None = None
    metadata: Metadata = Field(default={}, max_length=20)


def is_ndjson(file: Path) -> bool:
    """By its name."""
    return file.suffix.lower() in (".ndjson", ".jsonl")


def items_of_lines(file: Path) -> Iterator[BatchItem]:
    """The items of an NDJSON file, one line at a time. Raises InvalidInput with the item's number."""
    number = 0
    with file.open("rb") as lines:
        for line in lines:
            if not line.strip():
                continue
            number += 1
            try:
                read = Line.model_validate(orjson.loads(line))
                money = Money.parse(read.amount, read.currency)
            except orjson.JSONDecodeError:
                raise InvalidInput("bad_json", f"item {number} is not JSON", f"items[{number}]") from None
            except ValidationError as error:
                message, field = invalid(error)
                raise InvalidInput(
                    "invalid_field", f"item {number}: {message}", f"items[{number}].{field}"
                ) from None
            except InvalidInput as error:
                raise InvalidInput(
                    error.code, f"item {number}: {error.message}", f"items[{number}].amount"
                ) from None
            yield BatchItem(
                number, read.from_account, read.to_account, money, read.reference, read.purpose, read.metadata
            )


def id_of_lines(file: Path) -> str:
    """What an NDJSON file is called where nobody says: the same bytes are the same batch."""
    with file.open("rb") as opened:
        return f"ndjson-{hashlib.file_digest(opened, 'sha256').hexdigest()[:24]}"


def id_of_file(message_id: str) -> str:
    """A payment file's message id where it can be a batch's id; else what is made of it."""
    if _ID.fullmatch(message_id):
        return message_id
    return f"file-{hashlib.sha256(message_id.encode()).hexdigest()[:24]}"


async def items_of_file(payments: PaymentFile, accounts: AccountBook) -> list[BatchItem]:
    """The items of a payment file that was read; an account nobody knows is left for the batch to refuse."""
    refs = {pocket_of(ref): ref for item in payments.items for ref in (item.debtor, item.creditor)}
    found = {pocket: await accounts.find(ref) for pocket, ref in refs.items()}
    known = {
        pocket: refs[pocket].identifier if isinstance(account, Unresolved) else account
        for pocket, account in found.items()
    }
    items = []
    for number, item in enumerate(payments.items, 1):
        order = order_of(item, known[pocket_of(item.debtor)], known[pocket_of(item.creditor)])
        items.append(
            BatchItem(
                number,
                order.from_account,
                order.to_account,
                order.amount,
                order.reference,
                order.purpose,
                order.metadata,
            )
        )
    return items


async def run_as_one(
    session: Session, terms: BatchTerms, items: Callable[[], Iterator[BatchItem]], quiet: bool
) -> BatchStep:
    """Take the batch in, start it, and follow it until it is over or paused."""
    taken = await session.batches.submit(terms, items(), ACTOR)
    if not taken.new and not quiet:
        errors.print("this batch had been taken in before: nothing is paid twice")
    with counting(f"items of {escape(terms.batch_id)}", taken.items, quiet) as progress:
        seen = 0
        while True:
            step = await session.batches.show(terms.batch_id)
            for _ in range(step.settled - seen):
                progress("settled")
            seen = step.settled
            if step.status in FINAL or step.status is BatchStatus.PAUSED:
                return step
            await asyncio.sleep(POLL_S)


def say(step: BatchStep, as_json: bool) -> None:
    """Where a batch stands; exit code 1 where it did not do what was asked."""
    if as_json:
        print_json(step)
    else:
        good = step.status in (BatchStatus.COMPLETED, BatchStatus.RUNNING, BatchStatus.RELEASING)
        colour = "green" if good else "yellow" if step.status is BatchStatus.PAUSED else "red"
        console.print(
            f"batch [bold]{escape(step.batch_id)}[/bold] [{colour}]{step.status}[/{colour}]: "
            f"{step.settled} of {step.items} settled",
            soft_wrap=True,
        )
        rows = [(name, getattr(step, name)) for name in ("completed", "rejected", "started", "stuck")]
        print_table("", ["outcome", "items"], [row for row in rows if row[1]], right=["items"])
        if step.failure_reason:
            errors.print(f"[red]{step.failure_code}[/red]: {escape(step.failure_reason)}", soft_wrap=True)


def finish(step: BatchStep, notes: list[dict[str, Any]], as_json: bool) -> None:
    """How a batch that was run here ended."""
    if as_json:
        print_json({**step.model_dump(mode="json"), "notes": notes})
    else:
        say(step, as_json)
        for note in notes[:MAX_REASONS]:
            errors.print(escape(f"item {note['item']} {note['status']}: {note['reason']}"), soft_wrap=True)
        if len(notes) > MAX_REASONS:
            errors.print(f"… and {len(notes) - MAX_REASONS} more; --json prints them all")
    if step.status not in (BatchStatus.COMPLETED, BatchStatus.PAUSED) or step.rejected:
        raise typer.Exit(REFUSED)


def status(batch_id: BatchArgument, as_json: JsonOption = False, data: DataOption = DATA) -> None:
    """How far a batch has come, from the log."""
    say(run(data, as_json, lambda session: session.batches.show(batch_id)), as_json)


def pause(
    batch_id: BatchArgument,
    reason: ReasonOption = None,
    by: ByOption = ACTOR,
    command_id: KeyOption = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Settle no more items of a batch until it is resumed."""

    async def work(session: Session) -> BatchStep:
        wish = PauseWish(wish_id=new_id(command_id), actor=by, reason=reason)
        return await session.batches.pause(batch_id, wish)

    say(run(data, as_json, work), as_json)


def resume(
    batch_id: BatchArgument,
    by: ByOption = ACTOR,
    command_id: KeyOption = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Go on with a paused batch."""

    async def work(session: Session) -> BatchStep:
        wish = ResumeWish(wish_id=new_id(command_id), actor=by)
        return await session.batches.resume(batch_id, wish)

    say(run(data, as_json, work), as_json)


def cancel(
    batch_id: BatchArgument,
    reason: ReasonOption = None,
    by: ByOption = ACTOR,
    command_id: KeyOption = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Carry out no more items of a batch; an atomic one is undone."""

    async def work(session: Session) -> BatchStep:
        wish = CancelWish(wish_id=new_id(command_id), actor=by, reason=reason)
        return await session.batches.cancel(batch_id, wish)

    say(run(data, as_json, work), as_json)
