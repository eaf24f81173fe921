"""What a run found: as a table for people, as Markdown for the docs, as JSON."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

from benchmarks.measuring import Row


@dataclass
class Report:
    """`seconds`: how long all of it took."""

    quick: bool
    rows: list[Row] = field(default_factory=list)
    seconds: float = 0.0
    costs: dict[str, Any] = field(default_factory=dict)

    @property
    def refused(self) -> bool:
        return any(row.refused for row in self.rows)

    def refuse(self, numbers: Sequence[str], why: str) -> None:
        """No figure for these rows: their run broke an invariant."""
        self.rows += [Row(number, "–", "–", "", 0.0, refused=why) for number in numbers]

    def refuse_all(self, why: str) -> None:
        """The log of this run does not hold what was promised."""
        for row in self.rows:
            row.refused = why

    def wire(self) -> dict[str, Any]:
        return {
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": machine(),
            "quick": self.quick,
            "seconds": round(self.seconds),
            "rows": [row.wire() for row in self.rows],
            "costs": self.costs,
        }

    def json(self) -> str:
        return json.dumps(self.wire(), indent=1, ensure_ascii=False) + "\n"


def machine() -> dict[str, Any]:
    """What it ran on, without its name."""
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "system": platform.system(),
        "python": platform.python_version(),
        "temporalio": version("temporalio"),
    }


def cells(row: dict[str, Any]) -> list[str]:
    """One line of the table, of a row's JSON."""
    if "refused" in row:
        return [row["number"], row["work"], row["against"], "–", "–", "–", f"refused: {row['refused']}"]
    sign, times = ("≤", "×") if row["at_most"] else ("≥", "×")
    return [
        row["number"],
        row["work"],
        row["against"],
        f"{figure(row['ours'])} {row['unit']}",
        figure(row["theirs"]),
        f"{ratio_of(row)}{times}",
        f"{sign} {row['goal']:g}{times} {'met' if row['met'] else 'missed'}",
    ]


def ratio_of(row: dict[str, Any]) -> str:
    """Two places; of what is a small part of its limit, two digits."""
    ratio = row["ratio"]
    return f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.2g}"


def figure(value: float) -> str:
    """Three digits are more than a benchmark knows."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


HEADINGS = ["#", "work", "against", "ours", "theirs", "ratio", "goal"]


def markdown(report: dict[str, Any]) -> str:
    """The table of a report's JSON."""
    lines = [HEADINGS, ["---"] * len(HEADINGS), *map(cells, report["rows"])]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def costs_markdown(costs: dict[str, Any]) -> str:
    """CPU by process of one unit of each side's work, and what one payment leaves behind."""
    cpu: dict[str, dict[str, float]] = costs["cpu_ms"]
    parts = list(dict.fromkeys(part for found in cpu.values() for part in found))
    lines = [["CPU ms of one", *parts, "sum"], ["---"] * (len(parts) + 2)]
    for side, found in cpu.items():
        lines.append(
            [side, *(f"{found[p]:.1f}" if p in found else "" for p in parts), f"{sum(found.values()):.1f}"]
        )
    names = list(costs["of_one"]["payments"])
    lines += [[], ["of one", *(name.replace("_", " ") for name in names)], ["---"] * (len(names) + 1)]
    for work in ("payments", "transfers"):
        lines.append([work[:-1], *(figure(costs["of_one"][work][name]) for name in names)])
    table = "\n".join(f"| {' | '.join(line)} |" if line else "" for line in lines)
    stored = costs["of_one"]["stored"]
    return (
        f"{table}\n\nStored: {stored['log_bytes_per_event']:.0f} bytes of log and "
        f"{stored['view_bytes_per_event']:.0f} bytes of views an event, indexes counted."
    )


def print_table(report: Report) -> None:
    """On standard output."""
    table = Table(title=f"Side by side, medians of alternating rounds ({report.seconds:.0f} s in all)")
    for heading in HEADINGS:
        table.add_column(heading, justify="right" if heading in ("ours", "theirs", "ratio") else "left")
    for row in report.wire()["rows"]:
        table.add_row(*cells(row))
    Console(width=None if Console().is_terminal else 160).print(table)
