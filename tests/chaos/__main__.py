"""`python -m tests.chaos`, behind `make soak`."""

from __future__ import annotations

import asyncio
import json
import random
import re
import shutil
import sys
import tempfile
import time
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from logs import configure_logging
from stack.progress import no_progress
from tests.chaos.cluster import Cluster, cluster
from tests.chaos.disk import NoDisk, own_namespace
from tests.chaos.report import show, summary
from tests.chaos.run import Run, run
from tests.chaos.schedule import KINDS, kinds_of, plan

_UNITS = {"s": 1, "m": 60, "h": 3600}


def seconds(text: str) -> float:
    """`90`, `90s`, `30m`, `2h`."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if match is None:
        raise typer.BadParameter(f"{text!r} is no duration; write 90s, 30m or 2h")
    return float(match[1]) * _UNITS[match[2] or "s"]


def main(
    duration: Annotated[str, typer.Option(help="How long faults are thrown: 90s, 30m, 2h.")] = "2m",
    seed: Annotated[
        int | None, typer.Option(help="Decides all faults and wishes; made up where left out.")
    ] = None,
    faults: Annotated[str, typer.Option(help=f"all, none, or some of {', '.join(KINDS)}.")] = "all",
    gap: Annotated[float, typer.Option(min=0.1, help="Mean seconds from one fault to the next.")] = 4.0,
    clients: Annotated[int, typer.Option(min=1, max=64, help="Customers at once.")] = 6,
    json_file: Annotated[Path | None, typer.Option("--json", help="Also write the outcome as JSON.")] = None,
    keep: Annotated[bool, typer.Option(help="Keep the data directory, logs included.")] = False,
) -> None:
    """Throw faults at a whole stack under load while a bank checker watches. Exit 1 if a promise is broken."""
    duration_s = seconds(duration)
    try:
        kinds = kinds_of(faults)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    seed = random.SystemRandom().randrange(1, 1_000_000) if seed is None else seed
    why_no_disk = ""
    if "disk-full" in kinds:
        try:
            own_namespace()
        except NoDisk as why:
            why_no_disk = str(why)
    console = Console(stderr=True, width=None if sys.stderr.isatty() else 110)
    this = Run(seed, plan(seed, duration_s, kinds, gap))
    console.print(f"seed {seed}, {len(this.episodes)} faults in {duration_s:.0f} s:")
    for episode in this.episodes:
        console.print(episode.line(), highlight=False)
    configure_logging("ERROR")
    data = Path(tempfile.mkdtemp(prefix="tidemark-chaos-"))
    broken = False
    try:
        wants_disk = "disk-full" in kinds and not why_no_disk
        with cluster(data, seed, wants_disk, no_progress) as system:
            _drive(system, this, duration_s, clients, console)
    except Exception:
        broken = True
        raise
    finally:
        if keep or broken or len(this.findings):
            console.print(f"the data and logs are kept in {data}", highlight=False)
        else:
            shutil.rmtree(data, ignore_errors=True)
    show(this, console)
    if json_file is not None:
        json_file.write_text(json.dumps(summary(this), indent=1))
    raise typer.Exit(0 if this.ok else 1)


def _drive(system: Cluster, this: Run, duration_s: float, clients: int, console: Console) -> None:
    """The run, with a line for each fault and, for people, a bar."""
    started = time.monotonic()

    def say(line: str) -> None:
        console.print(f"[{time.monotonic() - started:6.1f}] {line}", highlight=False, markup=False, soft_wrap=True)

    async def inside() -> None:
        with _bar(console) as progress:
            shown = asyncio.create_task(_show(progress, this, duration_s))
            try:
                await run(system, this, duration_s, clients, say)
            finally:
                shown.cancel()
                with suppress(asyncio.CancelledError):
                    await shown

    asyncio.run(inside())


def _bar(console: Console) -> AbstractContextManager[Progress | None]:
    if not console.is_terminal:
        return nullcontext(None)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True)


async def _show(progress: Progress | None, this: Run, duration_s: float) -> None:
    """How many were acknowledged and read so far; a violation is said at once."""
    task = None if progress is None else progress.add_task("", total=duration_s)
    said = 0
    while True:
        await asyncio.sleep(1)
        for violation in list(this.findings)[said:]:
            said += 1
            print(violation.line(), file=sys.stderr, flush=True)  # noqa: T201
        if progress is not None and task is not None and this.history is not None and this.live is not None:
            counts = this.history.counts()
            text = (
                f"{this.phase}: {counts['acknowledged']} acknowledged, {counts['refused']} refused, "
                f"{counts['unknown']} open, {this.live.compared} snapshots, {len(this.findings)} violations"
            )
            progress.update(task, advance=1 if this.phase == "running" else 0, description=text)


if __name__ == "__main__":
    typer.run(main)
