"""`starter.py backup|restore`: the local stack's database, kept elsewhere and brought back to any moment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import psycopg
import typer
from rich.console import Console

import stack
from cli.output import JsonOption, console, print_fields, print_json
from cli.session import DATA, DataOption, addresses, guarded, usage
from eventstore.connect import CONNECT_TIMEOUT_S

DirectoryArgument = Annotated[
    Path, typer.Argument(metavar="DIR", help="On another disk, best on another machine.")
]


def register(app: typer.Typer) -> None:
    """Puts the commands of this module on the main application."""
    app.command()(backup)
    app.command()(restore)


@dataclass(frozen=True, slots=True)
class LogEnd:
    """Where a log ends: its last position, and when its last event was recorded."""

    position: int
    recorded_at: datetime | None


def log_end(admin_url: str) -> LogEnd:
    """Of the log in that database."""
    with psycopg.connect(admin_url, connect_timeout=CONNECT_TIMEOUT_S) as connection:
        row = connection.execute(
            "SELECT last_position, (SELECT recorded_at FROM events ORDER BY id DESC LIMIT 1) FROM log_head"
        ).fetchone()
    assert row is not None
    return LogEnd(*row)


def backup(
    directory: DirectoryArgument,
    keep: Annotated[int | None, typer.Option(min=1, help="Remove all but so many base backups.")] = None,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Copy the running database to DIR; what is written from now on follows there by itself."""

    def work() -> stack.BaseBackup:
        with stack.console_progress(Console(stderr=True)) as progress:
            return stack.back_up(data, addresses(data).admin_database, directory, keep, progress)

    made = guarded(as_json, work)
    oldest = stack.base_backups(directory)[0].finished_at
    told = {
        "backup": str(made.path),
        "bytes": made.size_bytes,
        "restorable_from": oldest.isoformat(timespec="milliseconds"),
    }
    if as_json:
        print_json(told)
    else:
        print_fields("Backed up", told)
        console.print(f"What is written from now on goes to {directory}/wal within a minute.", soft_wrap=True)


def restore(
    directory: DirectoryArgument,
    to: Annotated[str | None, typer.Option(metavar="TIME", help="ISO 8601; UTC unless it says otherwise.")] = None,
    forget_workflows: Annotated[
        bool, typer.Option(help="Also set Temporal's data aside: what was ordered after TIME is forgotten.")
    ] = False,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Bring the stopped stack's database back to TIME, or to the last thing that was kept."""
    try:
        moment = None if to is None else _moment(to)
    except ValueError:
        raise usage(f"--to {to!r} is not a time such as 2026-11-24T03:15:00Z", as_json) from None

    def work() -> stack.Restored[LogEnd]:
        with stack.console_progress(Console(stderr=True)) as progress:
            return stack.restore(
                data, directory, log_end, moment, forget_workflows=forget_workflows, progress=progress
            )

    done = guarded(as_json, work)
    told = {
        "base_backup": done.base.isoformat(timespec="milliseconds"),
        "position": done.seen.position,
        "last_event": None if done.seen.recorded_at is None else done.seen.recorded_at.isoformat(),
        "reached": done.reached,
        "set_aside": [str(path) for path in done.aside],
    }
    if as_json:
        print_json(told)
        return
    print_fields("Restored", told)
    if not done.reached:
        console.print(f"Nothing later than {to} was kept: this is all there is.", soft_wrap=True)
    console.print("Next: starter.py up, and in another terminal starter.py repair --dry-run", soft_wrap=True)


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
