"""`starter.py verify`: do the promises hold, on everything there is?

Six checks, each on its own: the log (hash chains, versions, positions), conservation counted anew, the items of
batches against what was accepted, the views against a rebuild, Temporal's workflows against the log, and what is
parked.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

from temporalio.client import Client

from activities.batch_items import BatchItemTable
from activities.ledger import Ledger
from domain.batch import Batch
from eventstore.store import EventStore
from eventstore.verify import Finding, LogVerifier
from operations.audit import Audit
from operations.histories import check_histories
from projections.catalogue import VIEWS
from projections.compare import Comparison, compare
from projections.connecting import connector
from projections.dead_letters import list_dead_letters
from projections.errors import ProjectionError

BATCH = 2000
MAX_FINDINGS = 100
"""Of one check; there is no use in naming more of what is that broken."""

Progress = Callable[[str], None]


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
        shown = [{"code": f.code, "where": f.where, "message": f.message} for f in self.findings]
        return {"name": self.name, "ok": self.ok, **self.looked_at, "findings": shown[:MAX_FINDINGS]}


@dataclass(frozen=True, slots=True)
class Verifier:
    """What the checks need. `projector_url` is of a role that may build a view beside the live one."""

    client: Client
    ledger: Ledger
    store: EventStore
    items: BatchItemTable
    database_url: str
    projector_url: str
    task_queue: str

    async def checks(self, progress: Progress) -> AsyncIterator[Check]:
        """Each check as it is done."""
        progress("the log")
        yield await self._log()
        progress("conservation")
        conservation, audit = await self._conservation()
        yield conservation
        progress("batches")
        yield await self._batches(audit.batches)
        for name in VIEWS:
            progress(f"view {name}")
            yield await self._view(name)
        progress("workflow histories")
        yield await self._histories(audit.open_streams())
        progress("dead letters")
        yield await self._dead_letters()

    async def open_streams(self) -> set[str]:
        """The payments, transfers and batches that something must drive on."""
        _, audit = await self._conservation()
        return audit.open_streams()

    async def _log(self) -> Check:
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

    async def _conservation(self) -> tuple[Check, Audit]:
        audit, position = Audit(), 0
        while events := await self.store.read(position, BATCH):
            for event in events:
                audit.see(event)
            position = events[-1].position or position
        totals = [total.wire(currency) for currency, total in audit.conservation().items()]
        return Check("conservation", {"events": audit.events, "currencies": totals}, audit.close()), audit

    async def _batches(self, batches: dict[str, Batch]) -> Check:
        """What they ask for is what was accepted."""
        check = Check("batches", {"batches": len(batches)})
        for stream, batch in sorted(batches.items()):
            content = await self.items.content(batch.batch_id, batch.items)
            if (content.items, content.hash) != (batch.items, batch.content_hash):
                found = f"{content.items} of {batch.items} items, and their hash is not the accepted one"
                check.findings.append(Finding("batch_items_changed", stream, found))
        return check

    async def _view(self, name: str) -> Check:
        check = Check(f"view {name}")
        try:
            found = await compare(VIEWS[name], connector(self.projector_url, "tidemark-verify"), self.store)
        except ProjectionError as error:
            check.findings.append(Finding("view_not_compared", name, str(error)))
            return check
        check.looked_at = {"position": found.position, "rows": found.rows}
        check.findings = _differences(found)
        return check

    async def _histories(self, open_streams: set[str]) -> Check:
        looked_at, findings = await check_histories(self.client, self.ledger, open_streams, self.task_queue)
        return Check("histories", {"open": looked_at}, findings)

    async def _dead_letters(self) -> Check:
        async with connector(self.projector_url, "tidemark-verify")() as connection:
            letters = await list_dead_letters(connection)
        findings = [
            Finding("dead_letter", f"{letter.view}: {letter.stream}", letter.error or "waits behind another")
            for letter in letters
        ]
        return Check("dead letters", {"open": len(letters)}, findings)


def _differences(found: Comparison) -> list[Finding]:
    return [
        Finding("view_differs", f"{found.view}.{difference.table}", f"{difference.side}: {difference.row}")
        for difference in found.differences
    ]
