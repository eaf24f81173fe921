"""`starter.py up|status|crash`: the local stack."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

import stack
from cli.output import UNREACHABLE, JsonOption, console, fail, print_fields, print_json, print_table
from cli.session import DATA, DataOption, guarded

PARTS = ("worker", "projector", "api", "postgres", "temporal")
PUBLIC = ("api", "api_key", "temporal", "temporal_ui", "database", "read_database")


def stack_config(data: Path, progress: stack.Progress, workers: int = 1, projectors: int = 1) -> stack.StackConfig:
    """The whole local stack on `data`: Postgres, Temporal, workers, projectors, the API."""

    def migrate_and_forget(admin_url: str) -> None:
        # Alembic takes a quarter of a second to import, which every other command would pay for.
        from eventstore.migrate import migrate

        migrate(admin_url)

    def make_key_good(info: stack.StackInfo) -> None:
        from api.keys import register_local_key

        register_local_key(info.admin_database, info.api_key)

    return stack.StackConfig(
        data_dir=data,
        processes=stack.own_processes(workers, projectors),
        migrate=migrate_and_forget,
        prepare=make_key_good,
        on_progress=progress,
    )


def public(info: stack.StackInfo) -> dict[str, str | None]:
    """What `up --json` and `status --json` print of the addresses; None where there is no such part."""
    return {name: getattr(info, name) or None for name in PUBLIC}


def register(app: typer.Typer) -> None:
    """Puts the commands of this module on the main application."""
    app.command()(up)
    app.command()(status)
    app.command()(crash)


def up(
    workers: Annotated[int, typer.Option(min=1, max=32, help="How many worker processes.")] = 1,
    projectors: Annotated[int, typer.Option(min=1, max=8, help="The second and further ones stand by.")] = 1,
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """Start the whole local stack and keep it up until Ctrl-C or SIGTERM."""

    def work() -> None:
        with stack.console_progress(Console(stderr=True)) as progress:
            entered = contextlib.ExitStack()
            running = entered.enter_context(stack.up(stack_config(data, progress, workers, projectors)))
        # Once it is ready a signal is the order to stop, not a fault.
        with entered, contextlib.suppress(KeyboardInterrupt):
            if as_json:
                print_json(public(running.info))
            else:
                print_addresses(running.info)
                console.print("Stays up until Ctrl-C. In another terminal: starter.py --help")
            running.wait()

    guarded(as_json, work)


def print_addresses(info: stack.StackInfo) -> None:
    """Where everything is, for people: without the passwords."""
    shown = {name: value for name, value in public(info).items() if value and "database" not in name}
    print_fields("Tidemark is up", shown)


def status(as_json: JsonOption = False, data: DataOption = DATA) -> None:
    """What runs, and where."""
    info = stack.read_info(data)
    if info is None:
        pid = stack.running_pid(data)
        why = f"a stack is starting (pid {pid})" if pid else "no stack is running"
        raise fail("unreachable", f"{why} on {data}: start one with `make up`", UNREACHABLE, as_json)
    if as_json:
        print_json({**public(info), "processes": info.processes})
        return
    print_addresses(info)
    print_table(
        "Processes",
        ["part", "pids"],
        [(part, " ".join(map(str, pids))) for part, pids in info.processes.items()],
    )


def crash(
    part: Annotated[str, typer.Argument(metavar="|".join(PARTS), help="Which part to kill.")],
    as_json: JsonOption = False,
    data: DataOption = DATA,
) -> None:
    """SIGKILL a part of the local stack; the supervisor brings it back."""
    killed = guarded(as_json, lambda: stack.crash(data, part))
    if as_json:
        print_json({"part": part, "killed": killed})
    else:
        console.print(f"killed {part}: {' '.join(map(str, killed))}; see `starter.py status`")
