"""Starts a payment or transfer and waits for its first durable step only: that the log has it.

    known? + would it be refused? ──► start the workflow ──► its first command is in the log ──► answer

The workflow goes on meanwhile. docs/adr/0030-first-answer.md has the figures that chose this way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from temporalio.client import Client

from api.watch import Watch
from commands.running import NoAnswer, result_of
from domain.errors import Conflict
from eventstore.events import StoredCommand
from eventstore.lookups import Lookups

LOOK_AT_WORKFLOW_AFTER_S: Final = 0.5
"""A workflow whose first step was refused leaves nothing in the log: after so long it is asked itself."""


class FirstStep:
    """One per process: all who wait share one look at the log."""

    def __init__(self, temporal: Client, lookups: Lookups, timeout_s: float) -> None:
        self._temporal = temporal
        self._lookups = lookups
        self._timeout_s = timeout_s
        self._stored: Watch[str, StoredCommand] = Watch(lookups.commands)

    async def taken(
        self,
        workflow_id: str,
        command_id: str,
        fingerprint: bytes,
        check: Callable[[], Awaitable[None]],
        start: Callable[[], Awaitable[object]],
    ) -> bool:
        """Whether it was this call that brought it about; False where it was there before, with the same content.

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
            return False
        if isinstance(refused, BaseException):
            raise refused
        await start()
        await self._wait(workflow_id, command_id)
        return True

    async def _wait(self, workflow_id: str, command_id: str) -> None:
        stored = asyncio.ensure_future(self._stored.wait(command_id, self._timeout_s))
        try:
            done, _ = await asyncio.wait({stored}, timeout=LOOK_AT_WORKFLOW_AFTER_S)
            if not done:
                await self._refusal(workflow_id, stored)
            if await stored is None:
                raise NoAnswer(
                    f"nothing was heard of {workflow_id} within {self._timeout_s:g} s; it may still happen: "
                    "ask again with the same id"
                )
        finally:
            stored.cancel()

    async def _refusal(self, workflow_id: str, stored: asyncio.Future[StoredCommand | None]) -> None:
        """Raises what the workflow was refused with, should it be over before its first step is in the log."""
        over = asyncio.ensure_future(result_of(self._temporal.get_workflow_handle(workflow_id)))
        try:
            await asyncio.wait({stored, over}, return_when=asyncio.FIRST_COMPLETED)
            if over.done() and not stored.done():
                over.result()
        finally:
            over.cancel()
            await asyncio.wait({over})
