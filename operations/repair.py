"""`starter.py repair`: mends what a fault, a restore or a hand has left wrong, each thing from the log.

The log is the truth and is never changed. What follows from it is made anew: a workflow is run again (every step
has its own key, so what was done is found done), a view is built again, a snapshot is thrown away. Safe at any
time, and to repeat.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

import psycopg
from temporalio.client import Client
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError

from activities.schedules import Schedules
from activities.search import search_attributes
from commands.running import no_such_workflow
from domain.streams import id_of
from eventstore.sequencer import sequence_once
from eventstore.store import EventStore
from eventstore.verify import Finding
from operations.engine import drop_orphan, end_leader
from operations.orders import RUNS, NoOrder, given_order, kind_of
from operations.verify import Check, Verifier
from projections.catalogue import VIEWS, view_named
from projections.dead_letters import retry_dead_letter
from projections.errors import NoSuchDeadLetter, ProjectionError
from projections.rebuild import rebuild
from settings import Settings


class LogDamaged(Exception):
    """The log itself is wrong: nothing is made anew from it."""


@dataclass(frozen=True, slots=True)
class Repaired:
    """What was done about a finding, or would be. `failed`: it could not be done, and why."""

    code: str
    where: str
    what: str
    failed: bool = False


@dataclass(frozen=True, slots=True)
class Repairer:
    """Mends what its verifier finds."""

    verifier: Verifier
    settings: Settings

    async def run(self, dry: bool = False) -> AsyncIterator[Repaired]:
        """Check, mend, and go on with what builds upon it. `dry`: only say what would be done.

        Raises LogDamaged where the log cannot be relied on.
        """
        log = await self.verifier.log()
        if not log.ok:
            first = log.findings[0]
            raise LogDamaged(f"{first.code} at {first.where}: {first.message}: restore a backup")
        done: set[tuple[str, str]] = set()
        for look, again in self._looks():
            async for finding in look():
                once = _once(finding)
                if once in done or finding.code not in _PLANS:
                    continue
                done.add(once)
                plan = Repaired(finding.code, once[1], _PLANS[finding.code].format(where=once[1]))
                one = plan if dry else await self._mend(finding.code, once[1])
                if one.failed and again:
                    done.discard(once)
                else:
                    yield one

    def _looks(self) -> list[tuple[Callable[[], AsyncIterator[Finding]], bool]]:
        """Findings, as one thing rests on another; True where a later look tries again what failed.

        A parked event is retried first, which costs little. Where a view itself was wrong, its rebuild settles
        what was parked for it.
        """
        verifier = self.verifier

        async def histories() -> Check:
            _, audit = await verifier.conservation()
            return await verifier.histories(audit.open_streams())

        async def schedules() -> Check:
            _, audit = await verifier.conservation()
            return await verifier.schedules(audit.open_standing_orders)

        async def views() -> AsyncIterator[Finding]:
            async for check in verifier.views():
                for finding in check.findings:
                    yield finding

        return [
            (_findings(verifier.snapshots), False),
            (_findings(verifier.engine), False),
            (_findings(verifier.engine), False),  # what was numbered just now, the views have to take in
            (_findings(histories), False),  # money waits for these, and views take long
            (_findings(schedules), False),
            (_findings(verifier.dead_letters), True),
            (views, False),
            (_findings(verifier.dead_letters), False),
        ]

    async def _mend(self, code: str, where: str) -> Repaired:
        try:
            return Repaired(code, where, await self._mended(code, where))
        except (NoOrder, ProjectionError, psycopg.errors.InsufficientPrivilege) as error:
            return Repaired(code, where, str(error), failed=True)

    async def _mended(self, code: str, where: str) -> str:
        verifier = self.verifier
        match code:
            case "snapshot_differs":
                await verifier.lookups.discard_snapshot(where)
                return "the snapshot was discarded: restart workers and APIs, they may have read it"
            case "log_not_numbered":
                async with verifier.connect() as connection:
                    numbered = 0
                    while appends := await sequence_once(connection):
                        numbered += appends
                return f"{numbered} appends were numbered"
            case "leader_stuck":
                async with verifier.connect() as connection:
                    ended = await end_leader(connection, where)
                return f"its session was ended: pid {' '.join(map(str, ended))}"
            case "build_orphaned":
                async with verifier.connect() as connection:
                    gone = await drop_orphan(connection, where)
                return "the build was dropped" if gone else "somebody is building that view now"
            case "dead_letter":
                return await self._retry(int(where))
            case "view_missing" | "view_behind" | "view_ahead" | "view_differs" | "view_broken":
                built = await rebuild(view_named(where), verifier.connect, verifier.store)
                return f"rebuilt: build {built.build} is live at position {built.position}"
            case "schedule_missing" | "schedule_orphaned" | "schedule_differs" | "run_overdue":
                order = await Schedules.of(verifier.client, verifier.ledger, self.settings).renew(id_of(where))
                return f"its schedule was made anew: {order.status.value}"
            case "workflow_behind":
                return await end_workflow(verifier.client, where)
            case _:
                return await restart(verifier.client, verifier.store, self.settings, where)

    async def _retry(self, letter: int) -> str:
        try:
            retried = await retry_dead_letter(letter, VIEWS, self.verifier.connect, self.verifier.store)
        except NoSuchDeadLetter:
            return "it is open no more"
        if retried.error is not None:
            raise ProjectionError(f"failed again: {retried.error}; `dead-letters show {letter}`")
        return f"view {retried.view} has taken in {retried.done} events of {retried.stream}"


def _findings(check: Callable[[], Awaitable[Check]]) -> Callable[[], AsyncIterator[Finding]]:
    async def look() -> AsyncIterator[Finding]:
        for finding in (await check()).findings:
            yield finding

    return look


def _once(finding: Finding) -> tuple[str, str]:
    """What is mended by one deed has one name: a view is rebuilt once, whatever is wrong with it."""
    if finding.code.startswith("view_"):
        return "view", finding.where.partition(".")[0]
    return finding.code, finding.where


_PLANS = {
    "snapshot_differs": "discard the snapshot of {where}",
    "log_not_numbered": "give every event that has none its position",
    "leader_stuck": "end the session that holds the place of the {where} leader",
    "build_orphaned": "drop {where}",
    "dead_letter": "retry dead letter {where} and what waits behind it",
    "view_missing": "build view {where}",
    "view_behind": "rebuild view {where}",
    "view_ahead": "rebuild view {where}",
    "view_differs": "rebuild view {where}",
    "view_broken": "rebuild view {where}",
    "schedule_missing": "give {where} its schedule",
    "schedule_orphaned": "take the schedule of {where} away",
    "schedule_differs": "make the schedule of {where} anew",
    "run_overdue": "wake {where}",
    "workflow_missing": "run {where} again",
    "workflow_ahead": "end the workflow {where} and run it again from the log",
    "workflow_failing": "end the workflow {where} and run it again from the log",
    "workflow_behind": "end the workflow {where}",
    "order_without_events": "run {where} again: it was acknowledged and the log has lost it",
}


async def restart(client: Client, store: EventStore, settings: Settings, workflow_id: str) -> str:
    """Runs the workflow again, with the order it was first given; one that runs is ended. Raises NoOrder."""
    given = await given_order(client, store, workflow_id)
    if given.opened_by is not None and not await store.load(given.opened_by):
        await end_workflow(client, workflow_id)
        return f"the workflow was ended: {given.opened_by} opens it again"
    try:
        await client.start_workflow(
            RUNS[kind_of(workflow_id)],
            args=list(given.arguments),
            id=workflow_id,
            task_queue=settings.task_queue,
            id_reuse_policy=WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            id_conflict_policy=WorkflowIDConflictPolicy.TERMINATE_EXISTING,
            task_timeout=timedelta(seconds=settings.workflow_task_timeout_s),
            static_summary=f"{given.summary} (repaired)",
            search_attributes=search_attributes(kind_of(workflow_id), "repaired", *given.accounts),
        )
    except WorkflowAlreadyStartedError:
        return "somebody has just started it"
    return f"runs again; its order was found in its {given.source}"


async def end_workflow(client: Client, workflow_id: str) -> str:
    """Of something that the log says is over."""
    try:
        await client.get_workflow_handle(workflow_id).terminate("over in the log (repaired)")
    except RPCError as fault:
        if not no_such_workflow(fault):
            raise
    return "the workflow was ended: the log says that it is over"
