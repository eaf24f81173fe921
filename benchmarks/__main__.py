"""`python -m benchmarks`: every comparison, one table. `make bench` and `starter.py bench` run it.

--quick          fewer and smaller rounds, about two minutes; nothing grows
--only 6,7       these rows only
--json FILE      also write what was found; --print-json prints it instead of the table
--publish        write docs/benchmarks.json and .svg, and the table in README.md and docs/performance.md
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.answers import first_answers
from benchmarks.batches import batches
from benchmarks.logs import appends, catching_up, growth
from benchmarks.matching import matching
from benchmarks.measuring import BrokenInvariant, Row, tell
from benchmarks.publish import publish
from benchmarks.report import Report, print_table
from benchmarks.sagas import lag, sagas
from benchmarks.side import PEERS_PYTHON, SideFailed
from benchmarks.stand import Stand, stand
from wiring import leave

Group = Callable[[Stand, bool, dict[str, Any]], Awaitable[list[Row]]]
WITHOUT_QUICK = ("growth",)


@dataclass(frozen=True)
class Part:
    """Rows that are measured together, and how: `measure(stand, quick, costs)`; it may add to `costs`."""

    name: str
    rows: tuple[str, ...]
    measure: Group


PARTS = (
    Part(
        "payments and transfers",
        ("1", "2", "3", "4"),
        lambda s, q, c: sagas(s, 2 if q else 5, 50 if q else 140, c),
    ),
    Part("lag of the views", ("9",), lambda s, q, _: lag(s, 1 if q else 5, 40 if q else 80)),
    Part("batches", ("5",), lambda s, q, _: batches(s, 1 if q else 5, 2_000 if q else 10_000)),
    Part("first answers", ("10",), lambda s, q, _: first_answers(s, 2 if q else 7, 10 if q else 25)),
    Part("appends", ("6", "7"), lambda s, q, _: appends(s, 2 if q else 7, 300 if q else 700)),
    Part("catching up", ("8",), lambda s, q, _: catching_up(s, 2 if q else 5, 20_000 if q else 60_000)),
    Part(
        "orders and their books",
        ("12",),
        lambda s, q, _: matching(s, 1 if q else 3, 200 if q else 400, 30 if q else 80),
    ),
    Part("growth", ("11",), lambda s, _q, _: growth(s, 5, 10_000, 1_000_000)),
)


async def main(quick: bool, only: set[str]) -> Report:
    """Measures part after part; a part that breaks an invariant is refused, and the next one goes on."""
    report, started = Report(quick=quick), time.monotonic()
    async with stand() as everyone:
        for part in PARTS:
            if (only and only.isdisjoint(part.rows)) or (quick and part.name in WITHOUT_QUICK):
                continue
            tell(f"{part.name} (rows {', '.join(part.rows)}), {time.monotonic() - started:.0f} s")
            try:
                report.rows += await part.measure(everyone, quick, report.costs)
            except (AssertionError, BrokenInvariant, SideFailed) as broken:
                tell(f"  refused: {broken}")
                report.refuse(part.rows, str(broken))
        tell(f"verifying everything, {time.monotonic() - started:.0f} s")
        try:
            await everyone.caught_up()
            await everyone.verified()
        except BrokenInvariant as broken:
            report.refuse_all(str(broken))
    report.seconds = time.monotonic() - started
    report.rows.sort(key=lambda row: (int(row.number.rstrip("abcde")), row.number))
    return report


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Side by side, in one run.")
    parser.add_argument("--quick", action="store_true", help="about two minutes; nothing grows")
    parser.add_argument("--only", default="", help="rows, as 1,6")
    parser.add_argument("--json", type=Path, help="write what was found here")
    parser.add_argument("--print-json", action="store_true", help="print JSON, not a table")
    parser.add_argument("--publish", action="store_true", help="write it into the docs")
    given = parser.parse_args()
    if not PEERS_PYTHON.exists():
        sys.exit("the peers are not installed: `make bench` and `make bench-quick` install them")
    found = asyncio.run(main(given.quick, {row for row in given.only.split(",") if row}))
    if given.print_json:
        print(found.json(), end="")
    else:
        print_table(found)
    if given.json:
        given.json.write_text(found.json())
    if given.publish and (given.quick or given.only or found.refused):
        tell("not published: that takes a whole run without a refusal")
    elif given.publish:
        publish(found)
    leave(1 if found.refused else 0)
