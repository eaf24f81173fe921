"""The compensation stack: what has to be undone, in reverse, whatever happens.

Register an undo before the call it undoes: where the call's outcome is never learnt, the undo runs and finds out.
An undo is retried without limit while it fails; only a refusal by the domain (a closed account) ends it, and then
the others still run. It runs inside a workflow's shielded life, so no cancellation reaches it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from temporalio.exceptions import ApplicationError

from workflows.steps import STEP_FAILED, refusal_of

Undo = Callable[[], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Blocked:
    """An undo that was refused, and why: a case for an operator."""

    step: str
    refusal: ApplicationError

    @property
    def code(self) -> str:
        return self.refusal.type or "refused"

    @property
    def reason(self) -> str:
        return self.refusal.message


class Compensations:
    """A stack of named undos."""

    def __init__(self) -> None:
        self._undos: list[tuple[str, Undo]] = []

    def register(self, name: str, undo: Undo) -> None:
        """`undo` must be harmless where there is nothing to undo."""
        self._undos.append((name, undo))

    async def run(self) -> list[Blocked]:
        """Every undo once to its end, the last registered first. Returns those that were refused."""
        blocked = []
        while self._undos:
            name, undo = self._undos.pop()
            try:
                await undo()
            except STEP_FAILED as error:
                blocked.append(Blocked(name, refusal_of(error)))
        return blocked
