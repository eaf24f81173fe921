"""`starter.py bench`: the benchmarks of `make bench`, which installs the peers they need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.output import REFUSED, UNREACHABLE, JsonOption, fail

ROOT = Path(__file__).resolve().parent.parent


def register(app: typer.Typer) -> None:
    """Puts the command of this module on the main application."""
    app.command()(bench)


def bench(
    quick: Annotated[bool, typer.Option(help="Two minutes, with fewer rounds, instead of fifteen.")] = False,
    only: Annotated[str, typer.Option(metavar="ROWS", help="These rows only, as 1,6.")] = "",
    as_json: JsonOption = False,
) -> None:
    """Measure against the peers, side by side on a stack of its own; prints one table."""
    # A program of its own: it is no part of what is installed, and runs for a quarter of an hour.
    if not (ROOT / "benchmarks").is_dir():
        raise fail("unreachable", "the benchmarks are part of a checkout, and this is none", UNREACHABLE, as_json)
    wanted = ["--quick"] * quick + ["--only", only] * bool(only) + ["--print-json"] * as_json
    done = subprocess.run([sys.executable, "-m", "benchmarks", *wanted], cwd=ROOT, check=False)  # noqa: S603
    if done.returncode:
        raise typer.Exit(REFUSED)
