"""`starter.py batch FILE`: a payment file, one transfer saga per credit transfer."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.text import Text

from activities.steps import BatchStep
from cli.output import REFUSED, JsonOption, console, errors, fail, print_json, print_table, write_file
from cli.payment_status import ReportOption, items_of_batch, must_be_possible, write_refusal
from cli.progress import counting
from cli.reading import open_reader
from cli.session import DATA, DataOption, Session, run, usage
from cli.transfer_batches import (
    finish,
    id_of_file,
    id_of_lines,
    is_ndjson,
    items_of_file,
    items_of_lines,
    run_as_one,
)
from commands.batch import UNSUCCESSFUL, BatchCommands, BatchResult, ItemOutcome
from commands.batch_accounts import AccountBook
from commands.payment_status import report as report_of
from commands.payment_status import report_of_batch
from commands.transfer_batches import BatchTerms
from domain.money import Money
from domain.transfer import TransferStatus
from payfiles.errors import PaymentFileError
from payfiles.model import PaymentFile
from payfiles.read import read_payment_file
from payfiles.totals import CountPolicy
from queries.accounts import find_account_by_iban

MAX_ROWS = 50
"""Items in the table for people; --json has them all."""

MAX_REASONS = 20
VIEWS_WAIT_S = 10.0

ADVICE = {
    TransferStatus.IN_REVIEW: "review {} approve",
    TransferStatus.STUCK: "resolve {} retry",
    TransferStatus.IN_TRANSIT: "show {}",
}
"""What to do about a transfer that waits for somebody."""

COLOURS = {"completed": "green", "in_review": "yellow", "in_transit": "yellow"}

FileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="A pain.001 (ISO 20022) or CSV file.")]


def register(app: typer.Typer) -> None:
    """Puts the command of this module on the main application."""
    app.command()(batch)


def batch(
    file: FileArgument,
    open_missing: Annotated[
        bool,
        typer.Option(
            "--open-missing",
            help="For trying out: open the accounts that are missing; a debtor gets what the file takes from it.",
        ),
    ] = False,
    in_flight: Annotated[
        int, typer.Option("--in-flight", min=1, max=1000, help="How many transfers at once.")
    ] = 32,
    accept_count_mismatch: Annotated[
        bool,
        typer.Option(
            "--accept-count-mismatch", help="Take a file whose count is wrong, if its control sum is right."
        ),
    ] = False,
    as_one: Annotated[
        bool,
        typer.Option("--as-one", help="As one batch saga, much faster: pause, resume or cancel it as a whole."),
    ] = False,
    atomic: Annotated[
        bool, typer.Option("--atomic", help="With --as-one: all of its transfers, or none.")
    ] = False,
    batch_id: Annotated[
        str | None, typer.Option("--id", help="With --as-one: the batch's id, if not the file's own.")
    ] = None,
    report: ReportOption = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Run a payment file: one transfer for each credit transfer in it. Running it again pays nothing twice.

    With --as-one also NDJSON (.ndjson, .jsonl), one object a line: from_account, to_account, amount, currency and,
    where wanted, reference, purpose, metadata.
    """
    if not file.is_file():
        raise usage(f"there is no file {file}", as_json)
    if not as_one and (atomic or batch_id is not None or is_ndjson(file)):
        raise usage("NDJSON files, --atomic and --id need --as-one", as_json)
    if as_one and open_missing:
        raise usage("--open-missing is for files that are not run --as-one", as_json)
    must_be_possible(report, file, as_json)
    if as_one:
        _as_one(file, accept_count_mismatch, atomic, batch_id, report, as_json, data)
        return
    payments = _read(file, accept_count_mismatch, report, as_json)
    if not as_json:
        print_heading(payments, file.name)

    begun = False

    async def work(session: Session) -> BatchResult:
        nonlocal begun
        begun = True
        return await launch(session, payments, open_missing, in_flight, quiet=as_json)

    try:
        result = run(data, as_json, work)
    except typer.Exit as end:
        if begun and end.exit_code != REFUSED and not as_json:
            errors.print("What was started goes on by itself. The same command again takes it up from there.")
        raise
    if report is not None:
        write_file(report, report_of(payments, result.outcomes), as_json)
    if as_json:
        print_json(as_document(payments, result))
    else:
        print_result(payments, result)
    if any(outcome.unsuccessful for outcome in result.outcomes):
        raise typer.Exit(REFUSED)


def _as_one(
    file: Path,
    accept_count_mismatch: bool,
    atomic: bool,
    batch_id: str | None,
    report: Path | None,
    as_json: bool,
    data: Path,
) -> None:
    payments = None if is_ndjson(file) else _read(file, accept_count_mismatch, report, as_json)
    if payments is not None and not as_json:
        print_heading(payments, file.name)

    async def work(session: Session) -> tuple[BatchStep, list[dict[str, Any]]]:
        if payments is None:
            name, lines = batch_id or id_of_lines(file), partial(items_of_lines, file)
        else:
            async with account_book(session) as accounts:
                items = await items_of_file(payments, accounts)
            name, lines = batch_id or id_of_file(payments.message_id), partial(iter, items)
        terms = BatchTerms(batch_id=name, atomic=atomic)
        step = await run_as_one(session, terms, lines, as_json)
        if report is not None and payments is not None:
            items_now = await items_of_batch(session, name)
            write_file(report, report_of_batch(payments, items_now), as_json)
        notes = await session.batches.notes(name)
        return step, [note.model_dump(mode="json") for note in notes]

    step, notes = run(data, as_json, work)
    finish(step, notes, as_json)


def _read(file: Path, accept_count_mismatch: bool, report: Path | None, as_json: bool) -> PaymentFile:
    policy: CountPolicy = "trust_sum" if accept_count_mismatch else "strict"
    try:
        return read_payment_file(file, count_policy=policy)
    except PaymentFileError as refusal:
        write_refusal(report, file, refusal, as_json)
        hint = ""
        if not accept_count_mismatch and _only_the_count_is_wrong(file):
            hint = " (its control sum is right: --accept-count-mismatch takes it all the same)"
        raise fail(refusal.code, f"{refusal}{hint}", REFUSED, as_json, refusal.location) from None


def _only_the_count_is_wrong(file: Path) -> bool:
    try:
        read_payment_file(file, count_policy="trust_sum")
    except PaymentFileError:
        return False
    return True


async def launch(
    session: Session, payments: PaymentFile, open_missing: bool, in_flight: int, quiet: bool
) -> BatchResult:
    """Runs a file that was read, with a progress display unless `quiet`."""
    async with account_book(session) as accounts:
        commands = BatchCommands(session.transfers, session.books.ledger, accounts)
        with counting(f"transfers of {escape(payments.message_id)}", payments.count, quiet) as progress:
            return await commands.run(
                payments,
                open_missing=open_missing,
                in_flight=in_flight,
                on_outcome=lambda outcome: progress(outcome.status),
            )


@asynccontextmanager
async def account_book(session: Session) -> AsyncIterator[AccountBook]:
    """Which accounts a file means; what was opened a moment ago is found by its IBAN too."""
    async with open_reader(session.info) as reader:
        head = await session.books.store.head()
        await reader.must_reach(("accounts",), head.last_position, VIEWS_WAIT_S)

        async def find_by_iban(iban: str, currency: str) -> str | None:
            found = (await reader.ask(find_account_by_iban(iban, currency))).value
            return None if found is None else found.account_id

        yield AccountBook(session.books.ledger, find_by_iban)


# --- for people ------------------------------------------------------------


def print_heading(payments: PaymentFile, name: str) -> None:
    """What the file is, and what it warns of."""
    console.print(
        f"[bold]{escape(name)}[/bold]: {payments.format}, message {escape(payments.message_id)}, "
        f"{payments.count} transfers, control sum {payments.control_sum:f}"
    )
    for warning in payments.warnings:
        console.print(f"[yellow]warning[/yellow] {escape(str(warning))}", soft_wrap=True)
    today = datetime.now(UTC).date()
    later = sum(item.requested_on is not None and item.requested_on > today for item in payments.items)
    if later:
        console.print(f"[yellow]warning[/yellow] {later} are requested for a later day; they run now")


def print_result(payments: PaymentFile, result: BatchResult) -> None:
    """Each item's outcome, the sums, and what to do about what waits."""
    shown = result.outcomes[:MAX_ROWS]
    print_table("", ["end-to-end id", "amount", "outcome", "from", "to"], map(_row, shown), right=["amount"])
    if len(result.outcomes) > MAX_ROWS:
        console.print(f"… and {len(result.outcomes) - MAX_ROWS} more; --json prints them all")
    _print_reasons(result.outcomes)
    console.print()
    rows = [(status, total.currency, count, total.amount) for status, count, total in totals(result.outcomes)]
    print_table("Sums", ["outcome", "currency", "count", "amount"], rows, right=["count", "amount"])
    console.print()
    joined = sum(outcome.joined for outcome in result.outcomes)
    if joined:
        console.print(f"{joined} of {payments.count} had been started by an earlier run: nothing is paid twice")
    if result.opened:
        console.print(f"{result.opened} accounts were opened")
    _print_advice(result.outcomes)


def _row(outcome: ItemOutcome) -> tuple[object, ...]:
    return (
        outcome.item.end_to_end_id,
        outcome.item.amount,
        Text(outcome.status.replace("_", " "), style=COLOURS.get(outcome.status, "red")),
        outcome.item.debtor.identifier,
        outcome.item.creditor.identifier,
    )


def _print_reasons(outcomes: Sequence[ItemOutcome]) -> None:
    """Why what did not work did not, each reason once."""
    groups: dict[str, list[str]] = defaultdict(list)
    for outcome in outcomes:
        if outcome.reason:
            groups[f"{outcome.status}: {outcome.reason}"].append(outcome.item.end_to_end_id)
    for reason, items in list(groups.items())[:MAX_REASONS]:
        more = f" and {len(items) - 1} more" if len(items) > 1 else ""
        console.print(escape(f"{reason} ({items[0]}{more})"), soft_wrap=True)
    if len(groups) > MAX_REASONS:
        console.print(f"… and {len(groups) - MAX_REASONS} more reasons; --json prints them all")


def _print_advice(outcomes: Sequence[ItemOutcome]) -> None:
    missing = sum(outcome.code == "account_not_found" for outcome in outcomes)
    if missing:
        console.print(f"{missing} refused for want of an account; to try the file out, --open-missing opens them")
    for status, advice in ADVICE.items():
        waiting = [outcome.item.transfer_id for outcome in outcomes if outcome.status == status]
        if waiting:
            what = status.value.replace("_", " ")
            console.print(
                f"{len(waiting)} {what}; for each: starter.py {advice.format(waiting[0])}", soft_wrap=True
            )


def totals(outcomes: Sequence[ItemOutcome]) -> list[tuple[str, int, Money]]:
    """Count and sum for each outcome and currency."""
    counts: Counter[tuple[str, str]] = Counter()
    sums: Counter[tuple[str, str]] = Counter()
    for outcome in outcomes:
        key = (outcome.status, outcome.item.amount.currency)
        counts[key] += 1
        sums[key] += outcome.item.amount.minor
    return [(key[0], counts[key], Money(sums[key], key[1])) for key in sorted(counts)]


# --- for scripts -----------------------------------------------------------


def as_document(payments: PaymentFile, result: BatchResult) -> dict[str, Any]:
    """What `--json` prints."""
    return {
        "message_id": payments.message_id,
        "format": payments.format,
        "count": payments.count,
        "control_sum": f"{payments.control_sum:f}",
        "warnings": [
            {"code": warning.code, "message": warning.message, "location": warning.location}
            for warning in payments.warnings
        ],
        "opened_accounts": result.opened,
        "totals": [
            {"status": status, "count": count, **total.wire()} for status, count, total in totals(result.outcomes)
        ],
        "refused": sum(outcome.status in UNSUCCESSFUL for outcome in result.outcomes),
        "items": [_item(outcome) for outcome in result.outcomes],
    }


def _item(outcome: ItemOutcome) -> dict[str, Any]:
    return {
        "transfer_id": outcome.item.transfer_id,
        "end_to_end_id": outcome.item.end_to_end_id,
        "status": outcome.status,
        **outcome.item.amount.wire(),
        "from_account": outcome.from_account,
        "to_account": outcome.to_account,
        "started_before": outcome.joined,
        "failure_code": outcome.code,
        "failure_reason": outcome.reason,
    }
