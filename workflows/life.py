"""What every long-lived workflow of ours has: an inbox, where it stands, and an end in order."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from datetime import datetime
from typing import Any, Generic, Protocol, TypeVar

from temporalio import workflow
from temporalio.exceptions import ApplicationError

from activities.steps import CancelWish, Wish
from workflows.inbox import Asked, Inbox
from workflows.shield import survive_cancellation
from workflows.steps import STEP_FAILED, refusal_of

TEMPORAL_CANCEL = CancelWish(wish_id="temporal-cancel", reason="the workflow was cancelled")
"""What a Temporal cancellation asks of a payment, a transfer or a batch."""


class Stands(Protocol):
    """What a step answers: where things stand after it."""

    @property
    def status(self) -> str: ...


Step = TypeVar("Step", bound=Stands)


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
        over: Callable[[], ApplicationError],
        on_cancel: Wish | None = None,
    ) -> Step:
        """Runs `course` to its end. A Temporal cancellation counts as the wish `on_cancel`, if any; who asks for
        something when it is over gets the answer of `over`. Raises the domain's refusal of the first step.
        """

        def cancelled() -> None:
            if on_cancel is not None:
                self.inbox.put(on_cancel)

        dropped = False
        try:
            return await survive_cancellation(course, cancelled)
        except STEP_FAILED as error:
            self._refused = refusal_of(error)
            raise self._refused from None
        except GeneratorExit:  # not over: Temporal's cache dropped it, and another workflow may run here now
            dropped = True
            raise
        finally:
            if not dropped:
                self._resting = True
                self.inbox.close(over())
                await workflow.wait_condition(workflow.all_handlers_finished)

    async def open(self, first: Callable[[CancelWish | None], Awaitable[Step]]) -> Step:
        """The first step, told of a cancel that was here before it.

        Where that step had been done before, by a worker that died with it, nothing was cancelled: the wish comes
        first again, and is answered as any other.
        """
        asked = self.inbox.take(CancelWish)
        wish = None if asked is None else asked.wish
        assert wish is None or isinstance(wish, CancelWish)
        step = self.at(await first(wish))
        if asked is not None and step.status == "cancelled":
            asked.grant(step)
        elif asked is not None:
            self.inbox.put_back(asked)
        return step

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

    async def answer(self, asked: Asked[Step], doing: Awaitable[Step]) -> Step:
        """Does what was asked and says where it stands then; where that is refused, it stands where it stood."""
        try:
            asked.grant(self.at(await doing))
        except STEP_FAILED as error:
            asked.refuse(refusal_of(error))
        assert self.step is not None
        return self.step

    def too_late(self, kind: str, expected: str) -> ApplicationError:
        """The answer to a wish that came when nothing can be wished any more: `expected` says what would be."""
        status = "not accepted" if self.step is None else self.step.status
        code = f"wrong_{kind}_status"
        details = {"code": code, "field": None, "kind": "WrongState"}
        return ApplicationError(f"{expected} is {status}", details, type=code, non_retryable=True)
