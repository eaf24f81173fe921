"""How commands speak: tables and sentences for people, one JSON document for scripts, and the exit codes.

Exit codes: 0 done, 1 refused by the domain, 2 usage, 3 a part is unreachable.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from pydantic import BaseModel, ValidationError
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

REFUSED, USAGE, UNREACHABLE = 1, 2, 3

WIDTH = 100
"""Of what goes into a file or a pipe; a terminal has its own."""

console = Console(highlight=False)
errors = Console(stderr=True, highlight=False)
for _console in (console, errors):
    if not _console.is_terminal:
        _console.width = WIDTH

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


def print_json(value: Any) -> None:
    """One line of JSON on standard output."""
    console.out(orjson.dumps(value, default=_plain).decode(), highlight=False)


def _plain(value: object) -> object:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    return str(value)


def print_fields(title: str, fields: Mapping[str, object]) -> None:
    """A thing and what is known of it, one line each; what is unknown is left out."""
    table = Table(title=escape(title), title_justify="left", show_header=False, box=None, pad_edge=False)
    for name, value in fields.items():
        if value not in (None, "", (), [], {}):
            table.add_row(name.replace("_", " "), escape(str(value)))
    console.print(table)


def print_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], right: Sequence[str] = ()
) -> None:
    """Rows under columns; the columns named in `right` hold numbers. A `Text` cell keeps its style."""
    table = Table(title=escape(title) or None, title_justify="left", box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else _shown(cell) for cell in row))
    console.print(table)


def _shown(cell: object) -> str:
    """What people and files wrote may look like markup, and is none."""
    return "" if cell is None else escape(str(cell))


def print_more(cursor: str | None) -> None:
    """Where a list goes on."""
    if cursor is not None:
        console.print(f"more with --cursor {cursor}", soft_wrap=True)


def fail(code: str, message: str, exit_code: int, as_json: bool, field: str | None = None) -> typer.Exit:
    """Says what was wrong and gives the exit to raise."""
    if as_json:
        print_json({"error": {"code": code, "message": message, "field": field}})
    else:
        errors.print(f"[red]{code}[/red]: {escape(message)}", soft_wrap=True)
    return typer.Exit(exit_code)


def write_file(path: Path, content: bytes, as_json: bool) -> None:
    """A file that a command was asked for."""
    try:
        path.write_bytes(content)
    except OSError as error:
        raise fail("cannot_write", f"{path} cannot be written: {error.strerror}", USAGE, as_json) from None


def invalid(error: ValidationError) -> tuple[str, str | None]:
    """One line, and the field, of the first thing pydantic found wrong."""
    first = error.errors()[0]
    field = ".".join(str(part) for part in first["loc"]) or None
    message = str(first["msg"]).removeprefix("Value error, ")
    return (f"{field}: {message}" if field else message), field
