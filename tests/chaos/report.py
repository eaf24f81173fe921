"""The table at the end, and the same as JSON."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from tests.chaos.nemesis import Done
from tests.chaos.run import Run

DOUBLED = ("effect once", "effect as asked", "refused", "asked for")
LOST = ("acknowledged write", "compensation", "answered")


def quantile(values: Sequence[float], share: float) -> float | None:
    """The value that `share` of all are not above; None of none."""
    if not values:
        return None
    if len(values) == 1:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[int(share * 100) - 1]


def _by_fault(done: Sequence[Done]) -> dict[str, dict[str, Any]]:
    grouped: dict[str, list[Done]] = defaultdict(list)
    for one in done:
        grouped[one.episode.name].append(one)
    table = {}
    for name, ones in sorted(grouped.items()):
        recovered = [one.recovered_s for one in ones if one.recovered_s is not None]
        table[name] = {
            "count": sum(not one.skipped and not one.failed for one in ones),
            "not_done": sum(one.failed for one in ones),
            "skipped": sum(one.skipped for one in ones),
            "why_skipped": next((one.note for one in ones if one.skipped), ""),
            "measured": len(recovered),
            "disturbed": sum(one.overlapped for one in ones),
            "recovery_p50_s": quantile(recovered, 0.5),
            "recovery_p99_s": quantile(recovered, 0.99),
        }
    return table


def summary(run: Run) -> dict[str, Any]:
    """Everything a machine may want to know of a run."""
    assert run.history is not None
    assert run.live is not None
    counts = run.history.counts()
    kinds: dict[str, int] = defaultdict(int)
    for operation in run.history:
        kinds[operation.kind] += operation.outcome == "acknowledged"
    return {
        "ok": run.ok,
        "seed": run.seed,
        "faults": _by_fault(run.done),
        "operations": len(run.history),
        "acknowledged": counts["acknowledged"],
        "acknowledged_by_kind": dict(sorted(kinds.items())),
        "refused": counts["refused"],
        "unknown_at_the_end": counts["unknown"],
        "asked_more_than_once": sum(operation.attempts > 1 for operation in run.history),
        "lost": len(run.findings.of(*LOST)),
        "doubled": len(run.findings.of(*DOUBLED)),
        "stuck_without_an_alarm": len(run.findings.of("ends")),
        "stuck_with_an_alarm": run.stuck_shown,
        "violations": [violation.line() for violation in run.findings],
        "events": run.events,
        "trades_settled": run.trades,
        "runs_made": run.runs,
        "exchanges_made": run.exchanges,
        "trading_halts": run.halts,
        "snapshots": run.live.snapshots,
        "snapshots_compared": run.live.compared,
        "session_reads": sum(session.answers for session in run.sessions),
        "settled_s": round(run.settled_s, 1),
        "verify": run.checks,
        "schedule": [episode.line() for episode in run.episodes],
    }


def show(run: Run, console: Console) -> None:
    """For people."""
    said = summary(run)
    faults = Table(title=f"Faults, seed {run.seed}")
    faults.add_column("fault", no_wrap=True)
    for column in ("done", "not possible then", "disturbed", "recovery p50", "recovery p99"):
        faults.add_column(column, justify="right")
    for name, one in said["faults"].items():
        p50, p99 = (one[key] for key in ("recovery_p50_s", "recovery_p99_s"))
        times = [f"{value:.2f} s" if value is not None else "–" for value in (p50, p99)]
        done = str(one["count"]) if one["count"] else f"skipped: {one['why_skipped']}"
        not_then = one["not_done"] + (one["skipped"] if one["count"] else 0)
        faults.add_row(name, escape(done), str(not_then or ""), str(one["disturbed"] or ""), *times)
    console.print(faults)
    totals = Table(title="What it came to", show_header=False)
    for name in (
        *("acknowledged", "refused", "unknown_at_the_end", "asked_more_than_once", "events"),
        *("trades_settled", "runs_made", "exchanges_made", "trading_halts", "snapshots_compared"),
        *("session_reads", "settled_s", "stuck_with_an_alarm", "lost", "doubled", "stuck_without_an_alarm"),
    ):
        totals.add_row(
            name.replace("_", " ").removesuffix(" s") + (", s" if name.endswith("_s") else ""), str(said[name])
        )
    totals.add_row("violations", str(len(said["violations"])))
    console.print(totals)
    for line in said["violations"]:
        console.print(line, style="red", markup=False, soft_wrap=True)
    verdict = "[green]every promise held[/green]" if run.ok else "[red]not every promise held[/red]"
    console.print(f"{verdict}; the same faults again: make soak SEED={run.seed} with the same DURATION and FAULTS")
