"""What one payment, transfer or peer's workflow takes of the machine: CPU by process, history, commits, bytes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import psutil
import psycopg
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from benchmarks.measuring import Measure

COMMITS = "SELECT sum(xact_commit) FROM pg_stat_database WHERE datname = current_database()"
WAL = "SELECT pg_current_wal_lsn() - '0/0'::pg_lsn"
SIZE = """
SELECT (SELECT count(*) FROM events),
       (SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname = 'public' AND c.relkind = 'r'),
       (SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
         WHERE n.nspname LIKE 'view%' AND c.relkind = 'r')
"""


@dataclass
class Costs:
    """`pids` by part. `cpu_ms[side][part]`: CPU milliseconds of one unit of its work, one figure a round."""

    pids: Mapping[str, Sequence[int]]
    cpu_ms: dict[str, dict[str, list[float]]] = field(default_factory=dict)

    def of(self, side: str, n: int, measure: Measure) -> Measure:
        """`measure`, whose `n` units are also counted in CPU."""

        async def measured() -> float:
            before = self._seconds()
            rate = await measure()
            parts = self.cpu_ms.setdefault(side, {})
            for part, seconds in self._seconds().items():
                parts.setdefault(part, []).append((seconds - before[part]) * 1000 / n)
            return rate

        return measured

    def wire(self) -> dict[str, dict[str, float]]:
        """Medians; parts that took nothing to speak of are left out."""
        found = {
            side: {part: round(median(each), 2) for part, each in parts.items()}
            for side, parts in self.cpu_ms.items()
        }
        return {side: {part: ms for part, ms in parts.items() if ms >= 0.2} for side, parts in found.items()}

    def _seconds(self) -> dict[str, float]:
        return {part: sum(map(_cpu_s, pids)) for part, pids in self.pids.items()}


def _cpu_s(pid: int) -> float:
    try:
        process = psutil.Process(pid)
        times = [each.cpu_times() for each in (process, *process.children(recursive=True))]
    except psutil.Error:
        return 0.0
    return sum(each.user + each.system for each in times)


def database_counts(url: str) -> dict[str, float]:
    """Commits and bytes of WAL so far; events, and bytes of the log and of the views."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_stat_force_next_flush()")
        rows = [connection.execute(query).fetchone() for query in (COMMITS, WAL, SIZE)]
    [commits, wal, size] = [row for row in rows if row is not None]
    return {
        "commits": float(commits[0]),
        "wal": float(wal[0]),
        "events": float(size[0]),
        "log": float(size[1]),
        "views": float(size[2] or 0),
    }


async def history_of(client: Client, workflow_id: str) -> dict[str, Any]:
    """How many events and workflow tasks a workflow's history has, and its bytes."""
    history = await client.get_workflow_handle(workflow_id).fetch_history()
    kinds = Counter(event.event_type for event in history.events)
    return {
        "events": len(history.events),
        "workflow_tasks": kinds[EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED],
        "bytes": sum(event.ByteSize() for event in history.events),
    }
