"""Starts a payment or transfer and waits for its first durable step only: that the log has it.

    known? + would it be refused? ──► start the workflow ──► its first command is in the log ──► answer

As a rule this very process appends it and is told; looking into the log is for what other workers append. The
workflow goes on meanwhile. docs/adr/0030-first-answer.md and 0034 have the figures that chose this way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from temporalio.client import Client

from api.watch import Watch
from commands.running import NoAnswer, result_of
from domain.errors import Conflict
from eventstore.events import Appended, RecordedEvent
from eventstore.lookups import Lookups

Events = Sequence[RecordedEvent]

LOOK_AT_WORKFLOW_AFTER_S: Final = 0.5
"""A workflow whose first step was refused leaves nothing in the log: after so long it is asked itself."""


class FirstStep:
    """One per process: all who wait share one look at the log. `patience_s`: before the first one."""

    def __init__(self, temporal: Client, lookups: Lookups, timeout_s: float, patience_s: float = 0) -> None:
        self._temporal = temporal
        self._lookups = lookups
        self._timeout_s = timeout_s
        self._stored: Watch[str, Events] = Watch(self._look, patience_s=patience_s)

    def heard(self, appended: Appended) -> None:
        """This process has appended something: whoever waits for it need not look."""
        self._stored.tell(appended.command_id, appended.events)

    async def taken(
        self,
        workflow_id: str,
        command_id: str,
        fingerprint: bytes,
        check: Callable[[], Awaitable[None]],
        start: Callable[[], Awaitable[object]],
    ) -> tuple[Events, bool]:
        """The first step's events, and whether this call brought them about; False where they were there
        before, with the same content.

        Raises Conflict idempotency_conflict, what `check` or the workflow refuses with, and NoAnswer where nothing
        is known in time: it may still happen.
        """
        known, refused = await asyncio.gather(
            self._lookups.commands([command_id]), check(), return_exceptions=True
        )
        if isinstance(known, BaseException):
            raise known
        if command_id in known:
            if known[command_id].fingerprint != fingerprint:
                name = workflow_id.replace("-", " ", 1)
                raise Conflict("idempotency_conflict", f"{name} exists already with another content")
            return await self._lookups.append(known[command_id].append_id), False
        if isinstance(refused, BaseException):
            raise refused
        stored = asyncio.ensure_future(self._stored.wait(command_id, self._timeout_s))
        try:
            await start()
            return await self._wait(workflow_id, stored), True
        finally:
            stored.cancel()

    async def _look(self, command_ids: Sequence[str]) -> dict[str, Events]:
        known = await self._lookups.commands(command_ids)
        return {name: await self._lookups.append(stored.append_id) for name, stored in known.items()}

    async def _wait(self, workflow_id: str, stored: asyncio.Future[Events | None]) -> Events:
        done, _ = await asyncio.wait({stored}, timeout=LOOK_AT_WORKFLOW_AFTER_S)
        if not done:
            await self._refusal(workflow_id, stored)
        events = await stored
        if events is None:
            raise NoAnswer(
                f"nothing was heard of {workflow_id} within {self._timeout_s:g} s; it may still happen: "
                "ask again with the same id"
            )
        return events

    async def _refusal(self, workflow_id: str, stored: asyncio.Future[Events | None]) -> None:
        """Raises what the workflow was refused with, should it be over before its first step is in the log."""
        over = asyncio.ensure_future(result_of(self._temporal.get_workflow_handle(workflow_id)))
        try:
            await asyncio.wait({stored, over}, return_when=asyncio.FIRST_COMPLETED)
            if over.done() and not stored.done():
                over.result()
        finally:
            over.cancel()
            await asyncio.wait({over})
