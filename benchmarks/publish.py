"""Puts a run's figures where they are shown, so that none is typed by hand: `python -m benchmarks.publish [JSON]`.

docs/benchmarks.json and docs/benchmarks.svg are written anew; in README.md and docs/performance.md what stands
between `<!-- bench:table -->` and `<!-- /bench:table -->` is replaced (`bench:costs` likewise).
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from benchmarks.chart import chart
from benchmarks.report import Report, costs_markdown, markdown
from benchmarks.side import ROOT

DOCS = ROOT / "docs"
SHOWN_IN = (ROOT / "README.md", DOCS / "performance.md")
PLACE = re.compile(r"(<!-- bench:table -->\n).*?(<!-- /bench:table -->)", re.DOTALL)
COSTS = re.compile(r"(<!-- bench:costs -->\n).*?(<!-- /bench:costs -->)", re.DOTALL)


def publish(report: Report) -> None:
    """A whole run only: a quick one or a part of one says too little."""
    found = report.wire()
    (DOCS / "benchmarks.json").write_text(report.json())
    show(found)


def show(found: dict[str, Any]) -> None:
    """Chart and tables from a report's JSON."""
    (DOCS / "benchmarks.svg").write_text(chart(found))
    for path in SHOWN_IN:
        path.write_text(shown(path.read_text(), found))


def shown(text: str, found: dict[str, Any]) -> str:
    """`text` with the table of `found` in its place."""
    about, quick = found["machine"], "-quick" if found["quick"] else ""
    note = (
        f"\n{markdown(found)}\n\n"
        f"`make bench{quick}`, {found['at'][:10]}: {about['cores']} cores, {about['memory_gib']} GiB, "
        f"{about['system']}, "
        f"Python {about['python']}, temporalio {about['temporalio']}; {found['seconds']} s in all.\n\n"
    )
    replaced, places = PLACE.subn(lambda place: place[1] + note + place[2], text)
    assert places == 1, "one place for the table is needed"
    return COSTS.sub(lambda place: f"{place[1]}\n{costs_markdown(found['costs'])}\n\n{place[2]}", replaced)


if __name__ == "__main__":
    source = Path(sys.argv[1]) if len(sys.argv) > 1 else DOCS / "benchmarks.json"
    show(json.loads(source.read_text()))
