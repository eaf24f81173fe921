"""What every long-lived workflow of ours has: an inbox, where it stands, and an end in order."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Any, Generic, TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from workflows.inbox import Asked, Inbox
from workflows.shield import survive_cancellation
from workflows.steps import STEP_FAILED, refusal_of

Step = TypeVar("Step")


class Life(Generic[Step]):
    """The state that a workflow's handlers share with its course."""

    def __init__(self) -> None:
        self.inbox: Inbox[Step] = Inbox()
        self.step: Step | None = None
        self._refused: ApplicationError | None = None
        self._resting = False

    async def lead(
        self,
        course: Coroutine[Any, Any, Step],
        on_cancel: Callable[[], object],
        over: Callable[[], ApplicationError],
    ) -> Step:
        """Runs `course` to its end. `on_cancel` is told of each Temporal cancellation; who asks for something when
        it is over gets the answer of `over`. Raises the domain's refusal of the course's first step.
        """
        try:
            return await survive_cancellation(course, on_cancel)
        except STEP_FAILED as error:
            self._refused = refusal_of(error)
            raise self._refused from None
        finally:
            self._resting = True
            self.inbox.close(over())
            await workflow.wait_condition(workflow.all_handlers_finished)

    def at(self, step: Step) -> Step:
        """It stands here now."""
        self.step = step
        return step

    async def next_wish(self, until: datetime | None = None) -> Asked[Step] | None:
        """Rests until somebody wishes something; None when `until` comes first."""
        self._resting = True
        asked = await self.inbox.next(until)
        self._resting = False
        return asked

    async def rest(self) -> Step:
        """Waits until it is over or waits for somebody, and says where it stands then. Raises the refusal."""
        await workflow.wait_condition(lambda: self._resting)
        if self._refused is not None:
            raise self._refused
        assert self.step is not None
        return self.step


def too_late(kind: str, message: str) -> ApplicationError:
    """The answer to a wish that came when nothing can be wished any more."""
    code = f"wrong_{kind}_status"
    details = {"code": code, "field": None, "kind": "WrongState"}
    return ApplicationError(message, details, type=code, non_retryable=True)
