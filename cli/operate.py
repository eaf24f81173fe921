"""`starter.py lag|verify|repair|rebuild` and `dead-letters …`: looking after the system."""

from __future__ import annotations

from typing import Annotated

import orjson
import typer
from rich.markup import escape

from activities.batch_items import BatchItemTable
from cli.output import REFUSED, JsonOption, console, errors, fail, print_fields, print_json, print_table
from cli.reading import open_reader
from cli.session import DATA, DataOption, Session, run
from eventstore.events import RecordedEvent
from eventstore.lookups import Lookups
from operations.remedies import remedy
from operations.repair import LogDamaged, Repaired, Repairer
from operations.verify import Check, Verifier
from projections.catalogue import VIEWS, view_named
from projections.connecting import connector
from projections.dead_letters import (
    DeadLetter,
    Retried,
    list_dead_letters,
    retry_dead_letter,
    show_dead_letter,
    skip_dead_letter,
    waiting_behind,
)
from projections.rebuild import Rebuilt
from projections.rebuild import rebuild as rebuild_view
from queries.operation_results import ViewLag
from queries.operations import lag as lag_of_views

letters_app = typer.Typer(help="Events that a view could not take in: look, retry, skip.", no_args_is_help=True)
LetterArgument = Annotated[int, typer.Argument(metavar="ID", help="The dead letter's number.")]


def register(app: typer.Typer) -> None:
    """Puts the commands of this module on the main application."""
    app.command()(lag)
    app.command()(verify)
    app.command()(repair)
    app.command()(rebuild)
    app.add_typer(letters_app, name="dead-letters")


def lag(as_json: JsonOption = False, data: DataOption = DATA) -> None:
    """How far each view is behind the log, in events and milliseconds."""

    async def work(session: Session) -> tuple[ViewLag, ...]:
        async with open_reader(session.info) as reader:
            return (await reader.ask(lag_of_views())).value

    views = run(data, as_json, work)
    if as_json:
        print_json({"views": views})
    else:
        print_lag(views)


def print_lag(views: tuple[ViewLag, ...]) -> None:
    """A line per view."""
    print_table(
        "Lag of the views",
        ["view", "status", "position", "of", "events behind", "ms behind", "dead letters"],
        [
            (
                view.view,
                view.status,
                view.position,
                view.head_position,
                view.lag_events,
                round(view.lag_ms),
                view.dead_letters,
            )
            for view in views
        ],
        right=["position", "of", "events behind", "ms behind", "dead letters"],
    )


def verify(as_json: JsonOption = False, data: DataOption = DATA) -> None:
    """Check every promise on everything there is; exit 1 if one does not hold."""

    async def work(session: Session) -> list[Check]:
        checks = []
        with (errors if as_json else console).status("checking") as status:
            async for check in verifier(session).checks(lambda what: status.update(f"checking {what}")):
                checks.append(check)
                if not as_json:
                    status.stop()  # what is wrong goes to standard error, and not into the moving line
                    print_check(check)
                    status.start()
        return checks

    checks = run(data, as_json, work)
    ok = all(check.ok for check in checks)
    if as_json:
        print_json({"ok": ok, "checks": [check.wire() for check in checks]})
    else:
        console.print("[green]every promise holds[/green]" if ok else "[red]not every promise holds[/red]")
    if not ok:
        raise typer.Exit(REFUSED)


def verifier(session: Session) -> Verifier:
    """The checks over a session's stack."""
    return Verifier(
        session.temporal,
        session.books.ledger,
        session.books.store,
        BatchItemTable(session.books.pool),
        Lookups(session.books.pool),
        session.info.database,
        session.info.projector_database or session.info.database,
        session.settings.task_queue,
    )


def print_check(check: Check) -> None:
    """One line, and one per finding."""
    mark = "[green]ok[/green]  " if check.ok else "[red]FAIL[/red]"
    numbers = ", ".join(
        f"{value} {name.replace('_', ' ')}" for name, value in check.looked_at.items() if isinstance(value, int)
    )
    console.print(f"{mark} {check.name}: {numbers}", soft_wrap=True)
    for total in check.looked_at.get("currencies", ()):
        console.print(f"       {sentence(total)}", soft_wrap=True)
    for finding in check.findings[:20]:
        errors.print(f"     {finding.code} at {escape(finding.where)}: {escape(finding.message)}", soft_wrap=True)
    for mend in dict.fromkeys(remedy(finding.code) for finding in check.findings):
        errors.print(f"     → {mend}", soft_wrap=True)


def sentence(total: dict[str, str]) -> str:
    """Conservation of a currency, as a sum that can be checked by eye."""
    return (
        f"{total['currency']}: {total['balances']} on accounts + {total['in_transit']} in transit + "
        f"{total['in_suspense']} in suspense = {total['deposits']} in − {total['withdrawals']} out"
    )


def repair(
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Mend what `verify` finds, from the log; exit 1 where something could not be mended."""

    async def work(session: Session) -> list[Repaired]:
        done = []
        async for one in Repairer(verifier(session), session.settings).run(dry_run):
            done.append(one)
            if not as_json:
                mark = "[red]FAIL[/red] " if one.failed else ""
                console.print(
                    f"{mark}{escape(one.code)} at {escape(one.where)}: {escape(one.what)}", soft_wrap=True
                )
        return done

    try:
        done = run(data, as_json, work)
    except LogDamaged as damage:
        raise fail("log_damaged", str(damage), REFUSED, as_json) from None
    failed = sum(one.failed for one in done)
    if as_json:
        print_json({"dry_run": dry_run, "repaired": done})
    else:
        console.print(f"{'to repair' if dry_run else 'repaired'}: {len(done) - failed}; failed: {failed}")
    if failed:
        raise typer.Exit(REFUSED)


def rebuild(
    view: Annotated[str, typer.Argument(metavar="VIEW", help=", ".join(sorted(VIEWS)))],
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Build a view anew beside the live one, then swap; reads and writes go on."""

    async def work(session: Session) -> Rebuilt:
        chosen = view_named(view)
        connect = connector(session.info.projector_database, "tidemark-rebuild")
        with console.status(f"rebuilding {view}") as status:

            def show(position: int, of: int) -> None:
                status.update(f"rebuilding {view}: position {position} of {of}")

            return await rebuild_view(chosen, connect, session.books.store, None if as_json else show)

    done = run(data, as_json, work)
    if as_json:
        print_json(done)
    else:
        console.print(f"view {done.view} rebuilt: build {done.build} is live at position {done.position}")


@letters_app.command("list")
def letters_list(
    view: Annotated[str | None, typer.Option("--view", help="Only of this view.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Resolved and skipped ones too.")] = False,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """What is parked, and what waits behind it."""

    async def work(session: Session) -> list[DeadLetter]:
        async with connector(session.info.projector_database, "tidemark-cli")() as connection:
            return await list_dead_letters(connection, view, everything)

    letters = run(data, as_json, work)
    if as_json:
        print_json({"items": letters})
        return
    print_table(
        f"{len(letters)} dead letters",
        ["id", "view", "stream", "position", "status", "attempts", "error"],
        [(x.id, x.view, x.stream, x.position, x.status, x.attempts, x.error) for x in letters],
        right=["id", "position", "attempts"],
    )


@letters_app.command("show")
def letters_show(letter: LetterArgument, as_json: JsonOption = False, data: DataOption = DATA) -> None:
    """One dead letter: its event, the error, and what waits behind it."""

    async def work(session: Session) -> tuple[DeadLetter, list[DeadLetter], RecordedEvent]:
        async with connector(session.info.projector_database, "tidemark-cli")() as connection:
            found = await show_dead_letter(connection, letter)
            behind = await waiting_behind(connection, found)
        [event] = (await session.books.store.read(found.position - 1, 1))[:1]
        return found, behind, event

    found, behind, event = run(data, as_json, work)
    if as_json:
        told = {"type": event.type, "schema_version": event.schema_version, "recorded_at": event.recorded_at}
        told |= {"version": event.version, "data": event.data, "metadata": event.metadata}
        print_json({"dead_letter": found, "event": told, "waiting": behind})
        return
    print_fields(
        f"Dead letter {found.id}",
        {
            "view": found.view,
            "status": found.status,
            "stream": f"{event.stream}@{event.version}",
            "position": found.position,
            "event": f"{event.type} version {event.schema_version}",
            "recorded_at": event.recorded_at.isoformat(),
            "data": orjson.dumps(event.data).decode(),
            "metadata": orjson.dumps(event.metadata).decode(),
            "attempts": found.attempts,
            "first_failed_at": found.first_failed_at.isoformat(),
            "last_failed_at": found.last_failed_at.isoformat(),
            "error": f"{found.error_class}: {found.error}" if found.error else None,
        },
    )
    print_table(
        f"{len(behind)} events wait behind it",
        ["id", "position", "type"],
        [(x.id, x.position, x.type) for x in behind],
        right=["id", "position"],
    )


@letters_app.command("retry")
def letters_retry(letter: LetterArgument, as_json: JsonOption = False, data: DataOption = DATA) -> None:
    """Take the event in after all, then what waits behind it."""

    async def work(session: Session) -> Retried:
        connect = connector(session.info.projector_database, "tidemark-cli")
        return await retry_dead_letter(letter, VIEWS, connect, session.books.store)

    _say_retried(run(data, as_json, work), as_json)


@letters_app.command("skip")
def letters_skip(letter: LetterArgument, as_json: JsonOption = False, data: DataOption = DATA) -> None:
    """Leave the event out of the view for good, then take in what waits behind it."""

    async def work(session: Session) -> Retried:
        connect = connector(session.info.projector_database, "tidemark-cli")
        return await skip_dead_letter(letter, VIEWS, connect, session.books.store)

    _say_retried(run(data, as_json, work), as_json)


def _say_retried(retried: Retried, as_json: bool) -> None:
    if as_json:
        print_json(retried)
    else:
        console.print(f"view {retried.view}: {retried.done} settled, {retried.waiting} still waiting")
    if retried.waiting:
        if not as_json:
            errors.print(f"[red]dead_letter[/red]: {escape(retried.error or '')}", soft_wrap=True)
        raise typer.Exit(REFUSED)
