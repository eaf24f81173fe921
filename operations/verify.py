"""`starter.py verify`: do the promises hold, on everything there is?

Each check stands on its own: the log (hash chains, versions, positions), conservation counted anew, the items of
batches against what was accepted, snapshots, the projector's own state, the views against a rebuild, what is
parked, Temporal's workflows and schedules against the log, and whether backups get what they need. Nothing is
changed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, LiteralString

from temporalio.client import Client

from activities.batch_items import BatchItemTable
from activities.ledger import Ledger
from activities.schedules import Schedules
from domain.batch import Batch
from eventstore.lookups import Lookups
from eventstore.store import EventStore
from eventstore.verify import Finding, LogVerifier
from operations.audit import Audit
from operations.engine import check_engine
from operations.histories import Histories
from operations.remedies import remedy
from operations.schedules import check_schedules
from operations.snapshots import check_snapshots
from projections.catalogue import VIEWS
from projections.compare import Comparison, compare_all
from projections.connecting import Connect, connector
from projections.dead_letters import list_dead_letters
from projections.errors import ProjectionError
from projections.metrics import archive_fails

BATCH = 2000
MAX_FINDINGS = 100
"""Of one check; there is no use in naming more of what is that broken."""

Progress = Callable[[str], None]

_ARCHIVER: LiteralString = "SELECT archived_count, failed_count, last_failed_wal FROM pg_stat_archiver"


@dataclass(slots=True)
class Check:
    """One check's outcome: what it looked at, and what it found wrong."""

    name: str
    looked_at: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.findings

    def wire(self) -> dict[str, Any]:
        shown = [
            {"code": f.code, "where": f.where, "message": f.message, "mend": remedy(f.code)} for f in self.findings
        ]
        return {"name": self.name, "ok": self.ok, **self.looked_at, "findings": shown[:MAX_FINDINGS]}


@dataclass(frozen=True, slots=True)
class Verifier:
    """What the checks need. `projector_url` is of a role that may build a view beside the live one."""

    client: Client
    ledger: Ledger
    store: EventStore
    items: BatchItemTable
    lookups: Lookups
    database_url: str
    projector_url: str
    task_queue: str

    @property
    def connect(self) -> Connect:
        return connector(self.projector_url, "tidemark-verify")

    async def checks(self, progress: Progress) -> AsyncIterator[Check]:
        """Each check as it is done."""
        progress("the log")
        yield await self.log()
        progress("conservation")
        conservation, audit = await self.conservation()
        yield conservation
        progress("batches")
        yield await self.batches(audit.batches)
        progress("snapshots")
        yield await self.snapshots()
        progress("the projector")
        yield await self.engine()
        async for check in self.views(progress):
            yield check
        progress("dead letters")
        yield await self.dead_letters()
        progress("workflow histories")
        yield await self.histories(audit.open_streams())
        progress("schedules")
        yield await self.schedules(audit.open_standing_orders)
        progress("backups")
        yield await self.archive()

    async def log(self) -> Check:
        """Hash chains, versions, positions."""
        verifier = LogVerifier(self.database_url)
        findings = [finding async for finding in verifier.findings()]
        counts = verifier.counts
        looked_at = {
            "events": counts.events,
            "streams": counts.streams,
            "positions": counts.positions,
            "unsequenced": counts.unsequenced,
        }
        return Check("log", looked_at, findings)

    async def conservation(self) -> tuple[Check, Audit]:
        """The sums, and what is open; counted from every event that has a position."""
        audit, position = Audit(), 0
        while events := await self.store.read(position, BATCH):
            for event in events:
                audit.see(event)
            position = events[-1].position or position
        totals = [total.wire(currency) for currency, total in audit.conservation().items()]
        return Check("conservation", {"events": audit.events, "currencies": totals}, audit.close()), audit

    async def batches(self, batches: dict[str, Batch]) -> Check:
        """What they ask for is what was accepted."""
        check = Check("batches", {"batches": len(batches)})
        for stream, batch in sorted(batches.items()):
            content = await self.items.content(batch.batch_id, batch.items)
            if (content.items, content.hash) != (batch.items, batch.content_hash):
                found = f"{content.items} of {batch.items} items, and their hash is not the accepted one"
                check.findings.append(Finding("batch_items_changed", stream, found))
        return check

    async def snapshots(self) -> Check:
        """Kept states against their streams."""
        compared, findings = await check_snapshots(self.lookups)
        return Check("snapshots", {"compared": compared}, findings)

    async def engine(self) -> Check:
        """Numbering, leaders, builds."""
        looked_at, findings = await check_engine(self.connect, VIEWS)
        return Check("projector", looked_at, findings)

    async def views(self, progress: Progress = lambda _: None) -> AsyncIterator[Check]:
        """Each view against a rebuild, one read of the log for all."""

        def told(position: int, upto: int) -> None:
            progress(f"views, {position:,} of {upto:,} events")

        async for view, found in compare_all(list(VIEWS.values()), self.connect, self.store, progress=told):
            yield _compared(view.name, found)

    async def dead_letters(self) -> Check:
        """What is parked, and what waits behind it."""
        async with self.connect() as connection:
            letters = await list_dead_letters(connection)
        findings = [
            Finding("dead_letter", f"{letter.id}", f"{letter.view}: {letter.stream}: {letter.error}")
            if letter.status == "parked"
            else Finding(
                "dead_letter_follower", f"{letter.id}", f"{letter.view}: {letter.stream} waits behind another"
            )
            for letter in letters
        ]
        return Check("dead letters", {"open": len(letters)}, findings)

    async def histories(self, open_streams: set[str]) -> Check:
        """Temporal's workflows against the log."""
        histories = Histories(self.client, self.ledger, self.lookups, self.task_queue)
        looked_at, findings = await histories.check(open_streams)
        return Check("histories", {"open": looked_at}, findings)

    async def schedules(self, open_orders: Iterable[str]) -> Check:
        """Standing orders against their schedules in Temporal."""
        schedules = Schedules(self.client, self.ledger, self.task_queue)
        looked_at, findings = await check_schedules(schedules, open_orders)
        return Check("schedules", {"standing_orders": looked_at}, findings)

    async def archive(self) -> Check:
        """Whether WAL reaches the archive, where there is one."""
        async with self.connect() as connection:
            row = await (await connection.execute(_ARCHIVER)).fetchone()
            failing = await archive_fails(connection)
        assert row is not None
        archived, failed, segment = row
        message = f"{failed} tries failed; the disk fills with what is kept until it is archived"
        findings = [Finding("archive_failing", str(segment), message)] if failing else []
        return Check("backups", {"archived": archived}, findings)


def _compared(name: str, found: Comparison | Exception) -> Check:
    check = Check(f"view {name}")
    match found:
        case Comparison():
            check.looked_at = {"position": found.position, "rows": found.rows}
            check.findings = _differences(found)
        case ProjectionError():
            check.findings.append(Finding("view_not_compared", name, str(found)))
        case _:
            check.findings.append(Finding("view_broken", name, str(found).splitlines()[0]))
    return check


def _differences(found: Comparison) -> list[Finding]:
    return [
        Finding("view_differs", f"{found.view}.{difference.table}", f"{difference.side}: {difference.row}")
        for difference in found.differences
    ]
